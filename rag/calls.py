"""One prompt on its way to an LLM: its deadlines, and the next backend where one does not speak.

It knows no protocol: what a backend says comes from its `speak`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from queue import Empty, SimpleQueue
from typing import NamedTuple

from .balancer import Balancer
from .errors import LLMUnavailable
from .failures import OR_QUOTES, REFUSED, Failure, all_failed, failure
from .replies import Heard, Late, Piece, Request, Text, end_of
from .types import LLMOutcome

logger = logging.getLogger(__name__)


class Prompt(NamedTuple):
    """What is asked."""

    system: str
    user: str
    max_tokens: int


@dataclass(frozen=True)
class Backend:
    """One place where the LLM can be asked. `address`, without what is secret in it, is "" for one in this process.

    `cure` is what to do when it fails, `refused` what to say when it refuses the key.
    """

    speak: Callable[[Prompt, Request], Text]
    address: str = ""
    cure: str = f"try again, {OR_QUOTES}"
    refused: tuple[str, str] = REFUSED


class Pool:
    """The backends of one LLM, each of which could give any reply. Thread-safe.

    `deadlines`, for the first word and for the whole reply, are seconds. `outcomes` says how the last request to each
    backend went; None before there was one.
    """

    def __init__(
        self, name: str, backends: Sequence[Backend], deadlines: tuple[float, float], secrets: Sequence[str]
    ) -> None:
        self.name = name
        self.backends = backends
        self.deadlines = deadlines
        self.outcomes: list[LLMOutcome | None] = [None] * len(backends)
        self.is_closed = False
        self.balancer = Balancer(len(backends))
        self._secrets = secrets

    def failure(self, backend: int, error: Exception) -> Failure:
        """What any error of a backend means."""
        of = self.backends[backend]
        return failure(error, self.name, self._secrets, of.cure, of.refused)

    def close(self) -> None:
        """End the requests under way; those that follow end as they begin."""
        self.is_closed = True
        end_of(self, self.was_closed())

    def was_closed(self) -> LLMUnavailable:
        """What is raised from then on."""
        return LLMUnavailable(f"{self.name} was closed; open it again")


class Call:
    """One prompt, asked of one backend after the other until one speaks. Whoever has made it ends it.

    Each backend has an even share of the time in which the first word is due. When that is over, the next one is asked
    beside it, so that a slow one may still be the first to speak; one that fails is followed at once. Those that are
    set aside come last. Once a word was said nobody else is asked.
    """

    def __init__(self, pool: Pool, prompt: Prompt) -> None:
        self._pool = pool
        self._prompt = prompt
        self._heard: Heard = SimpleQueue()
        self._untried = set(range(len(pool.backends)))
        self._under_way: list[Request] = []
        self._failures: dict[int, Failure] = {}
        self._set_aside: dict[int, float] = {}  # for so many seconds
        self._started = 0.0

    def pieces(self) -> Iterator[str]:
        """The reply; an empty one has none. Raises LLMUnavailable."""
        request, piece = self._first()
        self._leave_all_but(request)
        self._warn()
        while piece is not None:
            yield piece
            piece = self._next()

    def test(self) -> LLMOutcome:
        """Ask every backend for its first word. How it went with the quickest; LLMUnavailable when none speaks."""
        while self._untried:
            self._ask()
        spoke: LLMOutcome | None = None
        while self._under_way:
            request, piece = self._hear(self._first_due)
            if request is None:
                self._give_up()
            elif self._speaks(request, piece):
                spoke = spoke or LLMOutcome(now(), request.seconds)
                self._leave(request)
        if spoke is None:
            raise self._all_failed()
        return spoke

    def end(self) -> None:
        """Hang up."""
        for request in list(self._under_way):
            self._leave(request)

    @property
    def seconds(self) -> float:
        """Since it was asked."""
        return time.monotonic() - self._started

    # -- until the first word ------------------------------------------------------------------------------------------

    def _first(self) -> tuple[Request, str | None]:
        """Whoever speaks first, and the word; None when that one has nothing to say."""
        self._ask()
        while True:
            share = max(0.0, self._first_due - time.monotonic()) / (1 + len(self._untried))
            request, piece = self._hear(time.monotonic() + share)
            if request is None:
                if not self._ask_next():
                    self._give_up()
                    raise self._all_failed()
            elif self._speaks(request, piece):
                assert piece is None or isinstance(piece, str)
                return request, piece
            elif (failed := self._failures[request.lease.backend]).of_the_request:
                raise failed
            elif not self._ask_next() and not self._under_way:
                raise self._all_failed()

    def _ask_next(self) -> bool:
        if not self._untried or time.monotonic() >= self._first_due:
            return False
        self._ask()
        return True

    def _ask(self) -> None:
        pool = self._pool
        if pool.is_closed:
            raise pool.was_closed()
        lease = pool.balancer.take(self._untried)
        self._untried.discard(lease.backend)
        means = partial(pool.failure, lease.backend)
        request = Request(pool, lease, self._heard, means, connect_s=min(pool.deadlines))
        self._under_way.append(request)
        try:
            reply = pool.backends[lease.backend].speak(self._prompt, request)
        except ImportError as error:
            raise means(error) from error
        # The clock starts now: the first reply of a process imports and loads, which no deadline could interrupt.
        self._started = self._started or time.monotonic()
        request.read(reply, until=self._started + pool.deadlines[1])
        if pool.is_closed:  # asked after the request can be found: one of both sees it
            pool.close()

    @property
    def _first_due(self) -> float:
        return self._started + min(self._pool.deadlines)

    def _speaks(self, request: Request, piece: Piece) -> bool:
        """Whether it has begun its reply, or has ended an empty one; else it has failed."""
        if isinstance(piece, Late):
            piece = self._too_late()
        if isinstance(piece, Failure):
            self._fail(request, piece)
            return False
        if isinstance(piece, LLMUnavailable):  # nobody listens, or it was closed
            raise piece
        request.lease.works()
        self._pool.outcomes[request.lease.backend] = LLMOutcome(now(), request.seconds)
        return True

    def _fail(self, request: Request, why: Failure, *, blamed: bool = True) -> None:
        backend = request.lease.backend
        self._failures[backend] = why
        self._pool.outcomes[backend] = LLMOutcome(now(), problem=str(why))
        if why.of_the_request:
            request.lease.works()
        elif blamed and (seconds := request.lease.fails()):
            self._set_aside[backend] = seconds
        self._leave(request)

    def _give_up(self) -> None:
        """The time is over, of which each had its share."""
        for request in list(self._under_way):
            self._fail(request, self._too_late())

    def _leave_all_but(self, speaker: Request) -> None:
        """Who was asked before the one that spoke was too slow."""
        asked = list(self._under_way)
        for request in asked[: asked.index(speaker)]:
            self._fail(request, self._no("first word", round(request.seconds, 1)))
        for request in asked[asked.index(speaker) + 1 :]:
            self._leave(request)

    def _warn(self) -> None:
        """Of what nobody else tells: the answer was written all the same."""
        for backend, seconds in self._set_aside.items():
            address, what = self._pool.backends[backend].address, self._failures[backend].what
            told = "%s%s; for %g s others are asked in its place; 'rag doctor' tests each"
            logger.warning(told, address, what, seconds)

    def _all_failed(self) -> LLMUnavailable:
        of = self._pool.backends
        return all_failed(self._pool.name, {of[each].address: why for each, why in sorted(self._failures.items())})

    # -- from the first word to the last -------------------------------------------------------------------------------

    def _next(self) -> str | None:
        """The speaker's next piece; None at the end. Nobody takes over in the middle of a reply."""
        total = self._pool.deadlines[1]
        request, piece = self._hear(self._started + total)
        if request is None or isinstance(piece, Late):
            piece = self._no("end of the reply", total)
            self._fail(self._under_way[0], piece, blamed=False)  # it may be a long reply
        elif isinstance(piece, Failure):
            self._fail(request, piece)
        if isinstance(piece, LLMUnavailable):
            raise piece
        return piece

    # -- always --------------------------------------------------------------------------------------------------------

    def _hear(self, until: float) -> tuple[Request | None, Piece]:
        """What one of those under way says next; no request when none does until then."""
        while True:
            try:
                request, piece = self._heard.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                return None, None
            if request in self._under_way:
                return request, piece

    def _leave(self, request: Request) -> None:
        self._under_way.remove(request)
        request.cut()
        request.lease.end()

    def _too_late(self) -> Failure:
        first, total = self._pool.deadlines
        limit, awaited = min((first, "first word"), (total, "end of the reply"))
        return self._no(awaited, limit)

    def _no(self, awaited: str, limit: float) -> Failure:
        cure = f"raise first_token_s and total_s, {OR_QUOTES}"
        return Failure(self._pool.name, f": no {awaited} within {limit:g} s", cure)


def now() -> str:
    """For an LLMOutcome."""
    return datetime.now(UTC).isoformat(timespec="seconds")
