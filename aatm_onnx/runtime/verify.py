"""Prove that a bundle computes the scores it was exported with: on this machine, with this runtime.

Together with `Bundle.check_hashes` this proves all that a score depends on. The texts of the vectors prove the
tokenizer and the prompt. Their logits prove the graph. The keys and values of the prefix, with which all of them begin,
are computed again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bundle import CONFORMANCE_FILE, MANIFEST_FILE, Bundle, ConformanceVector, Fidelity
from ..errors import BundleError
from ..prompt import TokenIds, format_instruction, prompt_tokenizer
from ..tokenizer import read_tokenizer, token_ids
from .scoring import probability_of_yes, score_prompts
from .session import Session

_TOKEN_BUDGET = 2048  # the most tokens of a batch
# How far a prefix's keys and values may be from what the graph computes, as a share of their norm. They were run in
# float32; int8's are 5 % off at 0.6B, int4's of 8B with random weights 69 %. Another prompt's are some 100 % off.
_PREFIX_DISTANCE, _QUANTIZED_PREFIX_DISTANCE, _MOST_PREFIX_DISTANCE = 0.02, 0.5, 0.9


@dataclass(frozen=True)
class Conformance:
    """How far the scores were from the bundle's conformance vectors.

    Attributes:
        prompts: how many were scored.
        largest_difference: of a score.
        tolerance: what is allowed here: the manifest's tolerance, or less (see `allowed_difference`).
    """

    prompts: int
    largest_difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether every score is within the tolerance (never, where a score is not a number)."""
        return self.largest_difference <= self.tolerance


def check_conformance(bundle: Bundle, session: Session) -> Conformance:
    """Tokenize and score the conformance pairs the way a reranker does and compare with what the bundle promises.

    Args:
        bundle: the opened bundle.
        session: a session over its graph, on the execution provider to prove.

    Raises:
        BundleError: the vectors can't be read, the tokenizer and the manifest's prompt give other token ids, or the
            prefix is not that of the vectors.
    """
    manifest = bundle.manifest
    vectors = bundle.conformance()
    check_tokenizer(bundle, vectors)
    _check_prefix(bundle, session, vectors)
    prompts = [np.asarray(vector.input_ids, np.int32) for vector in vectors]
    ways = np.asarray([vector.all_logits for vector in vectors], np.float32).swapaxes(0, 1)  # (ways, vectors, 2)
    scores = np.asarray(score_prompts(session, prompts, manifest.pad_token_id, _TOKEN_BUDGET))  # (vectors,)
    # A processor computes in one of the ways: all its scores must be those of the same one.
    difference = min(_largest_difference(scores, logits) for logits in ways)
    return Conformance(len(vectors), difference, allowed_difference(bundle, session))


def allowed_difference(bundle: Bundle, session: Session) -> float:
    """How far scores may be from the conformance vectors' on this provider.

    The manifest's tolerance leaves room for every machine. A CPU computes fp32 and fp16 graphs in float32, on x86 and
    on ARM alike, so there ten times what the export measured is enough. The vectors of int8 and int4 are the graph's
    own, of int4 in both ways in which ONNX Runtime computes it.
    """
    graph = bundle.manifest.graph
    if session.provider != "cpu" or graph.fidelity is not None:
        return graph.tolerance
    return min(graph.tolerance, 10 * graph.difference + 1e-5)


def check_tokenizer(bundle: Bundle, vectors: Sequence[ConformanceVector]) -> None:
    """Tokenize the conformance pairs with the bundle's own prompt and compare the token ids.

    Raises:
        BundleError: a pair has other token ids than its vector, or a part of the prompt than in the manifest.
    """
    prompt = bundle.manifest.prompt
    whole = read_tokenizer(bundle.tokenizer_path)
    tokenizer = prompt_tokenizer(bundle, prompt.prefix, prompt.suffix, bundle.manifest.max_length)
    pairs = [format_instruction(prompt.task, vector.query, vector.document) for vector in vectors]
    said = {
        "prefix": (prompt.prefix, prompt.prefix_ids),
        "suffix": (prompt.suffix, prompt.suffix_ids),
        "yes": ("yes", [bundle.manifest.yes_token_id]),
        "no": ("no", [bundle.manifest.no_token_id]),
    }
    try:
        found = token_ids(whole, [text for text, _ in said.values()], add_special_tokens=False)
        encoded = list(tokenizer.encode(pairs))
    except ValueError as error:
        raise BundleError(f"{bundle.tokenizer_path} is damaged: {error}; copy the bundle again.") from error
    for (name, (_, ids)), own in zip(said.items(), found, strict=True):
        if own != ids:
            raise BundleError(
                f"{bundle.tokenizer_path} gives the prompt's {name} other token ids than {MANIFEST_FILE} has; copy the"
                " bundle again, or install another version of tokenizers."
            )
    for index, (prompt_ids, vector) in enumerate(zip(encoded, vectors, strict=True)):
        if prompt_ids.ids.tolist() != vector.input_ids:
            raise BundleError(
                f"{bundle.path / CONFORMANCE_FILE}: on this machine the texts of vector {index} have other token ids"
                " than they had at the export; copy the bundle again, or install another version of tokenizers."
            )


def _check_prefix(bundle: Bundle, session: Session, vectors: Sequence[ConformanceVector]) -> None:
    """Raise a BundleError unless every vector begins with the whole prefix, and its keys and values are the graph's."""
    if session.prefix is None or not len(session.prefix.ids):
        return
    prefix = session.prefix.ids.tolist()
    for index, vector in enumerate(vectors):
        if vector.input_ids[: len(prefix)] != prefix:
            raise BundleError(
                f"{bundle.prefix_kv_path} has keys and values of other tokens than those that vector {index} begins"
                " with; export the bundle again."
            )
    distance = prefix_distance(session)
    if not distance <= _distance_allowed(bundle.manifest.graph.fidelity):
        raise BundleError(
            f"{bundle.prefix_kv_path} has keys and values that are not those of the graph (they are {distance:.0%}"
            " off); export the bundle again."
        )


def prefix_distance(session: Session) -> float:
    """How far a session's prefix is from what its graph computes for these tokens, as a share of its norm.

    Args:
        session: its prefix is not None and has tokens.
    """
    assert session.prefix is not None
    given = np.asarray(session.prefix.keys_values, np.float64)
    own = np.asarray(session.extend(session.prefix.first(0), session.prefix.ids).keys_values, np.float64)
    return float(np.linalg.norm(own - given) / np.linalg.norm(given))


def _distance_allowed(fidelity: Fidelity | None) -> float:
    """Half, or what the export measured and some room, if that is more.

    Processors quantize activations in different ways: int8's prefix was 9 % off on one and 3 % at the export.
    """
    if fidelity is None:
        return _PREFIX_DISTANCE
    measured = fidelity.prefix_distance or 0.0  # an older export measured none
    return min(_MOST_PREFIX_DISTANCE, max(_QUANTIZED_PREFIX_DISTANCE, 1.25 * measured + 0.05))


def largest_difference(
    session: Session, prompts: Sequence[TokenIds], logits: NDArray[np.float32], pad_token_id: int
) -> float:
    """How far a session's scores are at most from those that `logits`, (prompts, 2), mean."""
    scores = np.asarray(score_prompts(session, prompts, pad_token_id, _TOKEN_BUDGET))  # (prompts,)
    return _largest_difference(scores, logits)


def _largest_difference(scores: NDArray[np.float64], logits: NDArray[np.float32]) -> float:
    return float(np.abs(scores - probability_of_yes(logits)).max(initial=0.0))
