"""What the server does under load, on loopback, with clients in this process: `make bench-serve`.

Everything is bounded: each part lasts `--seconds`. Where load is random it is open: requests come at random times,
whether earlier ones are answered or not, so that a slow answer delays no later question. There the clients have a CPU
of their own and the server has the others, for what is sent in vain costs its sender something too; in the other parts
they share all CPUs.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence, Set
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from process_memory import kibibytes
from workloads import terms


@dataclass
class Outcome:
    """What one part's requests came to."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)  # of answers with scores, in seconds
    refused: int = 0
    other: list[str] = field(default_factory=list)
    asked: int = 0

    def line(self, name: str, pairs: int) -> str:
        """One row of the report."""
        rate = len(self.latencies) / self.seconds
        shown = " ".join(f"{1e3 * percentile(self.latencies, part):8.1f}" for part in (0.5, 0.95, 0.99))
        lost = self.asked - len(self.latencies) - self.refused
        return f"{name:<34} {rate:8.1f} {rate * pairs:9.0f} {shown} {self.refused:8d} {lost:5d}"


HEADER = f"{'':<34} {'req/s':>8} {'pairs/s':>9} {'p50 ms':>8} {'p95':>8} {'p99':>8} {'429, 503':>8} {'lost':>5}"


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` of all are; nan if there are none."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else float("nan")


class Connection:
    """A kept-alive connection. httpx would take more CPU than the server."""

    def __init__(self, port: int) -> None:
        """Connect with the first request."""
        self.port = port
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> int:
        """The status of one rerank request, whose answer is read whole."""
        if self.streams is not None:
            try:
                return await self._send(body, *self.streams)
            except (asyncio.IncompleteReadError, ConnectionResetError):
                pass  # the server closed it while nothing was asked
        self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        return await self._send(body, *self.streams)

    async def _send(self, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        head = (
            f"POST /rerank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.split("content-length:")[1].split("\r\n")[0])
        await reader.readexactly(length)
        if "connection: close" in answer:
            writer.close()
            self.streams = None
        return int(answer.split(" ")[1])


@dataclass
class Server:
    """A running server."""

    port: int
    pid: int

    def resident(self) -> float:
        """Its memory, in MB."""
        return kibibytes("VmRSS", self.pid) / 1e3


@contextmanager
def on(cpus: Set[int]) -> Iterator[None]:
    """Keep this process on some CPUs."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@asynccontextmanager
async def server(model: str, max_wait: float, cpus: Set[int]) -> AsyncIterator[Server]:
    """A server of its own process on some CPUs, ready."""
    command = [sys.executable, "-m", "aatm_onnx.cli", "serve", "--model", model, "--port", "0", "--provider", "cpu"]
    command += ["--max-wait", str(max_wait), "--log-level", "info"]
    with on(cpus):  # a process begins where its parent is
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    port = 0
    for line in process.stderr:
        said = json.loads(line)["message"]
        if "Listening on" in said:
            port = int(said.rstrip(".").rsplit(":", 1)[1])
        if said.startswith("Loaded"):
            print(said)
            break
    drain = asyncio.get_running_loop().run_in_executor(None, process.stderr.read)
    await asyncio.sleep(0.5)
    try:
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait()
        await drain


def bodies(candidates: int, count: int = 200) -> list[bytes]:
    """Requests with different queries."""
    chance = random.Random(candidates)
    every = terms(5000)
    return [
        json.dumps({"query": chance.choice(every), "documents": chance.sample(every, candidates)}).encode()
        for _ in range(count)
    ]


async def closed(port: int, clients: int, asked: Sequence[bytes], seconds: float, pause: float = 0.0) -> Outcome:
    """Clients that ask again as soon as they are answered, and after a while if they are refused."""
    outcome, end = Outcome(), time.perf_counter() + seconds

    async def client(number: int) -> None:
        connection, at = Connection(port), number
        while time.perf_counter() < end:
            await asyncio.sleep(pause)
            if await _ask(connection, asked[at % len(asked)], outcome) != 200:
                await asyncio.sleep(1.0)
            at += clients

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    outcome.seconds = time.perf_counter() - began
    return outcome


async def opened(port: int, rate: float, asked: Sequence[bytes], seconds: float) -> Outcome:
    """Requests at random times, `rate` a second."""
    outcome, chance = Outcome(), random.Random(1)
    free: list[Connection] = []
    tasks = []

    async def one(body: bytes) -> None:
        connection = free.pop() if free else Connection(port)
        await _ask(connection, body, outcome)
        free.append(connection)

    began = due = time.perf_counter()
    while due - began < seconds:
        due += chance.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(chance.choice(asked))))
    await asyncio.gather(*tasks)
    outcome.seconds = time.perf_counter() - began
    return outcome


async def _ask(connection: Connection, body: bytes, outcome: Outcome) -> int:
    began = time.perf_counter()
    outcome.asked += 1
    status = await connection.post(body)
    if status == 200:
        outcome.latencies.append(time.perf_counter() - began)
    elif status in (429, 503):
        outcome.refused += 1
    else:
        outcome.other.append(str(status))
    return status


async def report(model: str, seconds: float, most: float) -> None:
    """Run every part and print its figures."""
    small, large = bodies(10), bodies(1000, 20)
    every = os.sched_getaffinity(0)
    async with server(model, most, every) as running:
        await closed(running.port, 8, small, 2)  # warm
        print(f"\nClients that wait for their answer, 10 candidates a request ({seconds:g} s each)\n{HEADER}")
        for clients in (1, 8, 64):
            print((await closed(running.port, clients, small, seconds)).line(f"{clients} clients", 10))
    clients_cpus = {max(every)}
    server_cpus = every - clients_cpus or every
    async with server(model, most, server_cpus) as running:
        with on(clients_cpus):
            await closed(running.port, 8, small, 2)
            print(f"\nThe server on {len(server_cpus)} CPU(s), clients on another; queue of at most {most:g} s")
            print(f"{HEADER}     MB")
            outcome = await closed(running.port, 64, small, seconds)
            capacity = len(outcome.latencies) / outcome.seconds
            print(outcome.line("64 clients", 10), f"{running.resident():6.0f}")
            for load in (0.5, 1.0, 2.0):
                outcome = await opened(running.port, load * capacity, small, seconds)
                print(outcome.line(f"{load:g} x {capacity:.0f} requests/s", 10), f"{running.resident():6.0f}")
    async with server(model, 60.0, every) as running:
        port = running.port
        await closed(port, 8, small, 2)
        print(f"\nSmall requests beside large ones (10 candidates, each 50 ms after the last)\n{HEADER}")
        print((await closed(port, 1, small, seconds, 0.05)).line("alone", 10))
        beside = asyncio.create_task(closed(port, 2, large, seconds + 1))
        await asyncio.sleep(0.5)
        outcome = await closed(port, 1, small, seconds, 0.05)
        print(outcome.line("beside 2 clients of 1,000", 10))
        print((await beside).line("these 2 clients", 1000))
    clients_part = os.times()
    print(f"\nThis process, all clients together, took {clients_part.user + clients_part.system:.1f} s of CPU.")


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--seconds", type=float, default=10.0)
    # So short that the queue is full within a part, before all connections are taken; a slow model needs more.
    parser.add_argument("--max-wait", type=float, default=1.0, help="the server's, while load is random; seconds")
    given = parser.parse_args()
    asyncio.run(report(given.model, given.seconds, given.max_wait))


if __name__ == "__main__":
    main()
