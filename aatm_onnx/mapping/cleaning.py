"""How a mapper reads a source term: without guesses, dates and shorthand; and what was done to it."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import NamedTuple

# Shorthand that means one thing wherever it stands in a clinical list; "" is left out. Not ca (calcium), pt
# (prothrombin time; LOINC's point in time), rt or lt (RT-PCR): --abbreviations says what they mean in a site's lists.
# Not nos: classifications have concepts for what is not specified.
SHORTHAND = {
    "abd": "abdominal",
    "bilat": "bilateral",
    "c/o": "",
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
    "pt c/o": "",
    "s/p": "status post",
    "sob": "shortness of breath",
    "uti": "urinary tract infection",
    "w/": "with",
    "w/o": "without",
}
_UNCONFIRMED = re.compile(r"(r/o|rule out|\?|possible|query)\b", re.IGNORECASE)
_BETWEEN = re.compile(r"(\s+/\s+|\s*;\s*|\s+-{1,2}\s+|\s*\|\s*)")
_ENDING = {";", "|"}  # what stands between two terms; slashes and dashes also stand within one

# A number is a date where nothing says otherwise: 2000 can be a strength, 7732-18-5 is water, 3.4.21.4 an enzyme.
_YEAR, _DAY = r"(?:19|20)\d{2}", r"(?:0?[1-9]|[12]\d|3[01])"
_DATE = re.compile(
    rf"""(?<![\w./-])(?:
        (?:{_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])      # 2019-05-31
         |{_DAY}([./]){_DAY}\1(?:{_YEAR}|\d{{2}})                 # 31.5.2019, 5/31/19
         |(?:in|since)\s+{_YEAR}
        )(?![\w/-]|\.\d|\s*(?:%|(?:m?c?g|ml|iu|unt|units?|meq)\b))
        |{_YEAR}(?=\s*(?:$|[,.;:)\]](?!\w)))
    )|\(\s*(?:(?:in|since)\s+)?{_YEAR}\s*\)""",
    re.IGNORECASE | re.VERBOSE,
)
# A letter is a side beside a part of the body: (R) also marks a trade name, and (L) says that a value is low.
_PART = "sided?|eye|ear|arm|leg|hand|foot|knee|hip|shoulder|wrist|elbow|ankle|breast|lung|kidney|upper|lower"
_SIDE = re.compile(rf"(?<![\w/-])(?:\(([LR])\)|([LR])t?\.?)(?=[ -](?:{_PART})\b)", re.IGNORECASE)


class Reading(NamedTuple):
    """What is matched in place of a term.

    Attributes:
        text: the text to match.
        changes: what was done to the term, in the order in which it was done.
    """

    text: str
    changes: tuple[str, ...] = ()


class TermReader:
    """Reads terms as a mapper would."""

    def __init__(self, own: Mapping[str, str] | None = None, is_name: Callable[[str], bool] | None = None) -> None:
        """Take what a site and its vocabulary say.

        Args:
            own: a site's shorthand and what it means; it goes before ours.
            is_name: whether a text is a name of the vocabulary, and so needs no reading.
        """
        own = {plain(short).lower(): meant for short, meant in (own or {}).items()}
        self._own = _Shorthand(own)
        self._common = _Shorthand({short: meant for short, meant in SHORTHAND.items() if short not in own})
        self._is_name = is_name or (lambda text: False)

    def __call__(self, name: str) -> Reading:
        """Read a term.

        Returns:
            The first of several terms, without what is unconfirmed, without dates, with shorthand written out, in lower
            case if it was all in capitals. A name of the vocabulary is returned with a site's own shorthand written out
            and no other change, and a term that would lose all its words as it is.
        """
        changes: list[str] = []
        text = self._own.write_out(plain(name), changes)
        if self._is_name(text):
            return Reading(text, tuple(changes))
        text = _confirmed(text, changes)
        text = _undated(text, changes)
        shouted = " " in text and (text.isupper() or name.isupper())
        text = _SIDE.sub(lambda match: _side(match, changes), text)
        text = self._common.write_out(text, changes)
        if shouted:
            text = _note(changes, "in lower case", text.lower())
        text = " ".join(text.split()).strip(" ,.:;/-")
        return Reading(text, tuple(changes)) if any(map(str.isalnum, text)) else Reading(name)


class _Shorthand:
    """Short forms, written out wherever they are words of their own."""

    def __init__(self, meanings: Mapping[str, str]) -> None:
        self._meanings = meanings
        longest_first = sorted(meanings, key=len, reverse=True)
        words, signs = (
            "|".join(re.escape(each) for each in longest_first if each[0].isalnum() is word) or "(?!)"
            for word in (True, False)
        )  # "+ve" may follow a word at once, "c" may not begin in "b/c"
        self._pattern = re.compile(rf"(?:(?<!\w)(?<!\w['/])(?:{words})|{signs})(?!\w|['/]\w)", re.IGNORECASE)

    def write_out(self, text: str, changes: list[str]) -> str:
        return self._pattern.sub(lambda match: self._meant(match, changes), text)

    def _meant(self, match: re.Match[str], changes: list[str]) -> str:
        short = match[0]
        meant = self._meanings.get(short.lower(), short)
        if meant == short:
            return short
        follows = match.string[: match.start()][-1:].isalnum()
        return _note(changes, f"{short} read as {meant}" if meant else f"left out: {short}", " " * follows + meant)


def plain(text: str) -> str:
    """A text with composed accents (NFC) and single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _confirmed(text: str, changes: list[str]) -> str:
    """The first term of several, without its unconfirmed parts; the first part, if none is confirmed."""
    kept, left, ended = "", list[str](), False
    split = ["", *_BETWEEN.split(text)]
    for between, part in zip(split[::2], (each.strip(" ,.:;") for each in split[1::2]), strict=True):
        ended |= bool(kept) and between.strip() in _ENDING
        if part and not ended and not _UNCONFIRMED.match(part):
            kept += between + part if kept else part
        elif part:
            left.append(part)
    if not kept and left:
        kept = left.pop(0)
    changes.extend(f"left out: {each}" for each in left)
    return kept or text


def _undated(text: str, changes: list[str]) -> str:
    undated = " ".join(_DATE.sub("", text).split())
    if not undated:
        return text
    changes.extend(f"left out: {match[0]}" for match in _DATE.finditer(text))
    return undated


def _side(match: re.Match[str], changes: list[str]) -> str:
    side = "left" if (match[1] or match[2]).lower() == "l" else "right"
    return _note(changes, f"{match[0]} read as {side}", side)


def _note(changes: list[str], note: str, text: str) -> str:
    changes.append(note)
    return text
