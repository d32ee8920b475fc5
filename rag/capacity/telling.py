"""A plan as people read it."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence

from .limits import Limit
from .machines import Plan
from .request import FAISS

_WIDTH = 100  # characters of a line

Row = tuple[str, ...]


def told(made: Plan) -> str:
    """A plan in tables and sentences."""
    asked = made.wanted
    title = (
        f"{short(asked.passages)} passages of {short(asked.characters)} characters, in {asked.store}; "
        f"{short(made.documents)} documents, about {short(made.words)} distinct words"
    )
    machines = [(each.kind, f"{each.number:,}", each.why) for each in made.machines]
    parts = [
        [title],
        _stored(made),
        _table(("machines", "number", "what for"), machines, right=(1,)),
        [line for fact in _facts(made) for line in _wrapped(fact)],
        _breaks(made),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts)


def _stored(made: Plan) -> list[str]:
    copies = made.wanted.copies
    header = ("stored", "where", "a passage", "one copy", "disk" if copies == 1 else f"disk, {copies} copies", "memory")
    rows = [
        (
            each.what,
            each.where,
            f"{each.a_passage:,.0f} B",
            size(each.one_copy),
            size(each.disk),
            size(each.memory) if each.memory else "–",
        )
        for each in (*made.kept, made.total)
    ]
    return _table(header, rows, right=range(2, 6))


def _facts(made: Plan) -> list[str]:
    asked, ingest, month = made.wanted, made.ingest, made.month
    tokens = (
        f"{short(month.tokens_in)} tokens in and {short(month.tokens_out)} out for {short(month.tokens_money)}"
        if asked.prices
        else "answers in quotes, no tokens"
    )
    facts = [
        f"Each machine: {short(asked.cores)} cores, {size(asked.memory)} of memory, {size(asked.disk)} of disk, "
        f"{short(asked.price)} a month.",
        f"Ingested once: {duration(ingest.hours)}, {short(ingest.money)}. One machine embeds them in "
        f"{duration(ingest.embedding_hours)}.",
        f"A month: {short(month.questions)} questions; {tokens}; machines {short(month.machines_money)}; together "
        f"{short(month.money)}.",
    ]
    if asked.store == FAISS and any(limit.stops and limit.passages < asked.passages for limit in made.limits):
        facts.append("One machine does not carry this, and a folder cannot be divided: take another store.")
    if ingest.catalogues > 1:
        facts.append(
            f"{ingest.catalogues:,} catalogues: each has a rag serve of its own, and whoever asks chooses one; nothing "
            "here asks several at once."
        )
    return facts


def _breaks(made: Plan) -> list[str]:
    broken = [limit for limit in made.limits if limit.passages < made.wanted.passages]
    lines = ["What breaks, in one catalogue, the first first:" if broken else "Nothing breaks at this size."]
    for number, limit in enumerate(broken, start=1):
        lines += _wrapped(f"{number}. {_sentence(limit)}", indent="   ")
    if len(broken) < len(made.limits):
        lines += _wrapped(f"Next, {_sentence(made.limits[len(broken)])}")
    return lines


def _sentence(limit: Limit) -> str:
    return f"above {short(limit.passages)} passages: {limit.what}. Then: {limit.then}."


def _wrapped(sentence: str, *, indent: str = "") -> list[str]:
    return textwrap.wrap(sentence, _WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def _table(header: Row, rows: Sequence[Row], *, right: Collection[int]) -> list[str]:
    """Lines; the columns `right` hold figures."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]


def short(number: float) -> str:
    """Three digits: 1.5K, 100M, 23B."""
    return _scaled(number, ("", "K", "M", "B", "T"))


def size(number: float) -> str:
    """Of bytes: 3.1 GB."""
    return _scaled(number, (" B", " KB", " MB", " GB", " TB", " PB", " EB"))


def duration(hours: float) -> str:
    """Of hours: minutes, hours or days."""
    if hours < 1:
        return f"{max(1, round(60 * hours))} min"
    return f"{hours:.1f} h" if hours < 72 else f"{hours / 24:,.0f} days"


def _scaled(number: float, units: tuple[str, ...]) -> str:
    step = 0
    while number >= 999.5 and step < len(units) - 1:
        number, step = number / 1000, step + 1
    digits = 0 if number >= 99.95 or number == int(number) else 1 if number >= 9.995 else 2
    text = f"{number:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}{units[step]}"
