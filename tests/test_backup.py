"""The backup that docs/SCALE.md names: the catalogue without the vectors, restored into an empty database."""

from __future__ import annotations

import subprocess
from pathlib import Path

from servers import postgres
from store_samples import ids, item, open_store, vector_of

from rag.store import Location, Store


def test_a_catalogue_that_was_dumped_and_restored_finds_the_same(tmp_path: Path) -> None:
    server = postgres()
    for name in ("dumped", "restored"):
        server.psql(f"CREATE DATABASE {name};")
    dumped, restored = (server.get_uri().replace("/postgres?", f"/{name}?") for name in ("dumped", "restored"))
    file = tmp_path / "rag.dump"
    question = vector_of("gauges", "gauge 7")
    with open_store(Location(tmp_path / "one", dumped)) as store:
        store.replace([item("gauges", *(f"gauge {n}" for n in range(40))), item("herons", "the heron stands still")])
        wanted = store.dense(question, 5), store.keyword(["heron"], 5), store.documents()

    for command in (
        ["pg_dump", "--format=custom", "--exclude-table=data_rag_*", "--file", str(file), dumped],
        ["pg_restore", "--dbname", restored, str(file)],
    ):
        subprocess.run([server.bin_path / command[0], *command[1:]], check=True, capture_output=True)
    location = Location(tmp_path / "two", restored)
    Store.rebuild_vectors(location)

    with open_store(location) as store:
        store.verify()
        found = store.dense(question, 5), store.keyword(["heron"], 5), store.documents()
    assert ids(found[0])[0] == 8
    assert found == wanted
