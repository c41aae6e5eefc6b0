"""How a mapper reads a source term: without its separators, dates and shorthand, and what was done to it."""

import re
from collections.abc import Mapping
from typing import NamedTuple

# Shorthand that means one thing wherever it stands in a clinical list. A site's own comes with --abbreviations.
SHORTHAND = {
    "abd": "abdominal",
    "bilat": "bilateral",
    "ca": "cancer",
    "chf": "congestive heart failure",
    "copd": "chronic obstructive pulmonary disease",
    "cva": "cerebrovascular accident",
    "cxr": "chest x-ray",
    "dvt": "deep vein thrombosis",
    "fx": "fracture",
    "gerd": "gastroesophageal reflux disease",
    "h/o": "history of",
    "htn": "hypertension",
    "hx": "history",
    "lt": "left",
    "rt": "right",
    "s/p": "status post",
    "sob": "shortness of breath",
    "uti": "urinary tract infection",
    "w/": "with",
    "w/o": "without",
}
_DROPPED = {"c/o": "complains of", "nos": "not otherwise specified", "pt": "patient"}
_UNCONFIRMED = re.compile(r"^(r/o|rule out|\?|possible|query)\b", re.IGNORECASE)
_SEGMENTS = re.compile(r"\s+/\s+|\s*;\s*|\s+-{1,2}\s+|\s*\|\s*")
_DATE = re.compile(
    r"\b(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}|(?:in\s+)?(?:19|20)\d{2})\b|\(\s*\)", re.IGNORECASE
)
_SIDE = re.compile(
    r"\(([LR])\)|\b([LR])(?=[ -](?:sided?|eye|ear|arm|leg|hand|foot|knee|hip|shoulder)\b)", re.IGNORECASE
)
_WORD = re.compile(r"[^\W_](?:[\w']|/(?=\w))*/?")


class Reading(NamedTuple):
    """What is matched in place of a term.

    Attributes:
        text: the text to match.
        changes: what was done to the term, in the order in which it was done.
    """

    text: str
    changes: tuple[str, ...] = ()


def read_term(name: str, shorthand: Mapping[str, str] = SHORTHAND) -> Reading:
    """Read a term as a mapper would.

    Args:
        name: the term.
        shorthand: what to write out: lower-cased short forms and what they mean.

    Returns:
        The first confirmed part of the term, without dates, with shorthand written out, in lower case if it was all in
        capitals. A term that would lose all its words is returned as it is.
    """
    changes: list[str] = []
    text = _first_segment(" ".join(name.split()), changes)
    if undated := " ".join(_DATE.sub(lambda match: _note(changes, f"left out: {match[0]}", ""), text).split()):
        text = undated
    shouted = text.isupper() and " " in text
    text = _SIDE.sub(lambda match: _side(match, changes), text)
    text = _WORD.sub(lambda match: _word(match[0], shorthand, changes), text)
    if shouted:
        text = _note(changes, "in lower case", text.lower())
    text = " ".join(text.split()).strip(" ,.:;/-")
    return Reading(text, tuple(changes)) if any(map(str.isalnum, text)) else Reading(name)


def _first_segment(text: str, changes: list[str]) -> str:
    segments = [each for each in (part.strip(" ,.:;") for part in _SEGMENTS.split(text)) if each]
    confirmed = [each for each in segments if not _UNCONFIRMED.match(each)] or segments
    if not confirmed:
        return text
    changes.extend(f"left out: {each}" for each in segments if each is not confirmed[0])
    return confirmed[0]


def _side(match: re.Match[str], changes: list[str]) -> str:
    side = "left" if (match[1] or match[2]).lower() == "l" else "right"
    return _note(changes, f"{match[0]} read as {side}", side)


def _word(word: str, shorthand: Mapping[str, str], changes: list[str]) -> str:
    short = word.lower()
    if short in _DROPPED:
        return _note(changes, f"left out: {word}", "")
    if (meant := shorthand.get(short)) is None:
        return word
    return _note(changes, f"{word} read as {meant}", meant + " " * word.endswith("/"))


def _note(changes: list[str], note: str, text: str) -> str:
    changes.append(note)
    return text
