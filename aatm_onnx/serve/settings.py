"""What a server is told when it starts."""

import re
from dataclasses import dataclass

_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/\sA-Z]+")


@dataclass(frozen=True)
class Limits:
    """What one request may ask, and what may wait.

    Work is counted in tokens, estimated from bytes (see `jobs.Group`), because a request is admitted before it is
    tokenized. The rate is measured in the same unit.

    Attributes:
        body_bytes: the most bytes of a request's body, or of one line of a batch.
        body_seconds: the longest time between two parts of a request's body.
        documents: the most documents of one request.
        characters: the most characters of one request's texts, each query and the instruction counted once.
        queued_pairs: the most pairs of requests (not of streams) that are admitted and not answered.
        queued_tokens: the same in estimated tokens.
        wait_seconds: a request is refused if it would wait for longer than this, by the measured rate.
        answer_seconds: the longest time from admission to answer; of a stream's line from its first slice.
        streams: the most batch streams at a time.
        spool_bytes: the most bytes of a batch's answers that wait for a client that does not read them.
    """

    body_bytes: int = 8_000_000
    body_seconds: float = 30.0
    documents: int = 10_000
    characters: int = 4_000_000
    queued_pairs: int = 50_000
    queued_tokens: int = 4_000_000
    wait_seconds: float = 60.0
    answer_seconds: float = 300.0
    streams: int = 8
    spool_bytes: int = 1_000_000_000


@dataclass(frozen=True)
class Settings:
    """How a server behaves.

    Attributes:
        limits: what it refuses.
        api_keys: clients without one of these are refused; empty lets everybody in.
        cors_origins: web origins whose pages may call the server; "*" means all.
        truncate: whether over-long pairs are cut where a request says nothing.
    """

    limits: Limits = Limits()
    api_keys: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    truncate: bool = True

    def __post_init__(self) -> None:
        """Refuse origins that no browser sends, with a ValueError."""
        for origin in self.cors_origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"The web origin {origin!r} is not as browsers send it: scheme and host in lower case, a port where"
                    " it is not the scheme's own, and no slash at the end, as in https://app.example or http://x:3000."
                )
