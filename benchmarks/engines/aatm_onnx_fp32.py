"""This package in float32."""

from . import aatm_onnx_int8

TITLE = "this package, fp32"


class Engine(aatm_onnx_int8.Engine):
    """The same, of a float bundle."""

    precision = "fp32"
