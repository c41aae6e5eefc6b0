"""The page in headless Chromium, with real clicks and keys. Debian has it: apt-get install chromium chromium-driver."""

import contextlib
import csv
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..serving import Running
from .conftest import KEY
from .waiting import until

SCREENSHOTS = os.environ.get("SCREENSHOTS")  # a folder to look at them
EVIL = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"

pytestmark = pytest.mark.skipif(not shutil.which("chromedriver"), reason="needs chromium and chromium-driver")


@contextlib.contextmanager
def chromium(downloads: Path) -> Iterator[Any]:
    """A browser that reaches this machine alone."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as driver:
        yield driver


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    with chromium(tmp_path) as driver:
        yield driver
        severe = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
        assert not [message for message in severe if "401" not in message], severe


def find(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def give_key(browser: Any, server: Running) -> None:
    """As a person does who sees that one is needed."""
    browser.get(server.url)
    until(lambda: "needs an API key" in find(browser, "#model").text)
    field = until(lambda: (each := find(browser, "#key")).is_displayed() and each)
    field.send_keys(KEY, "\t")
    until(lambda: "aatm-onnx-terminology-" in find(browser, "#model").text)


def look(browser: Any, name: str) -> None:
    if SCREENSHOTS:
        browser.save_screenshot(str(Path(SCREENSHOTS) / f"{name}.png"))


def rows(browser: Any) -> list[list[str]]:
    found = browser.find_elements("css selector", "#ranking tbody tr")
    return [[cell.text for cell in row.find_elements("css selector", "td")] for row in found]


def test_one_query_by_keyboard(browser: Any, server: Running) -> None:
    from selenium.webdriver.common.keys import Keys

    give_key(browser, server)
    find(browser, "#query").send_keys("kidney stones", Keys.TAB)
    browser.switch_to.active_element.send_keys("Gallstones\nNephrolithiasis\n\nRenal cyst", Keys.CONTROL, Keys.ENTER)
    until(lambda: "ranked in" in find(browser, "#status").text)
    assert [(row[0], row[2], row[3]) for row in rows(browser)] == [
        ("1", "Nephrolithiasis", "2"),
        ("2", "Renal cyst", "3"),
        ("3", "Gallstones", "1"),
    ]
    assert "tokens" in find(browser, "#status").text
    assert browser.switch_to.active_element.get_attribute("id") == "status"  # a screen reader goes on from here
    bars = [bar.size["width"] for bar in browser.find_elements("css selector", ".bar")]
    assert bars == sorted(bars, reverse=True)
    look(browser, "ranked")


def test_a_pasted_table_and_its_column(browser: Any, server: Running) -> None:
    from selenium.webdriver.support.ui import Select

    give_key(browser, server)
    find(browser, "#query").send_keys("kidney stones")
    paste = "const field = document.querySelector('#candidates'); field.value = arguments[0];"
    text = "HP:1\tGallstones\nHP:2\tNephrolithiasis\n"
    browser.execute_script(paste + "field.dispatchEvent(new Event('input'));", text)
    Select(find(browser, "#column")).select_by_index(1)
    find(browser, "#one button").click()
    until(lambda: rows(browser))
    assert [row[2] for row in rows(browser)] == ["Nephrolithiasis", "Gallstones"]


def test_a_candidate_can_not_bring_markup_or_script(browser: Any, server: Running) -> None:
    give_key(browser, server)
    find(browser, "#query").send_keys(EVIL)
    find(browser, "#candidates").send_keys(f"{EVIL}\nGallstones")
    find(browser, "#one button").click()
    until(lambda: rows(browser))
    assert EVIL in [row[2] for row in rows(browser)]
    assert not browser.find_elements("css selector", "#ranking img, #ranking script")
    assert browser.title == "aatm-onnx: rank candidates"


def test_errors_are_said(browser: Any, server: Running) -> None:
    give_key(browser, server)
    find(browser, "#query").send_keys("kidney stones")
    find(browser, "#candidates").send_keys("a")
    browser.execute_script("document.querySelector('#candidates').value = ' \\n '")
    find(browser, "#one button").click()
    until(lambda: "Give at least one candidate" in find(browser, "#status").text)
    assert "wrong" in find(browser, "#status").get_attribute("class")


def test_a_csv_file_ranked_and_downloaded(browser: Any, server: Running, tmp_path: Path) -> None:
    from selenium.webdriver.support.ui import Select

    give_key(browser, server)
    source = tmp_path / "terms.csv"
    lines = ["code;source;name"]
    for number in range(60):
        lines += [f'a{number};"kidney stones {number}";Gallstones', f"b{number};kidney stones {number};Nephrolithiasis"]
    source.write_text("\ufeff" + "\r\n".join(lines), "utf-8")
    find(browser, "#file").send_keys(str(source))
    until(lambda: "120 rows" in find(browser, "#many-status").text)
    assert find(browser, "#query-column").get_property("value") == "1"  # of its name
    Select(find(browser, "#candidate-column")).select_by_visible_text("name")
    find(browser, "#many button[type=submit]").click()
    until(lambda: "60 queries ranked" in find(browser, "#many-status").text)
    look(browser, "csv")
    find(browser, "#download").click()
    ranked = tmp_path / "terms-ranked.csv"
    until(ranked.exists)
    with ranked.open(encoding="utf-8-sig", newline="") as stream:
        out = list(csv.DictReader(stream))
    assert len(out) == 120
    assert [(row["name"], row["rank"]) for row in out[:2]] == [("Nephrolithiasis", "1"), ("Gallstones", "2")]
    assert out[0]["code"] == "b0"


def test_a_wrong_file_is_said(browser: Any, server: Running, tmp_path: Path) -> None:
    give_key(browser, server)
    for name, content, message in (
        ("latin.csv", "a,b\né,c\n".encode("latin-1"), "not UTF-8"),
        ("short.csv", b"a,b\nc\n", "row 2: 1 fields where the header has 2"),
        ("open.csv", b'a,b\n"c,d\n', "A quote is left open"),
        ("one.csv", b"a\nb\n", "a column for the query"),
    ):
        (tmp_path / name).write_bytes(content)
        find(browser, "#file").send_keys(str(tmp_path / name))
        until(lambda said=message: said in find(browser, "#many-status").text)


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (1280, "dark")])
def test_narrow_and_wide_light_and_dark(browser: Any, server: Running, width: int, scheme: str) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    give_key(browser, server)
    find(browser, "#query").send_keys("kidney stones")
    find(browser, "#candidates").send_keys("Nephrolithiasis\nGallstones\n" + "Verylongword" * 20)
    find(browser, "#one button").click()
    until(lambda: rows(browser))
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    back = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert back == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 24, 28)")
    look(browser, f"{width}-{scheme}")


def test_every_control_has_a_name_and_can_be_reached(browser: Any, server: Running) -> None:
    give_key(browser, server)
    for control in browser.find_elements("css selector", "input, textarea, select, button, progress"):
        if control.is_displayed():
            assert control.accessible_name, control.get_attribute("outerHTML")
            assert control.get_attribute("tabindex") in (None, "0")


def test_the_api_page_shows_what_can_be_copied(browser: Any, server: Running) -> None:
    browser.get(f"{server.url}/docs")
    until(lambda: browser.find_elements("css selector", "article"))
    assert f"curl {server.url}/v1/rerank" in find(browser, "pre").text
    look(browser, "docs")
