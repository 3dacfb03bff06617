"""What a draft will say to machines, over REST."""

from django.http import HttpResponse
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from datasets.finding import find_curated
from datasets.metadata.describing import preview_in


class PreviewView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, slug: str) -> HttpResponse:
        """The open draft as it would be told if it were published now, in the `as` of its formats (datacite-json, iso19115, dcat, ...)."""
        record, form, _ = preview_in(find_curated(request.user, slug), request.query_params.get("as", ""))
        return HttpResponse(form.write(record), content_type=form.content_type, headers={"Cache-Control": "no-store"})
