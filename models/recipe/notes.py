"""What the notes of ICD-10-CM call its codes, in the public domain (US National Center for Health Statistics).

"Includes" below a code says what belongs to it. "Excludes" says what does not, and names the code where it does:
"congenital absence of teeth (K00.0)".
"""

import re
from collections.abc import Iterator

from recipe.sources import fold

# Ranges of codes, and what stands below "respiratory disorders in:", are no names of one code.
SENT_TO = re.compile(r"(?P<text>.+?)\s*\((?P<code>[A-Z]\d\w(\.\w+)?)\.?-?\)")
NO_NAME = re.compile(r"\bconditions?\b|\blisted\b|\b[A-Z]\d\w\b|:$")


def noted_names() -> dict[str, list[str]]:
    """For each code what notes call it, in two words and more."""
    found: dict[str, dict[str, str]] = {}
    for code, text in notes():
        if " " in text and not NO_NAME.search(text):
            found.setdefault(code, {}).setdefault(fold(text), text)
    return {code: list(texts.values()) for code, texts in found.items()}


def notes() -> Iterator[tuple[str, str]]:
    """Codes, each with a text that a note says belongs there."""
    import simple_icd_10_cm as icd

    for code in icd.get_all_codes(with_dots=True):
        if not icd.is_chapter_or_block(code):
            yield from ((code, text.strip()) for text in icd.get_includes(code))
        for note in (*icd.get_excludes1(code), *icd.get_excludes2(code)):
            if sent := SENT_TO.fullmatch(note.strip()):
                yield sent["code"], sent["text"]
