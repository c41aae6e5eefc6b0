"""The page's search box in headless Chromium, with real clicks and keys."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from aatm_onnx.serve.lookup import Lookup
from aatm_onnx.serve.settings import Settings

from ..serving import Running, serving
from .conftest import KEY
from .test_page import browser, find, give_key, look  # noqa: F401
from .waiting import until

pytestmark = pytest.mark.skipif(not shutil.which("chromedriver"), reason="needs chromium and chromium-driver")


@pytest.fixture
def keyed(lookup: Lookup) -> Iterator[Running]:
    with serving(settings=Settings(api_keys=(KEY,)), routes=lookup.routes()) as running:
        yield running


def opened(browser: Any, server: Running) -> Any:  # noqa: F811
    """The box, once the page shows it."""
    browser.get(server.url)
    return until(lambda: (each := find(browser, "#term")).is_displayed() and each)


def concepts(browser: Any) -> list[list[str]]:  # noqa: F811
    read = "return [...document.querySelectorAll('#concepts tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
    return browser.execute_script(read)


def test_a_term_is_typed_and_concepts_appear(browser: Any, vocabulary_server: Running) -> None:  # noqa: F811
    field = opened(browser, vocabulary_server)
    field.click()
    field.send_keys("kidney stones")
    found = until(lambda: (rows := concepts(browser)) and rows[0][3] == "Kidney stones" and rows)
    assert [*found[0][:1], *found[0][2:]] == ["Nephrolithiasis", "2000000787", "Kidney stones", "HPO", "Condition"]
    assert [row[0] for row in found].count("Nephrolithiasis") == 1
    scores = [float(row[1].removeprefix("< ")) for row in found]
    assert scores == sorted(scores, reverse=True)
    assert find(browser, "#search-status").text == "20 of 453 concepts."


def test_the_button_and_what_is_not_found(browser: Any, vocabulary_server: Running) -> None:  # noqa: F811
    field = opened(browser, vocabulary_server)
    browser.execute_script("arguments[0].value = 'renal cysts'", field)  # as a password manager or a paste might
    find(browser, "#search button").click()
    until(lambda: (rows := concepts(browser)) and rows[0][0] == "Renal cyst")
    field.clear()
    field.send_keys("???")
    until(lambda: find(browser, "#search-status").text == "0 of 453 concepts.")
    assert concepts(browser) == []
    field.clear()
    field.send_keys("a" * 1001)
    assert len(field.get_property("value")) == 1000  # the most that the server takes


def test_what_is_typed_can_not_bring_markup(browser: Any, vocabulary_server: Running) -> None:  # noqa: F811
    opened(browser, vocabulary_server).send_keys('5" incision, "clean" <img src=x onerror=alert(1)>')
    found = until(lambda: concepts(browser))
    assert not browser.find_elements("css selector", "#concepts img")
    assert found


def test_a_server_with_keys_says_so_and_searches_with_one(browser: Any, keyed: Running) -> None:  # noqa: F811
    opened(browser, keyed).send_keys("renal cyst")
    until(lambda: "needs an API key" in find(browser, "#search-status").text)
    give_key(browser, keyed)
    find(browser, "#term").send_keys("renal cyst")
    until(lambda: concepts(browser))


def test_a_server_without_a_vocabulary_has_no_box(browser: Any, server: Running) -> None:  # noqa: F811
    give_key(browser, server)
    assert not browser.find_elements("css selector", "#search")


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")])
def test_narrow_and_wide_light_and_dark(
    browser: Any,  # noqa: F811
    vocabulary_server: Running,
    width: int,
    scheme: str,
) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    opened(browser, vocabulary_server).send_keys("high blood pressure")
    until(lambda: (rows := concepts(browser)) and rows[0][0] == "Hypertension")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    top, beside = (browser.execute_script(f"return document.querySelector('{each}').getBoundingClientRect().top")
                   for each in ("#one", "main > section"))  # fmt: skip
    assert (top == beside) == (width > 1000)  # a query and its ranking stand side by side, with the box above them
    assert find(browser, "#search button").accessible_name == "Find"
    assert find(browser, "#term").accessible_name == "Term"
    look(browser, f"search-{width}-{scheme}")
