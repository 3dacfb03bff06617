"""The file browser: folders with their totals, files page by page, and a search by name, size and date whose state is its address."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from datasets import files
from datasets.access import decide, may_list
from datasets.errors import InvalidError, NotFoundError
from datasets.files.bounding import bounded
from datasets.files.filters import BOUNDS, FileFilter
from datasets.models import Dataset, Version
from datasets.showing import Chip, dataset_and_version, https_route, route

FILES_ON_A_PAGE = 100


@dataclass(frozen=True)
class Browsing:
    """Where somebody is in the files of a version, and what she looks for there."""

    dataset: Dataset
    version: Version
    folder: str
    glob: str = ""
    is_everywhere: bool = False
    filters: FileFilter = field(default_factory=FileFilter)

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
        return named + [Chip(words, self.url(**{name: ""})) for name, words in self.filters.words()]

    def listing(self, after: str) -> files.Listing:
        with bounded():
            return files.list_folder(
                self.version,
                self.searched_folder,
                after=after or None,
                limit=FILES_ON_A_PAGE,
                glob=self.glob or None,
                filters=self.filters,
            )


@require_safe
def list_files(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/files.html`, or the next rows of its table for htmx: `listing`, `tree`, `steps` to the folder, `chips`, `next_url`.

    Query: `version`, `folder`, `after`; `glob` and the bounds of `files.filters` search below the folder, with `everywhere` all folders.
    """
    found, versions, version = dataset_and_version(request, slug)
    if version is None:
        raise NotFoundError
    here, error = _read(request, found, version)
    after = request.GET.get("after", "")
    context: dict[str, Any] = {
        "dataset": found,
        "version": version,
        "versions": versions,
        "decision": decide(request.user, found),
        "can_list": may_list(request.user, found, version),
        "has_items": getattr(version, "has_items", False),
        "browsing": here,
        "folder": here.folder,
        "typed": {name: request.GET.get(name, "") for name in ("glob", *BOUNDS)},
        "error": error,
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
    if context["can_list"] and not error:
        try:
            context["tree"] = [(row, here.folder_url(row.path)) for row in files.tree(version, here.folder)]
            context |= _listed(here, after)
        except InvalidError as refused:
            context["error"] = _words(refused)
    is_part = request.headers.get("HX-Request") == "true" and bool(after) and context["listing"] is not None
    template = "pages/files_rows.html" if is_part else "pages/files.html"
    return render(request, template, context, status=400 if context["error"] else 200)


def _listed(here: Browsing, after: str) -> dict[str, Any]:
    listing = here.listing(after)
    return {
        "listing": listing,
        "folders": [(row, here.folder_url(row.path)) for row in listing.folders],
        "next_url": here.url(after=listing.next_after) if listing.next_after else None,
        "first_url": here.url() if after else None,
    }


def _read(request: HttpRequest, dataset: Dataset, version: Version) -> tuple[Browsing, str]:
    """What the address asks for, and what of it cannot be read, in words."""
    asked = request.GET
    folder, glob = asked.get("folder") or "/", asked.get("glob", "").strip()
    try:
        filters, error = FileFilter.read(asked.dict()), ""
    except InvalidError as refused:
        filters, error = FileFilter(), _words(refused)
    return Browsing(dataset, version, folder, glob, bool(asked.get("everywhere")), filters), error


def _words(error: InvalidError) -> str:
    return " ".join(words for texts in error.fields.values() for words in texts) or error.detail


def _steps(here: Browsing) -> list[tuple[str, str]]:
    steps = [(f"Version {here.version.number}", here.folder_url("/"))]
    path = "/"
    for name in here.folder.strip("/").split("/") if here.folder != "/" else []:
        path += f"{name}/"
        steps.append((name, here.folder_url(path)))
    return steps
