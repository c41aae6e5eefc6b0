"""What it takes that a quantized graph keeps the order of candidates: found by measuring, cheapest first.

As it is; with smoothing, which costs nothing at run time; with a few layers in float, if a few spoil the order; with
what lowers the error of every layer alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from aatm_onnx.runtime.batches import ceil_div

from .fidelity import Comparison, standard_error

# One in so many layers may stay in float; with more of them a bundle would be neither small nor fast.
_LAYERS_PER_FLOAT_LAYER = 4
# A quarter of the layers stands out where its gain is above that of the others by so many standard errors.
_STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class Variant:
    """One way to write the graph.

    Attributes:
        smoothed: with smoothing.
        fine_scales: int4: half as many inputs as usual share a scale.
        float_layers: layers that stay in float16.
        float_weights: kinds of weights that stay in float16 in every layer: "down", "gate_up".
    """

    smoothed: bool = False
    fine_scales: bool = False
    float_layers: frozenset[int] = frozenset()
    float_weights: frozenset[str] = frozenset()

    @property
    def methods(self) -> list[str]:
        """What it has beyond the precision, in words; layers in float are named apart."""
        words = {"down": "down_proj in float", "gate_up": "gate_proj and up_proj in float"}
        methods = ["smoothing"] * self.smoothed + ["finer scales"] * self.fine_scales
        return methods + [words[name] for name in sorted(self.float_weights)]

    def __str__(self) -> str:
        numbers = sorted(self.float_layers)
        layers = [f"layer{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))} in float"] if numbers else []
        return " and ".join(self.methods + layers) or "nothing in float"


@dataclass(frozen=True)
class Attempt:
    """A variant and what it gave."""

    variant: Variant
    comparison: Comparison

    @property
    def tau(self) -> float:
        """Kendall's tau, the mean of all queries."""
        return self.comparison.tau


@dataclass
class Search:
    """Tries variants until one is good enough.

    Attributes:
        measure: writes a variant's graph and compares its scores.
        layers: how many layers the model has.
        has_fine_scales: whether the precision has finer scales to try.
        min_tau: what is good enough.
        attempts: all that was tried, in order.
    """

    measure: Callable[[Variant], Comparison]
    layers: int
    has_fine_scales: bool
    min_tau: float
    attempts: list[Attempt] = field(default_factory=list)

    def run(self) -> Attempt:
        """The first attempt that is good enough, or else the best one."""
        plain = Variant()
        smoothed = replace(plain, smoothed=True)
        if enough := self._try(plain) or self._try(smoothed):
            return enough
        return self._few_layers(self._best()) or self._everywhere(self._best()) or self._best()

    def _try(self, variant: Variant) -> Attempt | None:
        """The attempt, if it is good enough."""
        for known in self.attempts:
            if known.variant == variant:
                return known if known.tau >= self.min_tau else None
        self.attempts.append(Attempt(variant, self.measure(variant)))
        return self.attempts[-1] if self.attempts[-1].tau >= self.min_tau else None

    def _best(self) -> Attempt:
        """The attempt with the largest tau, of equal ones the first."""
        return max(self.attempts, key=lambda attempt: attempt.tau)

    def _few_layers(self, base: Attempt) -> Attempt | None:
        """Leave layers in float: quarters, then the layers of those quarters that stand out, alone and together.

        From the last layer on, whose errors no other layer evens out. Where no quarter stands out from the noise, the
        error is spread over all layers, and no few of them can help. Where one does and is not good enough, neither is
        a part of it.
        """
        most = ceil_div(self.layers, _LAYERS_PER_FLOAT_LAYER)
        quarters = [frozenset(range(max(0, end - most), end)) for end in range(self.layers, 0, -most)]
        found = None
        for quarter in quarters:
            if found := self._try(replace(base.variant, float_layers=quarter)):
                quarters = [quarter]
                break
        tried = [self._attempt(base, quarter) for quarter in quarters]
        outstanding = [found] if found else _outstanding(tried, base)
        if not found and len(outstanding) == 1:
            return None
        alone: list[Attempt] = []
        for layer in sorted((layer for each in outstanding for layer in each.variant.float_layers), reverse=True):
            if enough := self._try(replace(base.variant, float_layers=frozenset([layer]))):
                return enough
            alone.append(self._attempt(base, frozenset([layer])))
        by_gain = [layer for each in sorted(alone, key=lambda each: -each.tau) for layer in each.variant.float_layers]
        for count in range(2, min(most, len(by_gain)) + 1):
            if enough := self._try(replace(base.variant, float_layers=frozenset(by_gain[:count]))):
                return enough
        return found

    def _everywhere(self, base: Attempt) -> Attempt | None:
        """Lower the error of all layers, on top of the best: finer scales, then one kind of weight in float."""
        if self.has_fine_scales:
            fine = replace(base.variant, fine_scales=True)
            if enough := self._try(fine):
                return enough
            base = max(base, self.attempts[-1], key=lambda attempt: attempt.tau)
        for name in ("down", "gate_up"):
            if enough := self._try(replace(base.variant, float_weights=frozenset([name]))):
                return enough
        return None

    def _attempt(self, base: Attempt, float_layers: frozenset[int]) -> Attempt:
        """The attempt that was made with these layers in float."""
        variant = replace(base.variant, float_layers=float_layers)
        return next(attempt for attempt in self.attempts if attempt.variant == variant)


def _outstanding(attempts: Sequence[Attempt], base: Attempt) -> list[Attempt]:
    """The attempts whose gain over `base` is above that of all together by more than noise."""
    gains = np.stack([attempt.comparison.taus - base.comparison.taus for attempt in attempts])  # (attempts, queries)
    above = gains - gains.mean(axis=0)
    return [
        attempt
        for attempt, own in zip(attempts, above, strict=True)
        if own.mean() > _STANDARD_ERRORS * standard_error(own)
    ]
