"""Bundles that were changed by somebody who knows the format: sizes, hashes and seal fit again."""

import json
from pathlib import Path
from typing import Any

from aatm_onnx.bundle import MANIFEST_FILE, describe_files
from aatm_onnx.bundle.manifest import seal_of


def edit_manifest(bundle: Path, **changes: Any) -> None:
    """Change fields of a bundle's manifest and seal it again."""
    file = bundle / MANIFEST_FILE
    write_manifest(bundle, {**json.loads(file.read_text("utf-8")), **changes})


def write_manifest(bundle: Path, content: dict[str, Any]) -> None:
    """Write a manifest with its right seal."""
    (bundle / MANIFEST_FILE).write_text(json.dumps({**content, "seal": seal_of(content)}), "utf-8")


def reseal(bundle: Path, *names: str) -> None:
    """Describe files as they are now, those that the manifest lists or `names`."""
    described = {name: vars(entry) for name, entry in describe_files(bundle).items()}
    listed = json.loads((bundle / MANIFEST_FILE).read_text("utf-8"))["files"]
    edit_manifest(bundle, files={name: described[name] for name in [*listed, *names]})
