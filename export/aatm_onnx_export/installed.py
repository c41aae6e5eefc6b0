"""Whether the packages that an export needs are installed."""

import importlib.util

from aatm_onnx.errors import ExportError


def check_installed(modules: tuple[str, ...]) -> None:
    """Look for modules without importing them, so that nothing heavy loads before all are known to be there.

    Raises:
        ExportError: one is missing; the message names it and the extra that brings it.
    """
    for module in modules:
        try:
            missing = importlib.util.find_spec(module) is None
        except ModuleNotFoundError:  # a parent package is missing
            missing = True
        if missing:
            raise ExportError(f"This needs {module.partition('.')[0]}: pip install 'aatm-onnx[export]'.")
