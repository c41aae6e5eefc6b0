"""Rerankers by name, and where their bundles are looked for."""

import os
import shutil
import sys
from enum import Enum
from pathlib import Path

import pytest

from aatm_onnx import BM25Reranker, BundleError, Qwen3Reranker, Qwen3RerankerModels, load_reranker
from aatm_onnx.load import RERANKER_NAMES, opening
from aatm_onnx.table import TableReranker


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AATM_ONNX_CACHE", str(tmp_path / "cache"))


def test_aatms_names_are_known() -> None:
    aatms = {"bm25-reranker", "qwen3-reranker-0.6b", "qwen3-reranker-4b", "qwen3-reranker-8b"}
    assert aatms | {"bm25", "default"} == set(RERANKER_NAMES)
    assert isinstance(load_reranker("bm25-reranker"), BM25Reranker)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"qwen3-reranker-0\.6b"):
        load_reranker("qwen4")
    with pytest.raises(ValueError, match="fallback"):
        load_reranker("default", fallback="tf-idf")
    for wrong in (5, b"default", BM25Reranker()):
        with pytest.raises(ValueError, match=f"named by a string or a path, not by .* of type {type(wrong).__name__}"):
            load_reranker(wrong, fallback="bm25")


def test_an_enum_of_another_package_names_a_model_too() -> None:
    aatms = Enum("Qwen3RerankerModels", {each.name: each.value for each in Qwen3RerankerModels})  # type: ignore[misc]
    for make in (load_reranker, Qwen3Reranker, lambda name: TableReranker(name).reranker):
        with pytest.raises(BundleError, match=r"no bundle of Qwen/Qwen3-Reranker-0\.6B"):
            make(aatms["QWEN3_06B"])


def test_without_a_bundle_the_error_names_the_export_command() -> None:
    with pytest.raises(BundleError, match=r"aatm-onnx export Qwen/Qwen3-Reranker-0\.6B"):
        load_reranker("qwen3-reranker-0.6b")
    for nowhere in ("nothing/here", "~nobody-of-that-name/bundle"):
        with pytest.raises(BundleError, match=f"no bundle folder '{nowhere}'"):
            Qwen3Reranker(nowhere)


def test_a_bundle_out_of_reach_is_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: object) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)
    for name in ("x" * 300, str(tmp_path / "private" / "bundle")):
        with pytest.raises(BundleError, match=r"The bundle folder '.*' can't be reached \(.*\)\."):
            load_reranker(name)
        with pytest.warns(RuntimeWarning, match="BM25 takes its place"):
            assert isinstance(load_reranker(name, fallback="bm25"), BM25Reranker)


def test_the_fallback_is_bm25_with_a_warning() -> None:
    with pytest.warns(RuntimeWarning, match="BM25 takes its place"):
        assert isinstance(load_reranker("qwen3-reranker-8b", fallback="bm25"), BM25Reranker)


@pytest.mark.parametrize("place", ["models", "cache"])
def test_a_models_bundle_is_found_where_export_puts_it_and_in_the_cache(
    bundle: Path, tmp_path: Path, place: str
) -> None:
    target = tmp_path / place / "Qwen3-Reranker-0.6B"
    shutil.copytree(bundle, target, copy_function=os.link)
    reranker = load_reranker("qwen3-reranker-0.6b", provider="cpu")
    assert isinstance(reranker, Qwen3Reranker)
    assert reranker.bundle.path.resolve() == target
    assert Qwen3Reranker(Qwen3RerankerModels.QWEN3_06B, provider="cpu").model_id == "Qwen/Qwen3-Reranker-0.6B"


def test_an_unknown_option_is_not_swallowed_by_the_fallback() -> None:
    with pytest.raises(TypeError, match="max_lenght"):
        load_reranker("default", fallback="bm25", max_lenght=3)
    with pytest.raises(TypeError, match="max_lenght"):
        load_reranker("bm25", max_lenght=3)
    assert isinstance(load_reranker("bm25", max_length=3), BM25Reranker)


@pytest.mark.parametrize("module", ["onnxruntime", "tokenizers"])
def test_the_fallback_takes_over_where_a_library_is_missing(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.warns(RuntimeWarning, match="BM25 takes its place: .* can't be imported"):
        assert isinstance(load_reranker("default", fallback="bm25"), BM25Reranker)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_child_forked_while_a_thread_opens_a_reranker_can_open_its_own() -> None:
    with opening():
        child = os.fork()
        if child == 0:
            os._exit(0 if opening().acquire(timeout=10) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not opening().locked()
