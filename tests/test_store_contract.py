"""What every store keeps to, whatever it is made of: the same tests on SQLite with FAISS, PostgreSQL, and Milvus."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from servers import ENGINES, location_of
from store_samples import DIMENSION, QUERY, Item, ids, item, open_store, slow_dense, stored, unit, vector_of

import rag.store
import rag.vectors
from rag.errors import DocumentsNotFound, DocumentUnreadable, IndexMismatch, RagError
from rag.store import FloatArray, Location, Store
from rag.terms import sound
from rag.types import Chunk, Document


@pytest.fixture(params=ENGINES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    with location_of(request.param, tmp_path / "index") as location:
        yield location


def found_text(store: Store, *terms: str) -> list[str]:
    return sorted(p.text for p in store.passages(ids(store.keyword(terms, 100))))


# -- documents and passages --------------------------------------------------------------------------------------------


def test_a_document_comes_back_as_it_was(store: Store) -> None:
    text = "Première page\n\t ليث\n🦉 ﬁn\n"
    document = Document("uploads", "résumé 🦉.pdf", "Titre", "application/pdf", "abc", text, pages=(0, 16))
    (document_id,) = store.replace([(document, [Chunk(0, 13, page=1, heading="Début")], unit(1)[None, :])])
    got = store.document(document_id)
    assert got == Document("uploads", "résumé 🦉.pdf", "Titre", "application/pdf", "abc", text, (0, 16), document_id)


def test_passages_are_cut_from_the_document(store: Store) -> None:
    document, chunks, vectors = item("a", "same", "same", "é\t🦉 same")
    (document_id,) = store.replace([(document, chunks, vectors)])
    passages = store.passages([1, 2, 3])
    assert [(p.start, p.end) for p in passages] == [(0, 4), (5, 9), (10, 18)]
    assert all(p.text == document.text[p.start : p.end] and p.document_id == document_id for p in passages)


def test_a_document_taken_out_is_put_back_as_it_was(location: Location, store: Store) -> None:
    first, second = item("a", "owl", "seal"), item("b", "elk")
    chunk = Chunk(0, 3, page=7, heading="Birds")
    store.replace([(first[0], [chunk, *first[1][1:]], first[2]), second])
    listed, whole, vectors = store.listing(), store.document(1), store.vectors([1, 2])
    shown = sorted((d.document.source, d.characters, d.passages) for d in listed)  # a second may have begun between
    assert shown == [("a", 8, 2), ("b", 3, 1)]
    assert all(d.changed.endswith("+00:00") for d in listed)
    stamp = store.stamp()
    taken = store.take_out(1)
    assert store.stamp() != stamp
    with open_store(location) as other:
        assert stored(other) == {3: ("b", "elk")}
        assert found_text(other, "owl", "elk") == ["elk"]
        assert [i for i, _ in other.dense(vectors[0], 5)] == [3]
        assert other.count() == (1, 1)
    store.put_back(taken)
    assert store.listing() == listed
    assert store.document(1) == whole
    assert [(p.id, p.start, p.end, p.page, p.heading) for p in store.passages([1, 2, 4, 5])] == [
        (4, 0, 3, 7, "Birds"),
        (5, 4, 8, None, ""),
    ]
    assert np.array_equal(store.vectors([4, 5]), vectors)
    assert found_text(store, "owl", "elk") == ["elk", "owl"]
    store.verify()
    with pytest.raises(DocumentUnreadable, match="a was added again meanwhile"):
        store.put_back(taken)
    store.remove([1])
    assert store.replace([item("c", "owl")]) == [3]  # its id is still nobody else's
    with pytest.raises(DocumentsNotFound):
        store.take_out(1)


def test_the_list_of_documents_has_no_text(store: Store) -> None:
    store.replace([item("b", "two"), item("a", "one", root="other"), item("a", "three")])
    assert [(d.source, d.root, d.text) for d in store.documents()] == [
        ("a", "other", ""),
        ("a", "root", ""),
        ("b", "root", ""),
    ]
    assert [d.source for d in store.documents_in("root")] == ["a", "b"]
    assert [d.root for d in store.documents_called("a")] == ["other", "root"]
    assert store.documents_in("\udcff nowhere") == store.documents_called("\udcff") == []
    assert store.count() == (3, 3)


def test_a_root_holds_the_roots_inside_it_and_no_others(store: Store) -> None:
    inside = ["papers", "papers/a.jsonl", "papers/🦉/b.jsonl"]
    others = ["paper", "papers.jsonl", "papers0", "papers-old/a", "Papers/a", "papers\uffff", "./papers/a"]
    store.replace([item(f"s{i}", "text", root=root) for i, root in enumerate(inside + others)])
    assert [d.root for d in store.documents_in("papers")] == inside


@pytest.mark.parametrize("document_id", [7, -1, 10**30])
def test_a_document_that_is_gone(store: Store, document_id: int) -> None:
    with pytest.raises(DocumentsNotFound, match="rag documents"):
        store.document(document_id)


def test_a_replaced_document_shows_only_its_new_text(store: Store) -> None:
    first = store.replace([item("a", "walrus", "shared", title="Ancient"), item("b", "shared")])
    second = store.replace([item("a", "shared", "heron", title="Modern")])
    assert second == first[:1]
    assert found_text(store, "walrus") == found_text(store, "ancient") == []
    assert found_text(store, "modern") == ["heron", "shared"]
    assert found_text(store, "shared") == ["shared", "shared"]
    assert store.passages([1, 2]) == []
    assert ids(store.dense(vector_of("a", "walrus"), 10)) == slow_dense(stored(store), vector_of("a", "walrus"), 10)
    assert store.words_held(["heron", "modern", "shared", "walrus", "ancient"]) == {
        "heron": 1,
        "modern": 2,
        "shared": 2,
    }
    assert store.document(first[0]).text == "shared\nheron"


def test_a_document_may_lose_all_its_passages(store: Store) -> None:
    store.replace([item("a", "walrus")])
    store.replace([item("a")])
    assert store.count() == (1, 0)
    assert store.keyword(["walrus"], 5) == store.dense(QUERY, 5) == []


def test_ids_are_never_used_twice(location: Location) -> None:
    with open_store(location) as store:
        store.replace([item("a", "one", "two")])
        (last,) = store.replace([item("b", "three")])
        store.remove([last])
    with open_store(location) as store:
        (new,) = store.replace([item("c", "four")])
        assert new > last
        assert ids(store.keyword(["four"], 5)) == [4]
        store.remove([1, new])
    with open_store(location) as store:
        store.replace([item("a", "one")])
        assert ids(store.dense(QUERY, 5)) == [5]


def test_of_two_versions_in_one_batch_the_later_stays(store: Store) -> None:
    assert store.replace([item("a", "old"), item("b", "b"), item("a", "new")]) == [1, 2, 1]
    assert sorted(text for _, text in stored(store).values()) == ["b", "new"]


def test_removing(store: Store) -> None:
    store.replace([item("a", "one"), item("b", "two"), item("c", "three")])
    store.remove([1, 3, 99])
    store.remove([])
    assert [d.source for d in store.documents()] == ["b"]
    assert ids(store.dense(QUERY, 5)) == ids(store.keyword(["one", "two", "three"], 5)) == [2]
    assert store.words_held(["one", "two", "three"]) == {"two": 1}


def changed(document: Document, **changes: str) -> Document:
    fields = {f: getattr(document, f) for f in ("root", "source", "title", "media_type", "sha256", "text")}
    return Document(**{**fields, **changes})


def broken_items() -> list[object]:
    document, chunks, vectors = item("bad", "one", "two")
    nan = np.full_like(vectors, np.nan)
    return [
        pytest.param((document, chunks, vectors[:1]), ValueError, id="a vector too few"),
        pytest.param((document, chunks, vectors[:, :8]), ValueError, id="another dimension"),
        pytest.param((document, chunks, vectors * 2), ValueError, id="not normalised"),
        pytest.param((document, chunks, nan), ValueError, id="not a number"),
        pytest.param((document, [Chunk(0, 99), Chunk(0, 1)], vectors), ValueError, id="a span past the end"),
        pytest.param((document, [Chunk(-3, 2), Chunk(0, 1)], vectors), ValueError, id="a span before the start"),
        pytest.param((document, [Chunk(2, 2), Chunk(0, 1)], vectors), ValueError, id="an empty span"),
        pytest.param(
            (changed(document, text="\ud800" * 9), chunks, vectors), DocumentUnreadable, id="half a character"
        ),
        pytest.param((changed(document, source="\udcff"), chunks, vectors), DocumentUnreadable, id="a name not UTF-8"),
    ]


@pytest.mark.parametrize(("bad", "error"), broken_items())
def test_a_batch_with_a_broken_item_changes_nothing(store: Store, bad: Item, error: type[Exception]) -> None:
    store.replace([item("a", "old")])
    with pytest.raises(error, match=r"bad|udcff"):
        store.replace([item("a", "new"), bad])
    assert [text for _, text in stored(store).values()] == ["old"]
    assert found_text(store, "new") == []


def test_a_name_that_is_not_unicode_is_given_to_no_document(store: Store) -> None:
    store.replace([item("a", "owl")])
    with pytest.raises(DocumentUnreadable, match="half a character"):
        store.rename(1, changed(store.document(1), source="\udcff"))
    assert [document.source for document in store.documents()] == ["a"]


def test_passages_in_the_order_asked_for(store: Store) -> None:
    store.replace([item("a", "one", "two", "three")])
    assert [p.text for p in store.passages([3, 99, 1, 3])] == ["three", "one", "three"]
    assert [p.text for p in store.passages(np.array([2, 1]))] == ["two", "one"]
    assert store.passages([]) == []


def test_vectors_in_the_order_asked_for(store: Store) -> None:
    store.replace([item("a", "one", "two")])
    got = store.vectors([2, 99, 1])
    expected = np.array([vector_of("a", "two"), np.zeros(DIMENSION), vector_of("a", "one")], dtype=np.float32)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected)
    assert store.vectors([]).shape == (0, DIMENSION)


def test_meta_stays_with_the_index(location: Location) -> None:
    with open_store(location) as store:
        assert store.meta("documents") is None
        store.set_meta("documents", "a")
        store.set_meta("documents", "b")
    with open_store(location) as store:
        assert store.meta("documents") == "b"


# -- searches ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=ENGINES)
def many(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Forty documents, some of them in two roots, some replaced or removed after the snapshot was written.

    For all tests, which only read.
    """
    with location_of(request.param, tmp_path_factory.mktemp("many")) as location, open_store(location) as store:
        store.replace([item(f"s{i}", *(f"word{j} passage {i}" for j in range(5))) for i in range(40)])
        store.replace([item(f"s{i}", f"word1 other {i}", root="elsewhere") for i in range(0, 40, 3)])
        store.replace([item(f"s{i}", f"word1 newer {i}", f"word2 newer {i}") for i in range(0, 40, 7)])
        store.remove([5, 6])
        yield store


