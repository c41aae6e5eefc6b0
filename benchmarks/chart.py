"""The README's picture of ms a pair: `python benchmarks/chart.py > docs/ms-a-pair.svg`, figures from `make bench`."""

ROWS = (  # workload T: 1 query, 100 candidates, 75 tokens shared and 20 own; 0.6B geometry, 2 cores of a Zen 4
    ("aatm: torch float32", 746.0, "#9aa5b1"),
    ("torch bfloat16, last token only", 270.0, "#9aa5b1"),
    ("aatm-onnx fp32", 100.0, "#2f6fde"),
    ("aatm-onnx int8", 30.0, "#2f6fde"),
)
LEFT, WIDTH, STEP, BAR = 230, 440, 34, 22


def svg() -> str:
    """Horizontal bars, one a row."""
    longest = max(value for _, value, _ in ROWS)
    height = STEP * len(ROWS) + 34
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" font-family="sans-serif" font-size="14"'
        ' role="img" aria-label="Milliseconds a pair, 0.6B, two cores">',
        f'<rect width="760" height="{height}" fill="#fff"/>',
        '<text x="8" y="20" font-size="13" fill="#555">ms a pair, Qwen3-Reranker-0.6B, 100 candidates, 2 cores</text>',
    ]
    for row, (name, value, colour) in enumerate(ROWS):
        y, length = 32 + row * STEP, max(2, value / longest * WIDTH)
        lines += [
            f'<text x="{LEFT - 8}" y="{y + 16}" text-anchor="end" fill="#222">{name}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{length:.0f}" height="{BAR}" rx="3" fill="{colour}"/>',
            f'<text x="{LEFT + length + 8:.0f}" y="{y + 16}" fill="#222">{value:,.0f}</text>',
        ]
    return "\n".join([*lines, "</svg>"])


if __name__ == "__main__":
    print(svg())
