from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from rag.kept import Kept, once


def test_each_value_is_made_once_and_comes_in_order() -> None:
    made: list[str] = []

    def lengths(new: list[str]) -> list[int]:
        made.extend(new)
        return [len(word) for word in new]

    kept = Kept[str, int](10)
    assert kept.get(["owl", "heron", "owl"], lengths) == [3, 5, 3]
    assert kept.get(["heron", "stork", "duck"], lengths) == [5, 5, 4]
    assert made == ["owl", "heron", "stork", "duck"]
    assert kept.get([], lengths) == []


def test_those_used_last_are_kept() -> None:
    kept = Kept[int, int](2)
    kept.get([1, 2], list)
    kept.get([1, 3], list)
    made: list[int] = []
    kept.get([1, 3], lambda new: made.extend(new) or new)  # type: ignore[func-returns-value]
    assert made == []
    kept.get([2], lambda new: made.extend(new) or new)  # type: ignore[func-returns-value]
    assert made == [2]


def test_more_than_fits_is_still_given() -> None:
    assert Kept[int, int](2).get([1, 2, 3], list) == [1, 2, 3]


def test_values_may_be_weighed() -> None:
    kept = Kept[str, str](10, weight=len)
    made: list[str] = []

    def shout(new: list[str]) -> list[str]:
        made.extend(new)
        return [word.upper() for word in new]

    for word in ("owl", "heron", "owl", "duck", "heron", "a bird of many words", "owl"):
        assert kept.get([word], shout) == [word.upper()]
    assert made == ["owl", "heron", "duck", "heron", "a bird of many words", "owl"]


def test_nobody_waits_while_another_makes() -> None:
    kept = Kept[int, int](10)
    both = Barrier(2, timeout=10)

    def together(new: list[int]) -> list[int]:
        both.wait()
        return new

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda n: kept.get([n], together), [1, 2])) == [[1], [2]]


def test_what_is_made_once_is_made_once_by_all_threads_and_again_after_an_error() -> None:
    outcomes = [ValueError("not yet"), object()]

    @once
    def made() -> object:
        time.sleep(0.05)
        if isinstance(found := outcomes.pop(0), ValueError):
            raise found
        return found

    with pytest.raises(ValueError, match="not yet"):
        made()
    with ThreadPoolExecutor(4) as pool:
        assert len({id(each) for each in pool.map(lambda _: made(), range(4))}) == 1
