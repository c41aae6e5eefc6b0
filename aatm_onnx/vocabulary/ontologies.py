"""Concepts and synonyms from OBO files and from the labels of SSSOM mapping sets."""

import re
from collections.abc import Iterator
from pathlib import Path

from ..csv_rows import refuse_doubled
from .concept import Concept, Synonym
from .damage import Damage
from .tables import read_lines

_SYNONYM = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_SAME = ("skos:exactMatch", "owl:equivalentClass", "owl:sameAs")  # a subject's label is then a name of the object


def read_obo(path: Path, damage: Damage) -> Iterator[Concept | Synonym]:
    """Read the terms of an OBO file that are not obsolete; the part of the id before `:` is the vocabulary.

    Args:
        path: the file.
        damage: what to do about a line without a tag, a synonym without a text, or a term without id or name.
    """
    tags: list[tuple[int, str, str]] | None = None
    for number, line in read_lines(path, damage):
        if line.startswith("["):
            yield from _term(path, tags or [], damage)
            tags = [] if line.rstrip() == "[Term]" else None
        elif tags is not None and line.strip() and not line.startswith("!"):
            tag, colon, value = line.partition(":")
            if colon:
                tags.append((number, tag, value.strip()))
            else:
                damage.found(f"{path}, line {number}: no tag and value, {line[:40]!r}.")
    yield from _term(path, tags or [], damage)


def _term(path: Path, tags: list[tuple[int, str, str]], damage: Damage) -> Iterator[Concept | Synonym]:
    first = {tag: value for _, tag, value in reversed(tags)}
    if not tags or first.get("is_obsolete") == "true":
        return
    if not first.get("id") or not first.get("name"):
        damage.found(f"{path}, line {tags[0][0]}: a term without {'name' if first.get('id') else 'id'}.")
        return
    concept_id = first["id"]
    yield Concept(
        concept_id,
        _unescaped(first["name"]),
        vocabulary=concept_id.partition(":")[0] if ":" in concept_id else "",
        domain=first.get("namespace", ""),
        code=concept_id,
    )
    for number, tag, value in tags:
        if tag == "synonym":
            if match := _SYNONYM.match(value):
                yield Synonym(concept_id, _unescaped(match[1]).strip() or first["name"])
            else:
                damage.found(f"{path}, line {number}: a synonym without a quoted text.")


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def read_sssom(path: Path, damage: Damage) -> Iterator[Concept | Synonym]:
    """Read the objects of an SSSOM mapping set; the label of a subject that is the same is another name.

    Rows that say that something is not so (`Not`), or that nothing was found, name no concept and are left out.

    Args:
        path: the file, tab-separated, its metadata in lines that begin with `#`.
        damage: what to do about a line with another number of fields, or an object without a label.

    Raises:
        ValueError: two columns have the same name.
    """
    header: list[str] = []
    seen: set[str] = set()
    for number, line in read_lines(path, damage):
        if line.startswith("#") or not line.strip():
            continue
        if not header:
            header = line.split("\t")
            refuse_doubled(path, header)
            continue
        row = [
            field[1:-1].replace('""', '"') if field[:1] == field[-1:] == '"' else field for field in line.split("\t")
        ]
        if len(row) != len(header):
            damage.found(f"{path}, line {number}: {len(row)} fields, but the header has {len(header)}.")
            continue
        fields = dict(zip(header, row, strict=True))
        concept_id, name = fields.get("object_id", ""), fields.get("object_label", "")
        if fields.get("predicate_modifier") or concept_id == "sssom:NoTermFound":
            continue
        if not concept_id or not name:
            damage.found(f"{path}, line {number}: no {'object_label' if concept_id else 'object_id'}.")
            continue
        if concept_id not in seen:
            seen.add(concept_id)
            vocabulary = fields.get("object_source") or concept_id.partition(":")[0]
            yield Concept(concept_id, name, vocabulary=vocabulary, code=concept_id)
        if fields.get("predicate_id") in _SAME and fields.get("subject_label"):
            yield Synonym(concept_id, fields["subject_label"])
