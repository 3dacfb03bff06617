"""Items over REST: their columns, pages of them, the table to download and to load."""

import codecs
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.permissions import IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets import items
from datasets.access import check_curator, check_may_list
from datasets.errors import InvalidError
from datasets.files.bounding import bounded
from datasets.finding import find_version, is_on
from datasets.items import loading as itemloading
from datasets.items import schema as itemschema
from datasets.items.filters import ItemFilter, columns_of
from datasets.models import ItemColumn, Version
from datasets.showing import https_route, route

PAGE, MOST = 100, 1_000


class ItemColumnsView(APIView):
    permission_classes = [IsAuthenticatedOrReadOnly]

    def get(self, request: Request, slug: str, number: str) -> Response:
        """The columns of the items of a version."""
        return Response({"columns": [_column(one) for one in columns_of(find_version(request.user, slug, number))]})

    def put(self, request: Request, slug: str, number: str) -> Response:
        """Define the columns of a draft: `columns` with `name`, `kind` (text, number, time, choice), `label`, `unit`, `choices`."""
        version = find_version(request.user, slug, number)
        check_curator(request.user, version.dataset)
        asked = request.data.get("columns") if isinstance(request.data, dict) else None
        if not isinstance(asked, list) or not all(isinstance(one, dict) for one in asked):
            raise InvalidError(fields={"columns": ["A list of columns."]})
        columns = itemschema.define_columns(version, itemschema.read_columns(asked), user=request.user)
        return Response({"columns": [_column(one) for one in columns]})


class ItemsView(APIView):
    permission_classes = [IsAuthenticatedOrReadOnly]
    parser_classes = [MultiPartParser, JSONParser]

    def get(self, request: Request, slug: str, number: str) -> HttpResponseBase:
        """Items that fit `q` (words), `where.<column>`, `where.<column>.from` and `.to`: `cursor`, `limit`; `format=csv` streams them all.

        Of more than 1,000 `n_items` is 1,000, and `is_more` says so.
        """
        version = find_version(request.user, slug, number)
        check_may_list(request.user, version.dataset, version)
        asked = ItemFilter.from_parameters(request.query_params)
        if request.query_params.get("format") == "csv":
            return table_response(version, asked)
        limit = request.query_params.get("limit", str(PAGE))
        if not limit.isdecimal() or not 1 <= int(limit) <= MOST:
            raise InvalidError(fields={"limit": [f"A number from 1 to {MOST}."]})
        with bounded():
            found = items.list_items(version, asked, after=request.query_params.get("cursor", ""), limit=int(limit))
        next_url = None
        if found.next_after:
            pairs = [*asked.parameters(), ("limit", limit), ("cursor", found.next_after)]
            next_url = request.build_absolute_uri(f"?{urlencode(pairs)}")
        body = {
            "n_items": found.n_items,
            "is_more": found.is_more,
            "results": [{"item": row.key, "values": row.values, "files": row.files, "n_files": row.n_files} for row in found.rows],
            "next": next_url,
        }
        return Response(body, headers={"Link": f'<{next_url}>; rel="next"'} if next_url else {})

    def post(self, request: Request, slug: str, number: str) -> Response:
        """Load the items of a draft from a CSV file in `table`; `dry_run=1` only looks, `complete=1` drops what it does not name.

        200 says what was done, or would be; 400 lists all that is wrong, by line and column, and nothing is changed.
        """
        version = find_version(request.user, slug, number)
        check_curator(request.user, version.dataset)
        table = request.FILES.get("table")
        if table is None:
            raise InvalidError(fields={"table": ["Send a CSV file in this field."]})
        named: Any = request.data
        loaded = itemloading.load(
            version, lines_of(table), user=request.user, is_dry_run=is_on(named.get("dry_run")), is_complete=is_on(named.get("complete"))
        )
        return Response(asdict(loaded), status=400 if loaded.wrong else 200)


def lines_of(table: Any) -> Any:
    """The lines of an uploaded file as UTF-8 text. Raises InvalidError where it is none."""
    decode = codecs.getincrementaldecoder("utf-8")()
    try:
        for line in table:
            yield decode.decode(line)
        yield decode.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InvalidError(fields={"table": ["The table is not UTF-8 text. Save it as CSV UTF-8."]}) from error


def table_response(version: Version, asked: ItemFilter) -> StreamingHttpResponse:
    """The items as a CSV with the addresses of their files, streamed."""
    asked.conditions(version)  # what cannot be asked is refused before the first byte
    base = settings.BASE_URL + _file_route(version)
    lines = items.export(version, asked, address=lambda path: f"{base}?{urlencode({'path': path})}")
    headers = {
        "Content-Disposition": f'attachment; filename="{version.dataset.slug}-v{version.number}-items.csv"', "X-Accel-Buffering": "no",
    }  # fmt: skip
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


def _file_route(version: Version) -> str:
    """Where a file is got: at its node where it is read in place, else its page says how."""
    place = [version.dataset.slug, version.number]
    return https_route(version.dataset, version) or route("analysis:file", *place) or reverse("datasets:files", args=place[:1])


def _column(column: ItemColumn) -> dict[str, Any]:
    return {name: getattr(column, name) for name in ("name", "kind", "label", "unit", "choices")}
