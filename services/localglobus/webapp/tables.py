"""What an admin page is made of: tables of cells, a cell being words, a link or a few buttons. Drawn by `admin.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Button:
    """One act on what a row is about: posted to `/admin/act` with `fields`."""

    words: str
    act: str
    fields: Mapping[str, str | int]
    is_grave: bool = False


@dataclass(frozen=True, kw_only=True)
class Cell:
    """`kind` is empty, code, number, time, or one of the four meanings: ok, waiting, attention, failed."""

    words: str = ""
    address: str = ""
    kind: str = ""
    note: str = ""
    buttons: Sequence[Button] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    empty: str = "None."
    note: str = ""
    address: str = ""


@dataclass(frozen=True, kw_only=True)
class AdminPage:
    """One page: its tables, and the templates of its forms above them with what these need."""

    title: str
    tables: Sequence[Table] = ()
    forms: Sequence[str] = ()
    context: Mapping[str, object] = field(default_factory=dict)
    intro: str = ""
    renew_s: int = 0


def text(words: object, *, note: str = "") -> Cell:
    return Cell(words="" if words is None else str(words), note=note)


def code(words: object, *, address: str = "") -> Cell:
    return Cell(words="" if words is None else str(words), kind="code", address=address)


def number(value: int, *, address: str = "") -> Cell:
    return Cell(words=f"{value:,}", kind="number", address=address)


def link(words: object, address: str, *, note: str = "") -> Cell:
    return Cell(words=str(words), address=address, note=note)


def state(words: str, kind: str, *, note: str = "") -> Cell:
    return Cell(words=words, kind=kind, note=note)


def time(words: str, *, note: str = "") -> Cell:
    return Cell(words=words, kind="time", note=note)


def acts(*buttons: Button) -> Cell:
    return Cell(buttons=buttons)
