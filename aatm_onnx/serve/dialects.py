"""Rerank requests of TEI, Cohere v1 and v2, Jina, vLLM, infinity, llama.cpp and Voyage: read by one function.

The body decides, not the path: `texts` is TEI (a bare array comes back), `top_k` is Voyage (`data` comes back),
everything else is Cohere's form (`results`), which Jina, vLLM, infinity and llama.cpp share.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..ranking import PairScore, descending
from .errors import bad_request, invalid
from .fields import Body, array, flag, kind_of, optional_text, text, whole_number

Dialect = Literal["tei", "voyage", "cohere"]


@dataclass(frozen=True)
class RerankRequest:
    """What every dialect asks.

    Attributes:
        dialect: how to answer.
        query: the query.
        documents: the documents' texts.
        given: the documents as they came, strings or objects.
        model: the model's name, if one is named.
        instruction: the task, if one is given.
        top_n: how many results to return; None returns all.
        return_documents: whether results hold their documents.
        raw_scores: answer logits, not probabilities.
        truncate: cut over-long pairs; False refuses them.
        max_tokens_per_doc: a limit that this server can't apply by itself, but speaks of.
    """

    dialect: Dialect
    query: str
    documents: list[str]
    given: list[Any]
    model: str | None
    instruction: str | None
    top_n: int | None
    return_documents: bool
    raw_scores: bool
    truncate: bool
    max_tokens_per_doc: int | None


def read_rerank(body: Body, truncate: bool) -> RerankRequest:
    """Read a rerank request of any dialect.

    Args:
        body: the JSON object.
        truncate: what holds where the body does not say.

    Raises:
        ApiError: 422, a field is missing or wrong; 400, the query or the list of documents is empty.
    """
    dialect = _dialect(body)
    field = "texts" if dialect == "tei" else "documents"
    given = _listed(body.get(field), field)
    rank_fields = body.get("rank_fields")
    fields = None if rank_fields is None else [text(name, "rank_fields") for name in array(rank_fields, "rank_fields")]
    documents = [_document(each, f"{field}[{index}]", fields) for index, each in enumerate(given)]
    return RerankRequest(
        dialect=dialect,
        query=read_query(body.get("query"), "query"),
        documents=documents,
        given=given,
        model=optional_text(body, "model"),
        instruction=read_instruction(body),
        # 0 means all, as vLLM has it, and Dify sends it
        top_n=whole_number(body, "top_k" if dialect == "voyage" else "top_n") or None,
        return_documents=flag(body, "return_text" if dialect == "tei" else "return_documents"),
        raw_scores=wants_raw_scores(body),
        truncate=wants_truncation(body, truncate),
        max_tokens_per_doc=whole_number(body, "max_tokens_per_doc"),
    )


def _dialect(body: Body) -> Dialect:
    if body.get("texts") is not None:
        return "tei"
    if body.get("documents") is None:
        raise invalid("documents (or texts) is missing: the list of strings to rank.")
    return "voyage" if "top_k" in body and body.get("top_n") is None else "cohere"


def _listed(value: object, what: str) -> list[Any]:
    """A list of documents. vLLM also takes one string, or one object whose `content` is a list of parts."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict) and isinstance(value.get("content"), list):
        return list(value["content"])
    documents = array(value, what)
    if not documents:
        raise bad_request("The list of documents must not be empty.")
    return documents


def _document(value: object, what: str, rank_fields: Sequence[str] | None) -> str:
    if isinstance(value, str):
        return text(value, what)
    if not isinstance(value, dict):
        raise invalid(f"{what} must be a string, or an object with a text, not {kind_of(value)}.")
    if rank_fields and any(name in value for name in rank_fields):
        return "\n".join(_field(value[name], f"{what}.{name}") for name in rank_fields if value.get(name) is not None)
    if "text" not in value:
        raise invalid(f"{what} has no text.")
    return text(value["text"], f"{what}.text")


def _field(value: object, what: str) -> str:
    return text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), what)


def read_query(value: object, what: str) -> str:
    """A query that asks something."""
    query = text(value, what)
    if not query.strip():
        raise bad_request(f"The {what} must not be empty or only whitespace.")
    return query


