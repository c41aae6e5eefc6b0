"""`aatm-onnx serve` as a process: start, signals, keys, TLS, models by name."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

resource = pytest.importorskip("resource", reason="POSIX limits and signals")

ASK = {"query": "kidney stones", "documents": ["Gallstones", "Nephrolithiasis"]}


@dataclass
class Process:
    """A running command and the log lines that it wrote."""

    popen: subprocess.Popen[str]
    lines: list[dict[str, Any]] = field(default_factory=list)

    def read(self) -> None:
        """Collect lines until the process ends; every one must be JSON."""
        assert self.popen.stderr
        for line in self.popen.stderr:
            self.lines.append(json.loads(line))

    def wait_for(self, text: str) -> str:
        """The first message that contains `text`."""
        for _ in range(1500):
            if found := [line["message"] for line in self.lines if text in line["message"]]:
                return str(found[0])
            assert self.popen.poll() is None, self.lines
            time.sleep(0.02)
        raise AssertionError(self.lines)


@contextmanager
def serve(
    *arguments: str | Path, file_bytes: int = -1, hangup: signal.Handlers = signal.SIG_DFL, **environment: str
) -> Iterator[tuple[Process, str]]:
    """A ready server; `file_bytes` is the most that the system lets it write into a file.

    `hangup` is what SIGHUP does when it starts: these tests may themselves run under nohup.
    """

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        signal.signal(signal.SIGHUP, hangup)

    command = [sys.executable, "-m", "aatm_onnx.cli", "serve", "--port", "0", "--provider", "cpu", *map(str, arguments)]
    popen = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        preexec_fn=prepare,
    )
    process = Process(popen)
    reader = Thread(target=process.read)
    reader.start()
    try:
        url = process.wait_for("Listening on").split()[-1].rstrip(".")
        while process.popen.poll() is None and not _is_ready(url):
            time.sleep(0.02)
        yield process, url
    finally:
        popen.kill()
        popen.wait()
        reader.join()


def _is_ready(url: str) -> bool:
    """Whether the models are loaded; a certificate of the test's own is not checked for that."""
    return httpx.get(f"{url}/ready", verify=False).status_code == 200


def run(*arguments: str | Path, **environment: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "aatm_onnx.cli", "serve", "--port", "0", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment})
    return done.returncode, done.stderr


@pytest.mark.parametrize("numbers", [[signal.SIGTERM], [signal.SIGHUP, signal.SIGHUP]])  # a closed terminal sends two
def test_a_signal_finishes_what_was_admitted_and_refuses_what_comes_after(numbers: list[signal.Signals]) -> None:
    with serve("--model", "default", "--model", "words=bm25") as (process, url):
        answers: list[httpx.Response] = []
        large = {"query": "kidney stones", "documents": [f"stone {number} of the kidney" for number in range(10_000)]}
        sender = Thread(target=lambda: answers.append(httpx.post(f"{url}/rerank", json=large, timeout=60)))
        sender.start()
        with httpx.Client(base_url=url) as client:
            while "aatm_queue_pairs 10000" not in client.get("/metrics").text:
                time.sleep(0.01)
            for number in numbers:
                process.popen.send_signal(number)
                time.sleep(0.2)
            late = client.post("/rerank", json=ASK)
            assert (late.status_code, late.json()["error_type"]) == (503, "Unhealthy")
            assert client.get("/ready").status_code == 503
            assert client.get("/health").status_code == 200
        sender.join()
        assert len(answers[0].json()["results"]) == 10_000
        assert process.popen.wait(timeout=20) == 0
        requests = [line for line in process.lines if line["message"] == "request" and line["status"] == 200]
        assert [line["pairs"] for line in requests if "pairs" in line] == [10_000]
        assert all("stone" not in json.dumps(line) for line in requests)


def test_under_nohup_a_server_goes_on_when_its_terminal_closes() -> None:
    with serve("--model", "bm25", hangup=signal.SIG_IGN) as (process, url):
        process.popen.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert httpx.post(f"{url}/rerank", json=ASK).status_code == 200


def test_the_second_signal_ends_at_once() -> None:
    with serve() as (process, url):
        large = {"query": "kidney stones", "documents": [f"stone {number} of the kidney" for number in range(10_000)]}
        slow = Thread(target=lambda: _ignoring_errors(url, large))
        slow.start()
        with httpx.Client(base_url=url) as client:
            while "aatm_queue_pairs 10000" not in client.get("/metrics").text:
                time.sleep(0.01)
        process.popen.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.popen.poll() is None
        began = time.monotonic()
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(timeout=10) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 2
        slow.join()


