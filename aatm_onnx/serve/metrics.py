"""What an operator sees at /metrics."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client import generate_latest as _generate

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


class Metrics:
    """The server's counters. Methods may be called from any thread."""

    def __init__(self) -> None:
        """Make them, in a registry of their own."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # process_resident_memory_bytes and its like
        PlatformCollector(registry=self.registry)
        registry = self.registry
        self.requests = Counter("aatm_requests", "Requests answered", ["endpoint", "status"], registry=registry)
        self.seconds = Histogram(
            "aatm_request_seconds",
            "From the first byte to the answer",
            ["endpoint"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue_seconds = Histogram(
            "aatm_queue_seconds", "Until a request's first slice was taken", buckets=_SECONDS, registry=registry
        )
        self.scoring_seconds = Histogram(
            "aatm_scoring_seconds", "From a request's first slice to its last", buckets=_SECONDS, registry=registry
        )
        self.run_seconds = Histogram(
            "aatm_run_seconds", "One run over slices of one or several requests", ["model"], buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.run_tokens = Histogram(
            "aatm_run_tokens", "Estimated tokens of a run", ["model"], buckets=_TOKENS, registry=registry
        )
        self.pairs = Counter("aatm_pairs", "Pairs scored", ["model"], registry=registry)
        self.tokens = Counter("aatm_tokens", "Tokens of the prompts of answered requests", ["model"], registry=registry)
        self.truncated = Counter("aatm_truncated", "Pairs that were cut", ["model"], registry=registry)
        self.cancelled = Counter("aatm_cancelled", "Requests whose client went away", registry=registry)
        self.rejected = Counter("aatm_rejected", "Requests refused", ["reason"], registry=registry)
        self.model_info = Gauge(
            "aatm_model_info",
            "A loaded model",
            ["model", "source", "graph", "precision", "provider"],
            registry=registry,
        )

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge that is read when asked."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def ran(self, model: str, seconds: float, tokens: int) -> None:
        """Count one run."""
        self.run_seconds.labels(model).observe(seconds)
        self.run_tokens.labels(model).observe(tokens)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return _generate(self.registry)