FILTERS = [
    {},
    {"documents": ["s1"]},
    {"documents": ["s0", "s3", "s39"]},
    {"exclude": ["s3"]},
    {"exclude": [f"s{i}" for i in range(0, 30)]},
    {"documents": ["s0", "s1", "s7"], "exclude": ["s7"]},
    {"documents": ["nobody"]},
    {"documents": ["s1"], "exclude": ["s1"]},
    {"documents": {f"s{i}" for i in range(5000)}, "exclude": {f"x{i}" for i in range(5000)} | {"s2", "\udcff", "\0"}},
]


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("k", [1, 10, 10**12])
def test_dense_search_is_brute_force(many: Store, filters: dict[str, list[str]], k: int) -> None:
    hits = many.dense(QUERY, k, **filters)
    assert ids(hits) == slow_dense(stored(many), QUERY, k, **filters)
    passages = stored(many)
    for passage_id, cosine in hits:
        assert cosine == pytest.approx(float(vector_of(*passages[passage_id]) @ QUERY), abs=1e-6)


@pytest.mark.parametrize("filters", FILTERS)
def test_keyword_search_finds_every_passage_with_a_term(many: Store, filters: dict[str, list[str]]) -> None:
    hits = many.keyword(["word1", "newer"], 10**30, **filters)
    expected = {
        i
        for i, (source, text) in stored(many).items()
        if (not filters.get("documents") or source in filters["documents"])
        and source not in filters.get("exclude", ())
        and {"word1", "newer"} & set(text.split())
    }
    scores = [score for _, score in hits]
    assert set(ids(hits)) == expected
    assert all(score > 0 for score in scores)
    assert scores == sorted(scores, reverse=True)
    assert many.keyword(["word1", "newer"], 3, **filters) == hits[:3]


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("looked_at", [10**6, 3])
def test_beside_another_search_each_passage_has_its_score(
    many: Store, filters: dict[str, list[str]], looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rag.store, "_LOOKED_AT", looked_at)
    monkeypatch.setattr(rag.store, "_COMMON", 1.0)
    terms = ["word1", "newer", "nowhere"]
    dense = ids(many.dense(QUERY, 10, **filters))
    everything = dict(many.keyword(terms, 10**6, **filters))
    scores = many.keyword_beside(dense, terms, 2, **filters)
    assert scores == {i: pytest.approx(everything.get(i, 0.0)) for i in scores}
    assert {*scores} >= {*dense}


