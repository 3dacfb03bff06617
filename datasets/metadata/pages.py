"""The landing page of a dataset for machines: other formats by `?format=` or Accept, links between them, the sitemap and the feed.

`pages.dataset` asks `asked_format` first and hands its page to `link`; nothing here tells what a stranger may not see.
"""

import hashlib
from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import MediaType
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from markupsafe import Markup

from datasets import files
from datasets.errors import InvalidError, NotFoundError
from datasets.finding import find_curated, whole_number
from datasets.formats import FORMATS, Format, described_by, schema_org, signposting
from datasets.formats.markup import add, xml_text
from datasets.formats.record import Record
from datasets.metadata.describing import current_record, find_record, make_record, preview_in, with_description
from datasets.models import Dataset, Version
from datasets.search import find_newest, places
from datasets.search.query import SearchQuery

HTML = "text/html"
LINKSET = Format("linkset", "Linkset", signposting.LINKSET_TYPE, signposting.as_linkset, has_files=True)
SERVED = {**FORMATS, LINKSET.name: LINKSET}
# What else clients call some of these, besides their own names.
ALSO_CALLED = {
    "application/json": "datacite-json",
    "application/vnd.schemaorg.ld+json": "schema.org",
    "application/xhtml+xml": "",
    "application/xml": "dublin-core",
    "text/x-bibtex": "bibtex",
    "text/xml": "dublin-core",
}
SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
ATOM = "http://www.w3.org/2005/Atom"
ADDRESSES_IN_A_SITEMAP = 10_000
ENTRIES_IN_THE_FEED = 50


def asked_format(request: HttpRequest) -> Format | None:
    """The format that `?format=` or the Accept header asks for; None for the page. InvalidError for a format that there is not.

    A header that names nothing that there is gets the page: browsers and simple tools send all kinds of headers.
    """
    name = request.GET.get("format", "")
    if name and name != "html":
        if name not in SERVED:
            raise InvalidError(fields={"format": [f"One of html, {', '.join(SERVED)}."]})
        return SERVED[name]
    return None if name else preferred(request.headers.get("Accept", "*/*"))


def preferred(accept: str) -> Format | None:
    """The format with the highest weight in an Accept header (RFC 9110, section 12.5.1); the page wins a tie."""
    named = [
        (HTML, None),
        *((f'{one.media_type}; profile="{one.profile}"' if one.profile else one.media_type, one) for one in SERVED.values()),
    ]
    named += [(media_type, SERVED.get(name)) for media_type, name in ALSO_CALLED.items()]
    asked = [MediaType(token) for token in accept.split(",") if token.strip()]
    best: tuple[float, Format | None] = (0.0, None)
    for media_type, form in named:
        weight = max((one.quality for one in asked if _names(one, MediaType(media_type))), default=0.0)
        if weight > best[0]:
            best = (weight, form)
    return best[1]


def _names(asked: MediaType, offered: MediaType) -> bool:
    """Whether a media range names this type: a profile only by itself, the plain type only without one."""
    profile = asked.params.get("profile", "")
    if (asked.main_type, asked.sub_type) in {("*", "*"), (offered.main_type, "*")}:
        return offered.params.get("profile", "") == ""
    is_same = (asked.main_type, asked.sub_type) == (offered.main_type, offered.sub_type)
    return is_same and offered.params.get("profile", "") == profile


def describe(request: HttpRequest, slug: str, form: Format) -> HttpResponseBase:
    """The version that `version` names, by default the current one, in a format. Public: nobody is asked who she is."""
    named = request.GET.get("version", "")
    number = whole_number(named)
    if named and number is None:
        raise NotFoundError
    record = find_record(slug, number, has_files=form.has_files)
    if not form.applies_to(record):
        raise NotFoundError("This dataset has no such description: its place or its time is not known.")
    response = HttpResponse(form.write(record), content_type=form.content_type)
    response["Link"] = signposting.back_header(record)
    return _public(request, response)


def page_context(dataset: Dataset, version: Version | None, versions: Sequence[Version], total: files.Measure) -> dict[str, Any]:
    """What the page of a published version says to machines: `record`, `alternates` (format, address), `structured` (JSON-LD as markup)."""
    if version is None or version.is_draft:
        return {"record": None}
    record = make_record(dataset, version, versions, total=total)
    alternates = [(form, record.format_url(form.name)) for form in described_by(record)]
    return {"record": record, "alternates": alternates, "structured": in_script(schema_org.as_json(record))}


