"""int4 as processors compute it that lack products of bytes: activations stay in float there.

ONNX Runtime has products of quantized activations for ARM64 with dot product and for x86 with AVX2. Elsewhere (older
processors, WebAssembly) MatMulNBits takes activations as they are, which a graph can ask for on any machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import onnx

from aatm_onnx.bundle import GraphFiles

_FLOAT_ACTIVATIONS = 1  # of MatMulNBits' accuracy_level; 4 lets a processor round them
_FILE = "float_activations.onnx"


@dataclass(frozen=True)
class _Files:
    graph_path: Path
    prefix_kv_path: Path | None
    kind: str
    precision: str


@contextmanager
def float_activations(files: GraphFiles) -> Iterator[GraphFiles]:
    """The same graph with float activations, beside the given one, whose weights it shares; gone afterwards."""
    path = files.graph_path.with_name(_FILE)
    model = onnx.load(str(files.graph_path), load_external_data=False)
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "MatMulNBits" and attribute.name == "accuracy_level":
                attribute.i = _FLOAT_ACTIVATIONS
    path.write_bytes(model.SerializeToString())
    try:
        yield _Files(path, files.prefix_kv_path, files.kind, files.precision)
    finally:
        path.unlink()
