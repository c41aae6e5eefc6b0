"""`python export CHECKPOINT ...` in a checkout: `aatm-onnx export CHECKPOINT ...` without installing the package."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def import_as_package() -> None:
    """Make this checkout importable, and this folder by the name that it has where the package is installed.

    Python puts the folder itself first on the path, where its modules would hide others; the root takes its place.
    """
    sys.path[0] = str(FOLDER.parent)
    spec = spec_from_file_location("aatm_onnx_export", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)])
    assert spec is not None and spec.loader is not None
    package = module_from_spec(spec)
    sys.modules["aatm_onnx_export"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    import_as_package()
    from aatm_onnx.cli import main

    main(["export", *sys.argv[1:]])
