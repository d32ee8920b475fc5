"""What is fuzzed: each target takes one text and says what was wrong, or nothing. What it may not raise, it must not.

`longest` is what the callers of a target let through; where they set no limit it is what a hostile file may have, tried
up to `FAR` characters, a document up to `DOCUMENT`. Growing a text beyond what can come in would find nothing that a
user meets.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from hypothesis import strategies as st
from known_words import KnownWords
from test_splitting import assert_exact

from eval.bars import BarsError, read_bars
from eval.baseline import BaselineError
from eval.baseline import load as load_baseline
from eval.chat import json_object
from eval.drafts import DraftsFile
from eval.gold import GoldError, read_gold
from eval.metrics import contains, dangling, exact_match, missing, normalise, same_words, token_f1
from rag import answertype, conversation, grounding, rewording, speechacts, terms
from rag.clauses import clauses
from rag.documents import COLLECTION_SUFFIX, read_collection, read_file
from rag.errors import DocumentUnreadable, PromptError, QuestionInvalid, SettingsError
from rag.evidence import Evidence, EvidenceFinder
from rag.folders import IGNORE_FILE, list_files
from rag.formats import storable
from rag.fulltext import best_passages, document_frequency
from rag.prompts import parse_prompt
from rag.quoting import choose, short_answer
from rag.reading import Answering
from rag.retrieval import possible_titles
from rag.schema import create_index
from rag.sentences import LIST_ITEM, sentences
from rag.settings import Settings
from rag.spelling import respelled
from rag.splitting import chunks, headings
from rag.templates import proposals
from rag.tokens import tokens
from rag.types import Answer, Dropped, Failure, Message, Passage, Span
from rag.units import ANSWER_WORDS, listed, units_of
from rag.uploads import checked_name
from rag.web import completions, conversations, markdown, render, turns
from rag.web.asked import Asked
from rag.writing import Copy

from . import generating as say
from .subject import ScriptedEncoder

FAR, DOCUMENT = 32_000, 400_000
QUESTION = 4_000  # `question_chars`; of earlier turns no more is looked at
REPLY = 8_000  # `writing` reads no more of what an LLM writes
CLAIM = 1_500  # `grounding` drops a longer sentence unread

Check = Callable[[str], str | None]


@dataclass(frozen=True)
class Target:
    """`check` says what was wrong. `seeds` are texts that it takes as they should be."""

    name: str
    check: Check
    fragments: Sequence[str]
    seeds: Sequence[str] = ()
    longest: int = FAR
    structured: st.SearchStrategy[str] | None = None
    share: float = 1.0  # of the cases
    each: int = 700  # characters of a case
    timed: bool = True


class Wrong(AssertionError):
    """Something that was promised does not hold."""


def ensure(holds: object, what: str) -> None:
    if not holds:
        raise Wrong(what)


def one_plain_line(error: BaseException | str) -> None:
    ensure(len(str(error).splitlines()) == 1, f"the message has several lines: {str(error)[:200]!r}")


@contextmanager
def told(*kinds: type[Exception]) -> Iterator[None]:
    """An error of these kinds is an answer, if it is one plain line."""
    try:
        yield
    except kinds as error:
        one_plain_line(error)


def two(text: str) -> tuple[str, str]:
    one, _, other = text.partition(say.PAIR)
    return one, other


# -- what an LLM writes ------------------------------------------------------------------------------------------------

_A_MARKER = re.compile(r"[\[［【]\s*\d{1,3}\s*[\]］】]")


def markers(text: str) -> None:
    found = grounding.claims(text)
    ensure(grounding.completed_claims(text) == found[:-1], "completed claims are not the first ones")
    for claim in found:
        ensure(len(claim.cited) < 1_000 and min(claim.cited, default=0) >= 0, f"it cites {claim.cited[:9]}")
        ensure(not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", claim.text), "it drives a terminal")
    displayed = grounding.shown(text)
    ensure(not _A_MARKER.search(displayed), f"a marker is left: {displayed[:99]!r}")
    ensure(grounding.shown(displayed) == displayed, "shown twice is something else")
    grounding.says_not_found(text)


def copied(text: str) -> None:
    quote, begun = two(text)
    copy = Copy(quote)
    if not LIST_ITEM.match(quote):  # its mark does not count, and `claims` has none
        ensure(not copy.against(quote), "a quote is no copy of itself")
        ensure(not copy.stray(quote[: len(quote) // 2].rpartition(" ")[0]), "the beginning of a quote strays from it")
    copy.against(begun)


def reworded(text: str) -> None:
    claim, sentence = (part[:CLAIM] for part in two(text))
    ensure(isinstance(rewording.changed(claim, sentence, (sentence[:50],)), str), "no text")
    length = len(tokens(claim))
    if length and length + len(sentences(claim)) <= rewording.MOST_TOKENS and not speechacts.asks(claim):
        ensure(not rewording.changed(claim, claim), f"it is none of itself: {rewording.changed(claim, claim)}")
        ensure(not rewording.first_unsaid(claim, claim), "it does not say what it says")


def checked(text: str) -> None:
    """The checker, over a passage and a reply that may copy it; the encoder is scripted."""
    body, reply = two(storable(text))  # so come documents and replies
    found = _passages(body, 60)[:3]
    checker = grounding.Checker(found, EvidenceFinder(ScriptedEncoder()), ScriptedEncoder())
    composer = grounding.Composer()
    for claim in grounding.claims(f"{reply}\n{body[:300]}")[:4]:
        outcome = checker.check(claim)
        if isinstance(outcome, Dropped):
            one_plain_line(outcome.reason)
            continue
        quote = outcome.quote
        ensure(body[quote.start : quote.end] == quote.text != "", "the quote does not stand there")
        ensure(terms.numbers(claim.text) <= terms.numbers(quote.text), "it backs another number")
        composer.verified(claim, outcome)
    ensure(dangling(composer.text, [c.marker for c in composer.citations]) == 0, f"markers: {composer.text[:200]!r}")


# -- documents ---------------------------------------------------------------------------------------------------------


def sentenced(text: str) -> None:
    found = sentences(text)
    assert_exact(text, found, 0, len(text))
    for span in found[:3]:
        assert_exact(text, clauses(text, span, 9), *span)


def split(text: str) -> None:
    for media_type, most in (("text/markdown", 40), ("text/plain", 120)):
        pages = sorted({0, len(text) // 3, len(text) // 2})
        cut = chunks(text, media_type, most, pages if most == 40 else ())
        assert_exact(text, [Span(chunk.start, chunk.end) for chunk in cut], 0, len(text))
        ensure(all(len(text[c.start : c.end].split()) <= 2 * most for c in cut), "a passage is too long")
    ensure(all(0 <= at < len(text) for at in headings(text)), "a heading outside the text")


def united(text: str) -> None:
    for passage in _passages(text, 120):
        within = Span(passage.start, passage.end)
        for unit in units_of(passage):
            spans = [unit.span, unit.core, *unit.items, *unit.leads]
            ensure(all(within.start <= a < b <= within.end for a, b in spans), "a quote outside its passage")
            if unit.items:
                quotes = listed(passage, unit.span.start, unit.items, ANSWER_WORDS)
                ensure(all(within.start <= a <= b <= within.end for a, b in quotes), "an item outside its passage")
                ensure(sum(len(text[a:b].split()) + 1 for a, b in quotes) <= ANSWER_WORDS, "a list is too long")


def quoted(text: str) -> None:
    found = [
        Evidence(
            passage,
            *unit.span,
            0.5,
            0.5,
            1.0 - 0.05 * i,
            unit.context,
            unit.items,
            _answering(unit.span, i),
            leads=unit.leads,
        )
        for passage in _passages(text, 60)[:4]
        for i, unit in enumerate(units_of(passage))
    ]
    chosen = choose(found, found[::-1])
    ensure(sum(len(quote.text.split()) + 1 for quote in chosen) <= ANSWER_WORDS, "the quotes are too long")
    ensure(all(text[q.start : q.end] == q.text for q in chosen), "a quote does not stand there")
    ensure(not any(a.overlaps(b) for a, b in pairwise(sorted(chosen, key=lambda q: q.start))), "quotes overlap")
    short = short_answer("Where is it?", chosen)
    ensure(short is None or any(short in quote.text for quote in chosen), "the short answer is in no quote")


def _answering(span: Span, i: int) -> Answering:
    return Answering(span.start, min(span.end, span.start + i + 1), float(i % 3))


def _passages(text: str, most: int) -> list[Passage]:
    return [
        Passage(i, 1, "a.md", "A title", chunk.start, chunk.end, text[chunk.start : chunk.end], None, chunk.heading)
        for i, chunk in enumerate(chunks(text, "text/markdown", most), start=1)
    ]


def asked_from(text: str) -> None:
    for proposal in proposals(text, {"the", "bridge", "heron"}):
        ensure(proposal.question.endswith("?") and proposal.answer, f"no question: {proposal}")


# -- words -------------------------------------------------------------------------------------------------------------

_WORDS = KnownWords(
    {terms.fold(word): i for i, word in enumerate((*say.PROSE, "terrorism", "bridges", "muhammad")) if word.isalpha()},
    {"muhammad": 3, "tarn": 2, "voss": 1},
)


def worded(text: str) -> None:
    found = terms.words(text)
    ensure(all(found), "an empty word")
    ensure(found == [terms.fold(word) for word in found], "folded twice is another word")
    ensure(set(terms.content_words(text)) | set(terms.names(text)) <= set(found), "words that are not there")
    ensure(all(terms.numbers(text)) and all(terms.cardinals(text)), "an empty number")
    ensure(len(possible_titles(text)) <= 7 * len(found), "too many titles")
    one, short = two(text)
    ensure("".join(terms.around(one, short)) == one, "text was lost around an answer")
    for word in found[:5]:
        other = respelled(word, _WORDS)
        ensure(other is None or other in _WORDS.words | _WORDS.names, "spelt as no document spells it")
        terms.same_sound(word, found[0])


def sought(text: str) -> None:
    """The words of a question as a full-text query: no text is an operator of it."""
    connection = _full_text()
    words = terms.content_words(text) or list(dict.fromkeys(terms.words(text)))
    raw = text.split()[:5]  # whatever else may come as a term
    found = best_passages(connection, [*words, *raw], 5, (), ())
    ensure(all(score > -99 for _, score in found), "no score")
    ensure(all(count >= 0 for count in document_frequency(connection, words[:5], 0).values()), "no count")


_OPENED: list[sqlite3.Connection] = []


def _full_text() -> sqlite3.Connection:
    if not _OPENED:
        _OPENED.append(sqlite3.connect(":memory:", isolation_level=None))
        create_index(_OPENED[0], "fingerprint", 8)
    return _OPENED[0]


# -- questions ---------------------------------------------------------------------------------------------------------


def conversed(text: str) -> None:
    said = [part[:QUESTION] for part in text.split(say.PAIR)]
    question, told_before = said[-1].strip(), said[:-1][-8:]
    history: list[Message] = [
        {"role": "assistant" if i % 2 else "user", "content": part} for i, part in enumerate(told_before)
    ]
    conversation.smalltalk(question, history)
    alone = conversation.standalone(question, history)
    rest = conversation.without_pleasantries(question)
    ensure(conversation.without_pleasantries(rest) == rest, "pleasantries are left")
    at = 0
    for part in conversation.parts(rest, alone):
        at = alone.find(part, at)
        ensure(part == rest or at >= 0, f"a part that nobody asked: {part[:99]!r}")
    conversation.context(rest, alone, history)
    conversation.is_faithful(alone, question, history)
    conversation.already_said(question, history)
    conversation.last_answer(history)
    conversation.asks_for_more(question)


def typed(text: str) -> None:
    question, body = two(text)
    question = question[:QUESTION].strip()
    answertype.is_question(question)
    kind = answertype.expected(question)
    answertype.holds(kind, body, question)
    for other in ("number", "date", "name"):
        answertype.holds(other, body, question)  # type: ignore[arg-type]
    ensure(set(answertype.asked_for(question)) <= set(terms.words(question)), "it asks for other words")
    ensure(0 <= answertype.share_asked_for(question, body) <= 1, "no share")
    answertype.asks_for_several(question)
    answertype.asks_why(question)
    answertype.gives_reason(body)


# -- files -------------------------------------------------------------------------------------------------------------


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # a lone surrogate is then no UTF-8


def _written(name: str, text: str) -> Path:
    path = Path(name)
    path.write_bytes(_bytes(text))
    return path


def gold(text: str) -> None:
    try:
        found = read_gold(_written("gold.jsonl", text))
    except GoldError as error:
        lines = str(error).splitlines()
        ensure(all("gold.jsonl" in line or line.startswith("…") for line in lines), f"a line of another: {lines[:3]}")
        return
    ensure(len({question.id for question in found}) == len(found) > 0, "ids stand twice")
    ensure(all(question.question.strip() for question in found), "a question without words")


def bars(text: str) -> None:
    with told(BarsError):
        ensure(read_bars(_written("bars.toml", text)), "no bars")


def baseline(text: str) -> None:
    with told(BaselineError):
        load_baseline(_written("baseline.json", text))


def drafts(text: str) -> None:
    with told(GoldError):
        DraftsFile(_written("drafts.jsonl", text)).read()


def replied(text: str) -> None:
    found = json_object(text)
    ensure(found is None or isinstance(found, dict), "no object")


def compared(text: str) -> None:
    one, other = two(text)
    ensure(normalise(normalise(one)) == normalise(one), "normalised twice is something else")
    gold_answers = [[other, "Tarn"]]
    for value in (token_f1(one, gold_answers), exact_match(one, gold_answers), contains(one, gold_answers)):
        ensure(0 <= value <= 1, "no share")
    ensure(same_words(one, [one]), "it has not its own words")
    missing(one, gold_answers)
    dangling(one, [1, 2])


def collection(text: str) -> None:
    path = _written(f"collection{COLLECTION_SUFFIX}", text)
    with told(DocumentUnreadable):
        found = list(read_collection(path, root="r", max_bytes=4_000_000))
        documents = [each for each in found if not isinstance(each, Failure)]
        for each in found:
            if isinstance(each, Failure):
                one_plain_line(each.reason)
        ensure(len({document.source for document in documents}) == len(documents), "an id stands twice")
        for document in documents:
            ensure(not re.search("[\r\0\ud800-\udfff]", document.text), "the text is not canonical")
            ensure(len(document.title) <= 120 and len(document.title.splitlines()) <= 1, "the title is no line")


def read(text: str) -> None:
    path = _written("document.md", text)
    with told(DocumentUnreadable):
        document = read_file(path, root="r", source="document.md", max_bytes=4_000_000)
        ensure(not re.search("[\r\0\ud800-\udfff]", document.text), "the text is not canonical")
        ensure(document.title and len(document.title.splitlines()) == 1, f"no title: {document.title!r}")


def ignored(text: str) -> None:
    """An ignore file, and a name beside it: what cannot be used is told, and then nothing there is read."""
    patterns, name = two(text)
    name = re.sub(r"[/\0]", "", name.encode("utf-8", "replace")[:200].decode(errors="ignore")).strip(".") or "aaaa.txt"
    folder = Path("ignored")
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    (folder / IGNORE_FILE).write_bytes(_bytes(patterns))
    (folder / name).touch()
    files, unlisted, *_ = list_files(folder, lambda path: True)
    ensure(not unlisted or not files, "it shows what an unreadable ignore file may name")
    for failure in unlisted:
        one_plain_line(failure.reason)


_SETTINGS = [name.upper() for name in Settings.model_fields if name not in ("cache_dir",)]


def variables(text: str) -> None:
    """Values of all settings in turn, by how the text begins."""
    one, other = two(text)
    name = _SETTINGS[len(one) % len(_SETTINGS)]
    value = other.replace("\0", "").encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    os.environ[f"RAG_{name}"] = value
    try:
        with told(SettingsError):
            settings = Settings()
            key = settings.llm_api_key
            shown = repr(settings)
            ensure(
                not (key and len(value) > 9 and repr(value)[1:-1] in shown.replace("rerank_model", "")),
                "the key is shown",
            )
    finally:
        del os.environ[f"RAG_{name}"]


def toml(text: str) -> None:
    _written("rag.toml", text)
    try:
        with told(SettingsError):
            Settings()
    finally:
        Path("rag.toml").unlink()


def prompted(text: str) -> None:
    system, template = two(storable(text))  # no file holds half a character
    with told(PromptError):
        prompt = parse_prompt("answer", f"{system}\n---\n{template}", frozenset({"passages", "question"}))
        filled = prompt.fill(passages="{P}", question="{Q!r:>9}")
        ensure("{P}" in filled and "{Q!r:>9}" in filled, "a value is not inserted as it is")


def named(text: str) -> None:
    with told(DocumentUnreadable):
        name = checked_name(text)
        ensure(checked_name(name) == name, f"checked twice is another name: {name!r}")
        ensure(name == os.path.basename(name) and not name.startswith("."), f"no plain name: {name!r}")  # noqa: PTH119
        ensure(name.isprintable() and len(name.encode()) < 256, f"no name to be seen: {name!r}")


# -- the server --------------------------------------------------------------------------------------------------------


class _Everything:
    """An assistant, its opening and its line: it answers with what it was asked, and refuses what is empty."""

    def __init__(self) -> None:
        self.assistant = self.queue = self

    def check(self) -> None:
        pass

    def stream(self, question: str, history: Sequence[Message]) -> Iterator[Answer]:
        if not question.strip():
            raise QuestionInvalid("the question is empty; ask something")
        footnoted = [
            said for said in history if said["role"] == "assistant" and completions._SOURCES in said["content"]
        ]
        ensure(not footnoted, "an earlier answer has its footnotes still")
        return iter([Answer(question, question, f"{question} ({len(history)})", "smalltalk")])

    async def last(self, answers: Iterator[Answer]) -> Answer:
        return list(answers)[-1]

    async def each(self, answers: Iterator[Answer]) -> Any:
        for answer in answers:
            yield answer


_APP = FastAPI()
completions.add_completions(_APP, _Everything())  # type: ignore[arg-type]
_LOOP = asyncio.new_event_loop()
_HEADERS = [(b"content-type", b"application/json"), (b"host", b"127.0.0.1")]


def completed(text: str) -> None:
    """The whole route of /v1/chat/completions: 200 or a 400 with one line, never a 500."""
    status, body = _LOOP.run_until_complete(_posted(_bytes(text)))
    ensure(status in (200, 400), f"status {status}")
    if status == 200:
        ensure(body.endswith(b"data: [DONE]\n\n") or "choices" in json.loads(body), f"no completion: {body[:200]!r}")
        ensure(b'"code": 500' not in body, f"an event says that something broke: {body[:300]!r}")
    else:
        one_plain_line(json.loads(body)["error"]["message"])


async def _posted(data: bytes) -> tuple[int, bytes]:
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/v1/chat/completions", "raw_path": b"", "query_string": b"", "root_path": "", "headers": _HEADERS,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    sent: list[Any] = []
    coming = [{"type": "http.request", "body": data, "more_body": False}]

    async def receive() -> Any:
        if not coming:
            await asyncio.sleep(3600)  # nobody leaves
        return coming.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    await _APP(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


_TAGS = set("article div h2 button p span input".split())


class _Tags(HTMLParser):
    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        ensure(tag in _TAGS, f"a tag of somebody else: {tag}")
        ensure(not [name for name, _ in attributes if name.startswith("on")], f"a script of somebody else in {tag}")


def returned(text: str) -> None:
    """A conversation as a browser brings it back: read, drawn, exported."""
    try:
        kept = json.loads(text)
    except (ValueError, RecursionError):
        kept = text
    with told(ValueError):
        asked = Asked.read({"showing": text[:9], "turns": kept, "only": [], "llm": "none"})
        turns.history(asked.turns)
        drawn = render.chat(asked.turns, (), asked.showing)
        drawn.encode()
        _Tags().feed(drawn)
        ensure(turns.restored([turn.to_dict() for turn in asked.turns]) == asked.turns, "kept again it is another")
    for form in ("markdown", "json"):
        sent = {"title": text[:50], "turns": kept, "created": text[-9:], "format": form}
        exported = conversations.conversation_export(sent)
        ensure(exported.get("failed") != conversations.BROKE, f"the export as {form} broke")
        json.dumps(exported, ensure_ascii=False).encode()
        if "name" in exported:
            ensure(re.fullmatch(r"[\w.-]{1,80}", exported["name"]), f"no file name: {exported['name']!r}")


_UNESCAPED = re.compile(r"(?<!\\)(?:\\\\)*[`*_{}\[\]<>#|~!&$^@]")


def as_markdown(text: str) -> None:
    escaped = markdown.text(text)
    ensure(not _UNESCAPED.search(escaped), f"something is not escaped: {escaped[:99]!r}")
    ensure(escaped.count("\n") == text.count("\n"), "lines came or went")
    ensure("\n" not in markdown.line(text), "a heading of two lines")


# -- all of them -------------------------------------------------------------------------------------------------------

_REPLY = (*say.PROSE, *say.MARKERS, *say.BREAKING)
_DOCUMENT = (*say.PROSE, *say.BREAKING)
_QUESTION = (*say.QUESTIONS, *say.PROSE, *say.BREAKING, say.PAIR)
_PAIRED = (*say.PROSE, *say.BREAKING, say.PAIR, say.PAIR, say.PAIR)
_NOTE = "The Tarn bridge was built by Edgar Voss in 1902. It was opened on 12 May 1902, and 40 herons watched.\n\n"
_LIST = "The council has three members:\n1. Ann Lee, head of the mill\n2. Edgar Voss, who may leave\n3. Nobody.\n"
_GOLD = (
    '{"id": "q1", "kind": "fact", "question": "Who?", "answers": [["Ann Lee", "Lee"]], "answerable": true, '
    '"evidence": [{"document": "a.md", "quote": "Ann Lee", "start": 3}], "history": '
    '[{"role": "user", "content": "Hello"}], "exclude": ["b.md"], "reference": ["It was she."]}',
    '{"id": "q2", "kind": "none", "question": "Why?", "answers": [], "answerable": false}',
    '{"id": "q3", "kind": "find", "question": "Where?", "relevant": {"a.md": 2, "b.md": 0}}',
)
_BASELINE = '{"format": 2, "name": "n", "gold": "g", "documents": "d", "values": {"f1": {"q1": 0.5, "q2": [0.1, 1]}}}'
_DRAFT = (
    '{"draft": true, "state": "open", "id": "q", "kind": "fact", "question": "Who?", "document": "a", "quote": "b", '
    '"start": 0, "answers": [["c"]]}'
)
_LINE = '{"id": "a", "text": "The heron stands still.", "title": "Herons"}'
_CHAT = (
    '{"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Who?"}, '
    '{"role": "assistant", "content": "He [1].\\n\\nSources:\\n[1] “He” (a.md)"}, '
    '{"role": "user", "content": [{"type": "text", "text": "Why?"}]}], "stream": false, "model": "m"}',
    '{"messages": [{"role": "user", "content": "Who?"}], "stream": true}',
)


def _turn() -> str:
    passage = Passage(1, 1, "a.md", "A", 0, 99, _NOTE, None, "B")
    composer = grounding.Composer()
    composer.quoted(Evidence(passage, 0, 48, 0.5, 0.5, 1.0))
    answer = Answer(
        "Who?", "Who?", composer.text, "quoted", "Voss", tuple(composer.sentences), tuple(composer.citations)
    )
    refusal = replace(answer, text="No.", mode="refused", sentences=(), citations=(), refused=True, nearest=(passage,))
    return json.dumps([turns.Turn("Who?", answer, {1: 3}).to_dict(), turns.Turn("Why?", refusal).to_dict()])


def _names(*seeds: str) -> list[str]:
    return sorted(set(re.findall(r'"(\w+)":', "".join(seeds))))


def _json(name: str, check: Check, seeds: Sequence[str], **more: Any) -> Target:
    names = _names(*seeds)
    fragments = (*say.JSON, *(f'"{each}": ' for each in names), *seeds, *say.BREAKING)
    return Target(name, check, fragments, seeds, structured=say.json_texts(names, seeds, say.BREAKING), **more)


_TOML = (
    "top_k", "=", "[", "]", "[[bar]]", "{", "}", '"', "'", '"""', "#", "\n", "5", "-1", "9" * 5000, "1e999", "nan",
    "inf", "true", "1979-05-27", "llm", "documents", "metric", "least", "most", "kind", ".", "\\u0000", "\\uD800",
    "rerank_model", '"a\\nb" = 1', "auth", "llm_api_key", "refuse_below",
)  # fmt: skip
_PATTERNS = (
    "*",
    "**",
    "?",
    "[",
    "]",
    "!",
    "/",
    "\\",
    "#",
    "a",
    "aa",
    "[a-z]",
    "[!a]",
    "[z-a]",
    "[[:alpha:]]",
    "*a",
    "**/",
)

