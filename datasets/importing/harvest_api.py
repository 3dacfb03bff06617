"""Harvests of other archives over REST."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets.access import check_staff
from datasets.finding import whole_number
from datasets.importing import harvests
from datasets.models import Harvest
from datasets.serializers import (
    HarvestCalendarSerializer,
    HarvestedPartSerializer,
    HarvestedRecordSerializer,
    HarvestSerializer,
    HarvestWriteSerializer,
)

PAGE = 100

ACTS: dict[str, Callable[..., Harvest]] = {
    "pause": harvests.pause,
    "resume": harvests.resume,
    "cancel": harvests.cancel,
    "retry": harvests.retry,
    "again": harvests.again,
    "anew": harvests.anew,
    "look": harvests.look,
    "import": harvests.import_seen,
}


class HarvestsView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request) -> Response:
        """Your harvests, the newest first; operators see all. `cursor`."""
        check_staff(request.user)
        found = Harvest.objects.visible_to(request.user)
        before = whole_number(request.query_params.get("cursor", ""))
        rows = list((found.filter(pk__lt=before) if before else found).order_by("-pk")[: PAGE + 1])
        next_url = request.build_absolute_uri(f"?{urlencode({'cursor': rows[PAGE - 1].pk})}") if len(rows) > PAGE else None
        body = {"next": next_url, "results": HarvestSerializer(rows[:PAGE], many=True).data}
        return Response(body, headers={"Link": f'<{next_url}>; rel="next"'} if next_url else {})

    def post(self, request: Request) -> Response:
        """Harvest another archive by OAI-PMH: `base_url`, `prefix`, `set`, `since`, `until`, `every` (never, daily, weekly, monthly),
        `dry_run`.

        202 with the harvest, which goes on by itself; an open one of the same records is answered as it is. Each record makes a draft of
        yours, or brings up to date the one that it made before; with `dry_run` the report says what would come, and nothing is made.
        After 200,000 records, or 20,000 pages, it waits for you to go on.
        """
        check_staff(request.user)
        asked = HarvestWriteSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        run = harvests.order(user=request.user, set_spec=given.pop("set"), is_dry_run=given.pop("dry_run"), **given)
        return Response(_as_read(run), status=202, headers={"Location": f"/api/v1/harvests/{run.pk}"})


class HarvestView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, harvest_id: str) -> Response:
        """One harvest: how far it is, what came of its records, and the 30 most frequent parts of them without a place here."""
        run = harvests.find_harvest(request.user, int(harvest_id))
        return Response({**_as_read(run), "unmapped": HarvestedPartSerializer(harvests.unplaced(run), many=True).data})

    def patch(self, request: Request, harvest_id: str) -> Response:
        """Repeat it by another calendar: `every`."""
        run = harvests.find_harvest(request.user, int(harvest_id))
        asked = HarvestCalendarSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(_as_read(harvests.change_calendar(run, user=request.user, **asked.validated_data)))


class HarvestRecordsView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, harvest_id: str) -> Response:
        """What came of each record, in the order in which they came; of one `act` (new, changed, same, refused, deleted); `cursor`."""
        run, asked = harvests.find_harvest(request.user, int(harvest_id)), request.query_params
        act, after = asked.get("act", ""), whole_number(asked.get("cursor", "")) or 0
        rows = harvests.lines(run, act=act, after=after, limit=PAGE + 1)
        query = urlencode(({"act": act} if act else {}) | {"cursor": rows[PAGE - 1].pk}) if len(rows) > PAGE else ""
        next_url = request.build_absolute_uri(f"{request.path}?{query}") if query else None
        body = {"next": next_url, "results": HarvestedRecordSerializer(rows[:PAGE], many=True).data}
        return Response(body, headers={"Link": f'<{next_url}>; rel="next"'} if next_url else {})


class HarvestPartsView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, harvest_id: str) -> Response:
        """Every part of the records that has no place here, in how many of them, in the order of their paths; `cursor`."""
        run = harvests.find_harvest(request.user, int(harvest_id))
        rows = harvests.parts(run, after=request.query_params.get("cursor", "")[:300], limit=PAGE + 1)
        query = urlencode({"cursor": rows[PAGE - 1].path}) if len(rows) > PAGE else ""
        next_url = request.build_absolute_uri(f"{request.path}?{query}") if query else None
        body = {"next": next_url, "results": HarvestedPartSerializer(rows[:PAGE], many=True).data}
        return Response(body, headers={"Link": f'<{next_url}>; rel="next"'} if next_url else {})


class HarvestActView(APIView):
    permission_classes = [IsAuthenticated]

    def post(self, request: Request, harvest_id: str, act: str) -> Response:
        """`pause`, `resume` or `cancel` an open one; `retry` a failed one; `again` what changed since, `anew` all of one that ended.

        `look` only reports what `again` would do; `import` makes what such a run, or an order with `dry_run`, saw.
        One that reached the limit of a go is paused with words in `error`; `resume` takes as many records again, from there.
        """
        run = harvests.find_harvest(request.user, int(harvest_id))
        return Response(_as_read(ACTS[act](run, user=request.user)), status=202)


def _as_read(run: Harvest) -> dict[str, Any]:
    return {**HarvestSerializer(run).data, "n_records": harvests.counts(run)}