def test_frequent_terms_are_sought_beside_rare_ones_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.store, "_LOOKED_AT", 5)
    monkeypatch.setattr(rag.store, "_COMMON", 1.0)
    store.replace([item("a", *(f"bridge number {n}" for n in range(20)), "the old bridge of Kereva", "Kereva town")])
    rare = {i for i, p in stored(store).items() if "Kereva" in p[1]}
    assert {*store.keyword_beside([], ["bridge", "kereva"], 5)} == rare
    assert len(store.keyword_beside([], ["bridge"], 5)) == 5  # the rarest of one
    assert len(store.keyword_beside([], ["bridge", "kereva"], 50)) == 22  # as many as are wanted
    assert len(store.keyword_beside([], ["bridge", "kereva"], 50, documents=["a"])) == 22
    assert store.keyword_beside([], ["nowhere"], 5) == store.keyword_beside([], [], 5) == {}


def test_common_terms_of_a_large_index_do_not_count_beside_others(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.replace([item("a", *(f"bridge number {n}" for n in range(20)), "the old bridge of Kereva", "Kereva town")])
    terms = ["bridge", "kereva"]
    every, rare = dict(store.keyword(terms, 50)), dict(store.keyword(["kereva"], 50))
    assert store.keyword_beside([1], terms, 50) == pytest.approx(every)  # 21 of 22 hold it, and that is few
    monkeypatch.setattr(rag.store, "_LOOKED_AT", 5)
    assert store.keyword_beside([1], terms, 50) == pytest.approx({1: 0.0} | rare)
    assert store.keyword_scores([1, *rare], terms) == pytest.approx({1: 0.0} | rare)
    for alone in (["bridge"], ["bridge", "nowhere"]):  # nothing else was asked for, or is there
        assert store.keyword_beside([], alone, 50) == pytest.approx(dict(store.keyword(["bridge"], 50)))
    assert store.keyword_beside([1], terms, 50, documents=["a"]) == pytest.approx(every)
    assert store.keyword_scores([1], terms, documents=["a"]) == pytest.approx({1: every[1]})


def test_the_same_source_under_two_roots_is_filtered_as_one(store: Store) -> None:
    store.replace([item("a", "one", root="x"), item("a", "one more", root="y"), item("b", "one", root="x")])
    assert sorted(ids(store.dense(QUERY, 9, documents=["a"]))) == sorted(
        ids(store.keyword(["one"], 9, documents=["a"]))
    )
    assert ids(store.dense(QUERY, 9, exclude=["a"])) == ids(store.keyword(["one"], 9, exclude=["a"])) == [3]


def test_an_empty_index_finds_nothing(store: Store) -> None:
    assert store.count() == (0, 0)
    assert store.dense(QUERY, 5) == store.keyword(["a"], 5) == store.documents() == store.passages([1]) == []
    assert store.dense(QUERY, 5, documents=["a"], exclude=["b"]) == []
    assert store.document_frequency(["a"]) == {"a": 0}
    assert store.words_held(["walrus", "owl"]) == {}


@pytest.mark.parametrize("k", [0, -1])
def test_none_asked_for_none_found(many: Store, k: int) -> None:
    assert many.dense(QUERY, k) == many.keyword(["word1"], k) == []


def test_a_vector_of_another_model_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match=r"\(8,\) instead of \(16,\)"):
        store.dense(QUERY[:8], 5)


