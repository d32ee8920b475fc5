"""Stock llama-index parts over our index, and ours under theirs, with the real MiniLM on the real documents."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core import Document, Settings, StorageContext, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import MetadataMode, NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.types import VectorStoreQueryMode as Mode
from scripted import ScriptedLLM

import rag
from rag.adapters import QuotedQueryEngine, QuotedRetriever, QuotedVectorStore, embed_model
from rag.assistant import Assistant
from rag.embedding import PackagedEncoder, SentenceEncoder, model_folder
from rag.settings import PACKAGED_EMBEDDER

QUESTION = "Who is the head of the Counter-Terrorism Service?"
GOLD = "Abdel Wahab Al-Saadi as a head of the Counter-Terrorism Service"
CTS, WARS = "000_373ae191a64daa9e.txt", "004_2d7373b97c18fe89.txt"
NEARLY = 3e-3  # llama-index encodes in float32; we in bfloat16 where the CPU can, and store half precision


def cosines(some: object, others: object) -> np.ndarray:
    """Of unit vectors, row by row."""
    return (np.asarray(some) * np.asarray(others)).sum(axis=-1)


@pytest.fixture(autouse=True)
def _global_settings_stay_untouched() -> Iterator[None]:
    # Whoever reads Settings.llm or Settings.embed_model makes llama-index look for OpenAI.
    assert (Settings._llm, Settings._embed_model) == (None, None)
    yield
    assert (Settings._llm, Settings._embed_model) == (None, None)


@pytest.fixture(scope="module")
def minilm() -> BaseEmbedding:
    model: BaseEmbedding = embed_model(rag.Settings())
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Documents that a test may change."""
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "owls.txt").write_text("Owls hunt at night.\nThey hear a mouse under the snow.\n")
    (folder / "bees.txt").write_text("Bees dance to tell where flowers are.\n")
    return folder


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> rag.Settings:
    return rag.Settings(documents=folder, index_dir=tmp_path / "index", llm="none", refuse_below=0)


@pytest.fixture
def assistant(settings: rag.Settings, minilm: BaseEmbedding) -> Iterator[Assistant]:
    with Assistant.open(settings, embed_model=minilm) as assistant:
        yield assistant


def index_of(assistant: Assistant, minilm: BaseEmbedding) -> VectorStoreIndex:
    return VectorStoreIndex.from_vector_store(
        QuotedVectorStore(assistant),
        embed_model=minilm,
        callback_manager=CallbackManager([]),
        transformations=[TokenTextSplitter(chunk_size=12, chunk_overlap=0)],
    )


def node(minilm: BaseEmbedding, text: str, of: str | None = "doc", **metadata: Any) -> TextNode:
    relations = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=of)} if of else {}
    vector = minilm.get_text_embedding(text) if text else [1.0]
    return TextNode(text=text, embedding=vector, relationships=relations, metadata=metadata)


def ask(assistant: Assistant, minilm: BaseEmbedding, text: str, k: int = 10, **options: Any) -> VectorStoreQueryResult:
    query = VectorStoreQuery(minilm.get_query_embedding(text), similarity_top_k=k, query_str=text, **options)
    return QuotedVectorStore(assistant).query(query)


def texts(result: VectorStoreQueryResult) -> list[str]:
    return [n.get_content(MetadataMode.NONE) for n in result.nodes or []]


def sources(nodes: list[NodeWithScore]) -> list[str]:
    return [n.metadata["source"] for n in nodes]


def by_source(*pairs: tuple[FilterOperator, Any], key: str = "source", **options: Any) -> MetadataFilters:
    filters = [MetadataFilter(key=key, operator=operator, value=value) for operator, value in pairs]
    return MetadataFilters(filters=filters, **options)


def assert_exact(nodes: list[NodeWithScore], seeds: Path) -> None:
    assert nodes
    for each in nodes:
        found = each.node
        assert isinstance(found, TextNode)
        text = (seeds / found.metadata["source"]).read_text(encoding="utf-8")
        assert text[found.start_char_idx : found.end_char_idx] == found.text
        assert (found.metadata["start"], found.metadata["end"]) == (found.start_char_idx, found.end_char_idx)
        assert found.ref_doc_id == found.metadata["source"]


