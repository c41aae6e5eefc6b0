"""Bundles from strangers: what changes a score is found, what is malformed is refused, and nothing else is read."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from aatm_onnx import BM25Reranker, BundleError, Qwen3Reranker, ScoreError, load_reranker
from aatm_onnx.bundle import MANIFEST_FILE, open_bundle
from aatm_onnx.bundle.onnx_data import external_data
from aatm_onnx.bundle.strict_json import parse_json
from aatm_onnx.cli.commands import cli
from aatm_onnx.models import find_bundle
from aatm_onnx.runtime.session import open_session
from aatm_onnx.runtime.verify import check_conformance

from .resealed import edit_manifest, reseal, write_manifest

QUERY, DOCUMENTS = "kidney stones", ["Gallstones", "Nephrolithiasis", "Renal cyst"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The default model."""
    return Path(shutil.copytree(find_bundle(), tmp_path / "copy"))


def verify(bundle: Path) -> None:
    opened = open_bundle(bundle)
    list(opened.check_hashes())
    outcome = check_conformance(opened, open_session(opened, "cpu"))
    if not outcome.passed:
        raise BundleError(f"differs by {outcome.largest_difference}, allowed {outcome.tolerance}")


def scores(bundle: Path) -> list[float]:
    return Qwen3Reranker(bundle, provider="cpu").score(QUERY, DOCUMENTS)


def manifest_of(bundle: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / MANIFEST_FILE).read_text("utf-8"))
    return content