ODD_TERMS = ['"', '""', "*", "a*", "NEAR(", "NEAR(a b)", "^a", "a:b", "text:a", "{text}:a", "-", "+", "(", ")", "\\",
             "\0", "a\0b", "🦉", "\ud800", "", " ", "'", ";", "a AND", "--", "/*", "%", "_", "word" * 5000]  # fmt: skip


@pytest.mark.parametrize("term", ODD_TERMS)
def test_odd_terms_are_no_error(many: Store, term: str) -> None:
    alone = many.keyword([term], 5)
    assert many.document_frequency([term])[term] == len(many.keyword([term], 10**6))
    assert len(alone) <= 5
    assert {*ids(many.keyword(["word1", term], 10**6))} >= {*ids(many.keyword(["word1"], 10**6))}


@pytest.mark.parametrize("word", ["AND", "OR", "NOT", "NEAR", "and", "Or"])
def test_operators_are_words(store: Store, word: str) -> None:
    store.replace([item("a", f"he said {word.lower()} twice", "he said nothing")])
    assert found_text(store, word) == [f"he said {word.lower()} twice"]


def test_no_terms_no_hits_many_terms_many_hits(many: Store) -> None:
    assert many.keyword([], 5) == []
    terms = [f"t{i}" for i in range(5000)] + ["word3"]
    assert many.keyword(terms, 10**6) == many.keyword(["word3"], 10**6)


