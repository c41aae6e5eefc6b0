"""POST /v1/rerank/batch: a JSON line for every query in, one out, in the same order, while the client still sends.

A line is a rerank request of any dialect, or what `aatm-onnx rerank --input` reads, {"query": ..., "candidates":
[...]}, and is answered as that command answers. A wrong line gets a line with its error; the others are not touched.
Memory is bounded: only a few lines are read ahead.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from ..ranking import PairScore, descending
from . import dialects
from .answers import to_json
from .errors import ApiError, ClientGone, as_api_error, error_body, too_large
from .fields import Body, array, optional_text, read_object, text, whole_number
from .jobs import Group, Job, Lane
from .models import Model
from .service import Service, gone
from .spool import Spool

logger = logging.getLogger("aatm_onnx.serve")

_LINES_AHEAD = 64
_BYTES_AHEAD = 65_536  # a line of so many bytes counts as two, and so on


class Batch:
    """The ASGI app of the stream."""

    def __init__(self, service: Service) -> None:
        """Take the service."""
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one stream."""
        with self.service.admission.stream():
            request = Request(scope, receive)
            stream = _Stream(self.service, request)
            try:
                await stream.send_to(send)
            except ClientGone:
                self.service.metrics.cancelled.inc()
                request.state.log["client_gone"] = True
            except OSError:
                await stream.close()
                await _discard(request, self.service)  # most clients hear of it only once they have sent all
                raise
            finally:
                await stream.close()


