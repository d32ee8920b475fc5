"""An index moves to another engine and back, whole and with every id; cut off, it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from servers import ENGINES, fresh_schema, location_of
from store_samples import QUERY, Item, ids, item, open_store, stored

from rag.errors import IndexDamaged, IndexLocked, IndexMismatch
from rag.migration import migrate
from rag.store import Location, Store
from rag.terms import sound
from rag.types import Document


@pytest.fixture(params=ENGINES[1:])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    with location_of(request.param, tmp_path / "there") as location:
        yield location


@pytest.fixture
def here(tmp_path: Path) -> Location:
    return Location(tmp_path / "here")


def fill(location: Location) -> None:
    """Documents in another order than their passages, some gone, one without passages, one renamed."""
    with open_store(location) as store:
        store.replace([item(f"s{i}", f"word{i} owl", "seal", title=f"Title {i}") for i in range(30)])
        store.replace(
            [item("s3", "walrus owl", "elk", "heron", root="elsewhere"), item("s1", "later owl"), item("none")]
        )
        store.remove([5, 6])
        store.rename(9, Document("root", "renamed", "Renamed", "text/plain", "", ""))
        store.set_meta("default_root", "root")
        store.set_meta("readers root", f"7 {store.place()}")


def everything(store: Store) -> dict[str, object]:
    whole = [store.document(document.id) for document in store.documents()]
    return {
        "passages": store.passages(range(1, 200)),
        "documents": whole,
        "listing": store.listing(),
        "vectors": store.vectors(sorted(stored(store))).tolist(),
        "dense": [i for i, _ in store.dense(QUERY, 100)],
        "keyword": [(i, round(score, 9)) for i, score in store.keyword(["owl", "walrus", "renam"], 100)],
        "words": store.words_held(["owl", "seal", "walrus", "renamed"]),
        "names": store.names_sounding(sound("renamed")),
        "frequencies": store.document_frequency(["owl", "seal", "renamed"]),
        "centre": store.centre().vector.tolist(),
        "meta": (store.meta("default_root"), store.meta("readers root") == f"7 {store.place()}"),
    }


def assert_same(here: Location, there: Location) -> None:
    with open_store(here) as first, open_store(there) as second:
        assert everything(second) == everything(first)
        second.verify()


def test_all_that_is_asked_has_the_same_answer_there_and_back(here: Location, there: Location, tmp_path: Path) -> None:
    fill(here)
    back = Location(tmp_path / "back")
    assert migrate(here, there).copied == 30
    assert migrate(there, back)[1:] == migrate(here, Location(tmp_path / "third"))[1:]
    with open_store(here) as first, open_store(there) as second, open_store(back) as third:
        before = everything(first)
        assert everything(second) == before
        assert everything(third) == before
        second.verify()
        highest = max(stored(first))
        for store in (second, third):  # and no id is given twice from here on
            (new,) = store.replace([item("new", "newest")])
            assert new > max(document.id for document in first.documents())
            assert ids(store.keyword(["newest"], 5)) == [highest + 1]
            assert highest + 1 in ids(store.dense(QUERY, 100))


class _CutOff(Exception):
    pass


def test_cut_off_it_goes_on_and_follows_what_changed(
    here: Location, there: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.migration._BATCH_PASSAGES", 10)
    fill(here)

    def cut_off(done: int, *_: int) -> None:
        if done > 12:
            raise _CutOff

    with pytest.raises(_CutOff):
        migrate(here, there, cut_off)
    with open_store(here) as store:
        store.replace([item("s2", "changed owl"), item("new", "added owl")])
        store.remove([11])
        store.rename(1, Document("root", "moved", "Moved", "text/plain", "", ""))
    done = migrate(here, there)
    assert 0 < done.copied < 30
    assert_same(here, there)


def test_an_index_that_was_emptied_holds_all_of_the_copy(here: Location, there: Location) -> None:
    fill(here)
    with open_store(there) as store:
        store.replace([item("before", "one", "two", "three")])
        store.remove([1])
    migrate(here, there)
    assert_same(here, there)


def test_of_two_that_copy_at_once_the_later_does_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.migration._BATCH_PASSAGES", 10)
    with location_of("postgresql", tmp_path) as here, location_of("postgresql", tmp_path) as there:
        fill(here)
        later: list[int] = []

        def overtaken(done: int, *_: int) -> None:
            if done > 12 and not later:
                later.append(0)
                later[0] = migrate(here, there).copied

        with pytest.raises(IndexLocked, match="another process copies"):
            migrate(here, there, overtaken)
        assert 0 < later[0] < 30
        assert_same(here, there)


def test_a_folder_keeps_its_name_there_and_back(tmp_path: Path) -> None:
    """In an index that is shared by its whole path: each machine has a "./documents"."""
    here, shared, back = (
        Location(tmp_path / "project" / "index"),
        Location(tmp_path, fresh_schema()),
        Location(tmp_path / "project" / "back"),
    )
    with open_store(here) as store:
        store.replace(
            [item("a", "owl", root="./documents"), item("b", "owl", root="."), item("c", "owl", root="/else")]
        )
        store.set_meta("default_root", "./documents")
        store.set_meta("readers ./documents", "7 elsewhere")
    migrate(here, shared)
    migrate(shared, back)
    whole = tmp_path / "project"
    for location, roots in (
        (shared, [f"{whole}/documents", f"{whole}", "/else"]),
        (back, ["./documents", ".", "/else"]),
    ):
        with open_store(location) as store:
            assert [document.root for document in store.documents()] == roots
            assert store.meta("default_root") == roots[0]
            assert store.meta(f"readers {roots[0]}") == "7 elsewhere"
            assert location.root_of(whole / "documents") == roots[0]
    assert migrate(here, shared).copied == 0


def test_ids_that_were_given_are_given_to_nobody_there(here: Location, there: Location) -> None:
    with open_store(here) as store:
        store.replace([item("a", "owl"), item("b", "seal", "elk")])
        store.remove([2])
    migrate(here, there)
    with open_store(there) as store:
        assert store.replace([item("c", "heron")]) == [3]
        assert sorted(stored(store)) == [1, 4]


def test_nobody_writes_to_what_is_being_copied(
    here: Location, there: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.migration._BATCH_PASSAGES", 10)
    fill(here)

    def write(*_: int) -> None:
        with open_store(there) as store:
            with pytest.raises(IndexLocked, match="let 'rag migrate' finish it first"):
                store.replace([item("new", "owl")])
            with pytest.raises(IndexDamaged, match="is half a copy"):
                store.verify()
        with pytest.raises(IndexMismatch, match="is half a copy"):
            migrate(there, Location(here.index_dir.with_name("third")))
        raise _CutOff

    with pytest.raises(_CutOff):
        migrate(here, there, write)
    migrate(here, there)
    with open_store(there) as store:
        store.replace([item("new", "owl")])


def test_nothing_is_lost_that_is_there(here: Location, there: Location) -> None:
    fill(here)
    with open_store(there) as store:
        store.replace([item("kept", "owl")])
    with pytest.raises(IndexMismatch, match="1 documents, which would be lost; name an empty"):
        migrate(here, there)
    with open_store(there) as store:
        assert [document.source for document in store.documents()] == ["kept"]


def test_what_was_copied_once_is_not_overwritten_later(here: Location, there: Location) -> None:
    fill(here)
    migrate(here, there)
    with open_store(there) as store:
        store.replace([item("new", "owl")])
    with pytest.raises(IndexMismatch, match="which would be lost"):
        migrate(here, there)


def test_what_is_there_already_is_not_copied_again(here: Location, there: Location) -> None:
    fill(here)
    assert migrate(here, there).copied == 30
    with open_store(here) as store:
        assert migrate(here, there) == (0, *store.count())


def test_only_the_vectors_go_where_the_catalogue_stays(tmp_path: Path) -> None:
    with location_of("milvus", tmp_path / "here") as milvus:
        here = Location(milvus.index_dir)
        fill(here)
        for source, target in ((here, milvus), (milvus, here)):
            assert migrate(source, target).copied == 0
            assert_same(source, target)


def test_there_has_to_be_an_index(here: Location, there: Location) -> None:
    with pytest.raises(IndexMismatch, match=r"there is no index in .*here; run 'rag ingest' first"):
        migrate(here, there)
    with pytest.raises(IndexMismatch, match="already"):
        migrate(here, here)
    with closing(there.open_catalogue()) as catalogue:
        assert not catalogue.exists()


def test_vectors_are_filled_again_from_what_is_stored(there: Location) -> None:
    items: list[Item] = [item(f"s{i}", "owl", "seal") for i in range(5)]
    with open_store(there) as store:
        store.replace(items)
        before = store.dense(QUERY, 5)
    Store.rebuild_vectors(there)
    with open_store(there) as store:
        assert store.dense(QUERY, 5) == before
