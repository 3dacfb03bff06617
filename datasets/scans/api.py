"""The scans of a version in the API: what they found, and what a steward does to them. The shapes are in `serializers`."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets.errors import InvalidError, NotFoundError
from datasets.finding import find_version, whole_number
from datasets.models import ScanRun
from datasets.scans import ingesting, scanning
from datasets.serializers import ScanChangeSerializer, ScanSerializer

PAGE = 100

ACTS: dict[str, Callable[..., ScanRun]] = {
    "pause": scanning.pause_scan,
    "resume": scanning.resume_scan,
    "cancel": scanning.cancel_scan,
    "accept": scanning.accept_scan,
    "discard": scanning.discard_report,
    "retry": ingesting.retry_scan,
}


class ScanView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, slug: str, number: str, scan_id: str) -> Response:
        """One scan: how far it is, what it found; its stewards and operators."""
        return Response(ScanSerializer(_scan(request, slug, number, scan_id)).data)


class ScanActView(APIView):
    permission_classes = [IsAuthenticated]

    def post(self, request: Request, slug: str, number: str, scan_id: str, act: str) -> Response:
        """`pause`, `resume` or `cancel` a scan that runs, `accept` or `discard` its report as a whole, `retry` one that failed."""
        run = _scan(request, slug, number, scan_id)
        if act not in ACTS:
            raise NotFoundError
        return Response(ScanSerializer(ACTS[act](run, user=request.user)).data, status=202)


class ScanChangesView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, slug: str, number: str, scan_id: str) -> Response:
        """What a scan found: `totals` by kind, and the files of one `kind` (new, changed, touched, missing), page by page."""
        run, asked = _scan(request, slug, number, scan_id), request.query_params
        kind = asked.get("kind", "new")
        limit = _limit(asked.get("limit", ""))
        page = scanning.list_changes(run, kind=kind, after=asked.get("after", ""), limit=limit)
        query = urlencode({"kind": kind, "limit": limit, "after": page.next_after})
        next_url = request.build_absolute_uri(f"{request.path}?{query}") if page.next_after else None
        body: dict[str, Any] = {
            "totals": {total.kind: {"n_files": total.n_files, "size_bytes": total.size_bytes} for total in scanning.totals(run)},
            "next": next_url,
            "results": ScanChangeSerializer(page.changes, many=True).data,
        }
        return Response(body, headers={"Link": f'<{next_url}>; rel="next"'} if next_url else {})


def _scan(request: Request, slug: str, number: str, scan_id: str) -> ScanRun:
    return scanning.find_scan(find_version(request.user, slug, number), int(scan_id), user=request.user)


def _limit(asked: str) -> int:
    limit = (whole_number(asked) or 0) if asked else PAGE
    if not 1 <= limit <= scanning.MOST:
        raise InvalidError(fields={"limit": [f"A number from 1 to {scanning.MOST}."]})
    return limit
