"""The concepts of an index as columns in files: written once, then mapped into memory."""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import mapped, save_array
from .concept import Concept, Filters
from .texts import Texts, TextWriter

# Columns with few distinct values are stored as numbers of these values.
CATEGORIES = ("vocabulary", "domain", "concept_class", "standard")
_FILTERED = {"vocabularies": "vocabulary", "domains": "domain", "classes": "concept_class"}


class ConceptWriter:
    """Takes concepts one by one; names are not stored here, but with the synonyms."""

    def __init__(self, folder: Path) -> None:
        """Write into `folder`."""
        self._folder = folder
        self._index: dict[str, int] = {}
        self._codes = TextWriter(folder / "codes")
        self._values: dict[str, dict[str, int]] = {column: {} for column in CATEGORIES}
        self._numbers = {column: array("I") for column in CATEGORIES}

    def __len__(self) -> int:
        """How many concepts were written."""
        return len(self._index)

    def append(self, concept: Concept) -> bool:
        """Write one concept. Returns False, and writes nothing, if its id was there before."""
        if self._index.setdefault(concept.id, len(self._index)) != len(self._codes):
            return False
        self._codes.append(concept.code)
        for column in CATEGORIES:
            values = self._values[column]
            self._numbers[column].append(values.setdefault(getattr(concept, column), len(values)))
        return True

    def find(self, concept_id: str) -> int | None:
        """A concept's place."""
        return self._index.get(concept_id)

    def close(self) -> dict[str, list[str]]:
        """Write the columns and return the categories' values."""
        with self._codes:
            pass
        with TextWriter(self._folder / "ids") as ids:
            for concept_id in self._index:
                ids.append(concept_id)
        by_id = np.argsort(np.array([each.encode() for each in self._index], dtype=np.bytes_), kind="stable")
        save_array(self._folder / "by_id.npy", by_id)
        self._index.clear()
        for column in CATEGORIES:
            save_array(self._folder / f"{column}.npy", np.frombuffer(self._numbers[column], np.uint32))
        return {column: list(values) for column, values in self._values.items()}


class ConceptTable:
    """The concepts of a folder."""

    def __init__(self, folder: Path, categories: dict[str, list[str]]) -> None:
        """Map what `ConceptWriter` wrote."""
        self.categories = categories
        self._ids, self._codes = Texts(folder / "ids"), Texts(folder / "codes")
        self._by_id: NDArray[np.int64] = mapped(folder / "by_id.npy")
        self._numbers: dict[str, NDArray[np.uint32]] = {
            column: mapped(folder / f"{column}.npy") for column in CATEGORIES
        }

    def __len__(self) -> int:
        """How many concepts there are."""
        return len(self._ids)

    def concept(self, index: int, name: str) -> Concept:
        """One concept; its name comes from elsewhere."""
        values: dict[str, Any] = {
            column: self.categories[column][self._numbers[column][index]] for column in CATEGORIES
        }
        return Concept(self._ids[index], name, code=self._codes[index], **values)

    def find(self, concept_id: str) -> int | None:
        """The place of the concept with this id."""
        wanted, low, high = concept_id.encode("utf-8", "replace"), 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._ids[int(self._by_id[middle])].encode() < wanted:
                low = middle + 1
            else:
                high = middle
        index = int(self._by_id[low]) if low < len(self) else None
        return index if index is not None and self._ids[index] == concept_id else None

    def allowed(self, filters: Filters) -> NDArray[np.bool_]:
        """A flag for each concept.

        Raises:
            ValueError: a filter names a vocabulary, domain or class that no concept has.
        """
        flags = np.ones(len(self), np.bool_)
        for field, column in _FILTERED.items():
            if wanted := getattr(filters, field):
                flags &= np.isin(self._numbers[column], [self._number(column, value) for value in wanted])
        if filters.standard:
            standard = [number for number, value in enumerate(self.categories["standard"]) if value == "S"]
            flags &= np.isin(self._numbers["standard"], standard)
        return flags

    def ids(self, filters: Filters) -> Iterator[str]:
        """The ids of the concepts that are allowed."""
        return (self._ids[int(index)] for index in np.flatnonzero(self.allowed(filters)))

    def _number(self, column: str, value: str) -> int:
        known = self.categories[column]
        if value not in known:
            some = ", ".join(sorted(filter(None, known))[:20]) or "none"
            raise ValueError(f"The vocabulary has no {column.replace('_', ' ')} {value!r}; it has {some}.")
        return known.index(value)