# -- in a stock pipeline -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["default", "text_search", "sparse", "hybrid"])
def test_a_stock_query_engine_answers_from_the_right_passage(
    seed_assistant: Assistant, minilm: BaseEmbedding, seeds: Path, mode: str
) -> None:
    llm = ScriptedLLM(replies=["Al-Saadi."])
    engine = index_of(seed_assistant, minilm).as_query_engine(llm, similarity_top_k=3, vector_store_query_mode=mode)
    response = engine.query(QUESTION)
    assert str(response) == "Al-Saadi."
    assert len(response.source_nodes) == 3
    assert any(GOLD in n.text for n in response.source_nodes)
    assert_exact(response.source_nodes, seeds)
    assert GOLD in llm.prompts[0]
    assert "start:" not in llm.prompts[0]  # offsets are not for the model


def test_the_best_comes_first_and_its_title_and_id_come_with_it(
    seed_assistant: Assistant, minilm: BaseEmbedding
) -> None:
    nodes = index_of(seed_assistant, minilm).as_retriever(similarity_top_k=5).retrieve(QUESTION)
    scores = [n.score or 0.0 for n in nodes]
    assert scores == sorted(scores, reverse=True)
    assert 0 < scores[0] <= 1.0001
    hit = seed_assistant.search(QUESTION, 1, mode="dense")[0]
    first = nodes[0]
    assert first.node_id == str(hit.passage.id)
    assert first.score == pytest.approx(hit.score, abs=NEARLY)
    assert (first.metadata["title"], first.metadata["page"]) == (hit.passage.title, None)
    assert seed_assistant.document(first.metadata["document_id"]).source == CTS


def test_a_stock_query_engine_takes_our_retriever(seed_assistant: Assistant, seeds: Path) -> None:
    llm = ScriptedLLM(replies=["Al-Saadi."])
    engine = RetrieverQueryEngine.from_args(QuotedRetriever(seed_assistant, k=3), llm=llm)
    response = engine.query(QUESTION)
    assert len(response.source_nodes) == 3
    assert any(GOLD in n.text for n in response.source_nodes)
    assert_exact(response.source_nodes, seeds)
    assert GOLD in llm.prompts[0]


def test_the_retriever_is_the_assistants_search(seed_assistant: Assistant) -> None:
    hits = seed_assistant.search(QUESTION, seed_assistant.settings.top_k)
    nodes = QuotedRetriever(seed_assistant).retrieve(QUESTION)
    assert [(n.node_id, n.score) for n in nodes] == [(str(h.passage.id), h.score) for h in hits]
    assert asyncio.run(QuotedRetriever(seed_assistant).aretrieve(QUESTION)) == nodes
    only = QuotedRetriever(seed_assistant, k=3, mode="keyword", documents=[WARS], exclude=[CTS]).retrieve(QUESTION)
    assert sources(only) == [WARS] * 3


def test_our_parts_leave_all_global_settings_alone(seed_assistant: Assistant) -> None:
    before = dict(vars(Settings))
    embed_model(rag.Settings())
    QuotedRetriever(seed_assistant).retrieve(QUESTION)
    QuotedQueryEngine(seed_assistant).query(QUESTION)
    QuotedVectorStore(seed_assistant).query(VectorStoreQuery(query_str=QUESTION, mode=Mode.SPARSE))
    assert vars(Settings) == before


def test_the_query_may_have_a_vector_of_its_own(seed_assistant: Assistant, minilm: BaseEmbedding) -> None:
    # As when llama-index has a model imagine the answer first (HyDE): neither search may embed the question again.
    elsewhere = minilm.get_query_embedding("James Rosenau's classification of revolutions")
    for mode in (Mode.DEFAULT, Mode.HYBRID):
        query = VectorStoreQuery([3 * x for x in elsewhere], query_str="revolutions", mode=mode)
        (text,) = texts(QuotedVectorStore(seed_assistant).query(query))
        assert "Rosenau" in text


# -- filters -----------------------------------------------------------------------------------------------------------

EQ, NE, IN, NIN = FilterOperator.EQ, FilterOperator.NE, FilterOperator.IN, FilterOperator.NIN


