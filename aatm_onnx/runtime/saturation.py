"""Whether this processor's uint8 x int8 products are right.

x86 processors without VNNI add pairs of such products in 16 bits, which saturate (VPMADDUBSW). ONNX Runtime uses that
all the same, unless its option `session.x64quantprecision` makes it take a slower, exact way. That option would slow
down processors that need no help too, so ask the processor, by way of ONNX Runtime itself: unlike a list of CPU flags,
the answer holds on any system, and under emulation.
"""

from functools import cache
from typing import Any

import numpy as np

EXACT_PRODUCTS = "session.x64quantprecision"

# One MatMulInteger node, opset 13: y (int32) = a (uint8) x b (int8), as onnx.helper.make_model serializes it.
_PRODUCT = (
    b'\x08\x08\x12\x00:>\n\x18\n\x01a\n\x01b\x12\x01y"\rMatMulInteger\x12\x01gZ\t\n\x01a\x12\x04\n\x02\x08\x02'
    b"Z\t\n\x01b\x12\x04\n\x02\x08\x03b\t\n\x01y\x12\x04\n\x02\x08\x06B\x04\n\x00\x10\r"
)


@cache
def products_saturate() -> bool:
    """Multiply the largest values and see."""
    import onnxruntime

    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(_PRODUCT, options, providers=["CPUExecutionProvider"])
    a, b = np.full((8, 64), 255, np.uint8), np.full((64, 32), 127, np.int8)
    (y,) = session.run(["y"], {"a": a, "b": b})  # (8, 32)
    return bool((y != 255 * 127 * 64).any())
