"""The locations of published versions in the API: moved, given a replica, taken off line. The checks of new places are scans."""

from typing import Any

from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets.access import check_curator
from datasets.errors import NotFoundError
from datasets.finding import find_version, whole_number
from datasets.models import Location, ScanRun
from datasets.preservation import locating
from datasets.serializers import LocationSerializer, LocationWriteSerializer, ScanSerializer


class AvailabilitySerializer(serializers.Serializer[Any]):
    is_online = serializers.BooleanField()
    wait_minutes = serializers.IntegerField(required=False, allow_null=True)


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
        """Say that its files are on line, or cold with what people wait for them: `is_online`, `wait_minutes`."""
        location = _location(request, slug, number, location_id)
        asked = AvailabilitySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(LocationSerializer(locating.set_availability(location, user=request.user, **asked.validated_data)).data)

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
