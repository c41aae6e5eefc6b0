"""Terms as clinics type them: short forms, capitals, slashes, semicolons, and the tags that terminologies append."""

import random
import re

from recipe.sources import read_words

# General clinical short forms: a word or words, and what may stand for them.
BY_LONG = {long: shorts.split(", ") for long, shorts in (line.split(" = ") for line in read_words("short_forms.txt"))}
LONGEST_FIRST = re.compile(
    r"\b(" + "|".join(sorted(map(re.escape, BY_LONG), key=len, reverse=True)) + r")\b", re.IGNORECASE
)
TAGS = (
    *("(disorder)", "(finding)", "(procedure)", "(morphologic abnormality)"),
    *("(situation)", "(body structure)", "(substance)"),
)
LAYERS = (
    *("NOS", "unspecified", ", NOS", "- unspecified", "[D]"),
    *("[X]", "(& [X])", "or", "of unspecified site", "for laboratory"),
)
OTHERS = (  # what makes another thing of a term
    *("{} antibody", "{} receptor", "{} deficiency", "{} 1", "{} 2", "{} type 3", "{} II", "{} gene", "{} vaccine"),
    *("{} screening", "history of {}", "no {}", "non {}", "anti {}", "{} induced", "{} inhibitor"),
    *("{} activity",) * 4,  # every function of the Gene Ontology has it, so no two of its names differ in it
)
VAGUE = {"unspecified", "specified", "other", "unknown", "nos", "and", "or"}  # two names may differ in these alone


def telling_words(names: list[str]) -> list[str]:
    """Words that a name of a terminology has beside all those of another name, once for each such pair."""
    found = {tuple(sorted(re.findall(r"\w+", name.lower()))) for name in names}
    pairs = ((words[:at] + words[at + 1 :], word) for words in found for at, word in enumerate(words))
    return sorted(word for shorter, word in pairs if shorter in found and word not in VAGUE)


def something_else(text: str, query: str, telling: list[str], draw: random.Random) -> str:
    """The term with a word more that makes it something else, unless the query has that word."""
    other = f"{{}} {draw.choice(telling)}" if telling and draw.random() < 0.5 else draw.choice(OTHERS)
    words = other.replace("{}", "").split()
    return text if any(word.lower() in query.lower() for word in words) else other.format(text)


def telegram(text: str, draw: random.Random) -> str:
    """The term as typed in a hurry."""
    text = LONGEST_FIRST.sub(lambda m: draw.choice(BY_LONG[m[0].lower()]) if draw.random() < 0.6 else m[0], text)
    words = text.split(" ")
    for at, word in enumerate(words):
        if len(word) > 6 and draw.random() < 0.15:
            words[at] = cut_short(word, draw)
    kept = [w for w in words if w.lower() not in ("of", "the", "in", "to") or draw.random() < 0.6]
    words = kept or words
    if len(words) > 2 and draw.random() < 0.25:
        cut = draw.randrange(1, len(words))
        words = [
            *words[cut:],
            ("," if draw.random() < 0.3 else "/" if draw.random() < 0.2 else "") + words[0],
            *words[1:cut],
        ]
    text = draw.choice((" ", " ", " ", "  ", " ")).join(words)
    text = text.upper() if draw.random() < 0.6 else text
    return (
        draw.choice(("", "", "", "R/O ", "?", "ADMIT ", "hx ", "s/p ")) * (draw.random() < 0.3)
        + text
        + draw.choice(("", "", "", ";", ";", ".", " ;", "\\", "/SDA"))
    )


def cut_short(word: str, draw: random.Random) -> str:
    """A long word without its end, or without vowels."""
    if draw.random() < 0.6:
        return word[: draw.randrange(4, len(word) - 1)] + draw.choice(("", "", "."))
    return word[0] + re.sub(r"[aeiou]", "", word[1:])


def tag_some(texts: list[str], draw: random.Random) -> list[str]:
    """A tag or layer that hardly says anything, on the query or on all that is offered for it."""
    tag = draw.choice(TAGS if draw.random() < 0.6 else LAYERS)
    if draw.random() < 0.5:
        return [f"{texts[0]} {tag}", *texts[1:]]
    return [texts[0], *(f"{text} {tag}" for text in texts[1:])]
