"""Which bundle a model's name means: nothing, a short name, a hub id or a path, everywhere in this package."""

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


DEFAULT_MODEL = "default"
# aatm's names (aatm.registries.rerankers, 0.1.7) for the models of the hub.
SHORT_NAMES = {
    "qwen3-reranker-0.6b": Qwen3RerankerModels.QWEN3_06B,
    "qwen3-reranker-4b": Qwen3RerankerModels.QWEN3_4B,
    "qwen3-reranker-8b": Qwen3RerankerModels.QWEN3_8B,
}

ModelName = str | os.PathLike[str] | Qwen3RerankerModels | None


def plain_name(model: ModelName) -> str | os.PathLike[str] | None:
    """A model's name without the enum around it: this package's Qwen3RerankerModels, aatm's, or a user's own.

    Raises:
        ValueError: it is neither a name nor a path.
    """
    name = model.value if isinstance(model, Enum) else model
    if name is None or isinstance(name, str | os.PathLike):
        return name
    raise ValueError(f"A model is named by a string or a path, not by {name!r:.80} of type {type(name).__name__}.")


def hub_id(model: ModelName) -> str | None:
    """The hub id that a short name, a hub id or a Qwen3RerankerModels means; None for any other name."""
    name = plain_name(model)
    if not isinstance(name, str):
        return None
    known = SHORT_NAMES[name].value if name in SHORT_NAMES else name
    return known if known in {each.value for each in Qwen3RerankerModels} else None


def find_bundle(model: ModelName = None) -> Path:
    """Find the folder of a model's bundle.

    Args:
        model: None or "default" (the model that this package carries), a short name ("qwen3-reranker-0.6b"), a hub id
            ("Qwen/Qwen3-Reranker-0.6B"), or the path of a bundle.

    Raises:
        BundleError: there is none; the message says how to get one.
        ValueError: it is neither a name nor a path.
    """
    name = plain_name(model)
    if name is None or name == DEFAULT_MODEL:
        return _default_bundle()
    if known_id := hub_id(name):
        return _exported_bundle(known_id)
    folder = with_home(os.fspath(name))
    try:
        is_folder = folder.is_dir()
    except OSError as error:  # in a folder that this user may not enter, or of a name that is too long
        raise BundleError(f"The bundle folder {str(folder)[:200]!r} can't be reached ({error.strerror}).") from error
    if is_folder:
        return folder
    known = ", ".join([DEFAULT_MODEL, *SHORT_NAMES, *(each.value for each in Qwen3RerankerModels)])
    raise BundleError(f"There is no bundle folder {os.fspath(name)!r}, and it is not one of the models {known}.")


def default_output(checkpoint: str) -> Path:
    """Where `aatm-onnx export CHECKPOINT` puts its bundle when not told otherwise: `models/NAME` below this folder."""
    folder = with_home(checkpoint)
    return Path("models") / (folder.resolve() if folder.name in ("", "..") else folder).name


def cache_folder() -> Path:
    """The user's cache of bundles: $AATM_ONNX_CACHE, else aatm-onnx in $XDG_CACHE_HOME, else in ~/.cache."""
    if chosen := os.environ.get("AATM_ONNX_CACHE"):
        return with_home(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or with_home("~/.cache")) / "aatm-onnx"


def with_home(path: str) -> Path:
    """A path whose leading ~ or ~USER is that user's home; as it is if there is none, where pathlib's own raises."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


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
