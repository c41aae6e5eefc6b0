"""A source term: what is to be mapped, and what the file that it came from says of it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Term:
    """One row of a source list, or several rows of one code in a Usagi file.

    Attributes:
        code: its code in the source, or its name where it has none.
        name: the text to map.
        frequency: how often it occurs in the data; None if the file does not say.
        vocabulary: the source's own vocabulary, "" if the file does not say.
        rows: the rows of the file as they are, column by column.
        decided: a person has decided about it; its rows are never changed.
    """

    code: str
    name: str
    frequency: int | None = None
    vocabulary: str = ""
    rows: tuple[dict[str, str], ...] = field(default=())
    decided: bool = False
