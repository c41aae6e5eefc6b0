"""Names of substances as other languages, older books and suppliers spell them: endings, letters, salts, spaces."""

import random

from recipe.medicines import SALTS

ENDINGS = {
    "ine": ("in", "ina", "inum", "ene"),
    "one": ("on", "ona", "onum"),
    "ate": ("at", "ato", "as"),
    "ide": ("id", "ido", "idum", "yd"),
    "ole": ("ol", "ola", "olum"),
    "ene": ("en", "ena"),
    "ane": ("an", "ano", "anum"),
    "ase": ("asa", "ase"),
    "ose": ("osa", "os"),
    "ium": ("io", "ii"),
    "in": ("ina", "ine", "inum", "yn"),
    "ol": ("olo", "olum", "ole"),
    "am": ("amo", "amum"),
    "il": ("ilo", "ilum", "yl"),
    "ic acid": ("ate", "insaeure", "acid"),
}
LETTERS = (("ph", "f"), ("th", "t"), ("y", "i"), ("c", "k"), ("x", "ks"), ("ae", "e"), ("oe", "e"), ("sulf", "sulph"))
LETTERS += (("z", "s"), ("qu", "kv"), ("ch", "kh"), ("rh", "r"), ("oxy", "hydroxy"), ("tt", "t"), ("ll", "l"))
MORE_SALTS = (
    *SALTS,
    *("citrate", "fumarate", "succinate", "bromide", "calcium", "nitrate", "lactate", "HCl", "magnesium", "tosylate"),
)
WATERS = ("dihydrate", "monohydrate", "hydrate", "anhydrous", "hemihydrate")


def foreign(name: str, draw: random.Random) -> str:
    """The name otherwise spelt."""
    text = name
    ending = next((e for e in ENDINGS if text.endswith(e)), None)
    if ending and draw.random() < 0.6:
        text = text.removesuffix(ending) + draw.choice(ENDINGS[ending])
    fitting = [(a, b) for pair in LETTERS for a, b in (pair, pair[::-1]) if a in text]
    if fitting and (text == name or draw.random() < 0.4):
        text = text.replace(*draw.choice(fitting), 1)
    return text


def as_salt(name: str, draw: random.Random) -> str:
    """A salt of it, or its water."""
    text = draw.choice(("{} {}", "{} {}", "{}, {}", "{} mono{}", "{} di{}")).format(name, draw.choice(MORE_SALTS))
    return f"{text} {draw.choice(WATERS)}" if draw.random() < 0.2 else text


def in_two(name: str, draw: random.Random) -> str:
    """The name with a space or hyphen within."""
    at = draw.randrange(3, len(name) - 3)
    return name[:at] + draw.choice(" -") + name[at:]
