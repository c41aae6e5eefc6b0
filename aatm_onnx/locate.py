"""Where a model's bundle is: the default model in this package, a folder, or one of Qwen's names on disk."""

import contextlib
import os
from enum import Enum
from pathlib import Path

from .bundle import MANIFEST_FILE
from .errors import BundleError


class Qwen3RerankerModels(Enum):
    """The Qwen3 rerankers, by their names on the Hugging Face hub (as in aatm)."""

    QWEN3_06B = "Qwen/Qwen3-Reranker-0.6B"
    QWEN3_4B = "Qwen/Qwen3-Reranker-4B"
    QWEN3_8B = "Qwen/Qwen3-Reranker-8B"


def default_output(checkpoint: str) -> Path:
    """Where `aatm-onnx export CHECKPOINT` puts its bundle when not told otherwise: `models/NAME` below this folder."""
    folder = Path(checkpoint).expanduser()
    return Path("models") / (folder.resolve() if folder.name in ("", "..") else folder).name


def cache_folder() -> Path:
    """The user's cache of bundles: $AATM_ONNX_CACHE, else aatm-onnx in $XDG_CACHE_HOME, else in ~/.cache."""
    if chosen := os.environ.get("AATM_ONNX_CACHE"):
        return Path(os.path.expanduser(chosen))  # noqa: PTH111  # pathlib's raises where the user has no home
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "aatm-onnx"  # noqa: PTH111


def find_bundle(model_id: "str | os.PathLike[str] | Qwen3RerankerModels | None") -> Path:
    """Find the folder of a model's bundle.

    Args:
        model_id: one of the Qwen3RerankerModels or its value, the path of a bundle, or None for the default model.

    Raises:
        BundleError: there is none; the message says how to get one.
    """
    if model_id is None:
        return _default_bundle()
    name = model_id.value if isinstance(model_id, Qwen3RerankerModels) else os.fspath(model_id)
    if name in {model.value for model in Qwen3RerankerModels}:
        return _exported_bundle(name)
    if (folder := Path(name).expanduser()).is_dir():
        return folder
    known = ", ".join(model.value for model in Qwen3RerankerModels)
    raise BundleError(f"There is no bundle folder {name!r}, and it is not one of the models {known}.")


def _default_bundle() -> Path:
    package = Path(__file__).parent
    for folder in (package / "default_model", package.parent / "models" / "default"):  # installed; a checkout
        if (folder / MANIFEST_FILE).is_file():
            return folder
    raise BundleError("This installation has no default model; install aatm-onnx again, or name a bundle.")


def _exported_bundle(name: str) -> Path:
    places = [default_output(name), cache_folder() / default_output(name).name]
    for folder in places:
        with contextlib.suppress(OSError):  # a folder that may not be read has none for this user
            if (folder / MANIFEST_FILE).is_file():
                return folder
    looked = " and ".join(str(folder) for folder in places)
    raise BundleError(
        f"There is no bundle of {name} (looked in {looked}); make one with `aatm-onnx export {name}`,"
        " which needs pip install 'aatm-onnx[export]' on some machine."
    )
