"""`python -m aatm_onnx.cli`."""

from .start import main

main()
