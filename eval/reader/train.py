"""Train the reader of rag/reading.py and write its small file.

    python -m eval.reader.train ../shared/evaldata --work FOLDER --out rag/weights/reader.safetensors [--without FOLD]

EVALDATA holds folders with documents.jsonl (`id`, `title`, `text`), and "wiki" also questions.jsonl.
Three stages, from texts alone to people's questions; each leaves `FOLDER/<stage>.safetensors`, and one whose
file is there is not done again. On two cores the three take about an hour and a half. The packaged
MiniLM is the start; its word vectors stay as they are. What was learnt is kept as matrices of low
rank beside the packaged weights (LoRA's form, Hu et al. 2021, found afterwards by singular values).
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModel

from rag import Assistant, Settings
from rag.bert import padded
from rag.embedding import model_folder
from rag.reading import pieces_of, windows_of
from rag.settings import PACKAGED_EMBEDDER

from . import examples
from .examples import Example, Group

_BATCH = 30  # examples
_SORTED_TOGETHER = 200  # groups, by length: less of a batch is padding
_RANK = 32
_CLOZE, _TEMPLATED = 20_000, 9_400  # examples of the first two stages
_TEMPLATED_BESIDE = 1_200  # and of the last, so that it forgets none of this
_LISTWISE = 0.5  # weight of the loss that compares the texts of one question
_NO_TOKEN = -1e4


class SpanReader(torch.nn.Module):
    """MiniLM with two logits for each token: the answer starts here, it ends here. The first token says "no answer"."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        self.encoder = AutoModel.from_config(config, add_pooling_layer=False)  # type: ignore[no-untyped-call]
        self.encoder.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
        self.encoder.embeddings.requires_grad_(False)
        self.head = torch.nn.Linear(config.hidden_size, 2)
        self.pieces = pieces_of(folder)

    def forward(self, batch: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        """(logits `[n, tokens, 2]`, targets `[n, 2]`); tokens that cannot be in an answer get `_NO_TOKEN`."""
        windows = windows_of(self.pieces, [(e.question, e.title, e.text) for e in batch])
        first = [windows.of.index(number) for number in range(len(batch))]  # of a text longer than a window, the start
        ids, mask, types = map(torch.from_numpy, padded([windows.rows[row] for row in first]))
        allowed = torch.zeros(ids.shape, dtype=torch.bool)
        allowed[:, 0] = True
        targets = torch.zeros(len(batch), 2, dtype=torch.long)
        for number, (row, example) in enumerate(zip(first, batch, strict=True)):
            tokens = windows.tokens[row]
            allowed[number, list(tokens)] = True
            if example.answer:
                start, end = example.answer
                inside = [column for column, token in tokens.items() if token.end > start and token.start < end]
                targets[number] = torch.tensor([inside[0], inside[-1]] if inside else [0, 0])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self.head(self.encoder(ids, mask, types).last_hidden_state)
        return logits.float().masked_fill(~allowed[..., None], _NO_TOKEN), targets


def loss(logits: torch.Tensor, targets: torch.Tensor, groups: Sequence[Group]) -> torch.Tensor:
    """Where it starts and ends; and, in each group, that a text with the answer scores above those without."""
    spans = (cross_entropy(logits[..., 0], targets[:, 0]) + cross_entropy(logits[..., 1], targets[:, 1])) / 2
    scores = (torch.logsumexp(logits[:, 1:], 1) - logits[:, 0]).mean(1)
    compared = []
    for of_group, group in zip(torch.split(scores, [len(group) for group in groups]), groups, strict=True):
        answers = torch.tensor([example.answer is not None for example in group])
        if answers.any() and not answers.all():
            compared.append(torch.logsumexp(of_group, 0) - torch.logsumexp(of_group[answers], 0))
    return spans + _LISTWISE * torch.stack(compared).mean() if compared else spans


def batches(groups: Sequence[Group], dice: random.Random) -> list[list[Group]]:
    """Whole groups of like length together, about `_BATCH` examples each, in random order."""
    groups = dice.sample(groups, len(groups))
    found: list[list[Group]] = []
    for i in range(0, len(groups), _SORTED_TOGETHER):
        batch: list[Group] = []
        for group in sorted(groups[i : i + _SORTED_TOGETHER], key=lambda group: max(len(e.text) for e in group)):
            if batch and sum(map(len, batch)) + len(group) > _BATCH:
                found.append(batch)
                batch = []
            batch.append(group)
        found.append(batch)
    return dice.sample(found, len(found))


def train(reader: SpanReader, epochs: Sequence[Sequence[Group]], rate: float, name: str, planned: float = 1.0) -> None:
    """AdamW; the rate rises over the first tenth and falls in a line, to 0 after `planned` times the steps."""
    steps = [batch for epoch, groups in enumerate(epochs) for batch in batches(groups, random.Random(epoch))]
    parameters = [p for p in reader.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, rate, weight_decay=0.01)
    total = planned * len(steps)
    warm = 0.1 * total
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warm) * max(0.02, 1 - step / total)
    )
    reader.train()
    for step, groups in enumerate(steps, start=1):
        logits, targets = reader([example for group in groups for example in group])
        value = loss(logits, targets, groups)
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 50 == 0:
            print(f"{name}: step {step} of {len(steps)}, loss {float(value):.3f}", flush=True)


