"""Which of several backends gets the next request: a load balancer with a circuit breaker for each of them.

It opens no connection and asks nobody how they are: what it knows comes from the requests that are made anyway.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

_FIRST_S = 5.0  # that a backend is set aside for when it failed once
_LONGEST_S = 60.0  # and at most, however often it failed in a row


@dataclass
class _Circuit:
    under_way: int = 0  # requests
    turn: int = 0  # when it was last chosen
    failures: int = 0  # in a row; 0: the circuit is closed, that is, the backend is well
    until: float = 0.0  # it is set aside, on our clock
    is_probed: bool = False  # half open: its time is over, and one request finds out whether it is well again
    opened: int = 0  # how often


class Balancer:
    """Thread-safe. Backends are numbers from 0. `clock` gives seconds.

    A backend that fails is set aside for 5 s, for twice as long with each failure in a row, for 60 s at most. When its
    time is over it gets one request, and others only when that one has worked.
    """

    def __init__(self, backends: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._circuits = [_Circuit() for _ in range(backends)]
        self._turns = 0

    def take(self, among: Collection[int]) -> Lease:
        """The one with the fewest requests under way; in turn where several have as few.

        Where all `among`, at least one, are set aside: the one whose time is over first.
        """
        with self._guard:
            now = self._clock()
            chosen = min(sorted(among), key=lambda backend: self._rank(backend, now))
            circuit = self._circuits[chosen]
            self._turns += 1
            circuit.turn = self._turns
            circuit.under_way += 1
            probes = circuit.failures > 0 and not circuit.is_probed and circuit.until <= now
            circuit.is_probed |= probes
            return Lease(chosen, self._guard, self._clock, circuit, probes=probes)

    def _rank(self, backend: int, now: float) -> tuple[bool, float, int, int]:
        circuit = self._circuits[backend]
        if circuit.failures and (circuit.is_probed or circuit.until > now):
            return True, circuit.until, 0, 0
        return False, 0.0, circuit.under_way, circuit.turn


class Lease:
    """One request to `backend`, from when it is chosen to `end`. One that ends without a verdict says nothing."""

    def __init__(
        self, backend: int, guard: threading.Lock, clock: Callable[[], float], circuit: _Circuit, *, probes: bool
    ) -> None:
        self.backend = backend
        self._guard = guard
        self._clock = clock
        self._circuit = circuit
        self._probes = probes
        self._opened = circuit.opened
        self._has_ended = False

    def works(self) -> None:
        """The backend is well."""
        with self._guard:
            self._circuit.failures = 0
            self._circuit.is_probed = False

    def fails(self) -> float:
        """Set the backend aside. Returns for how many seconds; 0 when that was done already.

        Of many requests that one breakdown ends, one counts; and none that was made before the time was over, for want
        of others.
        """
        with self._guard:
            circuit = self._circuit
            if circuit.opened != self._opened or (circuit.failures and not self._probes):
                return 0.0
            seconds: float = min(_LONGEST_S, _FIRST_S * 2 ** min(circuit.failures, 10))
            circuit.failures += 1
            circuit.opened += 1
            circuit.until = self._clock() + seconds
            return seconds

    def end(self) -> None:
        """The request is over. To say so again changes nothing."""
        with self._guard:
            if not self._has_ended:
                self._has_ended = True
                self._circuit.under_way -= 1
                if self._probes:
                    self._circuit.is_probed = False
