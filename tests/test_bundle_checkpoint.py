"""The default model can be exported anew from its bundle alone; `make test-arm` and `make fidelity` live on that."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

MAKE = """
import sys
from pathlib import Path
sys.path[:0] = ["benchmarks", "models"]
from bundle_checkpoint import default_checkpoint
default_checkpoint(Path(sys.argv[1]))
"""


def test_the_default_models_checkpoint_is_made_again_from_its_bundle(tmp_path: Path) -> None:
    """It is exported, and its scores are compared with the bundle's conformance vectors, before it is given."""
    subprocess.run([sys.executable, "-c", MAKE, str(tmp_path)], cwd=ROOT, check=True)
    assert (tmp_path / "default" / "model.safetensors").exists()
