"""The lists of the model card, and what of each is asked."""

from recipe.learning import HELD_OUT
from recipe.unseen import UNSEEN

LISTS = {**HELD_OUT, **UNSEEN}


def tested(name: str) -> tuple[str, ...]:
    """The splits whose synonyms are the test: where nothing was trained on, all but what development looks at."""
    return ("test",) if name in HELD_OUT else ("test", "train")
