"""Which backend is chosen: the fewest requests, in turn, and never one that is set aside while another is there."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag.balancer import Balancer, Lease


class Clock:
    """Goes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def two(clock: Clock) -> Balancer:
    return Balancer(2, clock)


BOTH = (0, 1)


def taken(balancer: Balancer, times: int) -> list[int]:
    """Who gets so many requests, one after the other."""
    chosen = []
    for _ in range(times):
        lease = balancer.take(BOTH)
        chosen.append(lease.backend)
        lease.end()
    return chosen


def fail(balancer: Balancer, backend: int) -> float:
    lease = balancer.take([backend])
    seconds = lease.fails()
    lease.end()
    return seconds


def test_ties_are_chosen_in_turn(two: Balancer) -> None:
    assert taken(two, 6) == [0, 1, 0, 1, 0, 1]


def test_who_has_fewer_requests_under_way_is_chosen(two: Balancer) -> None:
    busy = [two.take([0]) for _ in range(3)]
    assert [two.take(BOTH).backend for _ in range(3)] == [1, 1, 1]
    for lease in busy:
        lease.end()
        lease.end()  # counts once
    assert two.take(BOTH).backend == 0


def test_who_fails_is_left_out_until_its_time_is_over(two: Balancer, clock: Clock) -> None:
    assert fail(two, 0) == 5
    assert taken(two, 3) == [1, 1, 1]
    clock.now += 4.9
    assert taken(two, 2) == [1, 1]
    clock.now += 0.2
    assert 0 in taken(two, 2)


def test_the_time_grows_and_is_bounded_and_begins_anew_after_a_word(two: Balancer, clock: Clock) -> None:
    lengths = []
    for _ in range(7):
        lengths.append(fail(two, 0))
        clock.now += lengths[-1]
    assert lengths == [5, 10, 20, 40, 60, 60, 60]
    lease = two.take([0])
    lease.works()
    lease.end()
    assert fail(two, 0) == 5


def test_one_request_finds_out_whether_it_is_well_again(two: Balancer, clock: Clock) -> None:
    fail(two, 0)
    clock.now += 5
    others = [two.take(BOTH) for _ in range(4)]
    assert [lease.backend for lease in others] == [1, 0, 1, 1]
    others[1].works()
    assert two.take(BOTH).backend == 0


@pytest.mark.parametrize("verdict", [Lease.fails, Lease.end])
def test_a_probe_that_fails_sets_it_aside_again_and_one_that_is_given_up_does_not(
    two: Balancer, clock: Clock, verdict: object
) -> None:
    fail(two, 0)
    clock.now += 5
    probe = two.take([0])
    assert callable(verdict)
    verdict(probe)
    probe.end()
    assert (0 in taken(two, 2)) == (verdict is Lease.end)


def test_one_breakdown_counts_once_however_many_requests_it_ends(two: Balancer, clock: Clock) -> None:
    many = [two.take([0]) for _ in range(20)]
    assert [lease.fails() for lease in many] == [5] + [0] * 19
    clock.now += 5
    assert fail(two, 0) == 10


def test_a_request_from_before_the_breakdown_says_nothing_about_who_is_well_again(two: Balancer, clock: Clock) -> None:
    old = two.take([0])
    fail(two, 0)
    clock.now += 5
    probe = two.take([0])
    probe.works()
    probe.end()
    assert old.fails() == 0
    old.end()
    assert 0 in taken(two, 2)


def test_where_all_are_left_out_the_first_whose_time_is_over_is_chosen(two: Balancer, clock: Clock) -> None:
    fail(two, 1)
    clock.now += 1
    fail(two, 0)
    assert taken(two, 3) == [1, 1, 1]
    assert fail(two, 1) == 0  # before its time: it waits no longer for that
    clock.now += 4
    assert two.take(BOTH).backend == 1  # to see whether it is well
    assert two.take([0]).backend == 0  # there is nobody else


def test_a_word_from_one_that_is_left_out_lets_it_in_again(two: Balancer) -> None:
    late = two.take([0])
    fail(two, 0)
    late.works()
    late.end()
    assert 0 in taken(two, 2)


def test_of_many_threads_one_probes_and_none_is_lost(clock: Clock) -> None:
    balancer, together = Balancer(3, clock), threading.Barrier(8)
    fail(balancer, 0)
    clock.now += 5

    def ask(_: int) -> list[Lease]:
        together.wait()
        return [balancer.take(range(3)) for _ in range(100)]

    with ThreadPoolExecutor(8) as pool:
        leases = [lease for some in pool.map(ask, range(8)) for lease in some]
    asked = [lease.backend for lease in leases]
    assert asked.count(0) == 1
    assert abs(asked.count(1) - asked.count(2)) <= 1
    for lease in leases:
        lease.works()
        lease.end()
    assert sorted(balancer.take(range(3)).backend for _ in range(3)) == [0, 1, 2]
