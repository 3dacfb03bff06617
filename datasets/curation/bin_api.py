"""The bin in the API: what was deleted and can be brought back."""

from typing import Any
from urllib.parse import urlencode

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets.access import check_staff
from datasets.curation import deleting
from datasets.models import Dataset
from datasets.serializers import DatasetSerializer

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


def as_deleted(one: Dataset) -> dict[str, Any]:
    """A dataset of the bin as it is read."""
    by = str(one.deleted_by) if one.deleted_by else None
    return {"slug": one.slug, "title": one.title, "deleted_at": one.deleted_at, "deleted_by": by, "until": deleting.ends_at(one)}
