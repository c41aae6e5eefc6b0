"""Terms, and what one process makes of them."""

from pathlib import Path
from typing import Any

import pytest

from .terms import rank_alone, write_terms


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `terms/`."""
    made = tmp_path_factory.mktemp("work")
    write_terms(made / "terms")
    return made


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    """Every row by its code, as the command line ranks it."""
    return rank_alone(folder / "terms", tmp_path_factory.mktemp("alone") / "out")
