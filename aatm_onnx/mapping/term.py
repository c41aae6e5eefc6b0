"""A source term: what is to be mapped, and what the file that it came from says of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

TOOL = "aatm-onnx"


class Approved(NamedTuple):
    """A concept that is approved for a term in Usagi.

    Attributes:
        concept_id: its id.
        name: its name.
        equivalence: how it relates to the term: "EQUAL", "WIDER", ...
        by: who approved it: a person's name, or this tool's.
    """

    concept_id: str
    name: str
    equivalence: str
    by: str


def is_tool(approver: str) -> bool:
    """Whether it is this tool that approved something, by a threshold; no person need have looked at it."""
    return approver.strip().startswith(TOOL)


@dataclass(frozen=True, slots=True)
class Term:
    """One row of a source list, or several rows of one code in a Usagi file.

    Attributes:
        code: its code in the source, or its name where it has none.
        name: the text to map.
        frequency: how often it occurs in the data; None if the file does not say.
        vocabulary: the source's own vocabulary, "" if the file does not say.
        rows: the rows of the file as they are, column by column.
        status: what was decided about it: "approved", "ignored", "flagged", or "unchecked" for a mapping with
            several targets; "accepted" where this tool had approved it; "" if nobody has decided.
        approved: the concepts that are approved.
    """

    code: str
    name: str
    frequency: int | None = None
    vocabulary: str = ""
    rows: tuple[dict[str, str], ...] = ()
    status: str = ""
    approved: tuple[Approved, ...] = ()

    @property
    def decided(self) -> bool:
        """It was decided about before; its rows are never changed."""
        return bool(self.status)

    def says(self, column: str) -> str:
        """What its first row has in a column; "" if there is no such column."""
        found = column_of(self.rows[0], [column]) if self.rows else None
        return self.rows[0][found].strip() if found else ""


def column_of(columns: Iterable[str], usual: Iterable[str]) -> str | None:
    """That column which has the first of the usual names that is there, in capitals or not."""
    known = {column.casefold(): column for column in columns}
    return next((known[name.casefold()] for name in usual if name.casefold() in known), None)
