"""aatm's HTTP API with this package's rerankers in it: the ASGI application `aatm_onnx.aatm_api:app`.

`aatm-onnx aatm serve` runs it. Its server's worker processes find the options of the command line in an environment
variable.
"""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .aatm import register

SETTINGS = "AATM_ONNX_AATM"


def set_up(modules: Sequence[str] = (), **options: Any) -> None:
    """Import modules that add to aatm's registries, then register this package's entries with these options."""
    if modules:
        sys.path.insert(0, str(Path.cwd()))
    for module in modules:
        importlib.import_module(module)
    register(**options)


def __getattr__(name: str) -> Any:
    """Make `app` when the server asks for it: importing aatm's reads `.aatm/api_config.yaml`."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    set_up(**json.loads(os.environ.get(SETTINGS, "{}")))
    from aatm.api.main import app

    return app
