"""Data requests under /api/v1/: each action checks the shape, calls one verb and answers."""

import csv
from collections.abc import Iterator
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.decorators import action
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from transfers import acts, manifests, requesting, sending, sharing
from transfers.models import DataRequest
from transfers.serializers import DataRequestLineSerializer, DataRequestSerializer, DataRequestWriteSerializer
from transfers.states import Kind, Status


class NewestFirst(CursorPagination):
    page_size = 50
    ordering = ("-created_at", "-id")


class DataRequestViewSet(ReadOnlyModelViewSet[DataRequest]):
    """Data requests: shares to download from, and transfers to the person's own collection."""

    permission_classes = [IsAuthenticated]
    pagination_class = NewestFirst
    lookup_value_converter = "uuid"

    def get_queryset(self) -> Any:
        found = DataRequest.objects.visible_to(self.request.user)
        status = self.request.query_params.get("status")
        return found.filter(status=status) if status in Status.values else found

    def get_serializer_class(self) -> Any:
        return DataRequestLineSerializer if self.action == "list" else DataRequestSerializer

    def create(self, request: Request) -> Response:
        """Ask for files: answers 202 and where to look. The same Idempotency-Key answers with the same request."""
        asked = DataRequestWriteSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        key = request.headers.get("Idempotency-Key", "")[:200]
        if asked.validated_data["kind"] == Kind.SHARE:
            made = sharing.request_share(
                user=request.user, wanted=asked.wanted, lifetime_days=asked.validated_data.get("lifetime_days"), idempotency_key=key
            )
        else:
            place = asked.validated_data["destination"]
            sending.check_destination(request.user, asked.collection_id, place["path"])
            made = sending.request_transfer(
                user=request.user,
                wanted=asked.wanted,
                collection_id=asked.collection_id,
                path=place["path"],
                name=place["name"],
                idempotency_key=key,
            )
        return self._accepted(made)

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop a request, or end an open share early."""
        return self._accepted(acts.cancel(self.get_object(), user=request.user))

    @action(detail=True, methods=["post"])
    def extend(self, request: Request, pk: str) -> Response:
        """Give an open share its lifetime once more."""
        return self._accepted(acts.extend(self.get_object(), user=request.user))

    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Try again what failed, and only that."""
        return self._accepted(acts.retry(self.get_object(), user=request.user))

    @action(detail=True, methods=["post"], url_path="ask-again")
    def ask_again(self, request: Request, pk: str) -> Response:
        """Ask for the same files again; answers the new request."""
        key = request.headers.get("Idempotency-Key", "")[:200]
        return self._accepted(acts.ask_again(self.get_object(), user=request.user, idempotency_key=key))

    @action(detail=True, methods=["get"])
    def manifest(self, request: Request, pk: str) -> StreamingHttpResponse:
        """All files of the request with their checksums, as CSV."""
        found = self.get_object()
        requesting.check_assurance(found, request.user)
        return manifest_response(found)

    def _accepted(self, made: DataRequest) -> Response:
        address = self.reverse_action("detail", args=[made.pk])
        shown = DataRequestSerializer(made, context=self.get_serializer_context())
        return Response(shown.data, status=202, headers={"Location": address})


class Line:
    """What csv.writer writes to; it hands each line on."""

    def write(self, text: str) -> str:
        return text


def manifest_response(request: DataRequest) -> StreamingHttpResponse:
    """The receipt as a streamed CSV: flat memory for any number of files."""

    def lines() -> Iterator[str]:
        writer: Any = csv.writer(Line())
        yield writer.writerow(["dataset", "path", "sha256", "size_bytes"])
        for row in manifests.manifest_rows(request):
            yield writer.writerow(row)

    response = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="causeway-{request.pk}.csv"'
    return response