def test_words_are_stemmed_and_accents_ignored(store: Store) -> None:
    store.replace([item("a", "The commissions were Réunis", title="Budgets")])
    for term in ("commission", "reunis", "budget"):
        assert found_text(store, term) == ["The commissions were Réunis"]
        assert store.document_frequency([term]) == {term: 1}


def test_a_term_of_two_words_is_a_phrase(store: Store) -> None:
    store.replace([item("a", "prime minister", "minister prime")])
    assert found_text(store, "prime minister") == found_text(store, "prime-minister") == ["prime minister"]


@pytest.mark.parametrize("title", ["Kestrel Rovers", "kestrel rovers", "Lilu", "100%"])
def test_documents_are_found_by_their_title(store: Store, title: str) -> None:
    titles = {"1": "Kestrel Rovers", "2": "Lilu (mythology)", "3": "Kestrel Rovers II", "4": "100%", "5": "Lilu-la"}
    store.replace([item(source, "text", "more", title=name) for source, name in titles.items()])
    found = store.passages(store.titled([title, "no such title", "half \ud800"], 10))
    wanted = {"K": "Kestrel Rovers", "k": "Kestrel Rovers", "L": "Lilu (mythology)", "1": "100%"}[title[0]]
    assert {p.title for p in found} == {wanted}
    assert len(found) == 2
    assert len(store.titled([title], 1)) == 1
    assert store.titled([], 10) == []


def test_the_centre_is_the_mean_of_what_is_stored_now(store: Store) -> None:
    assert not store.centre().vector.any()
    for n in range(3):
        store.replace([item(str(n), "one", "two")])
        vectors = store.vectors(sorted(stored(store)))
        assert np.allclose(store.centre().vector, vectors.mean(axis=0), atol=1e-6)


def test_the_centre_of_some_documents_is_theirs_alone(store: Store) -> None:
    store.replace([item("a", "one", "two"), item("b", "three"), item("c", "four")])
    for sources in (["a"], ["b", "c"], ["a"], []):
        ids = sorted(i for i, (source, _) in stored(store).items() if source in sources or not sources)
        assert np.allclose(store.centre(sources).vector, store.vectors(ids).mean(axis=0), atol=1e-6)
    assert not store.centre(["gone"]).vector.any()


def test_the_centre_of_many_is_that_of_a_sample(store: Store) -> None:
    store.replace([item(str(n), *(f"text {n} {i}" for i in range(100))) for n in range(10)])
    everything = store.vectors(sorted(stored(store))).mean(axis=0)
    assert np.linalg.norm(store.centre().vector - everything) < 0.1


