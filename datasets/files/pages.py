"""The file browser: folders with their totals, files page by page, and a search by name, size and date whose state is its address."""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from datasets import files
from datasets.access import decide, may_list
from datasets.errors import InvalidError, NotFoundError
from datasets.files import earlier
from datasets.files.bounding import bounded
from datasets.files.filters import BOUNDS, FileFilter
from datasets.models import Dataset, Version
from datasets.showing import Chip, dataset_and_version, https_route, route

FILES_ON_A_PAGE = 100
LABELS = {
    "folder": "Folder",
    "glob": "Names like",
    "min_size": "Size from",
    "max_size": "Size to",
    "modified_from": "Modified from",
    "modified_to": "Modified to",
    "items": "Items",
    "availability": "Availability",
    "without": "Without",
}


@dataclass(frozen=True)
class Browsing:
    """Where somebody is in the files of a version, and what she looks for there."""

    dataset: Dataset
    version: Version
    folder: str
    glob: str = ""
    is_everywhere: bool = False
    filters: FileFilter = field(default_factory=FileFilter)
    availability: str = ""

    @property
    def is_search(self) -> bool:
        return bool(self.glob) or bool(self.filters)

    @property
    def searched_folder(self) -> str:
        """Where a search begins."""
        return "/" if self.is_everywhere and self.is_search else self.folder

    def url(self, **other: Any) -> str:
        """The address of this state, or of one that differs in `folder`, `glob`, `after`, `everywhere` or a bound."""
        stated: dict[str, Any] = {
            "version": self.version.number,
            "folder": self.folder if self.folder != "/" else "",
            "glob": self.glob,
            "everywhere": "1" if self.is_everywhere else "",
            "availability": self.availability,
            **self.filters.to_fields(),
        }
        asked = {key: value for key, value in {**stated, **other}.items() if value not in {"", None}}
        return f"{reverse('datasets:files', args=[self.dataset.slug])}?{urlencode(asked)}"

    def folder_url(self, path: str) -> str:
        """The address of a folder as it is, without a search."""
        return Browsing(self.dataset, self.version, path).url()

    def chips(self) -> list[Chip]:
        """What is looked for, each part with the address of the search without it."""
        named = [Chip(f"names like {self.glob}", self.url(glob=""))] if self.glob else []
        named += [Chip(words, self.url(**{name: ""})) for name, words in self.filters.words()]
        return named + ([Chip(f"{self.availability.capitalize()} only", self.url(availability=""))] if self.availability else [])

    @property
    def shown_filters(self) -> FileFilter:
        """The bounds that say what is shown, also for a selection of all of it."""
        cold = self.version.cold_folders if self.availability == "online" else ()
        return replace(self.filters, without=(*self.filters.without, *cold))

    def page_before(self, after: str) -> str:
        """The `after` of the page that ends where this one begins."""
        with bounded() if self.is_search else nullcontext():
            return earlier.page_before(
                self.version,
                self.searched_folder,
                after,
                FILES_ON_A_PAGE,
                glob=self.glob,
                filters=self.filters,
                availability=self.availability,
            )

    def listing(self, after: str) -> files.Listing:
        with bounded() if self.is_search else nullcontext():  # a folder is read by key
            return files.list_folder(
                self.version,
                self.searched_folder,
                after=after or None,
                limit=FILES_ON_A_PAGE,
                glob=self.glob or None,
                filters=self.filters,
                availability=self.availability,
            )


@require_safe
def list_files(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/files.html`, or one page of its rows for a script: `listing`, `tree`, `steps` to the folder, `chips`, `wrong`, `next_url`.

    Query: `version`, `folder`, `after`, `upto` (where the first page ends for one that does not follow it); `glob` and the bounds of
    `files.filters` search below the folder, with `everywhere` all folders; `availability=online` leaves out what is cold.
    """
    found, versions, version = dataset_and_version(request, slug)
    if version is None:
        raise NotFoundError
    here, wrong = _read(request, found, version)
    after, can_list = request.GET.get("after", ""), may_list(request.user, found, version)
    context: dict[str, Any] = {
        "dataset": found,
        "version": version,
        "versions": versions,
        "decision": decide(request.user, found),
        "can_list": can_list,
        "has_items": getattr(version, "has_items", False),
        "browsing": here,
        "folder": here.folder,
        "typed": {name: request.GET.get(name, "") for name in ("glob", *BOUNDS)},
        "wrong": wrong,
        "labels": LABELS,
        "folder_availability": version.availability_of(here.folder if can_list else "/"),
        "listing": None,
        "chips": here.chips(),
        "tree": [],
        "steps": _steps(here),
        "add_url": route("transfers:basket-add"),
        "manifest_url": reverse("datasets-api:manifest", args=[slug, version.number]),
        "https_route": https_route(found, version),
        "file_route": route("analysis:file", slug, version.number),
        "here": request.get_full_path(),
    }
    if can_list:
        try:
            context["tree"] = [(row, here.folder_url(row.path)) for row in files.tree(version, here.folder)]
            context |= {} if wrong else _listed(here, after, request.GET.get("upto", ""))
        except InvalidError as refused:
            context["wrong"] = wrong | (refused.fields or {"folder": [refused.detail]})
    is_part = request.headers.get("HX-Request") == "true" and context["listing"] is not None
    template = "pages/files_rows.html" if is_part else "pages/files.html"
    answer = render(request, template, context, status=400 if context["wrong"] else 200)
    patch_vary_headers(answer, ["HX-Request"])
    return answer


def _listed(here: Browsing, after: str, upto: str) -> dict[str, Any]:
    listing = here.listing(after)
    if upto:
        listing = _cut(listing, upto)
    before = here.page_before(after) if after else ""
    return {
        "listing": listing,
        "folders": [(row, here.folder_url(row.path)) for row in listing.folders],
        "next_url": here.url(after=listing.next_after) if listing.next_after else None,
        "page_url": here.url(after=after, upto=upto),
        "first_url": here.url() if after else None,
        "previous_url": here.url(after=before, upto="" if before else after) if after else None,
    }


def _cut(listing: files.Listing, upto: str) -> files.Listing:
    """The page up to this entry, where another page begins; the whole of it where it does not hold the entry."""
    paths = [*(row.path for row in listing.folders), *(row.path for row in listing.files)]
    if upto not in paths:
        return listing
    n_kept, n_folders = paths.index(upto) + 1, len(listing.folders)
    return replace(listing, folders=listing.folders[:n_kept], files=listing.files[: max(0, n_kept - n_folders)], next_after=upto)


def _read(request: HttpRequest, dataset: Dataset, version: Version) -> tuple[Browsing, dict[str, list[str]]]:
    """What the address asks for, and what of it cannot be read, by field."""
    asked = request.GET
    folder, glob = asked.get("folder") or "/", asked.get("glob", "").strip()
    wrong: dict[str, list[str]] = {}
    try:
        filters = FileFilter.read(asked.dict())
    except InvalidError as refused:
        filters, wrong = FileFilter(), refused.fields
    return Browsing(dataset, version, folder, glob, bool(asked.get("everywhere")), filters, asked.get("availability", "")), wrong


def _steps(here: Browsing) -> list[tuple[str, str]]:
    steps = [(f"Version {here.version.number}", here.folder_url("/"))]
    path = "/"
    for name in here.folder.strip("/").split("/") if here.folder != "/" else []:
        path += f"{name}/"
        steps.append((name, here.folder_url(path)))
    return steps
