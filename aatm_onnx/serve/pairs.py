"""Scores of pairs, in the order given: vLLM's /score and TEI's /predict."""

from collections.abc import Sequence
from typing import Any

from .dialects import read_query, shown_score
from .errors import bad_request, invalid
from .fields import Body, array, kind_of, text
from .jobs import Group
from .service import Scored

# vLLM's names for the two sides (pooling/scoring/protocol.py)
_SIDES = (("queries", "documents"), ("queries", "items"), ("data_1", "data_2"), ("text_1", "text_2"))
_LABEL = "LABEL_0"  # what TEI calls the only label of a reranker


def read_score(body: Body, task: str | None) -> list[Group]:
    """The pairs of a /score request: one with one, one with many, or as many with as many.

    Raises:
        ApiError: 422, a side is missing or wrong.
    """
    for left, right in _SIDES:
        if body.get(left) is not None and body.get(right) is not None:
            queries, documents = _side(body[left], left), _side(body[right], right)
            break
    else:
        raise invalid("Give two sides to score: text_1 and text_2, or queries and documents.")
    for query in queries:
        read_query(query, left)
    if len(queries) == 1:
        return [Group(queries[0], documents, task)]
    if len(queries) != len(documents):
        raise invalid(f"{left} has {len(queries)} texts and {right} {len(documents)}; give one, or as many.")
    return [Group(query, [document], task) for query, document in zip(queries, documents, strict=True)]


def _side(value: object, what: str) -> list[str]:
    if isinstance(value, str):
        return [text(value, what)]
    texts = [text(each, f"{what}[{index}]") for index, each in enumerate(array(value, what))]
    if not texts:
        raise bad_request(f"{what} must not be empty.")
    return texts


def score_answer(scored: Scored, *, raw: bool, bounded: bool, answer_id: str, model: str, created: int) -> Any:
    """vLLM's answer."""
    pairs = [pair for group in scored.scores for pair in group]
    data = [
        {"index": index, "object": "score", "score": shown_score(pair, raw, bounded)}
        | ({"truncated": True} if pair.truncated else {})
        for index, pair in enumerate(pairs)
    ]
    usage = {"prompt_tokens": scored.tokens, "total_tokens": scored.tokens}
    return {"id": answer_id, "object": "list", "created": created, "model": model, "data": data, "usage": usage}


def read_predict(body: Body, task: str | None) -> tuple[list[Group], bool]:
    """The pairs of a /predict request, and whether it was one pair rather than a list of pairs.

    Raises:
        ApiError: 422, `inputs` is neither; 400, it is empty.
    """
    inputs = array(body.get("inputs"), "inputs")
    if not inputs:
        raise bad_request("inputs must not be empty.")
    single = all(isinstance(each, str) for each in inputs)
    return [_pair(each, index, task) for index, each in enumerate([inputs] if single else inputs)], single


def _pair(value: object, index: int, task: str | None) -> Group:
    if not isinstance(value, list) or len(value) != 2:
        raise invalid(
            f"inputs[{index}] must be a pair of a query and a document, because this model scores pairs,"
            f" not {kind_of(value)}."
        )
    query, document = value
    return Group(read_query(query, f"inputs[{index}][0]"), [text(document, f"inputs[{index}][1]")], task)


def predict_answer(scored: Scored, single: bool, *, raw: bool, bounded: bool) -> Any:
    """TEI's answer."""
    rows: Sequence[list[dict[str, Any]]] = [
        [{"score": shown_score(pair, raw, bounded), "label": _LABEL}] for group in scored.scores for pair in group
    ]
    return rows[0] if single else rows
