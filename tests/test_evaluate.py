"""An evaluation says of a reviewed file what its terms say of the models."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aatm_onnx.mapping.evaluate import Outcome, Question
from aatm_onnx.mapping.propose import Candidate
from aatm_onnx.mapping.report import tables

from .test_cli import run
from .test_mapping import vocabulary  # noqa: F401


def outcome(*rows: list[tuple[str, float]]) -> Outcome:
    questions = [Question("q", frozenset({"right"}))] * len(rows)
    return Outcome.of(questions, [[Candidate(each, each, score, 0) for each, score in row] for row in rows])


def test_hits_ranks_and_coverage_by_hand() -> None:
    found = outcome(
        [("right", 0.9), ("x", 0.1)],
        [("x", 0.8), ("right", 0.2)],
        [("right", 0.7)],
        [],
    )
    assert (found.hit(1), found.hit(5), found.mrr) == (0.5, 0.75, (1 + 0.5 + 1) / 4)
    assert found.coverage_at(0.95) == (0.25, 0.9)
    assert found.coverage_at(0.6) == (0.75, 0.7)
    assert outcome([("x", 0.9)]).coverage_at(0.5) == (0.0, None)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=30))
def test_coverage_is_what_accepting_from_a_threshold_on_gives(rows: list[tuple[bool, float]]) -> None:
    found = outcome(*([("right" if good else "x", score)] for good, score in rows))
    right, scores = np.array([good for good, _ in rows]), np.array([score for _, score in rows])
    for threshold, coverage, precision in zip(*found.coverage(), strict=True):
        accepted = scores >= threshold
        assert np.isclose(coverage, accepted.mean())
        assert np.isclose(precision, right[accepted].mean())


def test_the_command_compares_models_and_draws(tmp_path: Path, vocabulary: Path) -> None:  # noqa: F811
    gold = tmp_path / "gold.csv"
    gold.write_text(
        "name,concept_id\nKIDNEY STONES,2000000787\nhigh BP,2000000822\nfits,2000001250\nhair loss,2000000787\n",
        "utf-8",
    )
    plot = tmp_path / "plot.svg"
    done = run("evaluate", "--gold", gold, "--vocabulary", vocabulary, "--provider", "cpu", "--plot", plot)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "4 reviewed terms"
    assert [line.split()[0] for line in lines[2:5]] == ["default", "bm25", "retriever"]
    assert float(lines[2].split()[1]) >= 0.25
    assert "default: accepting first places" in lines
    assert "bm25: accepting first places" not in lines  # its scores have no bound
    assert ElementTree.fromstring(plot.read_text("utf-8")).tag.endswith("svg")
    gold.write_text("name,concept_id\nfever,77\n", "utf-8")
    assert "is mapped to 77, which" in run("evaluate", "--gold", gold, "--vocabulary", vocabulary).stderr
    gold.write_text("name,concept_id\nfever,77\ncold,77\nache,78\n", "utf-8")
    said = run("evaluate", "--gold", gold, "--vocabulary", vocabulary).stderr
    assert "'fever' is mapped to 77, which" in said and "does not have, nor 1 more of its concepts." in said


def test_terms_are_read_as_map_reads_them(tmp_path: Path, vocabulary: Path) -> None:  # noqa: F811
    """What is measured is what map would do with the same options."""
    gold, short = tmp_path / "gold.csv", tmp_path / "short.csv"
    gold.write_text("name,concept_id\nqqzz,2000000787\n", "utf-8")
    short.write_text("qqzz,kidney stones\n", "utf-8")
    given = ("evaluate", "--gold", gold, "--vocabulary", vocabulary, "--model", "retriever")
    hits = [run(*given, *more).stdout.splitlines()[2].split()[1] for more in ((), ("--abbreviations", short))]
    assert hits == ["0.000", "1.000"]


def test_a_threshold_can_be_typed_as_it_is_printed() -> None:
    scores = [0.9997 + each * 1e-5 for each in range(10)] + [0.5] * 10
    found = Outcome(np.array([1] * 10 + [0] * 10), np.array(scores))
    printed = float(list(tables({"model": found}, {"model": False}))[2].split()[-1])
    assert printed <= 0.9997
    assert printed == pytest.approx(0.9997, abs=1e-6)
    found = Outcome(np.array([1]), np.array([0.9999999]))
    assert list(tables({"model": found}, {"model": False}))[2].endswith(" 0.999999")


def test_what_would_fail_after_the_work_is_said_before_it(tmp_path: Path) -> None:
    """Neither the vocabulary nor the terms are read before a typing error in the last option is found."""
    gold, empty = tmp_path / "gold.csv", tmp_path / "empty"
    gold.touch()
    empty.mkdir()
    given = ("evaluate", "--gold", gold, "--vocabulary", empty)
    assert "There is no bundle folder 'defualt'" in run(*given, "--model", "bm25", "--model", "defualt").stderr
    plot = tmp_path / "nowhere" / "plot.svg"
    assert run(*given, "--plot", plot).stderr == f"Error: {plot}: can't be written: its folder does not exist.\n"