def test_document_frequencies_and_words_count_passages(store: Store) -> None:
    every = ["owl", "owls", "and", "an", "cafe", "café", "t1", "none"]
    store.replace([item("a", "Owl owl Owl", "owls and Café", title="T1"), item("b", "an owl")])
    assert store.document_frequency(["owl", "cafe", "none"]) == {"owl": 3, "cafe": 1, "none": 0}
    assert store.words_held(every) == {"owl": 2, "owls": 1, "and": 1, "an": 1, "cafe": 1, "t1": 2}
    store.replace([item("c", "owl"), item("b", "none")])
    assert store.words_held(every) == {"owl": 2, "owls": 1, "and": 1, "none": 1, "cafe": 1, "t1": 2}
    assert store.words_held([]) == {}


def test_names_by_their_sound(store: Store) -> None:
    store.replace([item("a", "Kazemi and Mohamed", "Muhammad"), item("b", "Muhammad", "a mohamed is no name")])
    assert store.names_sounding(sound("mohammed")) == {"muhammad": 2}
    assert store.names_sounding(sound("kadhimi")) == {"kazemi": 1}
    assert store.names_sounding("") == {}  # "and", "is", "no" have no sound
    store.replace([item("b")])
    assert store.names_sounding(sound("mohammed")) == {"mohamed": 1, "muhammad": 1}


# -- several readers and writers ---------------------------------------------------------------------------------------


def test_another_reader_sees_what_was_written(store: Store, location: Location) -> None:
    with open_store(location) as reader:
        assert reader.dense(QUERY, 5) == []
        for version in range(5):
            store.replace([item("a", f"version{version}", "b"), item(f"more{version}", "c")])
            assert reader.dense(QUERY, 50) == store.dense(QUERY, 50)
            assert ids(reader.dense(QUERY, 50)) == slow_dense(stored(store), QUERY, 50)
            assert found_text(reader, f"version{version}") == [f"version{version}"]
            assert reader.words_held([f"version{version}", f"version{version - 1}"]) == {f"version{version}": 1}


def test_reading_sees_one_state(store: Store) -> None:
    store.replace([item("a", "old one", "old two")])

    def write() -> None:
        store.replace([item("a", "new")])
        assert len(store.dense(QUERY, 5)) == 1  # the store now holds newer vectors than the open reading
        assert store.words_held(["old", "new"]) == {"new": 1}

    with ThreadPoolExecutor(1) as pool, store.reading():
        (before,) = store.documents()
        pool.submit(write).result()
        hits = store.dense(QUERY, 5)
        assert ids(hits) == slow_dense(stored(store), QUERY, 5)
        assert [p.text for p in store.passages(sorted(ids(hits)))] == ["old one", "old two"]
        assert store.document(before.id).text == "old one\nold two"
        assert ids(store.keyword(["old", "new"], 5)) == [1, 2]
        assert store.words_held(["old", "new", "one", "two"]) == {"old": 2, "one": 1, "two": 1}
        assert store.count() == (1, 2)
    assert found_text(store, "old", "new") == ["new"]
    assert ids(store.dense(QUERY, 5)) == [3]


def test_an_error_inside_reading_does_no_harm(store: Store) -> None:
    store.replace([item("a", "one")])
    with store.reading():
        with pytest.raises(DocumentsNotFound):
            store.document(99)
        assert store.count() == (1, 1)
    with pytest.raises(KeyError), store.reading():
        raise KeyError
    assert store.count() == (1, 1)


def test_threads_search_while_one_writes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.vectors, "LAG_ROWS", 5)
    store.replace([item(f"s{i}", *(f"version0 s{i} p{j}" for j in range(3))) for i in range(4)])
    done = threading.Event()

    def search() -> int:
        searches = 0
        while not done.is_set() or not searches:
            with store.reading():
                hits = store.dense(QUERY, 100)
                passages = store.passages(ids(hits))
                assert {p.id for p in passages} == set(ids(hits)) == set(ids(store.keyword(["p1", "p0", "p2"], 100)))
                assert ids(hits) == slow_dense({p.id: (p.source, p.text) for p in passages}, QUERY, 100)
                assert len(hits) == 12
                assert len({p.text.split()[0] for p in passages}) == 1  # a batch is one transaction
            searches += 1
        return searches

    with ThreadPoolExecutor(4) as pool:
        searching = [pool.submit(search) for _ in range(4)]
        try:
            for v in range(1, 13):
                store.replace([item(f"s{i}", *(f"version{v} s{i} p{j}" for j in range(3))) for i in range(4)])
        finally:
            done.set()
        assert all(s.result() for s in searching)


