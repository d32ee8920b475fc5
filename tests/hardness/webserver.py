"""Attackers at the web server: every route, by strangers and by guests, over real sockets on loopback."""

from __future__ import annotations

import random
from pathlib import Path

from . import addresses, guests, limits, outsiders
from .served import Served
from .table import Row
from .website import Ground, crashed


def run(base: Path, chance: random.Random, *, few: bool) -> list[Row]:
    with Served(base) as served:
        ground = Ground(served, chance, few)
        rows = [attack(ground) for attack in (*outsiders.ATTACKS, *guests.ATTACKS, *addresses.ATTACKS, *limits.ATTACKS)]
        ended = Row("web: the servers go on, and nothing of ours broke")
        ended.check("at the end", *(site.answers() for site in (ground.known, ground.local, ground.public)))
        ended.check("the terminal", *crashed(served.said()))
    return [*rows, ground.seen.row, ended]