def exported(reader: SpanReader, folder: Path) -> dict[str, torch.Tensor]:
    """What rag/reading.py adds to the packaged weights: left · right of rank `_RANK` for a matrix, vectors whole."""
    base = load_file(folder / "model.safetensors")
    found = {"head.weight": reader.head.weight.detach().half()}
    for name, weight in reader.encoder.state_dict().items():
        if name.startswith("embeddings.") or name not in base:
            continue
        if weight.ndim == 2:
            left, strengths, right = torch.linalg.svd(weight - base[name], full_matrices=False)
            root = strengths[:_RANK].sqrt()
            found[f"{name}.left"] = (left[:, :_RANK] * root).half().contiguous()
            found[f"{name}.right"] = (root[:, None] * right[:_RANK]).half().contiguous()
        else:
            found[name] = weight.half().contiguous()
    return found


def main() -> None:
    """See the module's own words."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("evaldata", type=Path)
    options.add_argument("--work", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument(
        "--without", type=int, default=examples.KEPT_FOLD, help="the fold of titles that is kept from it"
    )
    chosen = options.parse_args()
    torch.manual_seed(1)
    chosen.work.mkdir(parents=True, exist_ok=True)
    folder = model_folder(PACKAGED_EMBEDDER)
    reader = SpanReader(folder)
    seen = [
        document
        for name in ("wiki", "multihop", "dialog")
        for document in lines(chosen.evaldata / name / "documents.jsonl")
        if not examples.held_out(document["title"], chosen.without)
    ]
    wiki = chosen.evaldata / "wiki"
    for stage in (_cloze, _templates, _questions):
        file = chosen.work / f"{stage.__name__.strip('_')}.safetensors"
        if not file.exists():
            stage(reader, seen, wiki, chosen.without)
            save_file(reader.state_dict(), file)
        reader.load_state_dict(load_file(file))
    save_file(exported(reader, folder), chosen.out)
    print(f"{chosen.out}: {chosen.out.stat().st_size / 1e6:.1f} MB")


def _cloze(reader: SpanReader, seen: Sequence[Mapping[str, Any]], wiki: Path, without: int) -> None:
    documents = [d for d in lines(wiki / "documents.jsonl") if not examples.held_out(d["title"], without)]
    train(reader, [[[example] for example in examples.cloze(documents, _CLOZE, seed=0)]], 1.5e-4, "cloze")


def _templates(reader: SpanReader, seen: Sequence[Mapping[str, Any]], wiki: Path, without: int) -> None:
    train(reader, [examples.templated(seen, _TEMPLATED, seed=1)], 1e-4, "templates")


def _questions(reader: SpanReader, seen: Sequence[Mapping[str, Any]], wiki: Path, without: int) -> None:
    documents = {document["id"]: document for document in lines(wiki / "documents.jsonl")}
    questions = list(lines(wiki / "questions.jsonl"))
    with searching(wiki / "documents.jsonl") as assistant:
        found = {q["id"]: alike(assistant, q) for q in questions}
    mine = [q for q in questions if not examples.held_out(title_of(q, documents, found[q["id"]]), without)]
    by_question = {(q["question"], tuple(q.get("exclude") or ())): found[q["id"]] for q in mine}
    epochs = []
    for epoch in range(2):
        dice = random.Random(epoch)
        groups = examples.asked(mine, documents, lambda q, exclude: by_question[q, tuple(exclude)], dice)
        beside = examples.templated(seen, _TEMPLATED_BESIDE, seed=epoch)
        epochs.append([*groups, *beside])
    train(reader, epochs, 7e-5, "questions", planned=1.5)


@contextmanager
def searching(documents: Path) -> Iterator[Assistant]:
    """An assistant over a collection, with an index for the time being."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(documents=documents, index_dir=Path(folder) / "index")
        with Assistant.open(settings) as assistant:
            yield assistant


def alike(assistant: Assistant, question: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(source, title, text) of the passages that look most alike: by their words and by their meaning, in turn."""
    exclude = tuple(question.get("exclude") or ())
    by_mode = [assistant.search(question["question"], 5, mode=mode, exclude=exclude) for mode in ("dense", "keyword")]
    hits = {hit.passage.id: hit.passage for pair in zip(*by_mode, strict=False) for hit in pair}
    return [(passage.source, passage.title, passage.text) for passage in hits.values()]


def title_of(question: Mapping[str, Any], documents: Mapping[str, Any], found: Sequence[tuple[str, str, str]]) -> str:
    """The title that a question is about: of its evidence, or of what looks most alike."""
    gold = next((e["document"] for e in question["evidence"] if e["document"] in documents), None)
    return str(documents[gold]["title"]) if gold else found[0][1]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a .jsonl file."""
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


if __name__ == "__main__":
    main()
