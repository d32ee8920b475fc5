"""An index → the same index elsewhere: texts, spans, vectors and every id, without embedding anything again.

What is cited by a passage's id is cited there, too, and every answer is the same. It can be cut off at any time and
begun again: what is there already stays, and what was changed meanwhile follows.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from .catalogue import MIGRATED_FROM, MIGRATING, Catalogue, Copy, Reader, VectorIndex, Writer
from .errors import IndexLocked, IndexMismatch
from .location import Location
from .stored import DEFAULT_ROOT, READERS, TakenOut

_BATCH_PASSAGES = 512  # that are copied in one transaction
_FROM = MIGRATED_FROM  # the old one's identity, and that all of it is there, or which process copies it now
_DONE = "done"
_OWN_KEYS = ("migrated ", "vectors ")  # begin what each index says of itself

Named = Callable[[str], str]  # a root of the old index → what the new one calls it
Report = Callable[[int, int, int, int], None]  # documents there, copied now, their passages, documents in all


class Migrated(NamedTuple):
    """What a migration did: documents that were copied now, and documents and passages that are there."""

    copied: int
    documents: int
    passages: int


def migrate(source: Location, target: Location, report: Report = lambda *_: None) -> Migrated:
    """Make the index at `target` what that at `source` is.

    Raises IndexMismatch when there is nothing at `source`, or something else at `target`: only an empty index, or what
    an earlier migration from the same one has begun, becomes a copy.
    """
    if source == target:
        raise IndexMismatch(f"the index is in {source.name} already; name another place with --to")
    with closing(source.open_catalogue()) as old, closing(target.open_catalogue()) as new:
        if not old.exists():
            raise IndexMismatch(f"there is no index in {old.name}; run 'rag ingest' first")
        with old.reading() as reader:
            if MIGRATING in (reader.meta(_FROM) or ""):
                raise IndexMismatch(f"{old.name} is half a copy; let the 'rag migrate' that began it finish first")
        copied = 0
        with old.writing(), closing(target.open_vectors()) as vectors:
            if source.catalogue_key == target.catalogue_key:  # only the vectors go elsewhere
                vectors.refresh(old, verify=True)
            elif _is_done(old, new, partial(source.root_there, there=target)):
                vectors.refresh(new, verify=True)  # they may be elsewhere than after the earlier one
            else:
                mark, named = _begin(old, new), partial(source.root_there, there=target)
                while more := _pass(old, new, mark, vectors, named, report):
                    copied += more
                _finish(old, new, mark, vectors, named)
        with new.reading() as reader:
            return Migrated(copied, *reader.count())


def _is_done(old: Catalogue, new: Catalogue, named: Named) -> bool:
    """Whether all of the old one was copied before, and nothing has changed since in either."""
    if not new.exists():
        return False
    with old.reading() as reader, new.reading() as copied:
        return copied.meta(_FROM) == f"{reader.state.identity} {_DONE}" and copied.copies() == _wanted(reader, named)


def _begin(old: Catalogue, new: Catalogue) -> str:
    """Returns what says in the new one that this process copies; an earlier one, which may be dead, does no more."""
    with old.reading() as reader:
        state = reader.state
    new.create_if_absent(state.fingerprint, state.dimension)
    with new.transaction() as writer:
        begun, before = f"{state.identity} {MIGRATING} ", writer.meta(_FROM)
        if not before.startswith(begun) if before else writer.count()[0]:
            raise IndexMismatch(
                f"{new.name} holds an index with {writer.count()[0]:,} documents, which would be lost; "
                "name an empty database or folder"
            )
        if before is None:
            writer.begin_anew(state.fingerprint, state.dimension)  # an empty one may have been made by other settings
        mark = begun + secrets.token_hex(4)
        writer.set_meta(_FROM, mark)
        writer.count_write()
        return mark


@contextmanager
def _copying(new: Catalogue, mark: str) -> Iterator[Writer]:
    """A transaction of the process that `mark` stands for. IndexLocked when another one copies by now."""
    with new.transaction() as writer:
        if writer.meta(_FROM) != mark:
            raise IndexLocked(f"another process copies to {new.name} by now; wait until it has finished")
        yield writer
        writer.count_write()


def _wanted(reader: Reader, named: Named) -> list[Copy]:
    return [copy._replace(root=named(copy.root)) for copy in reader.copies()]


def _taken(reader: Reader, document_id: int, named: Named) -> TakenOut:
    taken = reader.taken(document_id)
    return taken._replace(document=replace(taken.document, root=named(taken.document.root)))


def _pass(old: Catalogue, new: Catalogue, mark: str, vectors: VectorIndex, named: Named, report: Report) -> int:
    """Copy what one state of the old one has and the new one has not; returns how many documents that were."""
    with old.reading() as reader:
        with new.reading() as there_now:
            there = {copy.id: copy for copy in there_now.copies()}
            used = max(there_now.highest(), there_now.state.snapshot_highest)
            deleted = len(there_now.tombstones()) > 0
        wanted = _wanted(reader, named)
        missing = [copy for copy in wanted if there.get(copy.id) != copy]
        gone = there.keys() - ({copy.id for copy in wanted} - {copy.id for copy in missing})
        if gone or (missing and deleted) or any(0 < copy.first <= used for copy in missing):
            with _copying(new, mark) as writer:
                writer.delete(sorted(gone))
                vectors.forget(writer)  # an id that was gone comes back: the index of vectors is made anew
        before, copied, passages = len(wanted) - len(missing), 0, 0
        report(before, copied, passages, len(wanted))
        for batch in _batches(missing):
            taken = [(_taken(reader, copy.id, named), copy.first) for copy in batch]
            with _copying(new, mark) as writer:
                for each, first in taken:
                    writer.put_copy(each, first)
            copied += len(batch)
            passages += sum(copy.passages for copy in batch)
            report(before + copied, copied, passages, len(wanted))
        return len(missing) + len(gone)


def _batches(copies: Sequence[Copy]) -> Iterator[list[Copy]]:
    batch: list[Copy] = []
    for copy in copies:
        batch.append(copy)
        if sum(each.passages for each in batch) >= _BATCH_PASSAGES or len(batch) >= _BATCH_PASSAGES:
            yield batch
            batch = []
    if batch:
        yield batch


def _finish(old: Catalogue, new: Catalogue, mark: str, vectors: VectorIndex, named: Named) -> None:
    with old.reading() as reader:
        kept, old_place, identity, last = reader.metas(), reader.state.inode, reader.state.identity, reader.last_ids()
    with _copying(new, mark) as writer:
        for key, value in kept.items():
            if not key.startswith(_OWN_KEYS):
                if key.startswith(READERS):
                    key = READERS + named(key.removeprefix(READERS))
                value = named(value) if key == DEFAULT_ROOT else value
                own = value.endswith(f" {old_place}")  # what was found out of that very index is true of this one
                writer.set_meta(key, value.removesuffix(old_place) + writer.state.inode if own else value)
        writer.go_on_from(last)
        writer.set_meta(_FROM, f"{identity} {_DONE}")
    vectors.refresh(new, verify=True)