def read_instruction(body: Body) -> str | None:
    """The task: `instruction` (vLLM, llama.cpp), `instruct` (SGLang), or vLLM's `chat_template_kwargs.instruction`."""
    nested = body.get("chat_template_kwargs")
    inside = nested if isinstance(nested, Mapping) else {}
    for source, name in ((body, "instruction"), (body, "instruct"), (inside, "instruction")):
        if (instruction := optional_text(source, name)) is not None:
            return instruction
    return None


def wants_raw_scores(body: Body) -> bool:
    """TEI's and infinity's `raw_scores`, or vLLM's `use_activation: false`."""
    return flag(body, "raw_scores") or not flag(body, "use_activation", True)


def wants_truncation(body: Body, default: bool) -> bool:
    """TEI's `truncate`, Voyage's `truncation`. Only a document's end can be cut."""
    for name in ("truncation_direction", "truncation_side"):
        side = optional_text(body, name)
        if side is not None and side.lower() != "right":
            raise invalid(f'{name} must be "right": this server cuts the end of a document.')
    return flag(body, "truncate", flag(body, "truncation", default))


def shown_score(pair: PairScore, raw: bool, bounded: bool) -> float:
    """The score in [0, 1], or the logit (BM25: its own score) where raw scores are asked for."""
    if raw:
        return pair.score if pair.logit is None else pair.logit
    return pair.score if bounded else max(pair.score, 0.0) / (1.0 + max(pair.score, 0.0))


def rerank_answer(
    request: RerankRequest,
    pairs: Sequence[PairScore],
    *,
    answer_id: str,
    model: str,
    bounded: bool,
    notes: Sequence[str],
) -> Any:
    """The answer, in the request's dialect.

    Args:
        request: what was asked.
        pairs: the documents' scores.
        answer_id: the request's id.
        model: the name of the model that answered.
        bounded: whether its scores are in [0, 1] already.
        notes: what must be said besides.
    """
    order = descending([pair.score for pair in pairs])[: request.top_n]
    results = [_result(request, index, pairs[index], bounded) for index in order]
    if request.dialect == "tei":
        return results
    tokens = sum(pair.tokens for pair in pairs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    warnings = [*notes, *_warnings(request, pairs)]
    if request.dialect == "voyage":
        return {"object": "list", "data": results, "model": model, "usage": usage, **_if_any("warnings", warnings)}
    meta = {
        "api_version": {"version": "2"},
        "billed_units": {"search_units": 0},  # nothing is billed; LiteLLM reads it
        "tokens": {"input_tokens": tokens, "output_tokens": 0},
        **_if_any("warnings", warnings),
    }
    return {"id": answer_id, "object": "rerank", "model": model, "results": results, "usage": usage, "meta": meta}


def _result(request: RerankRequest, index: int, pair: PairScore, bounded: bool) -> dict[str, Any]:
    score = shown_score(pair, request.raw_scores, bounded)
    given, document = request.given[index], request.documents[index]
    result: dict[str, Any] = {"index": index, "score" if request.dialect == "tei" else "relevance_score": score}
    if isinstance(given, Mapping) and "id" in given:
        result["id"] = given["id"]
    if request.return_documents:
        if request.dialect == "tei":
            result["text"] = document
        elif request.dialect == "voyage":
            result["document"] = document
        else:  # always an object: LiteLLM breaks at a string
            result["document"] = {**(given if isinstance(given, Mapping) else {}), "text": document}
    if pair.truncated:
        result["truncated"] = True
    return result


def _warnings(request: RerankRequest, pairs: Sequence[PairScore]) -> list[str]:
    cut = sum(pair.truncated for pair in pairs)
    warnings = [f"{cut} of {len(pairs)} documents were cut to fit the model."] if cut else []
    if request.max_tokens_per_doc and any(pair.tokens > request.max_tokens_per_doc for pair in pairs):
        warnings.append("max_tokens_per_doc is not applied: documents are cut only where they do not fit the model.")
    return warnings


def _if_any(name: str, values: Sequence[str]) -> dict[str, list[str]]:
    return {name: list(values)} if values else {}