def test_when_draining_ends_all_that_is_left_is_answered_and_the_log_has_no_failure() -> None:
    documents = [f"stone {number} of the kidney" for number in range(3000)]
    large = {"query": "kidney stones " * 1000, "documents": documents}
    line = json.dumps({"query": "kidney stones " * 1000, "candidates": documents[:300]}).encode() + b"\n"
    answers: list[httpx.Response] = []
    with serve("--drain", "0.2", "--max-wait", "100000") as (process, url):

        def post(path: str, data: bytes) -> None:
            answers.append(httpx.post(f"{url}{path}", content=data, timeout=60))

        senders = [
            Thread(target=post, args=("/rerank", json.dumps(large).encode())),
            Thread(target=post, args=("/v1/rerank/batch", line * 100)),  # more lines than are read ahead
        ]
        for sender in senders:
            sender.start()
        while "aatm_queue_pairs 0" in httpx.get(f"{url}/metrics").text:
            time.sleep(0.01)
        time.sleep(0.2)
        process.popen.send_signal(signal.SIGTERM)
        for sender in senders:
            sender.join()
        assert process.popen.wait(timeout=20) == 0
    one, stream = sorted(answers, key=lambda answer: -answer.status_code)
    assert (one.status_code, one.json()["error_type"]) == (503, "Unhealthy")
    rows = [json.loads(row) for row in stream.text.splitlines()]
    assert [row["status"] for row in rows[-50:]] == [503] * 50
    assert len(rows) == 100
    assert not [entry for entry in process.lines if "run failed" in entry["message"] or "ASGI" in entry["message"]]


def _ignoring_errors(url: str, body: Any) -> None:
    with suppress(httpx.HTTPError):
        httpx.post(f"{url}/rerank", json=body, timeout=60)


def test_keys_from_a_file_and_the_environment(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("\ufefffirst-key\n# of the team\n\nsecond-key\n", "utf-8")
    with serve("--model", "bm25", "--api-key-file", tmp_path / "keys", AATM_ONNX_API_KEYS="third-key") as (_, url):
        for key in ("first-key", "second-key", "third-key"):
            for headers in (
                {"authorization": f"Bearer {key}"},
                {"authorization": f"bearer {key}"},
                {"authorization": key},
                {"x-api-key": key},
                {"authorization": "Basic dTpw", "x-api-key": key},
            ):
                assert httpx.post(f"{url}/rerank", json=ASK, headers=headers).status_code == 200
        for headers in ({}, {"authorization": "Bearer first"}, {"authorization": "Bearer"}, {"x-api-key": "öäü"}):
            encoded = {name: value.encode("latin-1") for name, value in headers.items()}
            refused = httpx.post(f"{url}/rerank", json=ASK, headers=encoded)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert "API key" in refused.json()["detail"]
        assert httpx.get(f"{url}/metrics").status_code == 401
        assert httpx.get(f"{url}/health").status_code == httpx.get(f"{url}/ready").status_code == 200


def test_other_addresses_need_a_key_or_consent() -> None:
    status, said = run("--host", "0.0.0.0")
    assert status == 2
    assert "--api-key-file" in said
    assert "--allow-anonymous" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "no/such/bundle"], "There is no bundle folder 'no/such/bundle'"),
        (["--model", "=x"], "must be MODEL or NAME=MODEL"),
        (["--api-key-file", "{empty}"], "has no key"),
        (["--api-key-file", "{latin}"], "{latin} is not UTF-8"),
        (["--api-key-file", "{spaced}"], "A key in {spaced} is not printable ASCII"),
        (["--cors-origin", "app.example"], "The web origin 'app.example' is not as browsers send it"),
        (["--cors-origin", "https://app.example/"], "The web origin 'https://app.example/' is not as browsers send it"),
        (["--port", "{taken}"], "can't listen on 127.0.0.1"),
        (
            ["--tls-certificate", "{empty}", "--tls-key", "{empty}"],
            "TLS can't use the certificate {empty} with the key {empty} (",
        ),
    ],
)
def test_what_can_not_start_says_why_in_one_sentence(tmp_path: Path, arguments: list[str], message: str) -> None:
    for name, content in (("empty", b""), ("latin", b"k\xe9y\n"), ("spaced", b"key\ntwo keys\n")):
        (tmp_path / name).write_bytes(content)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        paths = {name: tmp_path / name for name in ("empty", "latin", "spaced")}
        *filled, message = [each.format(**paths, taken=port) for each in (*arguments, message)]
        status, said = run(*filled)
    last = said.splitlines()[-1]
    assert (status, last.startswith("Error: "), message in last) == (1, True, True), said
    assert "Traceback" not in said


