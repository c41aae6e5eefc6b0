"""Export from the hub, with a small server on this machine in the hub's place."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from aatm_onnx_export.checkpoint import open_checkpoint
from huggingface_hub import constants, file_download

from aatm_onnx.bundle import Source
from aatm_onnx.errors import ExportError

REPOSITORY = "someone/small-reranker"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def hub_serving(folder: Path, requested: list[str]) -> type[BaseHTTPRequestHandler]:
    """The part of the hub's HTTP interface that a download uses, for one repository."""

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, with_body: bool) -> None:
            if self.path.startswith(f"/api/models/{REPOSITORY}/revision/"):
                siblings = [{"rfilename": file.name} for file in folder.iterdir()]
                body = json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}).encode()
                self.reply(200, body, {"Content-Type": "application/json"}, with_body)
            elif self.path.startswith(f"/{REPOSITORY}/resolve/{COMMIT}/"):
                file = folder / self.path.rsplit("/", 1)[1]
                requested.append(file.name)
                self.reply(200, file.read_bytes(), {"ETag": f'"{file.name}"', "X-Repo-Commit": COMMIT}, with_body)
            else:
                self.reply(404, b"", {"X-Error-Code": "RepoNotFound"}, with_body)

        def reply(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    return Hub


@pytest.fixture
def hub_folder(checkpoint: Path, tmp_path: Path) -> Path:
    """What the repository holds: links to the files of a small checkpoint."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for file in checkpoint.iterdir():
        (folder / file.name).symlink_to(file)
    return folder


@pytest.fixture
def requested(hub_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the files asked for, while the server stands for the hub and the cache is empty."""
    names: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), hub_serving(hub_folder, names))
    thread = Thread(target=server.serve_forever)
    thread.start()
    use_hub(monkeypatch, f"http://127.0.0.1:{server.server_port}", tmp_path / "cache")
    yield names
    server.shutdown()
    thread.join()
    server.server_close()


def use_hub(monkeypatch: pytest.MonkeyPatch, endpoint: str, cache: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))


def test_a_hub_checkpoint_is_fetched_with_its_commit(requested: list[str], checkpoint: Path) -> None:
    opened = open_checkpoint(REPOSITORY)
    assert opened.source == Source(REPOSITORY, COMMIT)
    assert (opened.folder / "model.safetensors").read_bytes() == (checkpoint / "model.safetensors").read_bytes()


def test_weights_of_what_is_refused_are_not_fetched(requested: list[str], hub_folder: Path) -> None:
    (hub_folder / "config.json").unlink()
    (hub_folder / "config.json").write_text('{"architectures": ["BertModel"], "model_type": "bert"}')
    with pytest.raises(ExportError, match="not a Qwen3 causal LM"):
        open_checkpoint(REPOSITORY)
    assert "config.json" in requested and "model.safetensors" not in requested


def test_what_the_hub_does_not_have_is_refused(requested: list[str]) -> None:
    with pytest.raises(ExportError, match="someone/else is neither a folder here nor a repository on"):
        open_checkpoint("someone/else")


@pytest.mark.parametrize("name", ["no/such/folder", "~nobody-of-that-name/checkpoint"])
def test_what_can_be_neither_folder_nor_repository_is_refused(requested: list[str], name: str) -> None:
    with pytest.raises(ExportError, match=f"{name} is neither a folder here nor an id"):
        open_checkpoint(name)


def test_a_hub_out_of_reach_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_hub(monkeypatch, "http://127.0.0.1:9", tmp_path / "cache")
    with pytest.raises(ExportError, match="the Hugging Face hub can't be reached") as refusal:
        open_checkpoint(REPOSITORY)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 400
