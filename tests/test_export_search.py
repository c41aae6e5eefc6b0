"""The search for a quantized graph that keeps the order: what it finds, and how soon it gives up."""

from collections.abc import Callable, Collection

import numpy as np
import pytest
from aatm_onnx_export.proof.fidelity import Comparison, standard_error
from aatm_onnx_export.proof.search import Search, Variant
from hypothesis import given, settings
from hypothesis import strategies as st

QUERIES, LAYERS, MIN_TAU = 12, 28, 0.98


def model(
    errors: Collection[float], smoothing: float = 1.0, down: float = 1.0, seed: int = 0
) -> Callable[[Variant], Comparison]:
    """A model whose layers each take so much of tau away, unless they stay in float; with some noise per query.

    Args:
        errors: what each layer costs, (layers,).
        smoothing: what is left of the errors with smoothing.
        down: what is left of the errors with down_proj in float.
        seed: of the noise.
    """

    def measure(variant: Variant) -> Comparison:
        left = sum(error for layer, error in enumerate(errors) if layer not in variant.float_layers)
        left *= smoothing if variant.smoothed else 1.0
        left *= down if "down" in variant.float_weights else 1.0
        rng = np.random.default_rng([seed, *variant.float_layers, variant.smoothed])
        hardness = np.random.default_rng(seed).uniform(0.5, 1.5, QUERIES)  # some queries are harder than others
        taus = 1 - left * hardness / hardness.mean() + rng.normal(0, 0.1 * left, QUERIES)
        return Comparison(taus, np.full(QUERIES, left))

    return measure


def search(measure: Callable[[Variant], Comparison], layers: int = LAYERS) -> Search:
    return Search(measure, layers, has_fine_scales=False, min_tau=MIN_TAU)


def test_a_graph_that_is_good_enough_is_the_only_one_tried() -> None:
    found = search(model([0.0001] * LAYERS))
    assert found.run().variant == Variant()
    assert len(found.attempts) == 1


@settings(max_examples=60, deadline=None)
@given(layers=st.integers(1, 64), data=st.data())
def test_one_layer_that_spoils_the_order_is_found_wherever_it_is(layers: int, data: st.DataObject) -> None:
    spoilt = data.draw(st.integers(0, layers - 1))
    errors = [0.0001] * layers
    errors[spoilt] = 0.3
    found = search(model(errors), layers)
    best = found.run()
    assert best.tau >= MIN_TAU
    assert best.variant.float_layers == {spoilt}
    assert len(found.attempts) <= 2 + 4 + -(-layers // 4)


def test_two_layers_far_apart_are_found_together() -> None:
    errors = [0.0001] * LAYERS
    errors[3] = errors[25] = 0.2
    best = search(model(errors)).run()
    assert best.tau >= MIN_TAU and best.variant.float_layers == {3, 25}


@pytest.mark.parametrize("seed", range(5))
def test_an_error_spread_over_all_layers_ends_the_search_soon(seed: int) -> None:
    """Where once all layers were tried one by one, reading noise."""
    found = search(model([0.01] * LAYERS, seed=seed))
    best = found.run()
    assert best.tau < MIN_TAU
    assert len(found.attempts) <= 2 + 4 + 2


def test_what_helps_everywhere_is_tried() -> None:
    assert search(model([0.01] * LAYERS, smoothing=0.05)).run().variant == Variant(smoothed=True)
    best = search(model([0.01] * LAYERS, down=0.05)).run()
    assert best.tau >= MIN_TAU and best.variant.float_weights == {"down"}


def test_the_noise_of_a_mean_is_that_of_drawing_the_queries_anew() -> None:
    values = np.random.default_rng(0).normal(0, 1, 400)
    assert standard_error(values) == pytest.approx(1 / 20, rel=0.15)
    assert standard_error(np.ones(12)) == 0
