"""`python -m aatm_onnx.cli`."""

from .main import main

main()