@pytest.mark.parametrize("mode", [Mode.DEFAULT, Mode.SPARSE, Mode.HYBRID])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {CTS, WARS}),
        ({"filters": by_source()}, {CTS, WARS}),
        ({"doc_ids": [WARS]}, {WARS}),
        ({"doc_ids": [WARS, CTS, "nowhere"]}, {CTS, WARS}),
        ({"doc_ids": []}, set()),
        ({"doc_ids": ["nowhere"]}, set()),
        ({"filters": by_source((EQ, WARS))}, {WARS}),
        ({"filters": by_source((IN, [WARS, "nowhere"]))}, {WARS}),
        ({"filters": by_source((IN, []))}, set()),
        ({"filters": by_source((NE, CTS))}, {WARS}),
        ({"filters": by_source((NIN, [CTS, WARS]))}, set()),
        ({"filters": by_source((IN, [CTS, WARS]), (NE, WARS))}, {CTS}),
        ({"filters": by_source((EQ, CTS), (EQ, WARS))}, set()),
        ({"filters": by_source((EQ, CTS)), "doc_ids": [WARS]}, set()),
    ],
)
def test_filters(
    seed_assistant: Assistant, minilm: BaseEmbedding, mode: Mode, options: dict[str, Any], expected: set[str]
) -> None:
    found = ask(seed_assistant, minilm, "Iraq's war with the Counter-Terrorism Service", k=40, mode=mode, **options)
    assert {n.metadata["source"] for n in found.nodes or []} == expected


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"filters": by_source((EQ, "x"), key="author")}, "'author'"),
        ({"filters": by_source((FilterOperator.GT, "x"))}, "'>'"),
        ({"filters": by_source((EQ, 7))}, "7"),
        ({"filters": by_source((IN, "x"))}, "'in'"),
        ({"filters": by_source((EQ, CTS), condition=FilterCondition.NOT)}, "'not'"),
        ({"filters": by_source((EQ, CTS), (EQ, WARS), condition=FilterCondition.OR)}, "'or'"),
        ({"filters": MetadataFilters(filters=[by_source((EQ, CTS))])}, "filters in filters"),
        ({"node_ids": ["1"]}, "'node_ids'"),
        ({"alpha": 0.0}, "'alpha'"),
        ({"mode": Mode.MMR}, "'mmr'"),
        ({"query_embedding": None}, "query_embedding"),
        ({"query_embedding": [1.0, 0.0]}, r"\(2,\)"),
        ({"query_str": None, "mode": Mode.HYBRID}, "query_str"),
        ({"query_str": "", "mode": Mode.TEXT_SEARCH}, "query_str"),
    ],
)
def test_what_is_not_supported_says_so(seed_assistant: Assistant, options: dict[str, Any], named: str) -> None:
    query = VectorStoreQuery(**{"query_embedding": [1.0] * 384, "query_str": "word", **options})
    with pytest.raises(ValueError, match=named):
        QuotedVectorStore(seed_assistant).query(query)


# -- adding and deleting -----------------------------------------------------------------------------------------------


def test_nodes_come_back_as_they_were_added(assistant: Assistant, minilm: BaseEmbedding) -> None:
    words = ["  Foxes dig\r\n\tdens. ", "Foxes bark.", "Foxes bark.", "狐 🦊"]
    added = [node(minilm, text, "foxes", title="On foxes", page_label="7") for text in words]
    ids = QuotedVectorStore(assistant).add(added)
    result = ask(assistant, minilm, "foxes", doc_ids=["foxes"])
    found = {n.node_id: n for n in result.nodes or []}
    assert [found[i].get_content(MetadataMode.NONE) for i in ids] == words
    assert len(set(ids)) == len(words)
    assert result.ids == list(found)
    for each in found.values():
        document = assistant.document(each.metadata["document_id"])
        assert (each.ref_doc_id, document.source) == ("foxes", "foxes")
        assert (each.metadata["title"], each.metadata["page"]) == ("On foxes", 7)
        assert document.text[each.metadata["start"] : each.metadata["end"]] == each.get_content(MetadataMode.NONE)
    assert texts(ask(assistant, minilm, "Foxes bark", k=1)) == ["Foxes bark."]


def test_ids_are_in_the_order_of_the_nodes(assistant: Assistant, minilm: BaseEmbedding) -> None:
    added = [node(minilm, f"Text {i}.", of) for i, of in enumerate(["a", "b", "a", None, "b"])]
    ids = QuotedVectorStore(assistant).add(added)
    found = {n.node_id: n for n in ask(assistant, minilm, "Text").nodes or []}
    assert [found[i].get_content(MetadataMode.NONE) for i in ids] == [f"Text {i}." for i in range(5)]
    assert [found[i].ref_doc_id for i in ids] == ["a", "b", "a", added[3].node_id, "b"]