def test_threads_wait_for_each_other_to_write(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(lambda i: store.replace([item(f"s{i}", "one", "two")])[0], range(12)))
    assert sorted(written) == list(range(1, 13))
    assert store.count() == (12, 24)


def test_a_closed_store_says_so(location: Location) -> None:
    store = open_store(location)
    store.close()
    store.close()
    with pytest.raises(RagError, match="open it again"):
        store.count()
    with pytest.raises(RagError, match="open it again"):
        store.replace([item("a", "one")])


def test_closing_while_another_thread_reads(store: Store) -> None:
    store.replace([item("a", "one")])
    reading, closed = threading.Event(), threading.Event()

    def read() -> tuple[int, int]:
        with store.reading():
            reading.set()
            closed.wait()
            return store.count()

    with ThreadPoolExecutor(1) as pool:
        count = pool.submit(read)
        reading.wait()
        store.close()
        closed.set()
        assert count.result() == (1, 1)


# -- another model or splitter -----------------------------------------------------------------------------------------


def halves(document: Document) -> list[Chunk]:
    middle = len(document.text) // 2
    return [Chunk(0, middle), Chunk(middle, len(document.text))]


def embed_halves(document: Document, chunks: list[Chunk]) -> FloatArray:
    return np.array([unit(document.text[c.start : c.end], 8) for c in chunks])


def rebuild(location: Location) -> None:
    Store.rebuild(location, fingerprint="other model", dimension=8, chunk=halves, embed=embed_halves)


def test_an_index_of_another_model_names_the_cure(location: Location) -> None:
    open_store(location).close()
    with pytest.raises(IndexMismatch, match="run 'rag rebuild'"):
        open_store(location, "other model")
    with pytest.raises(IndexMismatch, match="run 'rag rebuild'"):
        Store.open(location, fingerprint="one model", dimension=8)


def test_rebuilding(location: Location) -> None:
    with open_store(location) as store:
        store.replace([item("a", "walrus", "heron"), item("b", "seal", root="other")])
        before = [store.document(i) for i in (1, 2)]
        store.set_meta("kept", "yes")
    rebuild(location)
    with Store.open(location, fingerprint="other model", dimension=8) as store:
        assert [store.document(i) for i in (1, 2)] == before
        hits = store.dense(unit("heron"[-6:], 8), 10)
        assert sorted(ids(hits)) == [4, 5, 6, 7]
        assert [p.text for p in store.passages([4, 5, 6, 7])] == ["walrus", "\nheron", "se", "al"]
        best = store.dense(unit("\nheron", 8), 1)
        assert best == [(5, pytest.approx(1.0, abs=1e-3))]
        assert ids(store.keyword(["walrus", "heron", "seal"], 9)) == [4, 5]
        assert store.words_held(["walrus", "heron", "se", "al", "seal"]) == {"walrus": 1, "heron": 1, "se": 1, "al": 1}
        assert store.meta("kept") == "yes"


def test_rebuilding_makes_an_open_store_refuse(store: Store, location: Location) -> None:
    store.replace([item("a", "walrus")])
    store.dense(QUERY, 5)
    rebuild(location)
    for use in (store.count, store.snapshot, lambda: store.dense(QUERY, 5), lambda: store.replace([item("b", "x")])):
        with pytest.raises(IndexMismatch, match="restart"):
            use()


def test_a_rebuild_that_fails_changes_nothing(location: Location) -> None:
    with open_store(location) as store:
        store.replace([item("a", "walrus"), item("b", "heron")])

    def embed(document: Document, chunks: list[Chunk]) -> FloatArray:
        if document.source == "b":
            raise MemoryError
        return embed_halves(document, chunks)

    with pytest.raises(MemoryError):
        Store.rebuild(location, fingerprint="other model", dimension=8, chunk=halves, embed=embed)
    with open_store(location) as store:
        assert found_text(store, "walrus", "heron") == ["heron", "walrus"]
        assert ids(store.dense(QUERY, 5)) == slow_dense(stored(store), QUERY, 5)


def test_rebuilding_where_there_is_nothing_makes_an_empty_index(location: Location) -> None:
    rebuild(location)
    with Store.open(location, fingerprint="other model", dimension=8) as store:
        assert store.count() == (0, 0)
