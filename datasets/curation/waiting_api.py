"""What waits for a steward, in the API."""

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets.access import check_staff
from datasets.curation import waiting


class WaitingView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request) -> Response:
        """What waits for you, by kind, oldest first. Access requests stand under `/api/v1/access-requests/?waiting=1`."""
        check_staff(request.user)
        body = [
            {
                "kind": queue.kind,
                "title": queue.title,
                "has_more": queue.has_more,
                "items": [
                    {
                        "dataset": item.dataset and item.dataset.slug,
                        "title": item.title,
                        "moment": item.moment,
                        "note": item.note,
                        "url": item.url,
                    }
                    for item in queue.items
                ],
            }
            for queue in waiting.queues_of(request.user)
        ]
        return Response({"results": body})
