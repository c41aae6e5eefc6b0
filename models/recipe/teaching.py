"""What MiniLM tells: the meaning of words, of the strings to learn from, and of parts of them."""

import random
import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
import torch
from transformers import AutoTokenizer

from recipe.spelling import as_read
from recipe.teacher import open_teacher, teacher_folder

WORDS, PARTS = 30_000, 40_000  # the most frequent words; strings of which a part is taken
ONE_WORD = re.compile(r"[a-z]{3,}")


def everyday_words() -> list[str]:
    """Whole words that MiniLM knows: English as it is spoken everywhere."""
    words = AutoTokenizer.from_pretrained(teacher_folder()).get_vocab()
    return sorted(filter(ONE_WORD.fullmatch, words))


def taught_texts(strings: Iterable[str], everyday: list[str], forbidden: set[str]) -> list[str]:
    """The strings, their words, two or three of their words in a row, and everyday words; nothing forbidden."""
    given = sorted(set(strings))
    words = Counter(word for text in given for word in ONE_WORD.findall(text.lower()))
    draw = random.Random(5)
    texts = {*given, *(word for word, _ in words.most_common(WORDS)), *everyday}
    for text in draw.sample(given, min(PARTS, len(given))):
        parts = text.lower().split()
        if len(parts) > 3:
            size = draw.choice((2, 2, 3))
            at = draw.randrange(len(parts) - size + 1)
            texts.add(" ".join(parts[at : at + size]))
    kept = sorted(text for text in texts if as_read(text) not in forbidden)
    return draw.sample(kept, len(kept))


def told(texts: list[str]) -> np.ndarray:
    """MiniLM's vectors (texts, 384), their mean taken off."""
    vectors = open_teacher("cuda" if torch.cuda.is_available() else "cpu").embed(texts)
    return (vectors - vectors.mean(0)).astype(np.float16)