def test_added_vectors_are_normalised(assistant: Assistant, minilm: BaseEmbedding) -> None:
    long = node(minilm, "Foxes bark.")
    long.embedding = [40 * x for x in long.get_embedding()]
    QuotedVectorStore(assistant).add([long])
    result = ask(assistant, minilm, "Foxes bark.", k=1)
    assert texts(result) == ["Foxes bark."]
    assert result.similarities == pytest.approx([1.0], abs=NEARLY)


def test_a_stock_index_of_new_documents(assistant: Assistant, minilm: BaseEmbedding) -> None:
    index = index_of(assistant, minilm)
    text = "Foxes dig dens in sandy banks. Otters sleep afloat and hold hands. Wolves howl in winter."
    index.insert(Document(id_="animals", text=text))
    (hit,) = index.as_retriever(similarity_top_k=1).retrieve("Which animal sleeps on the water?")
    assert "sleep afloat" in hit.text
    assert hit.text in text
    assert hit.text != text
    answer = assistant.ask("Who sleeps afloat and holds hands?")  # our own chain sees it too
    assert answer.citations[0].passage.source == "animals"


def test_a_document_may_come_in_batches(assistant: Assistant, minilm: BaseEmbedding) -> None:
    words = [f"Fact number {i} about foxes." for i in range(7)]
    VectorStoreIndex(
        [node(minilm, text, "foxes") for text in words],
        storage_context=StorageContext.from_defaults(vector_store=QuotedVectorStore(assistant)),
        embed_model=minilm,
        insert_batch_size=3,
        callback_manager=CallbackManager([]),
        transformations=[TokenTextSplitter()],
    )
    assert sorted(texts(ask(assistant, minilm, "foxes", doc_ids=["foxes"]))) == words


def test_adding_the_same_again_changes_nothing(assistant: Assistant, minilm: BaseEmbedding) -> None:
    for _ in range(2):
        QuotedVectorStore(assistant).add([node(minilm, "Foxes dig."), node(minilm, "Foxes bark.")])
    assert sorted(texts(ask(assistant, minilm, "foxes", doc_ids=["doc"]))) == ["Foxes bark.", "Foxes dig."]


def test_deleting_removes_and_no_id_comes_back(assistant: Assistant, minilm: BaseEmbedding) -> None:
    store = QuotedVectorStore(assistant)
    first = store.add([node(minilm, "Foxes dig.", "foxes"), node(minilm, "Otters swim.", "otters")])
    store.delete("foxes")
    store.delete("owls.txt")
    assert sorted(texts(ask(assistant, minilm, "animals"))) == [
        "Bees dance to tell where flowers are.",
        "Otters swim.",
    ]
    assert texts(ask(assistant, minilm, "Foxes", mode=Mode.SPARSE)) == []
    assert {d.source for d in assistant.documents()} == {"bees.txt", "otters"}
    second = store.add([node(minilm, "Wolves howl.", "wolves"), node(minilm, "Moles dig.", "moles")])
    assert not set(first) & set(second)
    by_id = {n.node_id: n.get_content(MetadataMode.NONE) for n in ask(assistant, minilm, "animals").nodes or []}
    assert by_id[first[1]] == "Otters swim."
    assert [by_id[i] for i in second] == ["Wolves howl.", "Moles dig."]


def test_deleting_what_is_not_there_is_no_error(assistant: Assistant) -> None:
    QuotedVectorStore(assistant).delete("nowhere")
    assert len(assistant.documents()) == 2


@pytest.mark.parametrize(
    ("broken", "message"),
    [({"embedding": None}, "embedding"), ({"embedding": [1.0, 2.0]}, "shape"), ({"text": ""}, "text")],
)
def test_a_node_that_cannot_be_stored_stores_nothing(
    assistant: Assistant, minilm: BaseEmbedding, broken: dict[str, Any], message: str
) -> None:
    good, bad = node(minilm, "Foxes dig.", "a"), node(minilm, "Foxes bark.", "b")
    for name, value in broken.items():
        setattr(bad, name, value)
    with pytest.raises(ValueError, match=message):
        QuotedVectorStore(assistant).add([good, bad])
    assert len(assistant.documents()) == 2


