"""A server's estimate of work, by which it admits requests and lets them take turns."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from aatm_onnx.serve.jobs import LEAST_WORK, Group

from .serving import models, serving
from .test_serve_holds import Watched, int8_bundle  # noqa: F401

SCRIPTS = {
    "Latin": "Schilddrüsenüberfunktion mit Größenzunahme der Lymphknoten",
    "Chinese": "急性心肌梗死伴有高血压和慢性肾功能不全",
    "Japanese": "急性心筋梗塞と高血圧症を伴う慢性腎不全のかんじゃ",
    "Korean": "급성 심근경색증과 고혈압을 동반한 만성 신부전",
    "Cyrillic": "Острый инфаркт миокарда с гипертонией и почечной недостаточностью",  # noqa: RUF001
    "Arabic": "احتشاء عضلة القلب الحاد مع ارتفاع ضغط الدم",
    "Devanagari": "उच्च रक्तचाप के साथ तीव्र रोधगलन",
    "Thai": "กล้ามเนื้อหัวใจตายเฉียบพลันร่วมกับความดันโลหิตสูง",
}


@pytest.mark.parametrize("name", ["default", pytest.param("qwen3", marks=pytest.mark.slow)])
def test_estimated_tokens_are_near_the_models_own_in_every_script(name: str, request: pytest.FixtureRequest) -> None:
    """With four bytes a token, the default model's work in Chinese counted for a quarter, in Korean for a tenth."""
    with serving(models("default" if name == "default" else f"m={request.getfixturevalue('int8_bundle')}")) as running:
        (model,) = running.service.models
        pairs = model.reranker.score_pairs([""], [["", *SCRIPTS.values()]])[0]
    for script, text, pair in zip(SCRIPTS, SCRIPTS.values(), pairs[1:], strict=True):
        (document,), (query,) = model.sized([Group("", [text])]), model.sized([Group(text, [""])])
        for estimated in (document.work - LEAST_WORK, query.shared):
            assert 1 / 3 < estimated / (pair.tokens - pairs[0].tokens) < 3, script


def test_a_request_is_admitted_by_what_its_script_costs_this_model() -> None:
    watched = Watched()
    long = {"query": "腎結石", "documents": ["腎結石" * 200]}
    with serving(watched) as running:
        watched.open.clear()
        with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=running.url) as client:
            answer = pool.submit(client.post, "/rerank", json=long)
            while not running.service.admission.requests:
                time.sleep(0.005)
            assert running.service.admission.tokens > 1500
            watched.open.set()
            assert answer.result().status_code == 200
