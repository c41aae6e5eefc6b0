"""JSON lines: one query a line."""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from typing import IO, Any

from ...ranking import RankedDocument, check_text
from .item import QueryCandidates, kept_as

# JSON escapes the control characters of ASCII itself; a terminal also obeys these.
_FURTHER_CONTROLS = re.compile(r"[\x7f-\x9f]")


def read(stream: IO[str], name: str) -> Iterator[QueryCandidates]:
    """Read `{"query": ..., "candidates": [...]}` lines; a candidate is a string or an object with an `expression`.

    A string `task` is the query's own instruction to the model.

    Args:
        stream: the open file.
        name: what to call it in an error.

    Raises:
        ValueError: naming the line that is wrong.
    """
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where}: not JSON ({error}).") from None
        yield _from_record(record, where)


def _from_record(record: Any, where: str) -> QueryCandidates:
    if not isinstance(record, dict) or not isinstance(record.get("query"), str):
        raise ValueError(f'{where}: expected an object with a string "query" and a list "candidates".')
    candidates, task = record.get("candidates"), record.get("task")
    if not isinstance(candidates, list):
        raise ValueError(f'{where}: "candidates" must be a list of strings, or of objects with an "expression".')
    if not isinstance(task, str | None):
        raise ValueError(f'{where}: "task" must be a string: the instruction to the model for this query.')
    item = QueryCandidates(check_text(record["query"], f"{where}: the query"), task=task, where=where)
    item.fields = {key: value for key, value in record.items() if key not in ("query", "candidates")}
    check_text(json.dumps(item.fields, ensure_ascii=False), f"{where}: a field of the query")
    for index, candidate in enumerate(candidates):
        fields = candidate if isinstance(candidate, dict) else {"expression": candidate}
        if not isinstance(fields.get("expression"), str):
            raise ValueError(
                f'{where}: candidate {index} is neither a string nor an object with a string "expression".'
            )
        item.candidates.append(check_text(fields["expression"], f"{where}: candidate {index}"))
        item.extra.append({key: value for key, value in fields.items() if key != "expression"})
        check_text(json.dumps(item.extra[-1], ensure_ascii=False), f"{where}: a field of candidate {index}")
    return item


def write(stream: IO[str], item: QueryCandidates, ranking: Iterable[RankedDocument], details: bool) -> None:
    """Write one line: the query and its candidates, best first, each with its score and its index in the input.

    A pair that was cut says so. A further field of a name that is written anyway is called `input_NAME`.

    Args:
        stream: the open file.
        item: the query as it was read.
        ranking: its candidates, best first.
        details: also write each pair's logit, its number of tokens, and whether it was cut.
    """
    results = []
    for row in ranking:
        new: dict[str, Any] = {"expression": row.document, "rerank_score": row.score, "index": row.index}
        if details:
            new |= {"logit": row.logit, "tokens": row.tokens, "truncated": row.truncated}
        elif row.truncated:
            new["truncated"] = True
        results.append({**new, **_renamed(item.extra[row.index], new)})
    fields = _renamed(item.fields, ("query", "results"))
    line = json.dumps({"query": item.query, **fields, "results": results}, ensure_ascii=False)
    stream.write(_FURTHER_CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", line) + "\n")


def _renamed(fields: dict[str, Any], own: Collection[str]) -> dict[str, Any]:
    names = kept_as(fields, own)
    return {names[name]: value for name, value in fields.items()}
