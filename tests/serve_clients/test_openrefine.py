"""OpenRefine itself reconciles a column and adds columns. Debian has it: apt-get install openrefine."""

import csv
import functools
import io
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..serving import Running
from .test_page import chromium
from .waiting import until as until_soon

until = functools.partial(until_soon, times=600, pause=0.1)  # OpenRefine is slow to start and to reconcile

pytestmark = pytest.mark.skipif(not shutil.which("openrefine"), reason="needs openrefine")
TERMS = "term\nkidney stones\nhigh blood pressure\nzzzz qqqq\nrenal cysts\nhypertension of the eye\n"
ROWS = json.dumps({"facets": [], "mode": "row-based"})


class OpenRefine:
    """Its HTTP commands, as its own page sends them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client(base_url=f"{url}/command/core", timeout=60)
        self.project = ""

    def post(self, command: str, **fields: Any) -> Any:
        token = self.client.get("/get-csrf-token").json()["token"]
        fields = {name: each if isinstance(each, str | int) else json.dumps(each) for name, each in fields.items()}
        answer = self.client.post(
            f"/{command}", params={"project": self.project, "csrf_token": token}, data={**fields, "csrf_token": token}
        )
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert said.get("code", "ok") in ("ok", "pending"), said
        until(lambda: not self.client.get("/get-processes", params={"project": self.project}).json()["processes"])
        return said

    def create(self, text: str) -> None:
        token = self.client.get("/get-csrf-token").json()["token"]
        answer = self.client.post(
            "/create-project-from-upload",
            params={"csrf_token": token},
            files={"project-file": ("terms.csv", text, "text/csv")},
            data={
                "project-name": "terms",
                "format": "text/line-based/*sv",
                "options": json.dumps({"separator": ",", "headerLines": 1}),
            },
        )
        self.project = answer.headers["location"].partition("project=")[2]

    def rows(self) -> list[dict[str, str]]:
        answer = self.client.post("/export-rows/a.csv", data={"project": self.project, "format": "csv", "engine": ROWS})
        return list(csv.DictReader(io.StringIO(answer.text)))

    def judgements(self) -> list[dict[str, Any]]:
        asked = {"project": self.project, "start": 0, "limit": 50, "engine": "{}"}
        answer = self.client.get("/get-rows", params=asked).json()
        return [answer["pool"]["recons"][row["cells"][0]["r"]] for row in answer["rows"]]


@pytest.fixture(scope="module")
def openrefine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenRefine]:
    folder: Path = tmp_path_factory.mktemp("openrefine")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["openrefine", "-p", str(port), "-d", str(folder), "-m", "512M", "-x", "refine.headless=true"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            running = OpenRefine(f"http://127.0.0.1:{port}")

            def answers() -> bool:
                try:
                    return running.client.get("/get-version").status_code == 200
                except httpx.TransportError:
                    return False

            until(answers)
            yield running
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # the script's child is the JVM
            process.wait(timeout=30)


def service_of(server: Running) -> dict[str, str]:
    """What OpenRefine's page takes from the manifest."""
    url = f"{server.url}/reconcile"
    manifest = server.client.get("/reconcile").json()
    return {name: manifest[name] for name in ("identifierSpace", "schemaSpace")} | {"service": url}


def test_a_column_is_reconciled_and_extended(openrefine: OpenRefine, vocabulary_server: Running) -> None:
    service = service_of(vocabulary_server)
    openrefine.create(TERMS)
    types = openrefine.post("guess-types-of-column", columnName="term", service=service["service"])["types"]
    assert {each["id"] for each in types} >= {"vocabulary:HPO", "domain:Condition"}
    config = {
        "mode": "standard-service",
        **service,
        "type": {"id": "domain:Condition", "name": "Condition (domain)"},
        "autoMatch": True,
        "columnDetails": [],
        "limit": 0,
    }
    openrefine.post("reconcile", columnName="term", engine=ROWS, config=config)
    found = openrefine.judgements()
    assert [each["j"] for each in found] == ["matched", "matched", "none", "matched", "none"]
    assert [each["m"]["name"] for each in found if "m" in each] == ["Nephrolithiasis", "Hypertension", "Renal cyst"]
    assert found[2]["c"] == []
    assert found[4]["c"][0]["name"] == "Ocular hypertension"
    assert all(0 <= each["score"] <= 100 for each in found[4]["c"])
    extension = {"properties": [{"id": "code", "name": "Concept code"}, {"id": "domain", "name": "Domain"}]}
    preview = openrefine.post("preview-extend-data", columnName="term", rowIndices="[0, 2]", extension=extension)
    assert preview["rows"][0] == ["Nephrolithiasis", "HP:0000787", "Condition"]
    openrefine.post(
        *("extend-data",),
        **{"engine": ROWS, "baseColumnName": "term", "endpoint": service["service"], "columnInsertIndex": 1},
        **{name: service[name] for name in ("identifierSpace", "schemaSpace")},
        extension=extension,
    )
    rows = openrefine.rows()
    assert [row["Concept code"] for row in rows] == ["HP:0000787", "HP:0000822", "", "HP:0000107", ""]
    assert rows[0] == {"term": "Nephrolithiasis", "Concept code": "HP:0000787", "Domain": "Condition"}


@pytest.mark.skipif(not shutil.which("chromedriver"), reason="needs chromium and chromium-driver")
def test_its_page_takes_the_service(openrefine: OpenRefine, vocabulary_server: Running, tmp_path: Path) -> None:
    """What "Add standard service" does: the page itself asks the server, which is another origin."""
    openrefine.create(TERMS)
    known = "return ReconciliationManager.standardServices.filter(each => each.url === arguments[0])"
    url = f"{vocabulary_server.url}/reconcile"
    with chromium(tmp_path) as browser:
        browser.get(f"{openrefine.url}/project?project={openrefine.project}")
        until(lambda: browser.execute_script("return typeof ReconciliationManager === 'object' && !!window.theProject"))
        browser.execute_script("ReconciliationManager.registerStandardService(arguments[0], () => {})", url)
        (service,) = until(lambda: browser.execute_script(known, url))
    assert service["name"] == "aatm-onnx: HPO, ICD10CM"
    assert service["ui"]["access"] == "json"  # not jsonp: its answer may be read across origins
