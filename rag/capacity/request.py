"""What is to be kept and asked, and of which machines; and how it is written on a command line."""

from __future__ import annotations

import re
from dataclasses import dataclass

FAISS, POSTGRESQL, MILVUS = STORES = ("faiss", "postgresql", "milvus")
DAY = 86_400  # seconds
MONTH = 30 * DAY
EMBEDDED_A_CORE = 89.0  # passages a second: docs/speed.md, 178 on two cores

_NUMBER = re.compile(
    r"(?P<digits>(?:\d+|\d{1,3}(?:,\d{3})+|\d{1,3}(?:_\d{3})+)(?:\.\d+)?)(?:(?P<power>e[+-]?\d+)|\s*(?P<times>[KMBT]?))",
    re.IGNORECASE | re.ASCII,
)
_TIMES = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
LARGEST = 1e15  # of any number: 1000T


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be kept and asked, and of which machines. Bytes, seconds, and money in any unit."""

    passages: float
    questions: float  # a second, on average
    store: str  # of STORES; "": the first of them in which nothing stops at this size
    copies: int  # of catalogue and vectors, the first one included
    characters: float  # of a passage
    per_document: float  # passages
    dimension: float  # of a vector
    cores: float
    memory: float
    disk: float
    price: float  # of a machine, a month
    embedded: float  # passages that a machine embeds a second
    prices: tuple[float, float] | None  # of a million tokens in, and out; None: no LLM is asked


def wanted(
    *,
    passages: str,
    questions: str,
    store: str,
    copies: str,
    characters: str,
    per_document: str,
    dimension: str,
    cores: str,
    memory: str,
    disk: str,
    price: str,
    embedded: str,
    prices: str,
) -> Wanted:
    """What was written on a command line. Raises ValueError with one line that names the option.

    `store`, `embedded` and `prices` may be ""; else `embedded` is what the cores were measured to do. `memory` and
    `disk` are in GB.
    """
    counts = {"passages": passages, "characters": characters, "per_document": per_document, "dimension": dimension}
    machine = {"cores": cores, "memory": memory, "disk": disk}
    of_machine = {name: number(text, f"--machine-{name}") for name, text in machine.items()}
    if store not in ("", *STORES):
        raise ValueError(f"--store is '{store}'; write {', '.join(STORES)}, or leave it out")
    if (number_of_copies := number(copies, "--copies", least=1)) % 1:
        raise ValueError(f"--copies is '{copies}'; write a whole number")
    return Wanted(
        **{name: number(text, f"--{name.replace('_', '-')}", least=1) for name, text in counts.items()},
        questions=rate(questions),
        store=store,
        copies=int(number_of_copies),
        cores=of_machine["cores"],
        memory=of_machine["memory"] * 1e9,
        disk=of_machine["disk"] * 1e9,
        price=number(price, "--machine-price", least=0),
        embedded=number(embedded, "--passages-per-second") if embedded else EMBEDDED_A_CORE * of_machine["cores"],
        prices=token_prices(prices) if prices else None,
    )


def number(text: str, name: str, *, least: float = 1e-9) -> float:
    """A number with K, M, B or T behind it or none, or a power of ten. Raises ValueError, which names it."""
    bounds = f"{least:g} to 1000T" if least in (0, 1) else "more than 0, at most 1000T"
    found = _NUMBER.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{name} is '{text}'; write a number ({bounds}), for example 20, 1.5K, 1,000,000, 1e6 or 10B")
    value = float(re.sub("[,_]", "", found["digits"]) + (found["power"] or "")) * _TIMES[(found["times"] or "").upper()]
    if not least <= value <= LARGEST:
        raise ValueError(f"{name} is '{text}', which is out of bounds; write {bounds}")
    return value


def rate(text: str) -> float:
    """Questions a second of "10K/day", "5/s" or "10K" (a day). Raises ValueError."""
    amount, _, unit = text.partition("/")
    if unit.strip() not in ("", "day", "s"):
        raise ValueError(f"--questions is '{text}'; write so many a day or a second, for example 10K/day or 5/s")
    return number(amount, "--questions", least=0) / (1 if unit.strip() == "s" else DAY)


def token_prices(text: str) -> tuple[float, float]:
    """Of "0.15/0.60": what a million tokens in, and out, cost. Raises ValueError."""
    first, slash, second = text.partition("/")
    if not slash:
        raise ValueError(
            f"--token-price is '{text}'; write what a million tokens cost in and out, for example 0.15/0.6"
        )
    return number(first, "--token-price", least=0), number(second, "--token-price", least=0)
