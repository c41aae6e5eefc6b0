"""Downloading a checkpoint from the Hugging Face hub, with one clear sentence for each way that can fail."""

from pathlib import Path

from aatm_onnx.errors import ExportError

DESCRIPTION = ["config.json", "tokenizer.json", "tokenizer_config.json"]
WEIGHTS = ["*.safetensors", "*.safetensors.index.json"]


def download(repository: str, patterns: list[str], revision: str | None = None) -> tuple[Path, str]:
    """Fetch the files that match `patterns` into the hub's own cache.

    Args:
        repository: the hub id, "Qwen/Qwen3-Reranker-0.6B".
        patterns: file names or globs; what lies in folders of the repository is never fetched.
        revision: a commit; None for the newest.

    Returns:
        The folder with the files, and the commit that they are from.

    Raises:
        ExportError: there is no such repository, it needs a login, or the hub can't be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
    )

    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=patterns, ignore_patterns="*/*"))
    except HFValidationError as error:
        raise ExportError(f"{repository} is neither a folder here nor an id on the Hugging Face hub.") from error
    except GatedRepoError as error:
        raise ExportError(
            f"{repository} needs the hub's permission: accept its terms, then `hf auth login`."
        ) from error
    except RepositoryNotFoundError as error:
        raise ExportError(f"{repository} is neither a folder here nor a repository on the Hugging Face hub.") from error
    except (HfHubHTTPError, OSError) as error:
        raise ExportError(
            f"{repository} is not a folder here, and the Hugging Face hub can't be reached"
            f" ({_first_line(error)}); give a local folder or try again online."
        ) from error
    return folder, folder.name  # the cache's layout: .../snapshots/<commit>


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