def npz(arrays: dict[str, Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as archive:
        for name, array in arrays.items():
            written = io.BytesIO()
            np.save(written, array)
            archive.writestr(f"{name}.npy", written.getvalue())
    return stream.getvalue()


_SHARED = 14  # the tokens of the default model's prompt before a query


def prefix_arrays(bundle: Path, extra_ids: tuple[int, ...] = ()) -> dict[str, Any]:
    """The true keys and values of the default model's prompt, or of it and further tokens."""
    opened = open_bundle(bundle)
    session = open_session(opened, "cpu")
    assert session.prefix is not None
    ids = np.array([*opened.conformance()[0].input_ids[:_SHARED], *extra_ids], np.int32)
    made = session.extend(session.prefix, ids)
    return {"ids": ids, "keys_values": np.asarray(made.keys_values)}


def plant_prefix(bundle: Path, data: bytes, *, listed: bool = True) -> None:
    (bundle / "prefix_kv.npz").write_bytes(data)
    if listed:
        reseal(bundle, "prefix_kv.npz")


# What a score depends on


def test_the_default_model_verifies(copy: Path) -> None:
    verify(copy)


@pytest.mark.parametrize("changes", [{"task": "find the opposite"}, {"prefix": "x"}, {"suffix": "x"}], ids=str)
def test_a_resealed_prompt_is_found_by_its_vectors(copy: Path, changes: dict[str, str]) -> None:
    edit_manifest(copy, prompt=manifest_of(copy)["prompt"] | changes)
    with pytest.raises(BundleError, match="other token ids"):
        verify(copy)


def test_yes_and_no_exchanged_are_found(copy: Path) -> None:
    content = manifest_of(copy)
    edit_manifest(copy, yes_token_id=content["no_token_id"], no_token_id=content["yes_token_id"])
    with pytest.raises(BundleError, match="prompt's yes other token ids"):
        verify(copy)


def test_an_unlisted_prefix_file_is_never_read_and_verify_names_it(copy: Path) -> None:
    before = scores(copy)
    plant_prefix(copy, npz(prefix_arrays(copy) | {"keys_values": np.ones((2, 2, 8, 20, 24), np.float32)}), listed=False)
    (copy / ".hidden").write_text("x")
    assert scores(copy) == before
    assert open_bundle(copy).unlisted_files() == [".hidden", "prefix_kv.npz"]
    done = CliRunner().invoke(cli, ["verify", str(copy), "--provider", "cpu"])
    assert done.exit_code == 0 and "prefix_kv.npz: not listed in bundle.json, and never read" in done.output


def test_a_true_prefix_changes_nothing_and_a_false_one_is_found(copy: Path) -> None:
    before, arrays = scores(copy), prefix_arrays(copy)
    plant_prefix(copy, npz(arrays))
    verify(copy)
    assert scores(copy) == pytest.approx(before, abs=1e-6)
    plant_prefix(copy, npz(arrays | {"keys_values": np.ones_like(arrays["keys_values"])}))
    with pytest.raises(BundleError, match="not those of the graph"):
        verify(copy)
    layers, two, heads, _, head_dim = arrays["keys_values"].shape
    anything = np.random.default_rng(0).normal(size=(layers, two, heads, 3, head_dim))
    three = {"ids": arrays["ids"][:3], "keys_values": anything}
    plant_prefix(copy, npz(three))  # this model's vectors hardly show it
    with pytest.raises(BundleError, match="not those of the graph"):
        verify(copy)


def test_a_prefix_of_one_query_alone_is_found(copy: Path) -> None:
    """It would change that query's scores, and those of none of the vectors."""
    opened = open_bundle(copy)
    inputs = Qwen3Reranker(copy, provider="cpu").process_inputs([f"<Instruct>: x\n<Query>: {QUERY}"])
    arrays = prefix_arrays(copy, tuple(inputs["input_ids"][0, -8:].tolist()))
    plant_prefix(copy, npz(arrays))
    assert scores(copy)  # it opens: only the vectors say that it is not the prompt's
    with pytest.raises(BundleError, match=r"prefix_kv\.npz has keys and values of other tokens"):
        verify(copy)
    assert opened.prefix_kv_path is None


def test_an_exact_graph_is_held_to_what_it_measured_on_the_cpu(copy: Path) -> None:
    opened = open_bundle(copy)
    outcome = check_conformance(opened, open_session(opened, "cpu"))
    assert outcome.largest_difference < 1e-5 < outcome.tolerance < 1e-3
    assert outcome.tolerance <= opened.manifest.graph.tolerance


def test_weights_that_the_manifest_does_not_list_are_refused(copy: Path) -> None:
    files = manifest_of(copy)["files"]
    del files["model.onnx.data"]
    edit_manifest(copy, files=files)
    with pytest.raises(BundleError, match=r"has weights in 'model\.onnx\.data', which bundle\.json does not list"):
        open_bundle(copy)


def move_weights(bundle: Path, location: str) -> None:
    graph = onnx.load(bundle / "model.onnx", load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    (bundle / "model.onnx").write_bytes(graph.SerializeToString())
    reseal(bundle)


@pytest.mark.parametrize("location", ["../outside.data", "/etc/hostname", "a/model.onnx.data", "./model.onnx.data", ""])
def test_weights_elsewhere_are_refused_before_onnxruntime_sees_them(copy: Path, location: str) -> None:
    shutil.copy(copy / "model.onnx.data", copy.parent / "outside.data")
    move_weights(copy, location)
    with pytest.raises(BundleError, match=r"which bundle\.json does not list"):
        open_bundle(copy)


def test_external_data_is_what_onnx_says() -> None:
    graph = onnx.load(find_bundle() / "model.onnx", load_external_data=False)
    expected = []
    for tensor in graph.graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if entries:
            expected.append((entries["location"], int(entries.get("offset", 0)), int(entries.get("length", 0))))
    assert sorted(external_data(find_bundle() / "model.onnx")) == sorted(expected) and expected


def test_weights_in_inner_graphs_and_constants_are_seen(tmp_path: Path) -> None:
    def outside(name: str) -> onnx.TensorProto:
        tensor = onnx.TensorProto(name=name, dims=[1], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=name)
        return tensor

    constant = onnx.helper.make_node("Constant", [], ["c"])
    constant.attribute.append(onnx.helper.make_attribute("value", outside("constant")))
    inner = onnx.helper.make_graph([constant], "inner", [], [], initializer=[outside("inner")])
    node = onnx.helper.make_node("If", ["x"], ["y"], then_branch=inner)
    function = onnx.helper.make_function("own", "f", [], ["c"], [constant], [])
    graph = onnx.helper.make_graph([node], "outer", [], [], initializer=[outside("outer")])
    file = tmp_path / "model.onnx"
    file.write_bytes(onnx.helper.make_model(graph, functions=[function]).SerializeToString())
    assert {tensor.location for tensor in external_data(file)} == {"outer", "inner", "constant"}
    assert len(list(external_data(file))) == 4


# Names and links


@pytest.mark.parametrize(
    "name", ["../x", "/etc/hostname", "a/b", "a\\b", "C:x", "..", ".", "", ".x", "a\x1b]0;b", "a" * 300]
)
def test_only_plain_names_are_files_of_a_bundle(copy: Path, name: str) -> None:
    content = manifest_of(copy)
    content["files"][name] = content["files"]["model.onnx"]
    write_manifest(copy, content)
    with pytest.raises(BundleError, match="plain names") as error:
        open_bundle(copy)
    assert "\x1b" not in str(error.value)
    write_manifest(copy, manifest_of(find_bundle()) | {"graph": manifest_of(find_bundle())["graph"] | {"file": name}})
    with pytest.raises(BundleError, match="plain names"):
        open_bundle(copy)


def test_a_link_out_of_the_bundle_is_refused_with_what_to_do(copy: Path) -> None:
    elsewhere = copy.parent / "big.data"
    (copy / "model.onnx.data").rename(elsewhere)
    (copy / "model.onnx.data").symlink_to(elsewhere)
    with pytest.raises(BundleError, match=r"leads out of the bundle.*replace the link"):
        open_bundle(copy)


def test_the_layouts_of_the_hub_cache_and_of_kubernetes_work(copy: Path, tmp_path: Path) -> None:
    snapshot, blobs = tmp_path / "hub" / "snapshots" / "abc", tmp_path / "hub" / "blobs"
    snapshot.mkdir(parents=True)
    shutil.copytree(copy, blobs)
    mounted = tmp_path / "mounted"
    shutil.copytree(copy, mounted / "..2026_01_01")
    (mounted / "..data").symlink_to("..2026_01_01")
    for file in copy.iterdir():
        (snapshot / file.name).symlink_to(Path("..") / ".." / "blobs" / file.name)
        (mounted / file.name).symlink_to(Path("..data") / file.name)
    linked = tmp_path / "linked"
    linked.symlink_to(copy)
    for layout in (snapshot, mounted, linked):
        verify(layout)


# Malformed files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "'a' twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": [Infinity]}', "Infinity is not a number"),
        ('{"a": 1e999}', "1e999 is too large"),
        ('{"a": ["\\ud800"]}', "half of a surrogate pair"),
        ('{"\\udfff": 1}', "half of a surrogate pair"),
        ("[" * 33 + "]" * 33, "nested more than 32 deep"),
        ("[" * 1_000_000, "nested more than 32 deep"),
        ('{"a": 1} x', "Extra data"),
        ("9" * 5000, "Exceeds the limit"),
        ('"' + "\\" * 999, "Unterminated string"),
    ],
)
def test_json_that_python_would_take_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_json(text.encode())


def test_json_as_we_write_it_is_read() -> None:
    value = {"a": ['é\\"[[[[[', {"b": [[[1, -2.5, True, None]]]}], "𝄞": "💊"}
    for ascii_only in (True, False):
        assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


def test_a_manifest_of_a_hundred_megabytes_is_not_read(copy: Path) -> None:
    (copy / MANIFEST_FILE).write_text(" " * (2 << 20))
    with pytest.raises(BundleError, match="more than 1048576 bytes"):
        open_bundle(copy)


def bomb(bundle: Path) -> bytes:
    return npz({"ids": np.zeros(1 << 24, np.int32)}, compression=zipfile.ZIP_DEFLATED)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path("/nonexistent/evil").touch, ()


MALFORMED: dict[str, Callable[[Path], bytes]] = {
    "empty": lambda bundle: b"",
    "noise": lambda bundle: bytes(range(256)) * 9,
    "a plain npy": lambda bundle: np.lib.format.magic(1, 0) + b"x" * 50,
    "a bomb": bomb,
    "lzma": lambda bundle: npz(prefix_arrays(bundle), compression=zipfile.ZIP_LZMA),
    "a pickle": lambda bundle: npz({"ids": np.array([Evil()]), "keys_values": np.zeros(3)}),
    "no ids": lambda bundle: npz({"keys_values": prefix_arrays(bundle)["keys_values"]}),
    "0-d ids": lambda bundle: npz(prefix_arrays(bundle) | {"ids": np.array(3)}),
    "0-d values": lambda bundle: npz(prefix_arrays(bundle) | {"keys_values": np.array(3.0)}),
    "texts": lambda bundle: npz(prefix_arrays(bundle) | {"ids": np.array(["a", "b"])}),
    "integers": lambda bundle: npz(prefix_arrays(bundle) | {"keys_values": np.zeros((2, 2, 8, 20, 24), int)}),
    "other heads": lambda bundle: npz(prefix_arrays(bundle) | {"keys_values": np.zeros((2, 2, 4, 20, 24))}),
    "columns first": lambda bundle: npz({name: np.asfortranarray(a) for name, a in prefix_arrays(bundle).items()}),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_prefix_is_a_bundle_error(copy: Path, kind: str) -> None:
    plant_prefix(copy, MALFORMED[kind](copy))
    with pytest.raises(BundleError, match=r"prefix_kv\.npz"):
        Qwen3Reranker(copy, provider="cpu")


@pytest.mark.parametrize("cut", [20, 21, 60, 300, 3000])
def test_a_truncated_prefix_is_a_bundle_error(copy: Path, cut: int) -> None:
    plant_prefix(copy, npz(prefix_arrays(copy))[:-cut])
    with pytest.raises(BundleError, match=r"prefix_kv\.npz"):
        Qwen3Reranker(copy, provider="cpu")


def edit_tokenizer(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((bundle / "tokenizer.json").read_text("utf-8"))
    change(content)
    (bundle / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    reseal(bundle)


def unknown_ids(content: dict[str, Any]) -> None:
    vocabulary = content["model"]["vocab"]
    content["model"]["vocab"] = {token: index + 1_000_000 for token, index in vocabulary.items()}


def huge_id(content: dict[str, Any]) -> None:
    content["model"]["vocab"]["Ġfever"] = 4_000_000_000  # a word of the conformance vectors


def blow_up(content: dict[str, Any]) -> None:
    twice = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    content["normalizer"] = {"type": "Sequence", "normalizers": [twice] * 40}


def catastrophic(content: dict[str, Any]) -> None:
    pattern = {"Regex": "(\\w+\\s?)+$!"}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split]}


@pytest.mark.parametrize("change", [unknown_ids, huge_id, blow_up, catastrophic], ids=lambda change: change.__name__)
def test_a_hostile_tokenizer_is_an_error_of_ours(copy: Path, change: Callable[[dict[str, Any]], object]) -> None:
    edit_tokenizer(copy, change)
    with pytest.raises(BundleError):
        verify(copy)
    try:
        Qwen3Reranker(copy, provider="cpu").score("kidney " * 30, ["stones " * 30])
    except (BundleError, ValueError, ScoreError) as error:
        assert len(str(error)) < 1000


@pytest.mark.parametrize(("gives", "said"), [("logits", "logits of shape"), ("present", "keys and values of shape")])
def test_a_graph_that_gives_other_shapes_is_an_error(copy: Path, gives: str, said: str) -> None:
    graph = onnx.load(copy / "model.onnx", load_external_data=False)
    for node in graph.graph.node:
        for place, name in enumerate(node.output):
            if name == gives:
                node.output[place] = "other_way"
    graph.graph.node.append(onnx.helper.make_node("Transpose", ["other_way"], [gives]))
    output = next(output for output in graph.graph.output if output.name == gives)
    output.type.tensor_type.ClearField("shape")
    (copy / "model.onnx").write_bytes(graph.SerializeToString())
    reseal(copy)
    with pytest.raises(ScoreError, match=said):
        Qwen3Reranker(copy, provider="cpu").score("high " * 60, [f"pressure {number}" for number in range(9)])


def test_a_graph_that_takes_a_past_of_no_layers_is_no_rerankers(copy: Path) -> None:
    graph = onnx.load(copy / "model.onnx", load_external_data=False)
    past = next(each for each in graph.graph.input if each.name == "past")
    past.type.tensor_type.shape.dim[0].dim_value = 0
    (copy / "model.onnx").write_bytes(graph.SerializeToString())
    reseal(copy)
    with pytest.raises(BundleError, match=r"past of shape .* where a reranker's is"):
        Qwen3Reranker(copy, provider="cpu")


def test_a_graph_that_can_not_be_loaded_is_said_once_and_nowhere_else(
    copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    graph = onnx.load(copy / "model.onnx", load_external_data=False)
    graph.graph.node[0].op_type = "NoSuchOperator"
    (copy / "model.onnx").write_bytes(graph.SerializeToString())
    reseal(copy)
    with pytest.raises(BundleError, match=r"ONNX Runtime can't load .*model\.onnx"):
        Qwen3Reranker(copy, provider="cpu")
    assert capfd.readouterr().out == ""
    # Where loading fails with another kind of exception, ONNX Runtime prints and tries again, unless told not to.
    assert open_session(open_bundle(find_bundle()), "cpu").runtime._enable_fallback is False


def test_whatever_is_wrong_bm25_takes_its_place(copy: Path) -> None:
    plant_prefix(copy, MALFORMED["a bomb"](copy))
    with pytest.warns(RuntimeWarning, match="BM25 takes its place"):
        assert isinstance(load_reranker(copy, fallback="bm25", provider="cpu"), BM25Reranker)
    with pytest.raises(ValueError, match="provider must be"):
        load_reranker(copy, fallback="bm25", provider="nonsense")


def test_prompt_ids_that_can_not_be_meant_are_refused(copy: Path) -> None:
    prompt = manifest_of(copy)["prompt"]
    for ids, message in (([1] * 5000, "have 5002 tokens"), ([-1], "no token -1"), ([10**7], "no token 10000000")):
        edit_manifest(copy, prompt=prompt | {"prefix_ids": ids}, max_length=10**6)
        with pytest.raises(BundleError, match=message):
            open_bundle(copy)


@pytest.mark.parametrize("value", [0, 3, -1, 10**12])
def test_a_max_length_without_room_is_refused(copy: Path, value: int) -> None:
    edit_manifest(copy, max_length=value)
    with pytest.raises(BundleError, match="its max_length is"):
        open_bundle(copy)


def test_a_max_length_that_the_task_takes_is_the_bundles_fault(copy: Path) -> None:
    edit_manifest(copy, max_length=7)
    with pytest.raises(BundleError, match="its max_length is 7, which prefix, task and suffix take alone"):
        Qwen3Reranker(copy, provider="cpu")
