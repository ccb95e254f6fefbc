"""What a machine is: memory, bandwidths, disk, cards, watts, price. Measured here (`measure`) or described.

A described machine is a table of figures. Those of the catalogue (machines.toml) each carry a source and a date, and
say when they are an estimate; in a file of one's own a bare number is enough.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from .rates import MeasuredRates

GB = 1_000_000_000


class MachineError(Exception):
    """A machine that is not known, or whose description cannot be used; one line says why."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number about a machine, and who says so."""

    value: float
    source: str = "own description"
    date: date | None = None
    estimate: bool = False


@dataclass(frozen=True, slots=True)
class Cards:
    """Graphics cards of one kind."""

    count: int
    bytes: int  # of each
    read_bytes_s: float  # of each, by its data sheet
    flops: float  # of each: bf16, dense, multiply and add counted as two
    watts: float = 0.0  # of each under load

    @property
    def all_bytes(self) -> int:
        return self.count * self.bytes


@dataclass(frozen=True, slots=True)
class Machine:
    """`rates` is None for a described machine: its speeds then come from its figures and stated shares of them."""

    name: str
    title: str
    memory_bytes: int
    read_bytes_s: float  # memory, all cores together
    ops: float  # of the processor, or of the graphics part where memory is unified: multiply and add count as two
    unified: bool = False  # one memory for processor and graphics
    cards: Cards | None = None
    disk_bytes: int = 0
    disk_read_bytes_s: float = 0.0  # 0: no figure, so nothing can be streamed
    watts_idle: float = 0.0
    watts_load: float = 0.0
    price: Decimal | None = None
    currency: str = "USD"
    rates: MeasuredRates | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def estimates(self) -> list[str]:
        """Names of the figures that are estimates."""
        return [name for name, figure in self.figures.items() if figure.estimate]

    @property
    def priced(self) -> date | None:
        """When its price was that."""
        return self.figures["price"].date if "price" in self.figures else None


# Key of a description: (least, most, needed). Numbers are in the units that their names say.
_KEYS: dict[str, tuple[float, float, bool]] = {
    "memory_gb": (0.1, 1e6, True),
    "memory_gbs": (0.1, 1e6, True),
    "tops": (0.001, 1e7, True),
    "disk_gb": (0, 1e9, False),
    "disk_gbs": (0, 1e5, False),
    "idle_w": (0, 1e7, False),
    "load_w": (0.1, 1e7, False),
    "price": (0, 1e10, False),
    "card_count": (1, 1e5, False),
    "card_gb": (0.1, 1e5, False),
    "card_gbs": (0.1, 1e6, False),
    "card_tflops": (0.001, 1e6, False),
    "card_w": (0, 1e5, False),
}
_WORDS = {"title", "unified", "currency", "like", "card"}


def describe(name: str, table: Mapping[str, Any]) -> Machine:
    """A machine from a table of figures. Raises MachineError."""
    unknown = table.keys() - _KEYS.keys() - _WORDS
    if unknown:
        raise MachineError(f"machine {name}: unknown figure {sorted(unknown)[0]!r} (known: {', '.join(_KEYS)})")
    figures = {key: _figure(name, key, table[key]) for key in _KEYS if key in table}
    for key, (_, _, needed) in _KEYS.items():
        if needed and key not in figures:
            raise MachineError(f"machine {name}: the figure {key} is missing")

    def number(key: str) -> float:
        return figures[key].value if key in figures else 0.0

    cards = None
    if "card_count" in figures:
        for key in ("card_gb", "card_gbs", "card_tflops"):
            if key not in figures:
                raise MachineError(f"machine {name}: has cards, but the figure {key} is missing")
        cards = Cards(
            int(number("card_count")), int(number("card_gb") * GB), number("card_gbs") * GB,
            number("card_tflops") * 1e12, number("card_w"),
        )  # fmt: skip
    if number("idle_w") > (number("load_w") or float("inf")):
        raise MachineError(f"machine {name}: idles at more watts than it draws under load")
    return Machine(
        name=name,
        title=str(table.get("title", name)),
        memory_bytes=int(number("memory_gb") * GB),
        read_bytes_s=number("memory_gbs") * GB,
        ops=number("tops") * 1e12,
        unified=bool(table.get("unified", False)),
        cards=cards,
        disk_bytes=int(number("disk_gb") * GB),
        disk_read_bytes_s=number("disk_gbs") * GB,
        watts_idle=number("idle_w"),
        watts_load=number("load_w"),
        price=Decimal(str(number("price"))) if "price" in figures else None,
        currency=str(table.get("currency", "USD")),
        figures=figures,
    )


