"""Text from strangers' files: a terminal shows it and does not obey it."""

import re

# Control characters of ASCII and Latin-1, the line and paragraph separators, and what turns the direction of a line.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return `text` in one line, with its control characters written out (`\\x1b`)."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
