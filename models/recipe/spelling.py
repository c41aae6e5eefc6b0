"""How a word is read: its spellings are one word before anything is learned.

No case, no accents, no plural; British and American; the Latin, Romance and German forms of substances' names
("rifamycine", "difenidolum"), which INN lists carry and sources of drug names are full of; numerals as digits. A few
different words become one ("Chile" and "chyle"): among the names of a terminology one in some thousands.
"""

from tokenizers import Regex, normalizers, pre_tokenizers

# A word is letters, a number, a mark that means something, or two letters with a slash ("s/p"); the rest separates.
# "<Document>:" is "<dokument>:" by then.
WORD = r"<(?:instruct|query|dokument)>:|\b\p{L}/\p{L}\b|\p{N}+(?:\.\p{N}+)?|\p{L}+|[%#+&<>=]"
GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "μ": "u"}  # noqa: RUF001
PLURALS = (
    (r"(?<=\p{L}{2})['’]s\b", ""),  # noqa: RUF001 "Parkinson's disease" is also called "Parkinson disease"
    (r"(?<=\p{L}{3})ies\b", "y"),
    (r"(?<=ss|sh|ch|\p{L}x)es\b", ""),
    (r"(?<=\p{L}{2}[^siu\P{L}])s\b", ""),
    (r"(?<=\p{L}{4})(?<!ace|\p{L}id)ae\b", "a"),  # vertebrae; "Rosaceae" and "Hominidae" are families
)
NUMERALS = {"ii": "2", "iii": "3", "vi": "6", "vii": "7", "viii": "8"}  # "iv", "v", "x" and "i" are more often letters
SPELLINGS = (
    (r"(?<=\p{L}{2})our\b", "or"),  # tumour
    (r"[ao]e(?=\p{L})", "e"),  # oesophagus, anaemia
    (r"(?<=\p{L}{2})is(?=(?:ation|ed|ing|e)\b)", "iz"),  # localisation
    (r"(?<=\p{L}{4})ical\b", "ic"),  # histological
    (r"aluminium", "aluminum"),
    (r"ph(?=\p{L})|(?<=\p{L})ph", "f"),  # but pH
    (r"(?<=\p{L})y(?=\p{L}{2})|(?<=\p{L}{2})y(?=\p{L})", "i"),
    (r"(?<=\p{L})th(?=\p{L}{2})|\bth(?=[iyer]\p{L}{3})", "t"),  # "clothiapine", "theophylline"; not "path", "thick"
    (r"c(?=[aourlt]\p{L}{2})|ch(?=[lr]\p{L})", "k"),  # but short forms: "ca", "CT"
    (r"(?<=\p{L}{2})([tlnmprfsckdbg])(?=\1\p{L}{2})", ""),  # the first of two equal consonants
    # -ine, -ina, -ino, -inum are -in
    (r"(?<=\p{L}{2}[aeiou][^aeiou\P{L}])e\b|(?<=\p{L}{3}[aeiou][^aeiou\P{L}])(?:a|o|um)\b", ""),
    (r"(?<=\p{L}{4}i)(?:a|o|um)\b", ""),  # sodium, sodio; epithelia, epithelium
)
# What a text becomes before it is split into words, and how it is split.
NORMALIZER = normalizers.Sequence(
    [
        normalizers.NFKD(),
        normalizers.StripAccents(),
        normalizers.Lowercase(),
        *(normalizers.Replace(letter, name) for letter, name in GREEK.items()),
        *(normalizers.Replace(Regex(pattern), instead) for pattern, instead in PLURALS),
        *(normalizers.Replace(Regex(rf"\b{roman}\b"), digit) for roman, digit in NUMERALS.items()),
        *(normalizers.Replace(Regex(pattern), instead) for pattern, instead in SPELLINGS),
    ]
)
SPLITTER = pre_tokenizers.Split(Regex(WORD), "removed", invert=True)


def as_read(text: str) -> str:
    """The form in which two strings are the same words to the model: as they are read, in alphabetical order."""
    return " ".join(sorted(word for word, _ in SPLITTER.pre_tokenize_str(NORMALIZER.normalize_str(text))))
