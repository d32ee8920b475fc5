"""The public question sets that the project is tuned on; they lie beside a checkout and are not part of it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import ir_measures
import pytest
from ir_measures import RR, R, nDCG

import rag
from eval import trec
from eval.evaluation import Evaluation, evaluate
from eval.gold import located, read_gold, sample

SETS = Path(__file__).parents[3] / "shared" / "evaldata"
pytestmark = pytest.mark.skipif(not SETS.is_dir(), reason="the public question sets are not beside this checkout")


def documents(name: str) -> dict[str, str]:
    lines = (SETS / name / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    return {document["id"]: document["text"] for document in map(json.loads, lines)}


@pytest.mark.parametrize(("name", "count"), [("wiki", 3135), ("multihop", 101), ("nfcorpus", 324), ("dialog", 116)])
def test_they_are_read_by_the_same_schema_and_their_labels_fit(name: str, count: int) -> None:
    texts = documents(name)
    questions = located(read_gold(SETS / name / "questions.jsonl"), texts, texts.__getitem__)
    assert len(questions) == count
    assert sum(len(question.relevance) for question in questions) > count / 2


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Ten graded queries over a part of their collection that holds what is relevant to them."""
    folder = tmp_path_factory.mktemp("nfcorpus")
    questions = sample(read_gold(SETS / "nfcorpus" / "questions.jsonl"), 10)
    texts = documents("nfcorpus")
    wanted = {name for question in questions for name in question.relevance}
    others = random.Random(0).sample(sorted(set(texts) - wanted), 100)
    kept = [{"id": name, "text": texts[name]} for name in [*others, *sorted(wanted)]]
    (folder / "part.jsonl").write_text("\n".join(map(json.dumps, kept)), encoding="utf-8")
    settings = rag.Settings(documents=folder / "part.jsonl", index_dir=folder / "index", llm="none")
    return evaluate(settings, questions, {"retrieval"})


def test_the_figures_of_a_run_agree_with_ir_measures(searched: Evaluation, tmp_path: Path) -> None:
    trec.write(tmp_path, searched.rows)
    qrels = list(ir_measures.read_trec_qrels(str(tmp_path / "qrels")))
    names = {"document R@1": R @ 1, "document R@5": R @ 5, "document R@20": R @ 20}
    names |= {"document MRR@10": RR @ 10, "document nDCG@10": nDCG @ 10}
    theirs = ir_measures.calc_aggregate(names.values(), qrels, ir_measures.read_trec_run(str(tmp_path / "hybrid.run")))
    for name, measure in names.items():
        figure = searched.figure(name)
        assert figure
        assert figure.interval.value == pytest.approx(theirs[measure], abs=1e-9), name
    for mode in ("dense", "keyword"):
        alone = ir_measures.calc_aggregate([nDCG @ 10], qrels, ir_measures.read_trec_run(str(tmp_path / f"{mode}.run")))
        figure = searched.figure(f"document nDCG@10, {mode} alone")
        assert figure
        assert figure.interval.value == pytest.approx(alone[nDCG @ 10], abs=1e-9)
        assert 0.1 < figure.interval.value < 1
