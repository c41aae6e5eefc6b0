"""How far an export is: steps in plain words, and for the long ones the share that is done and the time left."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic


@dataclass(frozen=True)
class Progress:
    """How far an export is.

    Attributes:
        step: what is being done, in a few words that start with a capital letter and have no full stop.
        fraction: how much of this step is done, from 0 to 1; None at its start, and where that can't be said.
        seconds_left: until the end of this step, about; None before a part of it is done.
    """

    step: str
    fraction: float | None = None
    seconds_left: float | None = None


# What a caller of `export_checkpoint` gives: called at the start of every step, and in long steps whenever a part of it
# is done.
Callback = Callable[[Progress], object]


@dataclass
class Reporter:
    """Tells a callback what an export is doing.

    Attributes:
        callback: whom to tell.
    """

    callback: Callback

    def step(self, words: str) -> Callable[[float], None]:
        """Start a step.

        Args:
            words: what is being done.

        Returns:
            What to tell how much of the step is done, above 0 and up to 1.
        """
        started = monotonic()
        self.callback(Progress(words))

        def done(fraction: float) -> None:
            seconds = monotonic() - started
            self.callback(Progress(words, fraction, seconds / fraction * (1 - fraction)))

        return done
