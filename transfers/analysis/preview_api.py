"""Previews of files under /api/v1/: ask for one, and read it."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets.errors import NotFoundError
from datasets.finding import find_version
from transfers.analysis import previews
from transfers.analysis.models import FilePreview


class PreviewView(APIView):
    def get(self, request: Request, slug: str, number: str) -> Response:
        """What is in a file (`path`): header, entries, table, text or image, once somebody asked; `status` says how far it is."""
        version = find_version(request.user, slug, number)
        previews.check_may_look(request.user, version)
        file = previews.find_file(version, request.query_params.get("path", ""))
        preview = previews.find_preview(version, file, user=request.user)
        if preview is None:
            raise NotFoundError("Nobody asked for a preview of this file yet: POST asks for it.")
        return Response(_told(preview))

    def post(self, request: Request, slug: str, number: str) -> Response:
        """Ask for what is in a file (`path`); answers 202, and GET says how far it is. Safe to repeat."""
        version = find_version(request.user, slug, number)
        previews.check_may_look(request.user, version)
        file = previews.find_file(version, request.query_params.get("path", ""))
        preview = previews.request_preview(version, file, user=request.user)
        return Response(_told(preview), status=202, headers={"Location": request.get_full_path()})


def _told(preview: FilePreview) -> dict[str, Any]:
    return {"status": preview.status, "reason": preview.reason, "asked_at": preview.asked_at, "found": preview.document or None}
