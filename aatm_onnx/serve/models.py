"""The models that a server answers with: loaded once, chosen by a request's `model`."""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..bm25 import BM25Reranker
from ..errors import BundleError, ProviderError
from ..load import load_reranker
from ..models import DEFAULT_MODEL
from ..reranker import Reranker
from ..rerankers import Qwen3Reranker
from .jobs import ASCII_TOKENS_A_BYTE, Group, Job
from .metrics import Metrics
from .queue import WorkQueue

logger = logging.getLogger("aatm_onnx.serve")

_WARM_UP = Group("kidney stones", ["Nephrolithiasis", "Gallstones", "Renal cyst", "Bladder stones"] * 4)
# In scripts that differ in how many tokens they take.
_KIDNEY_STONES = "腎結石じんけっせき신장결석камни в почкахحصى الكلىगुर्दे की पथरीνεφρολιθίαση"


@dataclass(frozen=True)
class Model:
    """One loaded model.

    Attributes:
        name: what requests call it and answers say.
        reranker: what scores.
        queue: what waits for it.
        source: the checkpoint it was made of.
        graph: its kind of graph.
        precision: how its weights are stored.
        provider: what runs it.
        max_length: the most tokens of a pair's prompt.
        token_budget: the most tokens of one batch.
        tokens_a_byte: how many tokens its tokenizer makes of a byte of text that is not ASCII.
        note: what every answer must say, where another model answers than the one asked for.
        loaded: when it was loaded, in seconds since 1970.
    """

    name: str
    reranker: Reranker
    queue: WorkQueue
    source: str
    graph: str
    precision: str
    provider: str
    max_length: int
    token_budget: int
    tokens_a_byte: float = ASCII_TOKENS_A_BYTE
    note: str | None = None
    loaded: int = field(default_factory=lambda: int(time.time()))

    @property
    def bounded(self) -> bool:
        """Whether its scores are probabilities; BM25's are not."""
        return not isinstance(self.reranker, BM25Reranker)

    def sized(self, groups: Sequence[Group]) -> list[Group]:
        """The groups, their work estimated for this model."""
        return [replace(group, tokens_a_byte=self.tokens_a_byte) for group in groups]


@dataclass(frozen=True)
class Wanted:
    """A model to load: its name in requests, and what `load_reranker` calls it."""

    name: str
    model: str


def parse_model(option: str) -> Wanted:
    """Read `--model NAME=MODEL` or `--model MODEL`.

    Raises:
        ValueError: one of both is empty.
    """
    name, equals, model = option.partition("=")
    if not equals:
        return Wanted(option, option)
    if not name or not model:
        raise ValueError(f"--model {option!r} must be MODEL or NAME=MODEL, as in --model small=models/small.")
    return Wanted(name, model)


def parse_models(options: Sequence[str]) -> list[Wanted]:
    """Read every `--model`.

    Raises:
        ValueError: one is not as `parse_model` wants it, or two have one name.
    """
    wanted = [parse_model(option) for option in options]
    names = [each.name for each in wanted]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"Two models are called {name}; give one another name, as in --model other={name}.")
    return wanted


def load_model(wanted: Wanted, metrics: Metrics, fallback: str | None = None, **options: Any) -> Model:
    """Load a model, start its queue, and score a few pairs, which warms it up and measures its rate.

    Args:
        wanted: the model.
        metrics: what counts its runs.
        fallback: "bm25" serves BM25 where the model can't run here.
        **options: further arguments of Qwen3Reranker.

    Raises:
        BundleError, ImportError, ProviderError: it can't run here, and there is no fallback.
    """
    before, note = resident_bytes(), None
    try:
        reranker = load_reranker(wanted.model, **options)
    except (BundleError, ImportError, ProviderError) as error:
        if fallback is None:
            raise
        note = f"BM25 answers in place of {wanted.name}, which can't run here: {error}"
        reranker = load_reranker(fallback)
        logger.warning(note)
    model = _describe(wanted, reranker, metrics, note)
    job = Job([_WARM_UP], truncate=True)
    model.queue.submit(job)
    job.done.result()
    metrics.model_info.labels(model.name, model.source, model.graph, model.precision, model.provider).set(1)
    used = (resident_bytes() - before) / 1e6
    logger.info(
        "Loaded %s (%s, %s, %s on %s): %.0f MB more in memory, %.0f estimated tokens a second.",
        *(model.name, model.source, model.graph, model.precision, model.provider, used, model.queue.rate),
    )
    return model


def _describe(wanted: Wanted, reranker: Reranker, metrics: Metrics, note: str | None) -> Model:
    if not isinstance(reranker, Qwen3Reranker):
        name = "bm25" if note else wanted.name
        queue = WorkQueue(reranker, metrics, name)
        return Model(name, reranker, queue, "bm25", "none", "none", "cpu", sys.maxsize, sys.maxsize, note=note)
    manifest = reranker.bundle.manifest
    name = manifest.source.checkpoint if wanted.name == DEFAULT_MODEL else wanted.name
    return Model(
        name,
        reranker,
        WorkQueue(reranker, metrics, name),
        source=manifest.source.checkpoint,
        graph=manifest.graph.kind,
        precision=manifest.graph.precision,
        provider=reranker.provider,
        max_length=reranker.max_length,
        token_budget=reranker.token_budget,
        tokens_a_byte=_tokens_a_byte(reranker),
    )


def _tokens_a_byte(reranker: Qwen3Reranker) -> float:
    """Measured, as tokenizers differ: of Chinese the default model's makes 3 tokens a character, Qwen3's 0.7."""
    without, with_text = reranker.score_pairs([""], [["", _KIDNEY_STONES]])[0]
    return (with_text.tokens - without.tokens) / len(_KIDNEY_STONES.encode())


class Models:
    """All models of a server; the first answers where a request names none, or one that is not here."""

    def __init__(self) -> None:
        """Start without any; they are loaded while the server answers 503."""
        self._by_name: dict[str, Model] = {}
        self._other_names: dict[str, Model] = {}

    def add(self, model: Model, asked: str) -> None:
        """Add a model; `asked` is what it was called on the command line."""
        self._by_name[model.name] = model
        self._other_names[asked] = model

    def choose(self, name: str | None) -> tuple[Model, str | None]:
        """The model that a request means, and what its answer should say about the choice."""
        first = next(iter(self._by_name.values()))
        found = self.get(name or "")
        if found or len(self._by_name) == 1:
            return found or first, (found or first).note
        note = f"There is no model {name!r} here, so {first.name} answered." if name else None
        return first, note or first.note

    def get(self, name: str) -> Model | None:
        """A model by its name, or by what it was called on the command line."""
        return self._by_name.get(name) or self._other_names.get(name)

    def __iter__(self) -> Any:
        """Every model, the first one first."""
        return iter(self._by_name.values())

    def give_up(self, error: Exception) -> None:
        """Fail everything that waits."""
        for model in self:
            model.queue.give_up(error)

    def close(self) -> None:
        """Let their threads end."""
        for model in self:
            model.queue.close()


Loader = Callable[[Models, Metrics], None]


def loader(wanted: list[Wanted], fallback: str | None, options: Mapping[str, Any]) -> Loader:
    """What loads the wanted models into a server, in a thread, while the server already answers."""

    def load(models: Models, metrics: Metrics) -> None:
        for each in wanted:
            models.add(load_model(each, metrics, fallback, **options), each.name)

    return load


def resident_bytes() -> int:
    """What this process takes in memory; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  # not a file of the user's
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return 0
