"""The reliability plot of the model card, as an SVG file: how often pairs of a score are right."""

from pathlib import Path

SIZE, EDGE = 320, 44  # of the square in which scores and shares run from 0 to 1, and what is around it
COLOURS = ("#1b6ca8", "#c8553d", "#4a7c59", "#7d5ba6")
Bins = list[tuple[float, float, int]]  # mean score, share that is right, pairs


def reliability_plot(curves: dict[str, Bins]) -> str:
    """One curve for each name, its points as large as their number of pairs has digits."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE + 2 * EDGE} {SIZE + 2 * EDGE}"'
        ' font-family="sans-serif" font-size="11" fill="#333">',
        '<rect width="100%" height="100%" fill="white"/>',
        line((0, 0), (1, 1), "#bbb", 'stroke-dasharray="4 4"'),
        *(line((0, y / 5), (1, y / 5), "#eee") for y in range(6)),
    ]
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1):
        x, y = at(tick, 0)
        parts.append(f'<text x="{x:.0f}" y="{y + 16:.0f}" text-anchor="middle">{tick:g}</text>')
        x, y = at(0, tick)
        parts.append(f'<text x="{x - 8:.0f}" y="{y + 4:.0f}" text-anchor="end">{tick:g}</text>')
    for place, (name, bins) in enumerate(curves.items()):
        colour = COLOURS[place % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(score, share) for score, share, _ in bins))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for score, share, pairs in bins:
            x, y = at(score, share)
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{1 + len(str(pairs))}" fill="{colour}"/>')
        x, y = at(0.04, 0.97 - 0.06 * place)
        parts.append(f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}">{name}</text>')
    x, y = at(0.5, 0)
    parts.append(f'<text x="{x:.0f}" y="{y + 34:.0f}" text-anchor="middle">mean score of the pairs in a bin</text>')
    parts.append(f'<text transform="translate(12 {SIZE / 2 + EDGE}) rotate(-90)" text-anchor="middle">right</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def at(score: float, share: float) -> tuple[float, float]:
    """Where a point lies in the picture."""
    return EDGE + SIZE * score, EDGE + SIZE * (1 - share)


def line(start: tuple[float, float], end: tuple[float, float], colour: str, more: str = "") -> str:
    """A straight line between two points."""
    (x1, y1), (x2, y2) = at(*start), at(*end)
    return f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="{colour}" {more}/>'


def write_plot(file: Path, curves: dict[str, Bins]) -> None:
    """Write the picture."""
    file.write_text(reliability_plot(curves), encoding="utf-8")
