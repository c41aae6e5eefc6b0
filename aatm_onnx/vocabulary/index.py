"""A searchable vocabulary in one folder: built from concepts and synonyms, opened, searched."""

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic import move_folder, partial_folder, remove_leftovers
from ..bundle import sha256_of
from .arrays import mapped, save_array
from .concept import Concept, Filters, Match, Synonym
from .damage import Damage
from .grams import fold
from .postings import Postings, write_postings
from .table import ConceptTable, ConceptWriter
from .texts import Texts, TextWriter

FORMAT = 1
MANIFEST_FILE = "vocabulary.json"
_RANK = {"S": 0, "C": 1, "": 2}  # of equally similar concepts the standard one comes first


def build_vocabulary(
    items: Iterable[Concept | Synonym],
    output: Path | str,
    *,
    force: bool = False,
    damage: Damage | None = None,
    sources: Iterable[str] = (),
) -> "Vocabulary":
    """Index concepts and their synonyms.

    Args:
        items: concepts, and synonyms of concepts that came before.
        output: the folder; it appears whole or not at all.
        force: replace a vocabulary that is there.
        damage: what to do about a concept id that comes twice; None raises.
        sources: names of the files, for the manifest.

    Returns:
        The vocabulary, opened.

    Raises:
        ValueError: there is no concept, an id comes twice, or `output` is there already and may not be replaced.
    """
    target = Path(output)
    _check_free(target, force)
    remove_leftovers(target)
    with partial_folder(target) as folder:
        damage = damage or Damage()
        categories, owners, names, unowned = _write_texts(folder, items, damage)
        order = write_postings(folder, Texts(folder / "unordered").chunks, len(owners))
        _reorder(folder, order, owners, names)
        manifest = {
            "format": FORMAT,
            "concepts": len(names),
            "names": len(owners),
            "synonyms_of_other_concepts": unowned,
            "sources": list(sources),
            "checksum": _checksum(folder, categories),
            "categories": categories,
        }
        manifest["files"] = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
        move_folder(folder, target)
    return Vocabulary(target)


def _write_texts(
    folder: Path, items: Iterable[Concept | Synonym], damage: Damage
) -> tuple[dict[str, list[str]], NDArray[np.uint32], NDArray[np.uint32], int]:
    """Write concepts, and all names as they come. Returns categories, each name's concept, each concept's name."""
    owners, names, unowned = array("I"), array("I"), 0
    concepts = ConceptWriter(folder)
    with TextWriter(folder / "unordered") as texts:
        for item in items:
            if isinstance(item, Synonym):
                if (owner := concepts.find(item.concept_id)) is None:
                    unowned += 1
                    continue
                owners.append(owner)
                texts.append(item.text)
            elif concepts.append(item):
                names.append(len(texts))
                owners.append(len(concepts) - 1)
                texts.append(item.name)
            else:
                damage.found(f"Concept {item.id!r} ({item.name}) comes twice.")
    categories = concepts.close()
    if not names:
        raise ValueError("There is no concept to index.")
    return categories, np.frombuffer(owners, np.uint32), np.frombuffer(names, np.uint32), unowned


def _checksum(folder: Path, categories: dict[str, list[str]]) -> str:
    """Of all that searches depend on: every file so far, and what the numbers of the categories mean."""
    hashes = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    return hashlib.sha256(json.dumps([hashes, categories]).encode()).hexdigest()


def _reorder(folder: Path, order: NDArray[np.int64], owners: NDArray[np.uint32], names: NDArray[np.uint32]) -> None:
    unordered = Texts(folder / "unordered")
    with TextWriter(folder / "texts") as texts:
        for index in order:
            texts.append(unordered[int(index)])
    save_array(folder / "concept_of_row.npy", owners[order])
    row_of_text = np.empty(len(order), np.uint32)
    row_of_text[order] = np.arange(len(order), dtype=np.uint32)
    save_array(folder / "name_row.npy", row_of_text[names])
    for suffix in (".utf8", ".npy"):
        (folder / "unordered").with_suffix(suffix).unlink()


def _check_free(target: Path, force: bool) -> None:
    if target.exists() and not force:
        raise ValueError(f"{target} exists; give another output, or --force to replace it.")
    if target.exists() and Path.cwd().is_relative_to(target.resolve()):
        raise ValueError(f"{target} is the folder that you are in, or above it, so it is not replaced; name another.")
    if target.exists() and not (target / MANIFEST_FILE).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} is not a vocabulary, so it is not replaced; give another output.")