@never_cache
@login_required
@require_safe
def preview(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/steward_preview.html`: `text` is the open draft in one of `formats`, as machines will read it. Query: `format`."""
    dataset = find_curated(request.user, slug)
    record, form, forms = preview_in(dataset, request.GET.get("format", ""))
    context = {"dataset": dataset, "record": record, "form": form, "formats": forms, "text": form.write(record)}
    return render(request, "pages/steward_preview.html", context)


def in_script(text: str) -> Markup:
    """JSON as the content of a script element: `<` and `&` as escapes, so that no text can end it."""
    escaped = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(escaped)  # noqa: S704  (escaped in the line above)


def link(response: HttpResponse, record: Record | None) -> HttpResponse:
    """The page with its signposting header."""
    patch_vary_headers(response, ["Accept"])
    if record is not None:
        response["Link"] = signposting.header(record)
    return response


@require_safe
def show_robots(_request: HttpRequest) -> HttpResponse:
    """What robots may read, which is all that strangers may, and where the sitemap is. Source: RFC 9309."""
    sitemap = settings.BASE_URL + reverse("datasets:sitemap-index")
    return HttpResponse(f"User-agent: *\nAllow: /\n\nSitemap: {sitemap}\n", content_type="text/plain; charset=utf-8")


@require_safe
def show_sitemap_index(request: HttpRequest) -> HttpResponseBase:
    """The sitemaps of all published datasets. Source: https://www.sitemaps.org/protocol.html."""
    count = len(places.read({}, {})[0].listed)
    root = Element(f"{{{SITEMAP}}}sitemapindex")
    for number in range(1, max(1, -(-count // ADDRESSES_IN_A_SITEMAP)) + 1):
        one = add(root, f"{{{SITEMAP}}}sitemap")
        add(one, f"{{{SITEMAP}}}loc", settings.BASE_URL + reverse("datasets:sitemap", args=[number]))
    return _xml(request, root, "application/xml")


@require_safe
def show_sitemap(request: HttpRequest, number: int) -> HttpResponseBase:
    """One sitemap: the landing pages of up to 10,000 datasets in the order in which they were registered."""
    first = max(0, number - 1) * ADDRESSES_IN_A_SITEMAP
    shown = list(places.read({}, {})[0].listed[first : first + ADDRESSES_IN_A_SITEMAP])
    found = list(Dataset.objects.listed().filter(search_entry__place__in=shown).order_by("search_entry__place").only("slug", "updated_at"))
    if number < 1 or (not found and number > 1):
        raise NotFoundError
    root = Element(f"{{{SITEMAP}}}urlset")
    for dataset in found:
        one = add(root, f"{{{SITEMAP}}}url")
        add(one, f"{{{SITEMAP}}}loc", settings.BASE_URL + dataset.get_absolute_url())
        add(one, f"{{{SITEMAP}}}lastmod", dataset.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return _xml(request, root, "application/xml")


@require_safe
def show_feed(request: HttpRequest) -> HttpResponseBase:
    """An Atom feed of the datasets that were published or changed last, or of what a search finds. Source: RFC 4287.

    Query: as that of a results page; without any, all datasets.
    """
    query = SearchQuery.from_parameters(request.GET)
    listed, asked = Dataset.objects.listed(), ""
    if query.words or query.is_filtered:
        asked = query.without("cursor").url()
        listed = listed.filter(pk__in=[one.pk for one in find_newest(query, user=AnonymousUser(), most=ENTRIES_IN_THE_FEED)])
    newest = with_description(listed.order_by("-updated_at", "-id"))[:ENTRIES_IN_THE_FEED]
    records = [record for record in map(current_record, newest) if record]
    here = settings.BASE_URL + reverse("datasets:feed") + asked
    root = Element(f"{{{ATOM}}}feed")
    _atom(root, "id", here)
    _atom(root, "title", f"Causeway: {query.words or 'new and changed datasets'}")
    _atom(root, "updated", _moment(records[0]) if records else "1970-01-01T00:00:00Z")
    _atom(root, "link", rel="self", href=here, type="application/atom+xml")
    _atom(root, "link", rel="alternate", href=settings.BASE_URL + reverse("datasets:catalogue") + asked, type=HTML)
    _atom(_atom(root, "author"), "name", "Causeway")
    for record in records:
        _add_entry(root, record)
    return _xml(request, root, "application/atom+xml")


def _add_entry(root: Element, record: Record) -> None:
    entry = _atom(root, "entry")
    _atom(entry, "id", f"urn:uuid:{record.id}")
    _atom(entry, "title", record.title)
    _atom(entry, "updated", _moment(record))
    _atom(entry, "published", record.published_at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    for maker in record.makers:
        _atom(_atom(entry, "author"), "name", maker.name)
    for subject in record.subjects:
        _atom(entry, "category", term=subject)
    _atom(entry, "link", rel="alternate", href=record.page_url, type=HTML)
    _atom(entry, "summary", record.abstract)


def _atom(parent: Element, name: str, text: str = "", **attributes: str) -> Element:
    return add(parent, f"{{{ATOM}}}{name}", text, **attributes)


def _moment(record: Record) -> str:
    return record.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _xml(request: HttpRequest, root: Element, media_type: str) -> HttpResponseBase:
    return _public(request, HttpResponse(xml_text(root), content_type=f"{media_type}; charset=utf-8"))


def _public(request: HttpRequest, response: HttpResponse) -> HttpResponseBase:
    """With what lets anybody keep it and scripts of other sites read it: it is the same for everybody and names nobody's session."""
    patch_vary_headers(response, ["Accept"])
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Expose-Headers"] = "Link, ETag"
    response["ETag"] = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
    conditional = get_conditional_response(request, etag=response["ETag"], response=response)
    return conditional if conditional is not None else response
