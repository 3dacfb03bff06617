"""The file manager's state is its address: one or two panes, each a collection, a folder, an order and a page of its entries.

/file-manager?origin_id=&origin_path=&destination_id=&destination_path=&two_pane=true       as at app.globus.org
beside them, for each pane: _order (name, -name, size ...), _filter, _offset, _hidden, _all (every box ticked)
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.localglobus.numbers import read_whole
from services.localglobus.transfer.paths import parent
from services.localglobus.webapp.calls import Document

SIDES = ("origin", "destination")
ORDERS = {"name": "name", "size": "size", "modified": "last_modified"}
PAGE_SIZE = 500


@dataclass(frozen=True, kw_only=True)
class Pane:
    """What one pane shows. Without `collection_id` it asks for one; `path` is empty for the default folder."""

    side: str
    collection_id: str = ""
    path: str = ""
    order: str = "name"
    filter: str = ""
    offset: int = 0
    is_hidden_shown: bool = False
    is_all_ticked: bool = False

    @property
    def orderby(self) -> str:
        """The order as the API takes it: folders first."""
        name, direction = self.order.lstrip("-"), " DESC" if self.order.startswith("-") else ""
        return f"type,{ORDERS[name]}{direction}" + ("" if name == "name" else ",name")

    def query(self) -> dict[str, str]:
        """Its parameters, those left out that say nothing."""
        found = {
            "id": self.collection_id,
            "path": self.path,
            "order": "" if self.order == "name" else self.order,
            "filter": self.filter,
            "offset": str(self.offset) if self.offset else "",
            "hidden": "true" if self.is_hidden_shown else "",
            "all": "true" if self.is_all_ticked else "",
        }
        return {f"{self.side}_{name}": value for name, value in found.items() if value}


@dataclass(frozen=True, kw_only=True)
class View:
    """Both panes; with `is_two_pane` the second one is shown."""

    origin: Pane
    destination: Pane
    is_two_pane: bool

    def pane(self, side: str) -> Pane:
        return self.destination if side == "destination" else self.origin

    def other(self, side: str) -> Pane:
        return self.origin if side == "destination" else self.destination

    def parameters(self, side: str = "") -> dict[str, str]:
        """All of its parameters; without those that a form for another folder of the pane `side` has of its own."""
        two = {"two_pane": "true"} if self.is_two_pane else {}
        own = {f"{side}_{name}" for name in ("path", "offset", "filter", "all")}
        found = {**self.origin.query(), **self.destination.query(), **two}
        return {name: value for name, value in found.items() if name not in own}

    @property
    def query(self) -> str:
        return urllib.parse.urlencode(self.parameters())

    @property
    def address(self) -> str:
        return f"/file-manager?{self.query}" if self.query else "/file-manager"

    def with_pane(self, pane: Pane) -> View:
        return replace(self, destination=pane) if pane.side == "destination" else replace(self, origin=pane)

    def at(self, side: str, path: str) -> View:
        """The view with another folder in one pane."""
        pane = self.pane(side)
        moved = Pane(side=side, collection_id=pane.collection_id, path=path, order=pane.order, is_hidden_shown=pane.is_hidden_shown)
        return self.with_pane(moved)

    def above(self, side: str) -> View:
        return self.at(side, parent(self.pane(side).path))

    def opened(self, side: str, collection_id: str, path: str = "") -> View:
        """The view with another collection in one pane."""
        return self.with_pane(Pane(side=side, collection_id=collection_id, path=path))

    def ordered(self, side: str, name: str) -> View:
        """The view ordered by a column, or the other way round where it is so already."""
        pane = self.pane(side)
        return self.with_pane(replace(pane, order=f"-{name}" if pane.order == name else name, offset=0))

    def paged(self, side: str, offset: int) -> View:
        return self.with_pane(replace(self.pane(side), offset=max(0, offset), is_all_ticked=False))

    def ticked(self, side: str, *, is_all: bool) -> View:
        return self.with_pane(replace(self.pane(side), is_all_ticked=is_all))

    def hidden(self, side: str, *, is_shown: bool) -> View:
        return self.with_pane(replace(self.pane(side), is_hidden_shown=is_shown, offset=0))

    def closed(self) -> View:
        """The view with the first pane alone."""
        return replace(self, destination=Pane(side="destination"), is_two_pane=False)

    def swapped(self) -> View:
        """The view with the panes exchanged."""
        return replace(
            self, origin=replace(self.destination, side="origin"), destination=replace(self.origin, side="destination"), is_two_pane=True
        )

    def doubled(self) -> View:
        return replace(self, is_two_pane=True)


def read_view(query: Mapping[str, str]) -> View:
    """Reads an address; what makes no sense in it counts as not said."""
    panes = {side: _read_pane(side, query) for side in SIDES}
    is_two_pane = query.get("two_pane") == "true" or bool(panes["destination"].collection_id)
    return View(**panes, is_two_pane=is_two_pane)


def _read_pane(side: str, query: Mapping[str, str]) -> Pane:
    def said(name: str) -> str:
        return query.get(f"{side}_{name}", "")

    order, offset = said("order"), said("offset")
    return Pane(
        side=side,
        collection_id=said("id").strip().lower(),
        path=said("path"),
        order=order if order.removeprefix("-") in ORDERS else "name",
        filter=said("filter").strip(),
        offset=found if (found := read_whole(offset) or 0) <= 10**9 else 0,
        is_hidden_shown=said("hidden") == "true",
        is_all_ticked=said("all") == "true",
    )


def folder_address(collection_id: str, path: str = "") -> str:
    """Returns the address of a folder in one pane."""
    return View(
        origin=Pane(side="origin", collection_id=collection_id, path=path), destination=Pane(side="destination"), is_two_pane=False
    ).address


def trail(view: View, side: str, collection: Document) -> list[tuple[str, str]]:
    """The folders from the top of the collection down to this one, each with its address."""
    names = [name for name in view.pane(side).path.split("/") if name]
    steps = [(name, view.at(side, "/" + "/".join(names[: n + 1]) + "/").address) for n, name in enumerate(names)]
    return [(collection["display_name"], view.at(side, "/").address), *steps]
