"""How much of a source list is mapped: by terms, and by how often they occur."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .mapped import MappedTerm

_THRESHOLDS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
_WORDS = {"decided": "decided before", "accepted": "accepted", "review": "to review", "no match": "no match"}


@dataclass
class Summary:
    """Counts of decisions, and the first scores with their frequencies."""

    terms: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_WORDS, 0))
    data: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_WORDS, 0))
    scores: "array[float]" = field(default_factory=lambda: array("f"))
    frequencies: "array[int]" = field(default_factory=lambda: array("q"))
    weighted: bool = False

    def add(self, mapped: MappedTerm) -> None:
        """Count one term."""
        self.weighted |= mapped.term.frequency is not None
        frequency = mapped.term.frequency or 0
        self.terms[mapped.decision] += 1
        self.data[mapped.decision] += frequency
        if mapped.decision != "decided":
            self.scores.append(mapped.proposed[0].score if mapped.proposed else -np.inf)
            self.frequencies.append(frequency)

    def lines(self) -> Iterator[str]:
        """The tables for people."""
        terms, data = sum(self.terms.values()), sum(self.data.values())
        yield f"{'':<16}{'terms':>8}{'':>9}" + (f"{'of the data':>13}" if self.weighted else "")
        for decision, word in _WORDS.items():
            share = f"{word:<16}{self.terms[decision]:>8}{_share(self.terms[decision], terms):>9}"
            yield share + (f"{_share(self.data[decision], data):>13}" if self.weighted else "")
        scores = np.asarray(self.scores, np.float32)
        frequencies = np.asarray(self.frequencies, np.float64)  # int64 may overflow in a sum
        if len(scores):
            yield ""
            yield "a first score of   terms at least that" + ("   of their data" if self.weighted else "")
            for threshold in _THRESHOLDS:
                above = scores >= threshold
                line = f"{threshold:>14.1f}{_share(int(above.sum()), len(scores)):>23}"
                total = float(frequencies.sum())
                yield line + (f"{_share(float(frequencies[above].sum()), total):>16}" if self.weighted else "")


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "-"