def test_what_was_added_is_kept_without_persisting(settings: rag.Settings, minilm: BaseEmbedding, folder: Path) -> None:
    with Assistant.open(settings, embed_model=minilm) as assistant:
        QuotedVectorStore(assistant).add([node(minilm, "Foxes dig dens.")])
    (folder / "owls.txt").unlink()
    with Assistant.open(settings, embed_model=minilm) as assistant:  # it prunes its own folder, not this
        assert {d.source for d in assistant.documents()} == {"doc", "bees.txt"}
        assert texts(ask(assistant, minilm, "fox", k=1)) == ["Foxes dig dens."]


# -- the query engine --------------------------------------------------------------------------------------------------


def test_the_query_engine_gives_the_checked_answer(seed_assistant: Assistant, seeds: Path) -> None:
    engine = QuotedQueryEngine(seed_assistant)
    response = engine.query(QUESTION)
    answer = seed_assistant.ask(QUESTION)
    assert str(response) == answer.text
    assert "Al-Saadi" in response.source_nodes[0].text
    assert_exact(response.source_nodes, seeds)
    assert [(n.metadata["marker"], n.metadata["quote"], n.text, n.score) for n in response.source_nodes] == [
        (c.marker, c.quote, c.quote, 1.0) for c in answer.citations
    ]
    assert {**response.metadata["answer"], "timings": {}} == {**answer.to_dict(), "timings": {}}
    json.dumps(response.metadata)
    again = asyncio.run(engine.aquery(QUESTION))
    assert (again.response, again.source_nodes) == (response.response, response.source_nodes)


def test_the_query_engine_asks_only_the_documents_it_may(seed_assistant: Assistant) -> None:
    for engine in (
        QuotedQueryEngine(seed_assistant, documents=[WARS]),
        QuotedQueryEngine(seed_assistant, exclude=[CTS]),
    ):
        passages = engine.query(QUESTION).metadata["answer"]
        assert {p["source"] for p in passages["passages"] + passages["nearest"]} == {WARS}


def test_a_refusal_has_no_source_nodes(settings: rag.Settings, minilm: BaseEmbedding) -> None:
    strict = settings.model_copy(update={"refuse_below": 1.0})
    with Assistant.open(strict, embed_model=minilm) as assistant:
        response = QuotedQueryEngine(assistant).query("Who is the Minister of Health?")
    assert response.metadata["answer"]["refused"] is True
    assert response.source_nodes == []
    assert "did not find" in str(response)


# -- the embedding model -----------------------------------------------------------------------------------------------


def test_the_vectors_are_those_of_our_encoder(minilm: BaseEmbedding, encoder: PackagedEncoder, seeds: Path) -> None:
    words = [*(seeds / CTS).read_text(encoding="utf-8").split("\n\n")[:9], "", " ", "狐 🦊"]
    theirs = np.array(minilm.get_text_embedding_batch(words))
    assert cosines(theirs, encoder.documents(words)).min() > 1 - NEARLY
    assert np.linalg.norm(theirs, axis=1) == pytest.approx(1.0, abs=NEARLY)
    assert cosines(minilm.get_query_embedding(QUESTION), encoder.queries([QUESTION])[0]) > 1 - NEARLY


def test_a_model_with_prompts_has_the_same_vectors_too(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder(PACKAGED_EMBEDDER), folder)
    prompts = {"query": "Question about a war: ", "document": "A page of a novel: "}
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    ours = SentenceEncoder("prompted", folder)
    theirs = embed_model(rag.Settings(embed_model=str(folder)))
    as_query, as_document = theirs.get_query_embedding(QUESTION), theirs.get_text_embedding(QUESTION)
    assert cosines(as_query, ours.queries([QUESTION])[0]) > 1 - NEARLY
    assert cosines(as_document, ours.documents([QUESTION])[0]) > 1 - NEARLY
    assert np.dot(as_query, as_document) < 0.99


def test_an_embedding_model_that_is_not_here(tmp_path: Path) -> None:
    with pytest.raises(rag.EmbeddingUnavailable, match="rag models pull"):
        embed_model(rag.Settings(embed_model="nobody/has-this-model"))
