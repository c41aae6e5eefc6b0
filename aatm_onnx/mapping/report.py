"""An evaluation for people: tables, and a picture of precision against coverage."""

from collections.abc import Iterator, Mapping
from html import escape

import numpy as np

from .evaluate import Outcome

_THRESHOLDS = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
_COLOURS = ("#0b6e99", "#d9730d", "#448361", "#9065b0", "#c14c8a", "#787774")
_WIDTH, _HEIGHT, _LEFT, _TOP = 640, 420, 60, 20
_PLOT = (400, 340)


def tables(outcomes: Mapping[str, Outcome], bounded: Mapping[str, bool]) -> Iterator[str]:
    """Lines of all tables.

    Args:
        outcomes: of each reranker, by its name.
        bounded: whether its scores lie between 0 and 1; thresholds and calibration are printed of these alone.
    """
    questions = len(next(iter(outcomes.values())).ranks)
    yield f"{questions} reviewed terms"
    yield f"{'':<28}{'Hit@1':>8}{'Hit@5':>8}{'MRR':>8}{'found':>8}{'at 95 % precision':>20}{'threshold':>11}"
    for name, outcome in outcomes.items():
        coverage, threshold = outcome.coverage_at(0.95)
        yield (
            f"{name:<28}{outcome.hit(1):>8.3f}{outcome.hit(5):>8.3f}{outcome.mrr:>8.3f}{outcome.hit(10**9):>8.3f}"
            f"{f'{coverage:.1%} of terms':>20}" + f"{'-' if threshold is None else _rounded_down(threshold):>11}"
        )
    for name, outcome in outcomes.items():
        if bounded[name]:
            yield from _thresholds(name, outcome)


def _rounded_down(threshold: float) -> str:
    """A threshold to type: what it accepts, its six digits accept too."""
    nearest = f"{threshold:.6f}"
    return nearest if float(nearest) <= threshold else f"{threshold - 1e-6:.6f}"


def _thresholds(name: str, outcome: Outcome) -> Iterator[str]:
    error, bins = outcome.calibration()
    yield f"\n{name}: accepting first places"
    yield f"{'score at least':>16}{'terms':>9}{'right':>9}"
    for threshold in _THRESHOLDS:
        accepted = outcome.first >= threshold
        right = f"{np.mean(outcome.ranks[accepted] == 1):.1%}" if accepted.any() else "-"
        yield f"{threshold:>16.2f}{np.mean(accepted):>9.1%}{right:>9}"
    yield f"calibration: expected error {error:.3f}"
    yield f"{'mean score':>16}{'right':>9}{'terms':>9}"
    for score, share, count in bins:
        yield f"{score:>16.2f}{share:>9.1%}{count:>9}"


def picture(outcomes: Mapping[str, Outcome]) -> str:
    """An SVG: the share of accepted terms that is right, against the share that is accepted."""
    width, height = _PLOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"'
        ' font-size="12" role="img" aria-label="Precision against coverage">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    for tick in range(0, 11, 2):
        x, y = _LEFT + width * tick / 10, _TOP + height * (1 - tick / 10)
        parts.append(f'<path d="M{x} {_TOP}V{_TOP + height}M{_LEFT} {y}H{_LEFT + width}" stroke="#e3e2e0"/>')
        parts.append(f'<text x="{x}" y="{_TOP + height + 18}" text-anchor="middle">{tick * 10} %</text>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{tick * 10} %</text>')
    label = "terms accepted, the surest first"
    parts.append(f'<text x="{_LEFT + width / 2}" y="{_HEIGHT - 15}" text-anchor="middle">{label}</text>')
    turned = f"translate(14 {_TOP + height / 2}) rotate(-90)"
    parts.append(f'<text transform="{turned}" text-anchor="middle">of these, right</text>')
    for number, (name, outcome) in enumerate(outcomes.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        _, coverage, precision = outcome.coverage()
        points = " ".join(
            f"{_LEFT + width * c:.1f},{_TOP + height * (1 - p):.1f}" for c, p in zip(coverage, precision, strict=True)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = _LEFT + width + 15, _TOP + 15 + 20 * number
        parts.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16}" y="{y}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>\n"])