class Vocabulary:
    """An index of concepts by their names, opened from its folder; it may be shared between threads.

    Attributes:
        path: the folder.
        names: how many names and synonyms it holds.
        checksum: a sha256 of all that its searches depend on.
        categories: the values that "vocabulary", "domain", "concept_class" and "standard" take.
    """

    def __init__(self, path: Path | str) -> None:
        """Open a folder that `build_vocabulary` wrote.

        Raises:
            ValueError: it is not a vocabulary, is damaged, or is of another format.
            OSError: it can't be read.
        """
        self.path = Path(path)
        manifest = _read_manifest(self.path)
        self.names = int(manifest["names"])
        self.checksum = str(manifest["checksum"])
        self.categories: dict[str, list[str]] = manifest["categories"]
        self._table = ConceptTable(self.path, self.categories)
        self._texts = Texts(self.path / "texts")
        self._postings = Postings(self.path)
        self._owner: NDArray[np.uint32] = mapped(self.path / "concept_of_row.npy")
        self._name_row: NDArray[np.uint32] = mapped(self.path / "name_row.npy")
        self._flags = lru_cache(16)(self._flags_of)

    def __len__(self) -> int:
        """How many concepts it holds."""
        return len(self._table)

    def __repr__(self) -> str:
        """Path and size."""
        return f"Vocabulary({str(self.path)!r}, {len(self)} concepts, {self.names} names)"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path."""
        return Vocabulary, (self.path,)

    @property
    def has_standard_concepts(self) -> bool:
        """Whether any concept is a standard one, as in OMOP's vocabularies."""
        return "S" in self.categories["standard"]

    def concept(self, concept_id: str) -> Concept | None:
        """The concept with this id, or None."""
        index = self._table.find(concept_id)
        return None if index is None else self._concept(index)

    def count(self, filters: Filters) -> int:
        """How many concepts filters allow.

        Raises:
            ValueError: a filter names something that the vocabulary does not have.
        """
        return int(self._table.allowed(filters).sum())

    def has_name(self, text: str, filters: Filters | None = None) -> bool:
        """Whether a text is a name or synonym of a concept that may be found; case, accents and marks don't matter.

        Raises:
            ValueError: a filter names something that the vocabulary does not have.
        """
        wanted = fold(text)
        flags = None if filters in (None, Filters()) else self._flags(filters)
        return any(
            fold(self._texts[row]) == wanted
            for row in self._postings.alike(text).tolist()
            if flags is None or flags[row]
        )

    def ids(self, filters: Filters) -> Iterator[str]:
        """The ids of the concepts that a search with these filters may find."""
        return self._table.ids(filters)

    def findable(self, concept_ids: Iterable[str], filters: Filters) -> set[str]:
        """Those of some concepts that a search with these filters may find.

        Raises:
            ValueError: a filter names something that the vocabulary does not have.
        """
        allowed = self._table.allowed(filters)
        places = ((concept_id, self._table.find(concept_id)) for concept_id in concept_ids)
        return {concept_id for concept_id, place in places if place is not None and allowed[place]}

    def search(self, query: str, count: int = 50, filters: Filters | None = None) -> list[Match]:
        """The concepts with the names most similar to a query.

        Args:
            query: a text.
            count: how many concepts to return at most.
            filters: which concepts may be found.

        Returns:
            Each concept once, by the most similar of its names, best first; of equal ones the standard first.

        Raises:
            ValueError: a filter names something that the vocabulary does not have.
        """
        flags = None if filters in (None, Filters()) else self._flags(filters)
        if count < 1:
            return []
        wanted = 4 * count
        while True:
            rows, cosines = self._postings.nearest(query, wanted, self._texts.at, flags)
            best: dict[int, tuple[int, float]] = {}
            for row, cosine in zip(rows.tolist(), cosines.tolist(), strict=True):
                best.setdefault(int(self._owner[row]), (row, _similarity(cosine)))
            last = list(best.values())[count - 1][1] if len(best) >= count else -1.0
            if len(rows) < wanted or _similarity(cosines[-1]) < last:  # further ones can't be equal to the last
                break
            wanted *= 4
        found = [
            Match(self._concept(owner), self._texts[row], cosine)
            for owner, (row, cosine) in best.items()
            if cosine >= last
        ]
        return sorted(found, key=lambda match: (-match.similarity, _RANK.get(match.concept.standard, 2)))[:count]

    def _concept(self, index: int) -> Concept:
        return self._table.concept(index, self._texts[int(self._name_row[index])])

    def _flags_of(self, filters: Filters) -> NDArray[np.bool_]:
        return self._table.allowed(filters)[self._owner]


def _similarity(cosine: float) -> float:
    return round(min(float(cosine), 1.0), 6)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / MANIFEST_FILE).read_text(encoding="utf-8"))
        version, files = manifest["format"], manifest["files"]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path} is not a vocabulary; make one with `aatm-onnx index CONCEPT.csv --output {path}`."
        ) from None
    if version != FORMAT:
        raise ValueError(f"{path} is of format {version}, and this version reads {FORMAT}; index the files again.")
    for name, size in files.items():
        if not (path / name).is_file() or (path / name).stat().st_size != size:
            raise ValueError(f"{path} is damaged: {name} is missing or of another size; index the files again.")
    return dict(manifest)