def test_bm25_takes_the_place_of_a_model_that_can_not_run_and_every_answer_says_so() -> None:
    with serve("--model", "small=no/such/bundle", "--fallback", "bm25") as (_, url):
        query = {"query": "kidney stones", "model": "small"}
        answer = httpx.post(
            f"{url}/rerank", json={**query, "documents": ["liver", "kidney stones left", "kidney"]}
        ).json()
        assert answer["model"] == "bm25"
        assert "BM25 answers in place of small" in answer["meta"]["warnings"][0]
        assert answer["results"][0]["index"] == 1
        assert all(0 <= result["relevance_score"] <= 1 for result in answer["results"])
        bare = httpx.post(f"{url}/rerank", json={**query, "texts": ["liver", "kidney"]})
        assert "BM25 answers in place of small" in bare.headers["x-warning"]


def test_several_models_by_name() -> None:
    with serve("--model", "small=default", "--model", "words=bm25") as (_, url):
        names = {}
        for asked in ("small", "words", "other", None):
            answer = httpx.post(f"{url}/rerank", json={**ASK, "model": asked}).json()
            names[asked] = answer["model"], answer["meta"].get("warnings")
        assert names == {
            "small": ("small", None),
            "words": ("words", None),
            "other": ("small", ["There is no model 'other' here, so small answered."]),
            None: ("small", None),
        }


def test_the_log_says_an_address_that_can_be_asked() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")
    with serve("--model", "bm25", "--host", "::1") as (_, url):
        assert url.startswith("http://[::1]:")
        assert httpx.post(f"{url}/rerank", json=ASK).status_code == 200


def test_tls_and_cors(tmp_path: Path) -> None:
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl can't make a certificate here")
    tls = ("--tls-certificate", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    with serve("--model", "bm25", *tls, "--cors-origin", "https://app.example") as (_, url):
        assert url.startswith("https://")
        with httpx.Client(base_url=url, verify=ssl.create_default_context(cafile=tmp_path / "cert.pem")) as client:
            asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
            asked["access-control-request-headers"] = "authorization,content-type,x-fern-language"  # cohere's client
            may = client.options("/rerank", headers=asked)
            assert (may.status_code, may.headers["access-control-allow-origin"]) == (200, asked["origin"])
            assert "x-fern-language" in may.headers["access-control-allow-headers"]
            answer = client.post("/rerank", json=ASK, headers={"origin": "https://other.example"})
            assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (200, False)


def test_logs_have_request_ids_and_traces() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with serve("--model", "bm25") as (process, url):
        httpx.post(f"{url}/rerank", json=ASK, headers={"traceparent": trace, "x-request-id": "abc"})
        httpx.post(f"{url}/rerank", json={})
        time.sleep(0.2)
        first, second = [line for line in process.lines if line["message"] == "request"]
        assert (first["request_id"], first["trace_id"], first["status"]) == ("abc", trace[3:35], 200)
        assert (first["pairs"], first["path"], first["client"]) == (2, "/rerank", "127.0.0.1")
        assert second["status"] == 422


def test_when_answers_can_not_be_kept_their_stream_ends_and_the_server_goes_on() -> None:
    """As on a full disk: a client that does not read makes answers wait in a file."""
    line = json.dumps({"query": "kidney", "candidates": [], "note": "x" * 50_000}).encode() + b"\n"
    with serve("--model", "bm25", file_bytes=5_000_000) as (process, url):
        with httpx.Client(base_url=url, timeout=30) as client, pytest.raises(httpx.HTTPError):
            client.post("/v1/rerank/batch", content=line * 400)
        assert httpx.post(f"{url}/rerank", json=ASK).status_code == 200
        assert any("File too large" in line.get("error", "") for line in process.lines)
