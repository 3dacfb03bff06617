"""What pages of the catalogue share: what an address names, chips, links to other apps, marked excerpts, what a browser viewed last."""

import re
from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch, prefetch_related_objects
from django.http import HttpRequest, HttpResponseBase
from django.urls import NoReverseMatch, reverse
from markupsafe import Markup, escape

from datasets import search
from datasets.errors import NotFoundError
from datasets.finding import find_dataset
from datasets.items import having_items
from datasets.models import Dataset, Version

VIEWED, MOST_VIEWED = "causeway_viewed", 6
SLUG = re.compile(r"[a-z0-9-]{1,80}")


@dataclass(frozen=True)
class Chip:
    """An active filter and the address of the search without it."""

    words: str
    remove_url: str


def dataset_and_version(request: HttpRequest, slug: str) -> tuple[Dataset, list[Version], Version | None]:
    """The dataset, its visible versions, and the one that `version` names: by default the current one, else the newest visible."""
    found = find_dataset(request.user, slug)
    visible = (
        having_items(Version.objects.visible_to(request.user)).filter(dataset=found).select_related("doi").prefetch_related("locations")
    )
    prefetch_related_objects([found], "creators", "subjects", "variables", "stewards", Prefetch("versions", visible))
    versions = list(found.versions.all())
    for version in versions:
        version.dataset = found
    number = request.GET.get("version", "")
    if not number:
        return found, versions, next((version for version in versions if not version.is_draft), versions[0] if versions else None)
    for version in versions:
        if str(version.number) == number:
            return found, versions, version
    raise NotFoundError(f"There is no version {number[:20]} of this dataset that you may see.")


def https_route(dataset: Dataset, version: Version | None) -> str:
    """Where links to single files lead; none for restricted datasets in a collection, whose files only shares give out."""
    if version is None or version.is_draft or version.is_withdrawn or version.availability == "cold":
        return ""
    if dataset.is_controlled or not (dataset.is_read_in_place or version.is_in_bucket):
        return ""
    return route("transfers:https", dataset.slug, version.number)


def route(name: str, *args: Any) -> str:
    """The address of a page of another app; empty where this installation lacks it."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


def marked(excerpt: str) -> Markup:
    """An excerpt as markup, with the matching words in <mark>."""
    written = str(escape(excerpt))
    return Markup(written.replace(search.MARK_START, "<mark>").replace(search.MARK_END, "</mark>"))  # noqa: S704  (escaped)


def remember(request: HttpRequest, answer: HttpResponseBase, slug: str) -> HttpResponseBase:
    """The browser keeps which datasets it showed last; nobody else does."""
    slugs = [slug, *(one for one in viewed(request) if one != slug)][:MOST_VIEWED]
    answer.set_cookie(VIEWED, "/".join(slugs), max_age=90 * 86_400, httponly=True, samesite="Lax", secure=request.is_secure())
    return answer


def viewed(request: HttpRequest) -> list[str]:
    """The slugs of the datasets that this browser showed last, newest first."""
    return [slug for slug in request.COOKIES.get(VIEWED, "").split("/") if SLUG.fullmatch(slug)][:MOST_VIEWED]