def _figure(machine: str, key: str, raw: object) -> Figure:
    least, most, _ = _KEYS[key]
    value = raw.get("value") if isinstance(raw, dict) else raw
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MachineError(f"machine {machine}: {key} must be a number, got {value!r}")
    if not least <= value <= most:
        raise MachineError(f"machine {machine}: {key} must be within {least:g} and {most:g}, got {value:g}")
    if not isinstance(raw, dict):
        return Figure(float(value))
    stated = raw.get("date")
    if stated is not None and not isinstance(stated, date):
        raise MachineError(f"machine {machine}: the date of {key} must be like 2026-05-01, got {stated!r}")
    return Figure(float(value), str(raw.get("source", "own description")), stated, bool(raw.get("estimate", False)))


@cache
def catalogue() -> dict[str, Machine]:
    """The machines of machines.toml by name."""
    text = (files(__package__) / "machines.toml").read_text(encoding="utf-8")
    return _machines(tomllib.loads(text))


def _machines(data: Mapping[str, Any]) -> dict[str, Machine]:
    tables: Mapping[str, Any] = data.get("machine", {})
    cards: Mapping[str, Any] = data.get("card", {})
    return {name: describe(name, _resolved(name, tables, cards)) for name in tables}


def _resolved(name: str, tables: Mapping[str, Any], cards: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """A table with what it is `like` and its kind of `card` filled in."""
    table = dict(tables[name])
    if "card" in table:
        if table["card"] not in cards:
            raise MachineError(f"machine {name}: no card named {table['card']!r}")
        table = {**cards[table["card"]], **table}
    if "like" in table:
        if table["like"] not in tables or depth > 8:
            raise MachineError(f"machine {name}: no machine named {table['like']!r} to be like")
        table = {**_resolved(table["like"], tables, cards, depth + 1), **table}
    return {key: value for key, value in table.items() if key not in ("like", "card")}


def read_machine(path: Path, name: str = "") -> Machine:
    """A machine from a TOML file of one's own: its figures at the top level, or under [machine.NAME]; which, must be
    said where there are several. Raises MachineError."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MachineError(f"{path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MachineError(f"{path}: not readable as TOML ({error})") from None
    if isinstance(data.get("machine"), dict):
        packaged = tomllib.loads((files(__package__) / "machines.toml").read_text(encoding="utf-8"))
        own = data["machine"]
        if not name and len(own) > 1:
            raise MachineError(f"{path}: which of its machines? {', '.join(f'{path}:{one}' for one in own)}")
        name = name or next(iter(own), "")
        if not isinstance(own.get(name), dict):
            raise MachineError(f"{path}: [machine.{name or 'NAME'}] holds no figures")
        tables = {**packaged["machine"], **own}
        return describe(name, _resolved(name, tables, {**packaged["card"], **data.get("card", {})}))
    return describe(path.stem, data)


def find_machine(name: str) -> Machine:
    """A machine of the catalogue by name, or of a TOML file by path. Raises MachineError."""
    known = catalogue()
    if name in known:
        return known[name]
    file, suffix, which = name.partition(".toml")
    if suffix and (not which or which.startswith(":")):
        return read_machine(Path(file + suffix).expanduser(), which[1:])
    raise MachineError(f"machine {name[:60]}: not in the catalogue ({', '.join(known)}) and no .toml file")
