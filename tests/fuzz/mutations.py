"""Ways to spoil a bundle: each takes a copy of the default model and a source of chance, and says what it did.

`resealed` ones make sizes, hashes and seal fit again, as somebody would who knows the format.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from aatm_onnx.bundle import MANIFEST_FILE
from aatm_onnx.bundle.manifest import seal_of

from ..resealed import edit_manifest, reseal

FILES = ["bundle.json", "conformance.json", "model.onnx", "model.onnx.data", "tokenizer.json"]

# What was found to break a reader, here or elsewhere.
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1, 2, 7, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, "", "x", "../x", "/etc/passwd", "a/b",
    ".", "\x00", "\x1b]0;x\x07", "é" * 300, [], [[]], {}, {"a": 1}, [None], [-1], [10**9] * 3, ["x"], "yes", "no",
    1e-300,
]  # fmt: skip
RAW = [b"NaN", b"Infinity", b"1e999", b'"\\ud800"', b"[" * 5000, b'{"a":1,"a":2}', b"9" * 5000, b"", b"\xff", b"\x00"]

Mutation = Callable[[Path, Random], str]


def flip_bytes(bundle: Path, pick: Random) -> str:
    """Change some bytes; nothing else fits any more."""
    name = pick.choice(FILES)
    return _flip(bundle / name, pick)


def cut_or_extend(bundle: Path, pick: Random) -> str:
    """Another length."""
    file = bundle / pick.choice(FILES)
    data = file.read_bytes()
    file.write_bytes(
        data[: pick.randrange(len(data))] if pick.random() < 0.7 else data + pick.randbytes(pick.randint(1, 99))
    )
    return f"{file.name}: {len(data)} bytes became {file.stat().st_size}"


def resealed_cut(bundle: Path, pick: Random) -> str:
    """Another length, and the manifest says so."""
    file = bundle / pick.choice(FILES[1:])
    data = file.read_bytes()
    file.write_bytes(data[: pick.randrange(len(data))])
    reseal(bundle)
    return f"{file.name}: {len(data)} bytes became {file.stat().st_size}, resealed"


def resealed_graph(bundle: Path, pick: Random) -> str:
    """Other bytes in the graph, and the manifest says so."""
    said = _flip(bundle / "model.onnx", pick)
    reseal(bundle)
    return f"{said}, resealed"


def manifest_value(bundle: Path, pick: Random) -> str:
    """A hostile value somewhere in the manifest, sealed or not."""
    file = bundle / MANIFEST_FILE
    content = json.loads(file.read_text("utf-8"))
    said = _spoil(content, pick)
    if sealed := pick.random() < 0.7:
        content["seal"] = seal_of(content)
    file.write_text(json.dumps(content), "utf-8")
    return f"manifest: {said}, {'sealed' if sealed else 'not sealed'}"


def raw_json(bundle: Path, pick: Random) -> str:
    """Bytes in a JSON file that a lenient reader would take."""
    name = pick.choice(["bundle.json", "conformance.json"])
    data = (bundle / name).read_bytes()
    place, raw = pick.choice([i for i, byte in enumerate(data) if byte in b",:[{"]) + 1, pick.choice(RAW)
    (bundle / name).write_bytes(data[:place] + raw + data[place + pick.randint(0, 3) :])
    if name != MANIFEST_FILE:
        reseal(bundle)
    return f"{name}: {raw[:20]!r} at {place}"


def resealed_vectors(bundle: Path, pick: Random) -> str:
    """A hostile value somewhere in the conformance vectors."""
    file = bundle / "conformance.json"
    content = json.loads(file.read_text("utf-8"))
    said = _spoil(content, pick)
    file.write_text(json.dumps(content), "utf-8")
    reseal(bundle)
    return f"vectors: {said}"


def resealed_tokenizer(bundle: Path, pick: Random) -> str:
    """A hostile value somewhere in the tokenizer's settings, or in its vocabulary."""
    file = bundle / "tokenizer.json"
    content = json.loads(file.read_text("utf-8"))
    if pick.random() < 0.3:
        said = "model: " + _spoil(content["model"], pick)
    else:
        said = _spoil({name: value for name, value in content.items() if name != "model"}, pick)
    file.write_text(json.dumps(content), "utf-8")
    reseal(bundle)
    return f"tokenizer: {said}"


def planted_prefix(bundle: Path, pick: Random) -> str:
    """Keys and values that are not the model's: listed, or just lying there."""
    ids = json.loads((bundle / "conformance.json").read_text("utf-8"))[0]["input_ids"][: pick.randint(0, 30)]
    values = np.array([pick.gauss(0, 1) for _ in range(2 * 2 * 8 * 24)], np.float32).reshape(2, 2, 8, 1, 24)
    stream = io.BytesIO()
    np.savez(stream, ids=np.array(ids, np.int32), keys_values=np.repeat(values, len(ids), axis=3))
    data = bytearray(stream.getvalue())
    for _ in range(pick.choice([0, 0, 1, 20])):
        data[pick.randrange(len(data))] = pick.randrange(256)
    (bundle / "prefix_kv.npz").write_bytes(data)
    if listed := pick.random() < 0.7:
        reseal(bundle, "prefix_kv.npz")
    return f"prefix of {len(ids)} tokens, {'listed' if listed else 'not listed'}"


def resealed_task(bundle: Path, pick: Random) -> str:
    """Another prompt, which changes every score."""
    content = json.loads((bundle / MANIFEST_FILE).read_text("utf-8"))
    field = pick.choice(["task", "prefix", "suffix"])
    edit_manifest(bundle, prompt=content["prompt"] | {field: content["prompt"][field] + pick.choice("x .\n")})
    return f"another {field}"


def _flip(file: Path, pick: Random) -> str:
    data = bytearray(file.read_bytes())
    places = [pick.randrange(len(data)) for _ in range(pick.choice([1, 1, 2, 8]))]
    for place in places:
        data[place] ^= pick.randint(1, 255)
    file.write_bytes(data)
    return f"{file.name}: other bytes at {places}"


def _spoil(content: Any, pick: Random) -> str:
    """Replace, remove or repeat one value inside nested lists and dicts."""
    path: list[Any] = []
    inner = content
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not keys:
            return "nothing to spoil"
        path.append(pick.choice(keys))
        below = inner[path[-1]]
        if not isinstance(below, dict | list) or not below or pick.random() < 0.15:
            break
        inner = below
    action = pick.choice(["value", "value", "value", "remove", "rename", "number"])
    if action == "number" and isinstance(below, int | float) and not isinstance(below, bool):
        inner[path[-1]] = below + pick.choice([-1, 1, 1000, -below, 0.5])
    elif action == "remove":
        del inner[path[-1]]
    elif action == "rename" and isinstance(inner, dict):
        inner[pick.choice(["x", "../" + str(path[-1]), str(path[-1]).upper()])] = inner.pop(path[-1])
    else:
        inner[path[-1]] = pick.choice(HOSTILE)
    return f"{action} at {path}"[:200]


# How often each is tried, and whether a bundle that passes `verify` after it must give the very same scores. Not where
# the graph or the tokenizer itself was written anew and sealed: a seal is not a signature.
MUTATIONS: list[tuple[Mutation, int, bool]] = [
    (flip_bytes, 4, True),
    (cut_or_extend, 1, True),
    (resealed_cut, 1, False),
    (resealed_graph, 3, False),
    (manifest_value, 5, True),
    (raw_json, 2, True),
    (resealed_vectors, 2, True),
    (resealed_tokenizer, 2, False),
    (planted_prefix, 2, True),
    (resealed_task, 1, True),
]
