"""Every route, walked as a stranger to the site, a stranger to the data, the researcher, a steward and an operator.

The tables say what each is answered; a route without a row fails, and so does a row without a route. POST and the like are sent without a
body, so 400 means "let in, but the form is empty"; where that would hide who is refused, a second table sends what is right.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from datasets import series
from datasets.files import FileQuery
from datasets.models import SavedSearch, Variable
from transfers import selecting, sharing
from transfers.access import asking
from transfers.analysis.models import AnalysisJob, AnalysisSource, FilePreview, QuickLook
from transfers.analysis.states import LookStatus, PreviewStatus
from transfers.models import GlobusToken
from transfers.requesting import Wanted

WHO = ("nobody", "cy", "ada", "ben", "dee")

DATASET = "api/v1/^datasets/(?P<slug>[a-z0-9-]+)"
HTTPS = "datasets/<slug:slug>/versions/<int:number>/https/"
BIN = "api/v1/^deleted-datasets/(?P<slug>[a-z0-9-]+)"
SERIES = "api/v1/^series/(?P<slug>[a-z0-9-]+)"
FILE = "datasets/<slug:slug>/versions/<int:number>/file/"
VERSION = DATASET + "/versions/(?P<number>[0-9]{1,9})"
LOCATION = VERSION + "/locations/(?P<location_id>[0-9]{1,18})"
COLLECTION = "api/v1/^collections/(?P<collection_id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/?$"
SCAN = VERSION + "/scans/(?P<scan_id>[0-9]{1,18})"
SCAN_ACT = SCAN + "/(?P<act>pause|resume|cancel|accept|discard|retry)/?$"
CHECK = "steward/datasets/<slug:slug>/versions/<int:number>/scan/"
DESK_SCAN = "steward/datasets/<slug:slug>/scans/<int:scan_id>/"
ASKED = "api/v1/^data-requests/(?P<pk>[^/.]+)"

FAR = "2099-01-01T00:00Z"
ACCEPTANCE = DATASET + "/terms/(?P<number>[0-9]{1,9})/acceptance/?$"
ACCESS = "api/v1/^access-requests/(?P<pk>[^/.]+)"

TRANSFER = "urn:globus:auth:scope:transfer.api.globus.org:all"


def asks_for(slug: str) -> dict[str, Any]:
    return {"kind": "share", "lifetime_days": 3, "selections": [{"dataset": slug, "version": 1, "files": ["/one.nc"]}]}


def access_to(slug: str) -> dict[str, Any]:
    return {"dataset": slug, "purpose": "A study of seas."}


# fmt: off
# A row: the route, the method, a path of it, and what nobody, cy, ada, ben and dee are answered.
TABLE: list[tuple[str, str, str, tuple[int, int, int, int, int]]] = [
    ("", "GET", "/", (200, 200, 200, 200, 200)),
    (ACCESS + "/?$", "GET", "/api/v1/access-requests/{access}/", (401, 404, 200, 200, 200)),
    (ACCESS + "/approve/?$", "POST", "/api/v1/access-requests/{access}/approve/", (401, 404, 403, 400, 400)),
    (ACCESS + "/deny/?$", "POST", "/api/v1/access-requests/{access}/deny/", (401, 404, 403, 400, 400)),
    (ACCESS + "/give-back/?$", "POST", "/api/v1/access-requests/{access}/give-back/", (401, 404, 409, 403, 403)),
    (ACCESS + "/renew/?$", "POST", "/api/v1/access-requests/{access}/renew/", (401, 404, 400, 400, 400)),
    (ACCESS + "/withdraw/?$", "POST", "/api/v1/access-requests/{access}/withdraw/", (401, 404, 202, 403, 403)),
    ("access-requests/", "GET", "/access-requests/", (303, 200, 200, 200, 200)),
    ("access-requests/<uuid:request_id>/", "GET", "/access-requests/{access}/", (303, 404, 200, 200, 200)),
    ("access-requests/<uuid:request_id>/<slug:act>/", "POST", "/access-requests/{access}/approve/", (303, 404, 403, 400, 400)),
    ("access-requests/<uuid:request_id>/<slug:act>/", "POST", "/access-requests/{access}/deny/", (303, 404, 403, 400, 400)),
    ("access-requests/<uuid:request_id>/<slug:act>/", "POST", "/access-requests/{access}/renew/", (303, 404, 400, 403, 403)),
    ("access-requests/<uuid:request_id>/<slug:act>/", "POST", "/access-requests/{access}/withdraw/", (303, 404, 302, 403, 403)),
    ("access-requests/<uuid:request_id>/<slug:act>/", "POST", "/access-requests/{access}/give-back/", (303, 404, 400, 403, 403)),
    ("api/v1/^access-requests/?$", "GET", "/api/v1/access-requests/", (401, 200, 200, 200, 200)),
    ("api/v1/^access-requests/?$", "GET", "/api/v1/access-requests/?waiting=1", (401, 200, 200, 200, 200)),
    (ASKED + "/?$", "GET", "/api/v1/data-requests/{request}/", (401, 404, 200, 404, 200)),
    (ASKED + "/ask-again/?$", "POST", "/api/v1/data-requests/{request}/ask-again/", (401, 404, 409, 404, 409)),
    (ASKED + "/cancel/?$", "POST", "/api/v1/data-requests/{request}/cancel/", (401, 404, 202, 404, 202)),
    (ASKED + "/extend/?$", "POST", "/api/v1/data-requests/{request}/extend/", (401, 404, 409, 404, 409)),
    (ASKED + "/manifest/?$", "GET", "/api/v1/data-requests/{request}/manifest/", (401, 404, 200, 404, 200)),
    (ASKED + "/retry/?$", "POST", "/api/v1/data-requests/{request}/retry/", (401, 404, 409, 404, 409)),
    ("api/v1/^data-requests/?$", "GET", "/api/v1/data-requests/", (401, 200, 200, 200, 200)),
    (DATASET + "/?$", "GET", "/api/v1/datasets/open/", (200, 200, 200, 200, 200)),
    (DATASET + "/?$", "GET", "/api/v1/datasets/draft/", (404, 404, 404, 200, 200)),
    (DATASET + "/?$", "GET", "/api/v1/datasets/closed/", (200, 200, 200, 200, 200)),
    (DATASET + "/?$", "PATCH", "/api/v1/datasets/open/", (401, 403, 403, 200, 200)),
    (DATASET + "/grants/(?P<grant_id>[0-9]{1,18})/?$", "DELETE", "/api/v1/datasets/open/grants/1/", (401, 403, 403, 404, 404)),
    (DATASET + "/grants/?$", "GET", "/api/v1/datasets/open/grants/", (401, 403, 403, 200, 200)),
    (DATASET + "/grants/?$", "GET", "/api/v1/datasets/draft/grants/", (401, 404, 404, 200, 200)),
    (DATASET + "/grants/?$", "GET", "/api/v1/datasets/closed/grants/", (401, 403, 403, 200, 200)),
    (DATASET + "/grants/?$", "POST", "/api/v1/datasets/open/grants/", (401, 403, 403, 400, 400)),
    (DATASET + "/terms/?$", "GET", "/api/v1/datasets/open/terms/", (200, 200, 200, 200, 200)),
    (DATASET + "/terms/?$", "GET", "/api/v1/datasets/draft/terms/", (404, 404, 404, 200, 200)),
    (DATASET + "/terms/?$", "POST", "/api/v1/datasets/open/terms/", (401, 403, 403, 400, 400)),
    (DATASET + "/terms/?$", "DELETE", "/api/v1/datasets/open/terms/", (401, 403, 403, 204, 204)),
    (ACCEPTANCE, "PUT", "/api/v1/datasets/open/terms/1/acceptance/", (401, 409, 409, 409, 409)),
    (DATASET + "/who-can-see/?$", "GET", "/api/v1/datasets/closed/who-can-see/", (401, 403, 403, 200, 200)),
    (DATASET + "/who-can-see/?$", "GET", "/api/v1/datasets/draft/who-can-see/", (401, 404, 404, 200, 200)),
    ("api/v1/^people/(?P<identity_id>[0-9a-f-]{36})/can-see/?$", "GET", "/api/v1/people/{ada}/can-see/", (401, 403, 200, 200, 200)),
    (VERSION + "/?$", "GET", "/api/v1/datasets/open/versions/1/", (200, 200, 200, 200, 200)),
    (VERSION + "/?$", "GET", "/api/v1/datasets/draft/versions/1/", (404, 404, 404, 200, 200)),
    (VERSION + "/?$", "GET", "/api/v1/datasets/closed/versions/1/", (200, 200, 200, 200, 200)),
    (VERSION + "/?$", "DELETE", "/api/v1/datasets/open/versions/1/", (401, 403, 403, 409, 409)),
    (VERSION + "/?$", "DELETE", "/api/v1/datasets/draft/versions/1/", (401, 404, 404, 409, 409)),
    (VERSION + "/changes/?$", "GET", "/api/v1/datasets/open/versions/1/changes/", (200, 200, 200, 200, 200)),
    (VERSION + "/changes/?$", "GET", "/api/v1/datasets/draft/versions/1/changes/", (404, 404, 404, 200, 200)),
    (VERSION + "/changes/?$", "GET", "/api/v1/datasets/closed/versions/1/changes/", (403, 403, 403, 200, 200)),
    (VERSION + "/checks/?$", "GET", "/api/v1/datasets/open/versions/1/checks/", (401, 403, 403, 200, 200)),
    (VERSION + "/checks/?$", "GET", "/api/v1/datasets/draft/versions/1/checks/", (401, 404, 404, 200, 200)),
    (VERSION + "/review/?$", "POST", "/api/v1/datasets/open/versions/1/review/", (401, 403, 403, 409, 409)),
    (VERSION + "/review/?$", "DELETE", "/api/v1/datasets/open/versions/1/review/", (401, 403, 403, 400, 400)),
    (VERSION + "/doi/?$", "POST", "/api/v1/datasets/open/versions/1/doi/", (401, 403, 403, 201, 201)),
    (VERSION + "/doi/?$", "POST", "/api/v1/datasets/draft/versions/1/doi/", (401, 404, 404, 201, 201)),
    (VERSION + "/withdrawal/?$", "POST", "/api/v1/datasets/open/versions/1/withdrawal/", (401, 403, 403, 400, 400)),
    (VERSION + "/withdrawal/?$", "POST", "/api/v1/datasets/draft/versions/1/withdrawal/", (401, 404, 404, 400, 400)),
    (VERSION + "/manifest/?$", "GET", "/api/v1/datasets/open/versions/1/manifest/", (200, 200, 200, 200, 200)),
    (VERSION + "/manifest/?$", "GET", "/api/v1/datasets/draft/versions/1/manifest/", (404, 404, 404, 200, 200)),
    (VERSION + "/manifest/?$", "GET", "/api/v1/datasets/closed/versions/1/manifest/", (403, 403, 403, 200, 200)),
    (VERSION + "/files/?$", "GET", "/api/v1/datasets/open/versions/1/files/", (200, 200, 200, 200, 200)),
    (VERSION + "/files/?$", "GET", "/api/v1/datasets/draft/versions/1/files/", (404, 404, 404, 200, 200)),
    (VERSION + "/files/?$", "GET", "/api/v1/datasets/closed/versions/1/files/", (403, 403, 403, 200, 200)),
    (VERSION + "/items/?$", "GET", "/api/v1/datasets/open/versions/1/items/", (200, 200, 200, 200, 200)),
    (VERSION + "/items/?$", "GET", "/api/v1/datasets/draft/versions/1/items/", (404, 404, 404, 200, 200)),
    (VERSION + "/items/?$", "GET", "/api/v1/datasets/closed/versions/1/items/", (403, 403, 403, 200, 200)),
    (VERSION + "/items/?$", "POST", "/api/v1/datasets/draft/versions/1/items/", (401, 404, 404, 400, 400)),
    (VERSION + "/items/?$", "POST", "/api/v1/datasets/open/versions/1/items/", (401, 403, 403, 400, 400)),
    (VERSION + "/item-columns/?$", "GET", "/api/v1/datasets/open/versions/1/item-columns/", (200, 200, 200, 200, 200)),
    (VERSION + "/item-columns/?$", "GET", "/api/v1/datasets/draft/versions/1/item-columns/", (404, 404, 404, 200, 200)),
    (VERSION + "/item-columns/?$", "PUT", "/api/v1/datasets/open/versions/1/item-columns/", (401, 403, 403, 400, 400)),
    (VERSION + "/location/?$", "PUT", "/api/v1/datasets/open/versions/1/location/", (401, 403, 403, 400, 400)),
    (VERSION + "/publication/?$", "POST", "/api/v1/datasets/open/versions/1/publication/", (401, 403, 403, 409, 409)),
    (VERSION + "/publication/?$", "POST", "/api/v1/datasets/draft/versions/1/publication/", (401, 404, 404, 201, 201)),
    (VERSION + "/scans/?$", "GET", "/api/v1/datasets/open/versions/1/scans/", (401, 403, 403, 200, 200)),
    (VERSION + "/scans/?$", "POST", "/api/v1/datasets/open/versions/1/scans/", (401, 403, 403, 202, 202)),
    (SCAN + "/?$", "GET", "/api/v1/datasets/open/versions/1/scans/{scan}/", (401, 403, 403, 200, 200)),
    (SCAN + "/changes/?$", "GET", "/api/v1/datasets/open/versions/1/scans/{scan}/changes/", (401, 403, 403, 200, 200)),
    (SCAN_ACT, "POST", "/api/v1/datasets/open/versions/1/scans/{scan}/accept/", (401, 403, 403, 409, 409)),
    (VERSION + "/locations/?$", "POST", "/api/v1/datasets/open/versions/1/locations/", (401, 403, 403, 400, 400)),
    (VERSION + "/locations/?$", "POST", "/api/v1/datasets/draft/versions/1/locations/", (401, 404, 404, 400, 400)),
    (LOCATION + "/?$", "PATCH", "/api/v1/datasets/open/versions/1/locations/{location}/", (401, 403, 403, 400, 400)),
    (LOCATION + "/?$", "DELETE", "/api/v1/datasets/open/versions/1/locations/{location}/", (401, 403, 403, 409, 409)),
    (LOCATION + "/move/?$", "POST", "/api/v1/datasets/open/versions/1/locations/{location}/move/", (401, 403, 403, 400, 400)),
    ("steward/datasets/<slug:slug>/locations/", "GET", "/steward/datasets/open/locations/", (302, 403, 403, 200, 200)),
    ("steward/datasets/<slug:slug>/locations/", "POST", "/steward/datasets/draft/locations/", (302, 404, 404, 404, 404)),
    (VERSION + "/damage/?$", "GET", "/api/v1/datasets/open/versions/1/damage/", (200, 200, 200, 200, 200)),
    (VERSION + "/damage/?$", "GET", "/api/v1/datasets/draft/versions/1/damage/", (404, 404, 404, 200, 200)),
    (VERSION + "/damage/?$", "GET", "/api/v1/datasets/closed/versions/1/damage/", (200, 200, 200, 200, 200)),
    (DATASET + "/watch/?$", "GET", "/api/v1/datasets/open/watch/", (401, 403, 403, 200, 200)),
    (DATASET + "/watch/?$", "PATCH", "/api/v1/datasets/draft/watch/", (401, 404, 404, 200, 200)),
    (DATASET + "/?$", "DELETE", "/api/v1/datasets/open/", (401, 403, 403, 409, 409)),
    (DATASET + "/?$", "DELETE", "/api/v1/datasets/draft/", (401, 404, 404, 400, 400)),
    ("api/v1/^waiting/?$", "GET", "/api/v1/waiting/", (401, 403, 403, 200, 200)),
    ("api/v1/^deleted-datasets/?$", "GET", "/api/v1/deleted-datasets/", (401, 403, 403, 200, 200)),
    (BIN + "/restoration/?$", "POST", "/api/v1/deleted-datasets/draft/restoration/", (401, 403, 403, 404, 404)),
    (DATASET + "/edit-lock/?$", "GET", "/api/v1/datasets/open/edit-lock/", (401, 403, 403, 200, 200)),
    (DATASET + "/edit-lock/?$", "GET", "/api/v1/datasets/draft/edit-lock/", (401, 404, 404, 200, 200)),
    (DATASET + "/edit-lock/?$", "PUT", "/api/v1/datasets/open/edit-lock/", (401, 403, 403, 200, 200)),
    (DATASET + "/edit-lock/?$", "DELETE", "/api/v1/datasets/open/edit-lock/", (401, 403, 403, 204, 204)),
    (DATASET + "/versions/?$", "GET", "/api/v1/datasets/open/versions/", (200, 200, 200, 200, 200)),
    (DATASET + "/versions/?$", "POST", "/api/v1/datasets/open/versions/", (401, 403, 403, 201, 201)),
    ("api/v1/^datasets/?$", "GET", "/api/v1/datasets/", (200, 200, 200, 200, 200)),
    ("api/v1/^datasets/?$", "POST", "/api/v1/datasets/", (401, 403, 403, 400, 400)),
    ("api/v1/^graphs/(?P<pk>[^/.]+)/?$", "GET", "/api/v1/graphs/{graph}/", (401, 404, 200, 404, 200)),
    ("api/v1/^graphs/(?P<pk>[^/.]+)/?$", "DELETE", "/api/v1/graphs/{graph}/", (401, 404, 202, 404, 202)),
    ("api/v1/^graphs/?$", "GET", "/api/v1/graphs/", (401, 200, 200, 200, 200)),
    ("api/v1/^series/?$", "GET", "/api/v1/series/", (200, 200, 200, 200, 200)),
    ("api/v1/^series/?$", "POST", "/api/v1/series/", (401, 403, 403, 400, 400)),
    (SERIES + "/?$", "GET", "/api/v1/series/seas/", (200, 200, 200, 200, 200)),
    (SERIES + "/?$", "GET", "/api/v1/series/empty/", (404, 404, 404, 404, 200)),
    (SERIES + "/?$", "PATCH", "/api/v1/series/seas/", (401, 403, 403, 403, 200)),
    (SERIES + "/?$", "DELETE", "/api/v1/series/seas/", (401, 403, 403, 403, 409)),
    (SERIES + "/?$", "DELETE", "/api/v1/series/empty/", (401, 404, 404, 404, 204)),
    (SERIES + "/stewards/?$", "GET", "/api/v1/series/seas/stewards/", (401, 403, 403, 403, 200)),
    (SERIES + "/stewards/?$", "POST", "/api/v1/series/seas/stewards/", (401, 403, 403, 403, 400)),
    (SERIES + "/stewards/(?P<steward_id>[0-9]{1,18})/?$", "DELETE", "/api/v1/series/seas/stewards/1/", (401, 403, 403, 403, 404)),
    ("api/v1/^suggestions/?$", "GET", "/api/v1/suggestions/", (200, 200, 200, 200, 200)),
    ("api/v1/^collections/?$", "GET", "/api/v1/collections/", (401, 403, 403, 403, 200)),
    ("api/v1/^collections/?$", "GET", "/api/v1/collections/?q=archive", (401, 403, 403, 403, 503)),
    (COLLECTION, "GET", "/api/v1/collections/{nowhere}/", (401, 403, 403, 403, 404)),
    (COLLECTION, "POST", "/api/v1/collections/{nowhere}/", (401, 403, 403, 403, 201)),
    (COLLECTION, "DELETE", "/api/v1/collections/{nowhere}/", (401, 403, 403, 403, 404)),
    ("collections/", "GET", "/collections/?q=archive", (302, 403, 403, 403, 200)),
    ("collections/<uuid:collection_id>/", "GET", "/collections/{nowhere}/", (302, 403, 403, 403, 200)),
    ("collections/<uuid:collection_id>/", "POST", "/collections/{nowhere}/", (302, 403, 403, 403, 302)),
    ("basket/", "GET", "/basket/", (200, 200, 200, 200, 200)),
    ("basket/<int:selection_id>/remove/", "POST", "/basket/{selection}/remove/", (404, 404, 302, 404, 404)),
    ("basket/empty/", "POST", "/basket/empty/", (404, 404, 302, 404, 404)),
    ("complete/<str:backend>/", "GET", "/complete/globus/", (403, 403, 403, 403, 403)),
    ("datasets/", "GET", "/datasets/", (200, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/", "GET", "/datasets/open/", (200, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/", "GET", "/datasets/draft/", (404, 404, 404, 200, 200)),
    ("datasets/<slug:slug>/", "GET", "/datasets/closed/", (200, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/", "GET", "/datasets/open/?format=schema.org", (200, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/", "GET", "/datasets/draft/?format=schema.org", (404, 404, 404, 404, 404)),
    ("datasets/<slug:slug>/", "GET", "/datasets/closed/?format=schema.org", (200, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/ask/", "GET", "/datasets/open/ask/", (302, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/ask/", "GET", "/datasets/draft/ask/", (302, 404, 404, 200, 200)),
    ("datasets/<slug:slug>/ask/", "GET", "/datasets/closed/ask/", (302, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/request-access/", "GET", "/datasets/closed/request-access/", (303, 200, 302, 200, 200)),
    ("datasets/<slug:slug>/request-access/", "GET", "/datasets/draft/request-access/", (303, 404, 404, 200, 200)),
    ("datasets/<slug:slug>/terms/", "GET", "/datasets/open/terms/", (404, 404, 404, 404, 404)),
    ("datasets/<slug:slug>/changes/", "GET", "/datasets/open/changes/", (200, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/changes/", "GET", "/datasets/draft/changes/", (404, 404, 404, 200, 200)),
    ("datasets/<slug:slug>/changes/", "GET", "/datasets/closed/changes/", (403, 403, 403, 200, 200)),
    ("datasets/<slug:slug>/similar/", "GET", "/datasets/open/similar/", (200, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/similar/", "GET", "/datasets/draft/similar/", (404, 404, 404, 200, 200)),
    ("datasets/compare/", "GET", "/datasets/compare/?dataset=open&dataset=closed", (200, 200, 200, 200, 200)),
    ("datasets/compare/", "GET", "/datasets/compare/?dataset=open&dataset=draft", (404, 404, 404, 200, 200)),
    ("datasets/saved/", "GET", "/datasets/saved/", (302, 200, 200, 200, 200)),
    ("datasets/saved/add/", "POST", "/datasets/saved/add/", (302, 400, 400, 400, 400)),
    ("datasets/saved/<int:pk>/forget/", "POST", "/datasets/saved/{saved}/forget/", (302, 404, 302, 404, 404)),
    ("datasets/saved/<int:pk>/open/", "POST", "/datasets/saved/{saved}/open/", (302, 404, 302, 404, 404)),
    ("datasets/feed.atom", "GET", "/datasets/feed.atom", (200, 200, 200, 200, 200)),
    (HTTPS, "GET", "/datasets/open/versions/1/https/?path=/no.nc", (404, 404, 404, 404, 404)),
    (HTTPS, "GET", "/datasets/draft/versions/1/https/?path=/no.nc", (404, 404, 404, 404, 404)),
    (HTTPS, "GET", "/datasets/closed/versions/1/https/?path=/no.nc", (403, 403, 403, 403, 403)),
    ("datasets/<slug:slug>/items/", "GET", "/datasets/open/items/", (200, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/items/", "GET", "/datasets/draft/items/", (404, 404, 404, 200, 200)),
    ("datasets/<slug:slug>/items/", "GET", "/datasets/closed/items/", (200, 200, 200, 200, 200)),
    ("steward/datasets/<slug:slug>/items/", "GET", "/steward/datasets/open/items/", (302, 403, 403, 200, 200)),
    ("steward/datasets/<slug:slug>/items/", "GET", "/steward/datasets/draft/items/", (302, 404, 404, 200, 200)),
    ("steward/datasets/<slug:slug>/items/", "POST", "/steward/datasets/draft/items/", (302, 404, 404, 400, 400)),
    (FILE, "GET", "/datasets/open/versions/1/file/?path=/one.nc", (200, 200, 200, 200, 200)),
    (FILE, "GET", "/datasets/open/versions/1/file/?path=/no.nc", (404, 404, 404, 404, 404)),
    (FILE, "GET", "/datasets/draft/versions/1/file/?path=/one.nc", (404, 404, 404, 200, 200)),
    (FILE, "GET", "/datasets/closed/versions/1/file/?path=/one.nc", (403, 403, 403, 200, 200)),
    (FILE, "POST", "/datasets/open/versions/1/file/?path=/one.nc", (302, 302, 302, 302, 302)),
    (FILE, "POST", "/datasets/closed/versions/1/file/?path=/one.nc", (403, 403, 403, 302, 302)),
    ("file-previews/<int:preview_id>.png", "GET", "/file-previews/{preview}.png", (403, 403, 403, 200, 200)),
    (VERSION + "/preview/?$", "GET", "/api/v1/datasets/open/versions/1/preview/?path=/one.nc", (404, 404, 404, 404, 404)),
    (VERSION + "/preview/?$", "GET", "/api/v1/datasets/closed/versions/1/preview/?path=/one.nc", (403, 403, 403, 404, 404)),
    (VERSION + "/preview/?$", "POST", "/api/v1/datasets/open/versions/1/preview/?path=/one.nc", (401, 202, 202, 202, 202)),
    (VERSION + "/preview/?$", "POST", "/api/v1/datasets/closed/versions/1/preview/?path=/one.nc", (401, 403, 403, 202, 202)),
    (VERSION + "/preview/?$", "POST", "/api/v1/datasets/draft/versions/1/preview/?path=/one.nc", (401, 404, 404, 202, 202)),
    ("datasets/<slug:slug>/files/", "GET", "/datasets/open/files/", (200, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/files/", "GET", "/datasets/draft/files/", (404, 404, 404, 200, 200)),
    ("datasets/<slug:slug>/files/", "GET", "/datasets/closed/files/", (200, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/files/measure/", "GET", "/datasets/open/files/measure/?version=1", (200, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/files/measure/", "GET", "/datasets/draft/files/measure/?version=1", (404, 404, 404, 200, 200)),
    ("datasets/<slug:slug>/files/measure/", "GET", "/datasets/closed/files/measure/?version=1", (403, 403, 403, 200, 200)),
    ("graphs/", "GET", "/graphs/", (303, 200, 200, 200, 200)),
    ("graphs/<uuid:job_id>/", "GET", "/graphs/{graph}/", (303, 404, 200, 404, 200)),
    ("graphs/<uuid:job_id>/<int:number>.svg", "GET", "/graphs/{graph}/1.svg", (404, 404, 404, 404, 404)),
    ("graphs/<uuid:job_id>/<slug:act>/", "POST", "/graphs/{graph}/clean-up/", (303, 404, 302, 404, 302)),
    ("graphs/new/", "GET", "/graphs/new/", (200, 200, 200, 200, 200)),
    ("livez", "GET", "/livez", (200, 200, 200, 200, 200)),
    ("login/<str:backend>/", "POST", "/login/globus/", (503, 503, 503, 503, 503)),
    ("mails/", "GET", "/mails/", (302, 403, 403, 403, 200)),
    ("oai", "GET", "/oai?verb=Identify", (200, 200, 200, 200, 200)),
    ("oai", "POST", "/oai", (200, 200, 200, 200, 200)),
    ("profile/", "GET", "/profile/", (302, 200, 200, 200, 200)),
    ("profile/forget/<str:resource_server>/", "POST", "/profile/forget/transfer.api.globus.org/", (302, 302, 302, 302, 302)),
    ("quick-looks/<int:look_id>.svg", "GET", "/quick-looks/{look}.svg", (200, 200, 200, 200, 200)),
    ("quick-looks/<slug:slug>/<path:variable>/", "GET", "/quick-looks/open/t/", (404, 404, 404, 404, 404)),
    ("readyz", "GET", "/readyz", (200, 200, 200, 200, 200)),
    ("requests/", "GET", "/requests/", (303, 200, 200, 200, 200)),
    ("requests/<uuid:request_id>/", "GET", "/requests/{request}/", (303, 404, 200, 404, 200)),
    ("requests/<uuid:request_id>/<slug:act>/", "POST", "/requests/{request}/cancel/", (404, 404, 302, 404, 302)),
    ("requests/<uuid:request_id>/manifest.csv", "GET", "/requests/{request}/manifest.csv", (404, 404, 200, 404, 200)),
    ("requests/new/", "GET", "/requests/new/", (303, 200, 200, 200, 200)),
    ("requests/new/", "POST", "/requests/new/", (303, 409, 409, 409, 409)),
    ("robots.txt", "GET", "/robots.txt", (200, 200, 200, 200, 200)),
    ("send/", "GET", "/send/", (303, 303, 303, 303, 303)),
    ("send/confirm/", "POST", "/send/confirm/", (303, 409, 409, 409, 409)),
    ("series/", "GET", "/series/", (200, 200, 200, 200, 200)),
    ("series/<slug:slug>/", "GET", "/series/seas/", (200, 200, 200, 200, 200)),
    ("series/<slug:slug>/", "GET", "/series/empty/", (404, 404, 404, 404, 200)),
    ("signin/", "GET", "/signin/", (200, 200, 200, 200, 200)),
    ("signin/second-factor/", "GET", "/signin/second-factor/", (302, 200, 200, 200, 200)),
    ("signin/second-factor/", "POST", "/signin/second-factor/", (302, 503, 503, 503, 503)),
    ("signout/", "POST", "/signout/", (302, 302, 302, 302, 302)),
    ("sitemap.xml", "GET", "/sitemap.xml", (200, 200, 200, 200, 200)),
    ("sitemaps/<int:number>.xml", "GET", "/sitemaps/1.xml", (200, 200, 200, 200, 200)),
    ("status/", "GET", "/status/", (200, 200, 200, 200, 200)),
    ("steward/", "GET", "/steward/", (302, 403, 403, 200, 200)),
    ("steward/access-requests/", "GET", "/steward/access-requests/", (303, 403, 403, 200, 200)),
    ("steward/datasets/<slug:slug>/", "GET", "/steward/datasets/open/", (302, 403, 403, 200, 200)),
    ("steward/datasets/<slug:slug>/", "GET", "/steward/datasets/draft/", (302, 404, 404, 200, 200)),
    ("steward/datasets/<slug:slug>/", "GET", "/steward/datasets/closed/", (302, 403, 403, 200, 200)),
    ("steward/datasets/<slug:slug>/describe/", "GET", "/steward/datasets/open/describe/", (302, 403, 403, 200, 200)),
    ("steward/datasets/<slug:slug>/describe/check/", "POST", "/steward/datasets/open/describe/check/", (302, 403, 403, 200, 200)),
    ("steward/datasets/<slug:slug>/describe/check/", "POST", "/steward/datasets/draft/describe/check/", (302, 404, 404, 200, 200)),
    ("steward/datasets/<slug:slug>/describe/suggest/", "GET", "/steward/datasets/open/describe/suggest/", (302, 403, 403, 200, 200)),
    ("steward/datasets/<slug:slug>/describe/suggest/", "GET", "/steward/datasets/draft/describe/suggest/", (302, 404, 404, 200, 200)),
    ("steward/datasets/<slug:slug>/describe/", "POST", "/steward/datasets/draft/describe/", (302, 404, 404, 302, 302)),
    ("steward/datasets/<slug:slug>/<slug:act>/", "POST", "/steward/datasets/open/publish/", (302, 403, 403, 400, 400)),
    ("steward/datasets/<slug:slug>/<slug:act>/", "POST", "/steward/datasets/draft/publish/", (302, 404, 404, 302, 302)),
    ("steward/bin/", "GET", "/steward/bin/", (302, 403, 403, 200, 200)),
    ("steward/bin/<slug:slug>/restore/", "POST", "/steward/bin/draft/restore/", (302, 403, 403, 404, 404)),
    ("steward/datasets/<slug:slug>/delete/", "GET", "/steward/datasets/open/delete/", (302, 403, 403, 200, 200)),
    ("steward/datasets/<slug:slug>/delete/", "GET", "/steward/datasets/draft/delete/", (302, 404, 404, 200, 200)),
    ("steward/datasets/<slug:slug>/delete/", "POST", "/steward/datasets/draft/delete/", (302, 404, 404, 400, 400)),
    ("steward/datasets/<slug:slug>/delete/", "POST", "/steward/datasets/open/delete/", (302, 403, 403, 409, 409)),
    ("steward/datasets/<slug:slug>/edit-lock/", "POST", "/steward/datasets/open/edit-lock/", (302, 403, 403, 302, 302)),
    ("steward/datasets/<slug:slug>/edit-lock/", "POST", "/steward/datasets/draft/edit-lock/", (302, 404, 404, 302, 302)),
    ("steward/datasets/<slug:slug>/autosave/", "POST", "/steward/datasets/open/autosave/", (302, 403, 403, 200, 200)),
    ("steward/datasets/<slug:slug>/autosave/", "POST", "/steward/datasets/draft/autosave/", (302, 404, 404, 200, 200)),
    ("steward/datasets/<slug:slug>/discard-typed/", "POST", "/steward/datasets/open/discard-typed/", (302, 403, 403, 302, 302)),
    ("steward/datasets/<slug:slug>/discard-typed/", "POST", "/steward/datasets/draft/discard-typed/", (302, 404, 404, 302, 302)),
    ("steward/datasets/<slug:slug>/who-can-see/", "GET", "/steward/datasets/closed/who-can-see/", (302, 403, 403, 200, 200)),
    ("steward/datasets/<slug:slug>/who-can-see/", "GET", "/steward/datasets/draft/who-can-see/", (302, 404, 404, 200, 200)),
    ("steward/series/", "GET", "/steward/series/", (302, 403, 403, 200, 200)),
    ("steward/series/", "POST", "/steward/series/", (302, 403, 403, 403, 400)),
    ("steward/series/<slug:slug>/", "GET", "/steward/series/seas/", (302, 403, 403, 403, 200)),
    ("steward/series/<slug:slug>/", "GET", "/steward/series/empty/", (302, 404, 404, 404, 200)),
    ("steward/series/<slug:slug>/<slug:act>/", "POST", "/steward/series/seas/delete/", (302, 403, 403, 403, 409)),
    ("steward/series/<slug:slug>/<slug:act>/", "POST", "/steward/series/empty/delete/", (302, 404, 404, 404, 302)),
    ("steward/people/", "GET", "/steward/people/", (302, 403, 403, 200, 200)),
    ("steward/people/", "GET", "/steward/people/?person={ada}", (302, 403, 403, 200, 200)),
    ("terms/", "GET", "/terms/", (302, 302, 302, 302, 302)),
    ("terms/", "POST", "/terms/", (302, 302, 302, 302, 302)),
    ("steward/datasets/<slug:slug>/scan-progress/", "GET", "/steward/datasets/open/scan-progress/", (302, 403, 403, 200, 200)),
    (DESK_SCAN, "GET", "/steward/datasets/open/scans/{scan}/", (302, 403, 403, 200, 200)),
    (DESK_SCAN, "GET", "/steward/datasets/draft/scans/{scan}/", (302, 404, 404, 404, 404)),
    (DESK_SCAN + "<slug:act>/", "POST", "/steward/datasets/open/scans/{scan}/accept/", (302, 403, 403, 302, 302)),
    ("datasets/<slug:slug>/damage/", "GET", "/datasets/closed/damage/", (200, 200, 200, 200, 200)),
    ("datasets/<slug:slug>/damage/", "GET", "/datasets/draft/damage/", (404, 404, 404, 404, 404)),
    (CHECK, "POST", "/steward/datasets/open/versions/1/scan/", (302, 403, 403, 302, 302)),
    ("steward/datasets/<slug:slug>/watch/", "POST", "/steward/datasets/draft/watch/", (302, 404, 404, 302, 302)),
    ("steward/table/", "GET", "/steward/table/", (302, 403, 403, 200, 200)),
    ("steward/table/", "POST", "/steward/table/", (302, 403, 403, 400, 400)),
    ("steward/import/", "GET", "/steward/import/", (302, 403, 403, 200, 200)),
    ("steward/import/", "POST", "/steward/import/", (302, 403, 403, 400, 400)),
    ("api/v1/^imports/?$", "POST", "/api/v1/imports/", (401, 403, 403, 400, 400)),
    ("steward/table.csv", "GET", "/steward/table.csv", (302, 403, 403, 200, 200)),
    ("steward/register/", "GET", "/steward/register/", (302, 403, 403, 200, 200)),
    ("steward/register/", "POST", "/steward/register/", (302, 403, 403, 400, 400)),
]

# The same with a form or an object that is right, where an empty one would be refused as such before anybody is.
FILLED: list[tuple[str, str, str, dict[str, Any], tuple[int, int, int, int, int]]] = [
    ("api/v1/^data-requests/?$", "POST", "/api/v1/data-requests/", asks_for("open"), (401, 202, 202, 202, 202)),
    ("api/v1/^data-requests/?$", "POST", "/api/v1/data-requests/", asks_for("closed"), (401, 403, 403, 202, 202)),
    ("api/v1/^data-requests/?$", "POST", "/api/v1/data-requests/", asks_for("draft"), (401, 400, 400, 400, 400)),
    ("api/v1/^access-requests/?$", "POST", "/api/v1/access-requests/", access_to("closed"), (401, 202, 202, 409, 409)),
    ("api/v1/^access-requests/?$", "POST", "/api/v1/access-requests/", access_to("open"), (401, 409, 409, 409, 409)),
    ("api/v1/^access-requests/?$", "POST", "/api/v1/access-requests/", access_to("draft"), (401, 404, 404, 409, 409)),
    ("datasets/<slug:slug>/request-access/", "POST", "/datasets/closed/request-access/", {"purpose": "A study"}, (303, 302, 302, 409, 409)),
    (ACCESS + "/renew/?$", "POST", "/api/v1/access-requests/{access}/renew/", {"purpose": "More"}, (401, 404, 409, 403, 403)),
    (ACCESS + "/approve/?$", "POST", "/api/v1/access-requests/{access}/approve/", {"until": FAR}, (401, 404, 403, 202, 202)),
    (ACCESS + "/deny/?$", "POST", "/api/v1/access-requests/{access}/deny/", {"reason": "No."}, (401, 404, 403, 202, 202)),
    ("api/v1/^graphs/?$", "POST", "/api/v1/graphs/", {"datasets": [{"dataset": "open", "variable": "u"}]}, (401, 202, 202, 202, 202)),
    ("api/v1/^graphs/?$", "POST", "/api/v1/graphs/", {"datasets": [{"dataset": "closed", "variable": "u"}]}, (401, 403, 403, 202, 202)),
    ("api/v1/^graphs/?$", "POST", "/api/v1/graphs/", {"datasets": [{"dataset": "draft"}]}, (401, 400, 400, 400, 400)),
    ("basket/<int:selection_id>/change/", "POST", "/basket/{selection}/change/", {"everything": "1"}, (404, 404, 302, 404, 404)),
    ("basket/add/", "POST", "/basket/add/", {"dataset": "open", "everything": "1"}, (302, 302, 302, 302, 302)),
    ("basket/add/", "POST", "/basket/add/", {"dataset": "closed", "file": "/one.nc"}, (403, 403, 403, 302, 302)),
    ("basket/add/", "POST", "/basket/add/", {"dataset": "draft", "everything": "1"}, (404, 404, 404, 404, 404)),
    ("consent/", "GET", "/consent/", {"scope": TRANSFER}, (302, 200, 200, 200, 200)),
    ("consent/", "POST", "/consent/", {"scope": TRANSFER}, (302, 503, 503, 503, 503)),
    ("datasets/<slug:slug>/ask/", "POST", "/datasets/open/ask/", {"message": "May I?"}, (302, 302, 302, 302, 302)),
    ("datasets/<slug:slug>/ask/", "POST", "/datasets/draft/ask/", {"message": "May I?"}, (302, 404, 404, 302, 302)),
    ("graphs/new/", "POST", "/graphs/new/", {"source": "open/u"}, (303, 302, 302, 302, 302)),
    ("graphs/new/", "POST", "/graphs/new/", {"source": "closed/u"}, (303, 403, 403, 302, 302)),
    ("send/review/", "GET", "/send/review/", {"collection": str(uuid.UUID(int=7))}, (303, 303, 303, 303, 303)),
]
# fmt: on


def walk(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    """Every route of the site but those of the admin, which have one rule for all."""
    for one in resolver.url_patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from walk(one, route)
        else:
            yield route


ROUTES = sorted(set(walk(get_resolver())))


def test_every_route_has_a_row_and_every_row_a_route():
    assert sorted({row[0] for row in (*TABLE, *FILLED)}) == [route for route in ROUTES if not route.startswith("admin/")]
    rows = [(row[1], row[2], "" if row in TABLE else str(row[3])) for row in (*TABLE, *FILLED)]
    assert [row for row in rows if rows.count(row) > 1] == []


@pytest.fixture
def places(people, archive, settings, closed_address) -> dict[str, object]:
    """What the paths of the table name: ada's request, her basket's selection, her graph; and a Globus that does not answer."""
    settings.SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT = settings.GLOBUS_AUTH_URL = settings.GLOBUS_TRANSFER_URL = closed_address
    settings.GRAPH_URL = closed_address
    settings.GRAPH_SCOPE = f"https://auth.globus.org/scopes/{uuid.UUID(int=8)}/graph"
    for person in people.values():
        token = {"resource_server": str(uuid.UUID(int=8)), "access_token_encrypted": b"unread", "expires_at": timezone.now()}
        GlobusToken.objects.create(user=person, **token)
    for slug in ("open", "closed"):
        Variable.objects.create(dataset=archive[slug].dataset, name="u", units="K", example_path="/one.nc")
    asked = sharing.request_share(user=people["ada"], wanted=[Wanted(archive["open"], FileQuery())], lifetime_days=7)
    basket = selecting.open_basket(user=people["ada"], session_key=None)
    chosen = selecting.add_selection(basket, version=archive["open"], query=FileQuery(), user=people["ada"])
    graph = AnalysisJob.objects.create(user=people["ada"], content_key="a graph", due_at=timezone.now())
    AnalysisSource.objects.create(job=graph, position=0, version=archive["open"], variable="t", collection_id=uuid.uuid4(), paths=["/a"])
    look = QuickLook.objects.create(version=archive["open"], variable="t", status=LookStatus.READY, svg="<svg/>")
    seas = series.create(user=people["dee"], slug="seas", title="Seas")
    series.put(archive["open"].dataset, user=people["dee"], series=seas)
    series.create(user=people["dee"], slug="empty", title="Empty", parent=seas)
    picture = {"kind": "image", "png": "", "width": 1, "height": 1}
    preview = FilePreview.objects.create(
        dataset=archive["closed"].dataset, key="a picture", collection_id=uuid.uuid4(), collection_path="/one.nc",
        status=PreviewStatus.READY, document=picture,
    )  # fmt: skip
    access = asking.request_access(archive["closed"].dataset, user=people["ada"], purpose="A study of seas.")
    saved = SavedSearch.objects.create(user=people["ada"], name="Seas", query="?q=sea")
    return {
        "preview": preview.pk,
        "access": access.pk,
        "saved": saved.pk,
        "ada": people["ada"].pk,
        "request": asked.pk,
        "selection": chosen.pk,
        "graph": graph.pk,
        "look": look.pk,
        "nowhere": uuid.UUID(int=9),
        "scan": archive["open"].scans.get().pk,
        "location": archive["open"].locations.get().pk,
    }


@pytest.mark.django_db
@pytest.mark.parametrize("who", WHO)
def test_everybody_is_answered_as_the_table_says(browser, people, places, who):
    client, others = browser(people.get(who)), {}
    cookies = {name: one.value for name, one in client.cookies.items()}
    for _, method, path, body, expected in [*((*row[:3], {}, row[3]) for row in TABLE), *FILLED]:
        client.cookies.load(cookies)
        with transaction.atomic():
            status = answer(client, method, path.format(**places), body)
            transaction.set_rollback(True)
        if status != expected[WHO.index(who)]:
            others[method, path, str(body)] = status
    assert others == {}


@pytest.mark.django_db
def test_pages_answer_no_other_method(browser, people, places):
    """What is not looked at or sent by a form is refused as such, before anything else is asked."""
    client, others = browser(people["dee"]), {}
    forms = {row[0] for row in (*TABLE, *FILLED) if row[1] == "POST"}
    paths = {row[0]: row[2].format(**places) for row in (*TABLE, *FILLED) if not row[0].startswith("api/")}
    for route, path in paths.items():
        for method in ("PUT", "PATCH", "DELETE", *([] if route in forms else ["POST"])):
            status = answer(client, method, path)
            if status != 405:
                others[method, path] = status
    assert others == {}


def answer(client: Client, method: str, path: str, body: dict[str, Any] | None = None) -> int:
    """The status for a form, or for an object of the API; an empty one unless given."""
    if method == "GET":
        return client.get(path, body or None).status_code
    if path.startswith("/api/"):
        return client.generic(method, path, json.dumps(body or {}), content_type="application/json").status_code
    return client.generic(method, path, urlencode(body or {}), content_type="application/x-www-form-urlencoded").status_code


ADMIN = [route for route in ROUTES if route.startswith("admin/") and "(?P" not in route]


ADMIN_ROWS = {
    "transfers/datarequest/": "request",
    "analysis/analysisjob/": "graph",
    "analysis/quicklook/": "look",
    "access/accessrequest/": "access",
}


def admin_path(route: str, places: dict[str, object]) -> str:
    """The route with a row that is there, where this test has one, so that 404 is not the reason."""
    model = route.removeprefix("admin/").partition("<")[0]
    row = str(places[ADMIN_ROWS[model]]) if model in ADMIN_ROWS else "1"
    kinds = {"<path:object_id>": row, "<path:content_type_id>": "1", "<int:content_type_id>": "1", "<app_label>": "transfers"}
    for kind, value in kinds.items():
        route = route.replace(kind, value)
    return f"/{route}"


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["nobody", "cy", "ada", "ben"])
def test_the_administration_is_closed_to_all_but_operators(browser, people, places, who):
    client = browser(people.get(who))
    for route in ADMIN:
        for method in ("get", "post"):
            response = getattr(client, method)(admin_path(route, places))
            is_signing_out = route == "admin/logout/" and method == "post"
            assert is_signing_out or response.status_code in {302, 403, 404, 405}, (route, method, response.status_code)
            assert b"Causeway administration" not in response.content
            assert str(places["request"]).encode() not in response.content


@pytest.mark.django_db
def test_the_rows_of_the_administration_are_there_for_operators(browser, people, places):
    client = browser(people["dee"])
    rows = [admin_path(route, places) for route in ADMIN if route.endswith("<path:object_id>/change/")]
    shown = [path for path in rows if client.get(path).status_code == 200]
    assert {f"/admin/{model}{places[place]}/change/" for model, place in ADMIN_ROWS.items()} <= set(shown)
