"""`python export CHECKPOINT ...` in a checkout: `aatm-onnx export CHECKPOINT ...` without installing the package."""

import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))  # Python itself put this folder first

from aatm_onnx.cli import main

if __name__ == "__main__":
    main(["export", *sys.argv[1:]])
