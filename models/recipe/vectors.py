"""What the token vectors start from: what a token means, from MiniLM, and how it is spelt.

Meaning: vectors whose means point where MiniLM puts the whole text. Spelling: pairs and triples of letters, each a
random direction, so that words of like letters are alike and all others nearly at right angles.
"""

from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from recipe.batches import Bags, Encoder, make_bags
from recipe.disturb import LETTERS
from recipe.means import Joints, Taught

EPOCHS, ROWS, RATE = 10, 512, 0.01
JOINT = 0.12  # of the vectors of pairs of letters, in the lengths that training gives to spelling


def meaning_vectors(vocabulary: int, taught: Taught, width: int) -> np.ndarray:
    """Token vectors (vocabulary, width) whose sums over a text point along the principal components of its target."""
    targets = taught.vectors.float()
    _, _, directions = torch.svd_lowrank(targets, q=width + 8, niter=3)
    aims = F.normalize(targets @ directions[:, :width], dim=1)
    torch.manual_seed(0)
    vectors = torch.nn.Parameter(torch.randn(vocabulary, width) * 0.01)
    optimizer = torch.optim.Adam([vectors], RATE)
    steps = EPOCHS * len(taught.ids) // ROWS
    for step in range(steps):
        rows = torch.randint(len(taught.ids), (ROWS,))
        found = sums(vectors, make_bags([taught.ids[i] for i in rows]))
        loss = 1 - F.cosine_similarity(found, aims[rows]).mean()
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 500 == 0:
            print(f"meaning, step {step}/{steps}: 1 - cosine {loss.item():.3f}", flush=True)
    return vectors.detach().numpy()


def sums(vectors: torch.Tensor, bags: Bags) -> torch.Tensor:
    """Sum of the vectors of each list, shape (lists, width)."""
    return F.embedding_bag(bags.ids, vectors, bags.sizes.cumsum(0) - bags.sizes, mode="sum")


def spelling_vectors(tokenizer: Tokenizer, width: int) -> np.ndarray:
    """Unit vectors (vocabulary, width); a word's beginning counts as a letter."""
    counts = gram_counts(tokenizer)
    grams = gram_vectors(counts, width)
    vectors = np.zeros((len(counts), width), dtype=np.float32)
    for row, count in enumerate(counts):
        for gram, times in count.items():
            vectors[row] += times * grams[gram]
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def joints(tokenizer: Tokenizer, width: int, spelling: int) -> Joints:
    """The pair of letters that two tokens of a word make where they meet, in the last `spelling` of `width` entries."""
    grams = gram_vectors(gram_counts(tokenizer), spelling)
    pairs = np.zeros((len(LETTERS), len(LETTERS), width), dtype=np.float32)
    for i, j in np.ndindex(pairs.shape[:2]):
        pairs[i, j, -spelling:] = JOINT * grams.get(LETTERS[i] + LETTERS[j], 0)
    ends = [(LETTERS.find(t[:1] or " "), LETTERS.find(t[-1:] or " ")) for t in spelt(tokenizer)]
    first, last = np.array(ends).T
    return Joints(pairs, first, last)


def gram_counts(tokenizer: Tokenizer) -> list[Counter]:
    """The pairs and triples of letters of every token."""
    return [Counter(t[i : i + n] for n in (2, 3) for i in range(len(t) - n + 1)) for t in spelt(tokenizer)]


def gram_vectors(counts: list[Counter], width: int) -> dict[str, np.ndarray]:
    """A direction for each, the longer the rarer it is."""
    tokens = Counter(gram for count in counts for gram in count)
    return {
        gram: np.float32(np.sqrt(len(gram) - 1) * np.log(len(counts) / tokens[gram])) * direction(gram, width)
        for gram in sorted(tokens)
    }


def direction(gram: str, width: int) -> np.ndarray:
    """A random direction of some letters, always the same."""
    return np.random.default_rng(list(gram.encode())).standard_normal(width).astype(np.float32)


def spelt(tokenizer: Tokenizer) -> list[str]:
    """Every token as it stands, a space before what begins a word."""
    return [(tokenizer.id_to_token(i) or "").replace("Ġ", " ") for i in range(tokenizer.get_vocab_size())]


def rarity(encoder: Encoder, texts: list[str]) -> np.ndarray:
    """How much a token tells: the logarithm of how many texts there are for each that has it, (vocabulary,)."""
    found = np.zeros(encoder.tokenizer.get_vocab_size())
    for ids in encoder.ids(texts):
        found[list(set(ids))] += 1
    return np.log((1 + len(texts)) / (1 + found))