class _Stream:
    """One stream: a task reads lines, one writes their answers to the spool in order, and the caller sends them."""

    def __init__(self, service: Service, request: Request) -> None:
        self.service, self.request = service, request
        self.limits = service.settings.limits
        self.spool = Spool(self.limits.spool_bytes)
        self.lanes: defaultdict[str, Lane] = defaultdict(Lane)  # a model's queue takes whatever is in its lane
        self.room = asyncio.Semaphore(_LINES_AHEAD)
        self.answers: asyncio.Queue[tuple[asyncio.Task[bytes], int] | None] = asyncio.Queue()
        self.lines: set[asyncio.Task[bytes]] = set()
        self.tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        self.pairs = self.tokens = self.failed = 0

    async def send_to(self, send: Send) -> None:
        """Send what is written, until all is.

        Raises:
            Exception: the answers could not be kept, or the client went away. Half of them may be sent already.
        """
        sending = asyncio.create_task(self._send(send))
        try:
            while not sending.done():
                running = [task for task in self.tasks if not task.done()]
                await asyncio.wait([sending, *running], return_when=asyncio.FIRST_COMPLETED)
                if sending.done():
                    break  # once all is sent, reading ends as if the client left
                for task in self.tasks:
                    if task.done():
                        task.result()  # it failed: a client that does not read would never hear of it
            await sending
        finally:
            sending.cancel()

    async def _send(self, send: Send) -> None:
        headers = [(b"content-type", b"application/x-ndjson")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while part := await self.spool.read():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        self.request.state.log |= {"pairs": self.pairs, "tokens": self.tokens, "failed_lines": self.failed}
        await self.tasks[1]  # ended well, or nothing more is sent
        await send({"type": "http.response.body", "body": b""})

    async def close(self) -> None:
        """End everything that still runs for this stream."""
        tasks = [*self.tasks, *self.lines]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.spool.close()

    async def _read(self) -> None:
        """Start a task for every line, a few ahead of the answers."""
        number = 0
        try:
            async for number, line in _lines(self.request, self.limits.body_bytes, self.service):
                room = await self._make_room(1 + len(line) // _BYTES_AHEAD)
                self._start(self._answered(number, line), room)
        except ApiError as error:  # a line that does not end, a client that stopped sending, or the server ends
            self._start(self._refused(number + 1, error), await self._make_room(1))
        except ClientGone:
            self.spool.end()
            raise
        self.answers.put_nowait(None)
        with suppress(ClientGone):
            await gone(self.request)
        self.spool.end()
        raise ClientGone

    async def _make_room(self, lines: int) -> int:
        """Wait until so many lines may be read ahead, at most all; returns how many."""
        room = min(lines, _LINES_AHEAD)
        for _ in range(room):
            await self.room.acquire()
        return room

    def _start(self, answer: Coroutine[Any, Any, bytes], room: int) -> None:
        task = asyncio.create_task(answer)
        self.lines.add(task)
        task.add_done_callback(self.lines.discard)
        self.answers.put_nowait((task, room))

    async def _write(self) -> None:
        try:
            while (next_answer := await self.answers.get()) is not None:
                task, room = next_answer
                await self.spool.write(await task + b"\n")
                for _ in range(room):
                    self.room.release()
        finally:
            self.spool.end()

    async def _answered(self, number: int, line: bytes) -> bytes:
        try:
            body = read_object(line)
            candidates = "candidates" in body
            answer = await (self._candidates(body) if candidates else self._dialect(body, number))
            return to_json(answer)
        except Exception as error:
            return await self._refused(number, error)

    async def _refused(self, number: int, error: Exception) -> bytes:
        refusal = as_api_error(error)
        self.failed += 1
        if refusal.status >= 500 and not isinstance(error, ApiError | TimeoutError):
            logger.error("A line failed.", exc_info=error, extra={"fields": {"request_id": self.request.state.id}})
        return to_json({**error_body(refusal.message, refusal.kind), "line": number, "status": refusal.status})

    async def _dialect(self, body: Body, number: int) -> Any:
        asked = dialects.read_rerank(body, self.service.settings.truncate)
        model, note = self.service.models.choose(asked.model)
        pairs = await self._score(model, Group(asked.query, asked.documents, asked.instruction), asked.truncate)
        return dialects.rerank_answer(
            asked,
            pairs,
            answer_id=f"{self.request.state.id}-{number}" if body.get("id") is None else str(body["id"]),
            model=model.name,
            bounded=model.bounded,
            notes=[note] if note else [],
        )

    async def _candidates(self, body: Body) -> Any:
        given = array(body["candidates"], "candidates")
        texts = [_expression(each, f"candidates[{index}]") for index, each in enumerate(given)]
        query = text(body.get("query"), "query")
        top_k = whole_number(body, "top_k", least=1)
        model, note = self.service.models.choose(optional_text(body, "model"))
        truncate = dialects.wants_truncation(body, self.service.settings.truncate)
        group = Group(query, texts, dialects.read_instruction(body))
        pairs = await self._score(model, group, truncate) if texts else []
        raw = dialects.wants_raw_scores(body)
        results = []
        for index in descending([pair.score for pair in pairs])[:top_k]:
            score = dialects.shown_score(pairs[index], raw, model.bounded)
            new = {"expression": texts[index], "rerank_score": score, "index": index}
            new |= {"truncated": True} if pairs[index].truncated else {}
            extra = given[index] if isinstance(given[index], Mapping) else {}
            results.append(new | {name: value for name, value in extra.items() if name not in new})
        fields = {name: value for name, value in body.items() if name not in ("query", "candidates")}
        return {"query": query, **fields, "results": results} | ({"warnings": [note]} if note else {})

    async def _score(self, model: Model, group: Group, truncate: bool) -> Sequence[PairScore]:
        admission, lane = self.service.admission, self.lanes[model.name]
        groups = model.sized([group])
        admission.check_size(groups)
        with admission.counted(groups, model.name, lane):
            scored = await self.service.wait_for(self.request, model, Job(groups, truncate), lane)
        self.pairs, self.tokens = self.pairs + scored.pairs, self.tokens + scored.tokens
        return scored.scores[0]


async def _discard(request: Request, service: Service) -> None:
    """Read what is left of the body, and throw it away."""
    with suppress(ApiError, ClientGone, TimeoutError):
        async with asyncio.timeout(service.settings.limits.answer_seconds):
            async for _ in service.bodies.parts(request):
                pass


def _expression(value: object, what: str) -> str:
    return text(value.get("expression") if isinstance(value, Mapping) else value, what)


async def _lines(request: Request, most: int, service: Service) -> AsyncIterator[tuple[int, bytes]]:
    """Lines that are not empty, with their numbers among all.

    Raises:
        ApiError: 413, one is longer than `most` bytes.
    """
    rest, number = b"", 0
    async for part in service.bodies.parts(request):
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            number += 1
            if line.strip():
                yield number, line
        if len(rest) > most:
            raise too_large(f"A line has more than {most} bytes; the stream ends here.")
    if rest.strip():
        yield number + 1, rest
