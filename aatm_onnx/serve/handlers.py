"""The API's handlers."""

import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .. import __version__
from . import dialects, pairs
from .answers import JsonAnswer
from .batch import Batch
from .errors import ApiError
from .fields import Body, optional_text, read_object
from .jobs import Group
from .models import Model
from .service import Scored, Service

# Every path that some client uses; /v1/v1 and /v1/v2 are what cohere's makes of a base_url that ends in /v1.
RERANK_PATHS = (
    *("/rerank", "/v1/rerank", "/v2/rerank", "/reranking", "/v1/reranking"),
    *("/v1/v1/rerank", "/v1/v2/rerank", "/invocations", "/"),
)


class Handlers:
    """Answers requests with a service."""

    def __init__(self, service: Service) -> None:
        """Take the service."""
        self.service = service

    def scoring_routes(self) -> list[Route]:
        """Where whole requests are scored."""
        return [
            *(Route(path, self.rerank, methods=["POST"]) for path in RERANK_PATHS),
            *(Route(path, self.score, methods=["POST"]) for path in ("/score", "/v1/score")),
            Route("/predict", self.predict, methods=["POST"]),
        ]

    def other_routes(self) -> list[Route]:
        """Where every other handler is."""
        return [
            Route("/v1/rerank/batch", Batch(self.service), methods=["POST"]),
            Route("/info", self.info),
            Route("/v1/models", self.models),
            Route("/v1/models/{name:path}", self.model),
            Route("/health", self.health),
            Route("/ready", self.ready),
            Route("/metrics", self.metrics),
        ]

    async def rerank(self, request: Request) -> Response:
        """Rank documents against a query, in any dialect."""
        body = await self._body(request)
        asked = dialects.read_rerank(body, self.service.settings.truncate)
        model, note = self.service.models.choose(asked.model)
        groups = [Group(asked.query, asked.documents, asked.instruction)]
        scored = await self.service.score(request, model, groups, asked.truncate)
        answer = dialects.rerank_answer(
            asked,
            scored.scores[0],
            answer_id=request.state.id,
            model=model.name,
            bounded=model.bounded,
            notes=[note] if note else [],
        )
        return _answer(request, answer, model, scored, note)

    async def score(self, request: Request) -> Response:
        """Score pairs, as vLLM does."""
        body, model, note = await self._pairs_body(request)
        groups = pairs.read_score(body, dialects.read_instruction(body))
        scored = await self.service.score(request, model, groups, self._truncates(body))
        answer = pairs.score_answer(
            scored,
            raw=dialects.wants_raw_scores(body),
            bounded=model.bounded,
            answer_id=request.state.id,
            model=model.name,
            created=int(time.time()),
        )
        return _answer(request, answer, model, scored, note)

    async def predict(self, request: Request) -> Response:
        """Score pairs, as TEI does."""
        body, model, note = await self._pairs_body(request)
        groups, single = pairs.read_predict(body, dialects.read_instruction(body))
        scored = await self.service.score(request, model, groups, self._truncates(body))
        answer = pairs.predict_answer(scored, single, raw=dialects.wants_raw_scores(body), bounded=model.bounded)
        return _answer(request, answer, model, scored, note)

    async def _body(self, request: Request) -> Body:
        self.service.admission.check_state()
        return read_object(await self.service.bodies.whole(request))

    async def _pairs_body(self, request: Request) -> tuple[Body, Model, str | None]:
        body = await self._body(request)
        return body, *self.service.models.choose(optional_text(body, "model"))

    def _truncates(self, body: Body) -> bool:
        return dialects.wants_truncation(body, self.service.settings.truncate)

    async def info(self, request: Request) -> Response:
        """TEI's /info; Dify takes no server without it."""
        self.service.admission.check_state()
        model, _ = self.service.models.choose(None)
        limits = self.service.settings.limits
        return JsonAnswer(
            {
                "model_id": model.source,
                "model_sha": None,
                "model_dtype": model.precision,
                "served_model_name": model.name,
                "model_type": {"reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}},
                "max_concurrent_requests": limits.queued_pairs,
                "max_input_length": model.max_length,
                "max_batch_tokens": model.token_budget,
                "max_batch_requests": None,
                "max_client_batch_size": limits.documents,
                "auto_truncate": self.service.settings.truncate,
                "tokenization_workers": 1,
                "version": __version__,
                "sha": None,
                "docker_label": None,
            }
        )

    async def models(self, request: Request) -> Response:
        """OpenAI's list of models."""
        self.service.admission.check_state()
        return JsonAnswer({"object": "list", "data": [_described(model) for model in self.service.models]})

    async def model(self, request: Request) -> Response:
        """One of them; Xinference's clients ask for it."""
        self.service.admission.check_state()
        name = request.path_params["name"]
        if (found := self.service.models.get(name)) is None:
            raise ApiError(404, "There is no such model here; GET /v1/models lists them.", "NotFound")
        return JsonAnswer(_described(found))

    async def health(self, request: Request) -> Response:
        """200 while the process can work: for a probe that restarts it."""
        alive = all(model.queue.alive for model in self.service.models)
        state = self.service.admission.state if alive else "broken"
        return JsonAnswer({"status": state, "version": __version__}, 200 if alive else 503)

    async def ready(self, request: Request) -> Response:
        """200 while requests are let in: for a load balancer."""
        self.service.admission.check_state()
        return JsonAnswer({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text format."""
        return Response(self.service.metrics.text(), media_type="text/plain; version=0.0.4")


def _described(model: Model) -> dict[str, object]:
    return {
        "id": model.name,
        "object": "model",
        "created": model.loaded,
        "owned_by": "aatm-onnx",
        "model_type": "rerank",
        "max_model_len": model.max_length,
        "source": model.source,
        "precision": model.precision,
        "provider": model.provider,
    }


def _answer(request: Request, content: object, model: Model, scored: Scored, note: str | None) -> Response:
    """The answer with TEI's headers, and what the log line says of it."""
    queued, ran = scored.queue_seconds * 1e3, scored.scoring_seconds * 1e3
    request.state.log |= {
        "model": model.name,
        "pairs": scored.pairs,
        "tokens": scored.tokens,
        "truncated": scored.truncated,
        "queue_ms": round(queued, 1),
        "scoring_ms": round(ran, 1),
    }
    headers = {
        "x-compute-type": f"{model.provider}+{model.precision}",
        "x-compute-characters": str(scored.characters),
        "x-compute-tokens": str(scored.tokens),
        "x-total-time": str(round((time.monotonic() - request.state.started) * 1e3)),
        "x-queue-time": str(round(queued)),
        "x-inference-time": str(round(ran)),
    }
    if scored.truncated:
        headers["x-truncated"] = str(scored.truncated)
    if note:  # TEI's and vLLM's bodies have no place for it
        headers["x-warning"] = note.encode("ascii", "replace").decode().replace("\n", " ")
    return JsonAnswer(content, headers=headers)
