"""Terms as someone else might write them, and words that nobody ever saw."""

import random
import re

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def disturb(text: str, draw: random.Random) -> str:
    """The same term with a typo, in another order, with a lost word, as a plural, or shortened."""
    words = text.split(" ")
    for _ in range(draw.choice((1, 1, 2))):
        kind = draw.random()
        at = draw.randrange(len(words))
        word = words[at]
        if kind < 0.35 and len(word) > 3:
            words[at] = typo(word, draw)
        elif kind < 0.55 and len(words) > 1:
            cut = draw.randrange(1, len(words))
            words = words[cut:] + words[:cut]
        elif kind < 0.7 and len(words) > 2:
            words.pop(at)
        elif kind < 0.8:
            words[at] = word[:-1] if word.endswith("s") else word + "s"
        elif len(word) > 5:
            words[at] = word[: draw.randrange(3, len(word) - 1)] + draw.choice(("", "."))
    return " ".join(words)


def typo(word: str, draw: random.Random) -> str:
    """One letter lost, doubled, changed, or swapped with the next."""
    at = draw.randrange(1, len(word) - 1)
    kind = draw.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    if kind == 2:
        return word[:at] + draw.choice(LETTERS) + word[at + 1 :]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def rename(texts: list[str], draw: random.Random) -> list[str]:
    """A word that the first two texts share becomes a new one in both.

    Of the others, most that hold it get one of their own, like it or not, so that only letters tell which is meant.
    """
    query, answer = (set(re.findall(r"\w{4,}", text.lower())) for text in texts[:2])
    if not (common := sorted(query & answer)):
        return texts
    word = draw.choice(common)
    new = made_up(word, draw)
    pattern = re.compile(rf"\b{word}\b", re.IGNORECASE)
    renamed = [pattern.sub(new, text) for text in texts[:2]]
    for text in texts[2:]:
        kind = draw.random()
        other = new if kind < 0.4 else made_up(new, draw) if kind < 0.7 else made_up(word, draw)
        renamed.append(pattern.sub(other, text))
    return renamed


def made_up(word: str, draw: random.Random) -> str:
    """A pronounceable word of about the same length: some letters changed, vowels for vowels."""
    letters = list(word.lower())
    for at in draw.sample(range(len(letters)), max(1, round(len(letters) * draw.uniform(0.3, 0.8)))):
        if letters[at].isalpha():
            letters[at] = draw.choice("aeiou" if letters[at] in "aeiouy" else "bcdfghklmnprstvwxz")
    return "".join(letters)
