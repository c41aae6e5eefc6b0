"""What a test waits for."""

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], times: int = 400, pause: float = 0.025) -> Any:
    """What a condition gives once that is true of anything; asked `times` times, with `pause` seconds between."""
    for _ in range(times):
        if found := condition():
            return found
        time.sleep(pause)
    raise AssertionError(f"it did not come true in {times * pause:.0f} s")
