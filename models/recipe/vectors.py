"""Word meaning for free: a vector for every token of our vocabulary, out of MiniLM's last layer.

A token's vector is the mean, over its occurrences in the training strings, of the MiniLM vectors that cover the same
characters. Principal components make them fit our width.
"""

from collections import Counter

import numpy as np
import torch
from tokenizers import Tokenizer

from recipe.disturb import LETTERS
from recipe.teacher import Teacher

COMMON_DIRECTIONS = 1  # leading directions that every token shares and that tell nothing apart


@torch.inference_mode()
def occurrence_means(teacher: Teacher, tokenizer: Tokenizer, texts: list[str], chunk: int = 128) -> np.ndarray:
    """Mean MiniLM vector of each of our tokens, shape (vocabulary, 384); zero where it never occurs."""
    total = np.zeros((tokenizer.get_vocab_size(), teacher.model.config.hidden_size), dtype=np.float32)
    count = np.zeros(len(total), dtype=np.float32)
    texts = sorted(texts, key=len)
    for start in range(0, len(texts), chunk):
        part = texts[start : start + chunk]
        batch = teacher.tokenizer(
            part, padding=True, truncation=True, max_length=40, return_offsets_mapping=True, return_tensors="pt"
        )
        offsets = batch.pop("offset_mapping").numpy()
        hidden = teacher.hidden(batch).numpy()
        for _text, ours, theirs, vectors in zip(
            part, tokenizer.encode_batch([f" {t}" for t in part]), offsets, hidden, strict=True
        ):
            for token, (left, right) in zip(ours.ids, ours.offsets, strict=True):
                left, right = left - 1, right - 1  # the space put before the text
                overlap = np.minimum(theirs[:, 1], right) - np.maximum(theirs[:, 0], left)
                if (hit := overlap > 0).any():
                    total[token] += np.average(vectors[hit], axis=0, weights=overlap[hit])
                    count[token] += 1
    return total / np.maximum(count, 1)[:, None]


def reduce_vectors(means: np.ndarray, width: int) -> np.ndarray:
    """Principal components, shape (vocabulary, width), root mean square 1; unseen tokens stay at zero."""
    seen = means.any(1)
    unit = means[seen] / np.linalg.norm(means[seen], axis=1, keepdims=True)
    unit -= unit.mean(0)
    _, _, directions = np.linalg.svd(unit, full_matrices=False)
    reduced = np.zeros((len(means), width), dtype=np.float32)
    reduced[seen] = unit @ directions[COMMON_DIRECTIONS : COMMON_DIRECTIONS + width].T
    return reduced / np.sqrt((reduced[seen] ** 2).mean())


def spelling_vectors(tokenizer: Tokenizer, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors by which pieces of like letters are alike, whatever they mean.

    Principal components of the counts of each token's letters and pairs of letters, a word's beginning among them, the
    rarer the heavier; root mean square 1. Longer tokens have longer vectors, so that a mean over a word's pieces hardly
    depends on where the word was cut.

    Returns:
        The tokens' vectors, shape (vocabulary, width), and what a pair of letters adds where two pieces meet,
        shape (26, 26, width).
    """
    texts = spelt(tokenizer)
    counts = [Counter(t[i : i + n] for n in (1, 2) for i in range(len(t) - n + 1)) for t in texts]
    tokens = Counter(gram for count in counts for gram in count)
    column = {gram: i for i, gram in enumerate(sorted(tokens))}
    weights = np.array([len(gram) ** 0.5 * np.log(len(texts) / tokens[gram]) for gram in column], dtype=np.float32)
    table = np.zeros((len(texts), len(column)), dtype=np.float32)
    for row, count in enumerate(counts):
        for gram, times in count.items():
            table[row, column[gram]] = times
    table *= weights
    torch.manual_seed(0)  # svd_lowrank begins with random directions
    left, sizes, right = torch.svd_lowrank(torch.from_numpy(table - table.mean(0)), q=width + 8, niter=4)
    vectors, directions = (left * sizes)[:, :width].numpy(), right[:, :width].numpy()
    pairs = np.zeros((len(LETTERS), len(LETTERS), width), dtype=np.float32)
    for i, j in np.ndindex(pairs.shape[:2]):
        if (at := column.get(LETTERS[i] + LETTERS[j])) is not None:
            pairs[i, j] = weights[at] * directions[at]
    size = np.sqrt((vectors**2).mean())
    return vectors / size, pairs / size


def spelt(tokenizer: Tokenizer) -> list[str]:
    """Every token as it is written, lower-cased."""
    return [tokenizer.decode([token]).lower() for token in range(tokenizer.get_vocab_size())]


def edge_letters(tokenizer: Tokenizer) -> np.ndarray:
    """Each token's first letter, if it goes on with a word, and its last one, shape (vocabulary, 2 * 26): 1 or 0."""
    texts = spelt(tokenizer)
    edges = [[text[:1] == letter for letter in LETTERS] + [text[-1:] == letter for letter in LETTERS] for text in texts]
    return np.array(edges, dtype=np.float32)
