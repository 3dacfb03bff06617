"""The edit lock of a description in the API: who has it, to take it, to give it back."""

from typing import Any

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets.description import locking
from datasets.errors import ChangedMeanwhileError, InvalidError
from datasets.finding import find_curated, whole_number
from datasets.models import Editing


class EditLockView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, slug: str) -> Response:
        """Who edits the description, since when and until when; null where nobody does. Its stewards and operators."""
        dataset = find_curated(request.user, slug)
        return Response({"lock": _as_read(locking.holder_of(dataset))})

    def put(self, request: Request, slug: str) -> Response:
        """Take the lock, or hold it longer: it ends by itself after five minutes. `take_over`: true takes it from somebody else."""
        asked = request.data.get("take_over", False) if isinstance(request.data, dict) else False
        if not isinstance(asked, bool):
            raise InvalidError(fields={"take_over": ["true or false."]})
        return Response({"lock": _as_read(locking.take(find_curated(request.user, slug), user=request.user, is_take_over=asked))})

    def delete(self, request: Request, slug: str) -> Response:
        """Give the lock back."""
        locking.release(find_curated(request.user, slug), user=request.user)
        return Response(status=204)


def asked_revision(request: Request) -> int | None:
    """The revision that a change stands on: `If-Match` with the dataset's ETag, or `revision` in the body; None where neither is given.

    An ETag begins with the revision, which alone counts here: who else has access is no concern of a description.

    Raises ChangedMeanwhileError for an `If-Match` that names no revision, InvalidError for two that differ.
    """
    in_body = request.data.get("revision") if isinstance(request.data, dict) else None
    header = request.headers.get("If-Match", "").strip()
    if in_body is not None and not (isinstance(in_body, int) and not isinstance(in_body, bool)):
        raise InvalidError(fields={"revision": ["The number that the dataset has under `revision`."]})
    if not header or header == "*":
        return in_body
    named = whole_number(header.removeprefix("W/").strip('"').partition("-")[0])
    if named is None:
        raise ChangedMeanwhileError(f"No description matches {header[:80]}. If-Match takes the ETag with which the dataset was read.")
    if in_body not in {None, named}:
        raise InvalidError(fields={"revision": ["If-Match names another one."]})
    return named


def _as_read(held: Editing | None) -> dict[str, Any] | None:
    if held is None:
        return None
    return {"holder": str(held.editor), "name": held.editor.get_full_name(), "since": held.since, "until": held.until}