TARGETS = (
    Target("claims and markers of a reply", markers, _REPLY, ("It was he [1]. So it is [2, 3].",), REPLY, share=1.5),
    Target("the copy of a quote", copied, (*_PAIRED, *say.MARKERS), (_NOTE + say.PAIR + _NOTE,), CLAIM),
    Target("rewordings", reworded, _PAIRED, (_NOTE + say.PAIR + _NOTE, _LIST + say.PAIR + _LIST), 2 * CLAIM, share=0.5),
    Target(
        "the checker", checked, (*_PAIRED, *say.MARKERS), (_NOTE + say.PAIR + _NOTE, _LIST), FAR, share=0.5, each=400
    ),
    Target("sentences and clauses", sentenced, _DOCUMENT, (_NOTE, _LIST), DOCUMENT, share=1.5),
    Target("passages and headings", split, _DOCUMENT, (_NOTE, _LIST, f"# A\n\n{_NOTE}## B\n{_LIST}"), DOCUMENT),
    Target("what can be quoted", united, _DOCUMENT, (_NOTE, _LIST), DOCUMENT, share=0.8),
    Target("the choice of quotes", quoted, _DOCUMENT, (_NOTE, _LIST), share=0.6),
    Target(
        "example questions", asked_from, _DOCUMENT, ("The Tarn bridge was built by Edgar Voss in 1902.",), share=1.2
    ),
    Target("words, numbers, names, spelling", worded, _PAIRED, (_NOTE,)),
    Target("a full-text query", sought, (*_QUESTION, "AND", "NEAR(", "title:", "^", "+"), ("Who built it?",), QUESTION),
    Target("question and conversation", conversed, _QUESTION, (f"Who?{say.PAIR}She.{say.PAIR}Why?",), 4 * QUESTION),
    Target("what a question asks for", typed, _QUESTION, (f"Who is the head?{say.PAIR}{_NOTE}",), QUESTION, share=1.2),
    _json("gold questions", gold, _GOLD),
    _json("saved baselines", baseline, (_BASELINE,), share=0.5),
    _json("draft questions", drafts, (_DRAFT,), share=0.5),
    _json("JSON in a model's reply", replied, _GOLD[1:], share=0.8),
    Target("bars", bars, (*_TOML, *say.BREAKING), ('[[bar]]\nmetric = "f1"\nleast = 0.5\n',), share=0.5),
    Target("answers compared", compared, (*_PAIRED, *say.MARKERS), ("the Tarn" + say.PAIR + "Tarn",)),
    _json("JSONL collections", collection, (_LINE,), longest=DOCUMENT, share=1.2),
    Target("text and Markdown files", read, _DOCUMENT, (f"# A\n{_NOTE}",), DOCUMENT, share=0.8),
    Target(
        "ignore files",
        ignored,
        (*_PATTERNS, "\n", say.PAIR, say.PAIR, *say.BREAKING),
        ("*.tmp\n!a\n",),
        4_000,
        share=0.4,
    ),
    Target("settings from variables", variables, (*say.BREAKING, *_TOML, say.PAIR, say.PAIR), (), 4_000, share=0.3),
    Target("settings from rag.toml", toml, (*_TOML, *say.BREAKING), ("top_k = 3\n",), share=0.4),
    Target(
        "prompt files",
        prompted,
        ("{", "}", "{passages}", "{question}", "!r", ":>9", "{0}", "\n---\n", *_PAIRED),
        ("S" + say.PAIR + "{passages} {question}",),
    ),
    Target(
        "names of uploads", named, (".txt", ".pdf", "con", "..", "/", "\\", "a" * 300, "<", ":", *_DOCUMENT), ("a.txt",)
    ),
    _json("requests to /v1", completed, _CHAT, share=0.25),
    _json("conversations from a browser", returned, (_turn(),), share=0.15, each=4_000),
    Target("Markdown export", as_markdown, (*_DOCUMENT, *say.MARKERS), ("1. a\n- b\nhttp://x",)),
)
