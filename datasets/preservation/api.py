"""Published bytes in the API: their locations (moved, given a replica, taken off line), their damage, how they are watched.

The checks of new places are scans.
"""

from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets.access import check_curator, may_list
from datasets.errors import InvalidError, NotFoundError
from datasets.finding import find_curated, find_version, whole_number
from datasets.models import Location, ScanRun
from datasets.preservation import damaging, locating, watching
from datasets.serializers import AlarmSerializer, CuratedLocationSerializer, LocationWriteSerializer, ScanSerializer, WatchSerializer

FILES, MOST_FILES = 100, 500


class AvailabilitySerializer(serializers.Serializer[Any]):
    is_online = serializers.BooleanField()
    wait_minutes = serializers.IntegerField(required=False, allow_null=True)
    cold_folders = serializers.ListField(child=serializers.CharField(), required=False, default=list)


class LocationsView(APIView):
    permission_classes = [IsAuthenticated]

    def post(self, request: Request, slug: str, number: str) -> Response:
        """Say that a published version lies at a second place too; the scan that checks it, to be polled."""
        version = find_version(request.user, slug, number)
        check_curator(request.user, version.dataset)
        asked = LocationWriteSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return _accepted(request, locating.add_replica(version, user=request.user, **asked.validated_data))


class OneLocationView(APIView):
    permission_classes = [IsAuthenticated]

    def patch(self, request: Request, slug: str, number: str, location_id: str) -> Response:
        """Say that its files are on line, or cold with what people wait for them: `is_online`, `wait_minutes`.

        `cold_folders` are paths of a location on line whose files are cold.
        """
        location = _location(request, slug, number, location_id)
        asked = AvailabilitySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(CuratedLocationSerializer(locating.set_availability(location, user=request.user, **asked.validated_data)).data)

    def delete(self, request: Request, slug: str, number: str, location_id: str) -> Response:
        """Forget a replica; its bytes are left alone."""
        locating.remove_replica(_location(request, slug, number, location_id), user=request.user)
        return Response(status=204)


class MoveView(APIView):
    permission_classes = [IsAuthenticated]

    def post(self, request: Request, slug: str, number: str, location_id: str) -> Response:
        """Say that the bytes at a location were moved; the scan that checks it, to be polled. It counts once every file was found."""
        location = _location(request, slug, number, location_id)
        asked = LocationWriteSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return _accepted(request, locating.move_location(location, user=request.user, **asked.validated_data))


class DamageView(APIView):
    def get(self, request: Request, slug: str, number: str) -> Response:
        """What of a version is not what was published: in words for everybody; the files for whoever may list them, page by page."""
        version = find_version(request.user, slug, number)
        limit, asked = _limit(request.query_params.get("limit", "")), request.query_params
        can_list = may_list(request.user, version.dataset, version)
        files = damaging.list_damaged(version, after=asked.get("after", ""), limit=limit + 1) if can_list else []
        query = urlencode({"limit": limit, "after": files[limit - 1].path}) if len(files) > limit else ""
        body = {
            "damaged_at": version.damaged_at,
            "damage": version.damage,
            "alarms": AlarmSerializer(version.alarms.all()[:20], many=True).data,
            "next": request.build_absolute_uri(f"{request.path}?{query}") if query else None,
            "results": [asdict(one) for one in files[:limit]],
        }
        return Response(body)


class WatchView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, slug: str) -> Response:
        """How the files of a dataset are watched; its stewards and operators."""
        dataset = find_curated(request.user, slug)
        return Response(WatchSerializer(watching.watch_of(dataset)).data)

    def patch(self, request: Request, slug: str) -> Response:
        """Change how they are watched; what is not named stays."""
        dataset = find_curated(request.user, slug)
        asked = WatchSerializer(watching.watch_of(dataset), data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        return Response(WatchSerializer(watching.change_watch(dataset, user=request.user, **asked.validated_data)).data)


def _accepted(request: Request, run: ScanRun) -> Response:
    address = f"/api/v1/datasets/{run.version.dataset.slug}/versions/{run.version.number}/scans/{run.pk}/"
    return Response(ScanSerializer(run).data, status=202, headers={"Location": request.build_absolute_uri(address)})


def _location(request: Request, slug: str, number: str, location_id: str) -> Location:
    version = find_version(request.user, slug, number)
    check_curator(request.user, version.dataset)
    location = version.locations.filter(pk=whole_number(location_id) or 0).first()
    if location is None:
        raise NotFoundError
    location.version = version
    return location


def _limit(asked: str) -> int:
    limit = (whole_number(asked) or 0) if asked else FILES
    if not 1 <= limit <= MOST_FILES:
        raise InvalidError(fields={"limit": [f"A number from 1 to {MOST_FILES}."]})
    return limit
