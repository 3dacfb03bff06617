"""The bin in the API: what was deleted and can be brought back."""

from typing import Any
from urllib.parse import urlencode

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets.access import check_staff
from datasets.curation import deleting, publishing
from datasets.finding import find_curated
from datasets.models import Dataset, Version
from datasets.serializers import DatasetSerializer, VersionSerializer

PAGE = 100


class BinView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request) -> Response:
        """Deleted datasets that you curated, who deleted each and until when it can be restored; `cursor`."""
        check_staff(request.user)
        rows = deleting.bin_of(request.user, after=request.query_params.get("cursor", "")[:80], limit=PAGE + 1)
        next_url = request.build_absolute_uri(f"?{urlencode({'cursor': rows[PAGE - 1].slug})}") if len(rows) > PAGE else None
        headers = {"Link": f'<{next_url}>; rel="next"'} if next_url else {}
        return Response({"next": next_url, "results": [as_deleted(one) for one in rows[:PAGE]]}, headers=headers)


class RestorationView(APIView):
    permission_classes = [IsAuthenticated]

    def post(self, request: Request, slug: str) -> Response:
        """Bring a deleted dataset back, whole."""
        check_staff(request.user)
        return Response(DatasetSerializer(deleting.restore(slug, user=request.user)).data, status=201)


class DiscardedDraftsView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request) -> Response:
        """Discarded drafts of published datasets that you curate (the first 100), who discarded each and until when it can be restored."""
        check_staff(request.user)
        return Response({"results": [as_discarded(one) for one in deleting.drafts_in_bin(request.user, limit=PAGE)]})


class DiscardedDraftView(APIView):
    permission_classes = [IsAuthenticated]

    def delete(self, request: Request, slug: str) -> Response:
        """Remove the discarded draft of a dataset for good, so that another can be opened."""
        publishing.remove_discarded(find_curated(request.user, slug), user=request.user)
        return Response(status=204)


class DraftRestorationView(APIView):
    permission_classes = [IsAuthenticated]

    def post(self, request: Request, slug: str) -> Response:
        """Bring the discarded draft of a dataset back, as it was."""
        version = publishing.restore_draft(find_curated(request.user, slug), user=request.user)
        return Response(VersionSerializer(version).data, status=201)


def as_discarded(one: Version) -> dict[str, Any]:
    """A discarded draft as it is read."""
    by = str(one.discarded_by) if one.discarded_by else None
    shown = {"dataset": one.dataset.slug, "title": one.dataset.title, "number": one.number}
    return shown | {"discarded_at": one.discarded_at, "discarded_by": by, "until": deleting.ends_at(one)}


def as_deleted(one: Dataset) -> dict[str, Any]:
    """A dataset of the bin as it is read."""
    by = str(one.deleted_by) if one.deleted_by else None
    return {"slug": one.slug, "title": one.title, "deleted_at": one.deleted_at, "deleted_by": by, "until": deleting.ends_at(one)}
