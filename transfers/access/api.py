"""Access requests under /api/v1/: each action checks the shape, calls one verb and answers."""

from collections.abc import Callable
from typing import Any

from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from datasets.access import check_curator
from datasets.finding import find_dataset
from transfers.access import asking
from transfers.access.models import AccessRequest
from transfers.access.serializers import AccessRequestSerializer, ApproveSerializer, AskSerializer, DenySerializer, RenewSerializer
from transfers.api import NewestFirst


class LongestWaitFirst(NewestFirst):
    """Newest first, but what waits for a decision in the order of its waiting."""

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        return ("moved_at", "id") if request.query_params.get("waiting") else tuple(super().get_ordering(request, queryset, view))


class AccessRequestViewSet(ReadOnlyModelViewSet[AccessRequest]):
    """Access requests: your own, and those of the datasets that you curate. `?waiting=1`: what you are to decide, longest wait first."""

    permission_classes = [IsAuthenticated]
    pagination_class = LongestWaitFirst
    lookup_value_converter = "uuid"
    serializer_class = AccessRequestSerializer

    def get_queryset(self) -> Any:
        requests: Any = AccessRequest.objects
        asked = self.request.query_params.get("waiting") if self.action == "list" else ""
        found = requests.to_decide(self.request.user) if asked else requests.visible_to(self.request.user)
        return found.select_related("dataset", "user", "acceptance__terms").prefetch_related("events")

    def create(self, request: Request) -> Response:
        """Ask for access to a dataset: answers 202. While a request for it is open, that one is the answer.

        409 with `terms` when the version of the terms that you accept has to be named in `accepted_terms`.
        """
        asked = AskSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        made = asking.request_access(
            find_dataset(request.user, wanted["dataset"]),
            user=request.user,
            purpose=wanted["purpose"],
            until=wanted.get("until"),
            accepted_terms=wanted.get("accepted_terms"),
        )
        return self._accepted(made)

    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Give access `until` a moment; stewards of the dataset and operators."""
        return self._decide(request, ApproveSerializer, asking.approve)

    @action(detail=True, methods=["post"])
    def deny(self, request: Request, pk: str) -> Response:
        """Deny access, or more time, with a `reason`; stewards of the dataset and operators."""
        return self._decide(request, DenySerializer, asking.deny)

    @action(detail=True, methods=["post"])
    def renew(self, request: Request, pk: str) -> Response:
        """Ask for more time before the end: `purpose`, `until`."""
        found = self.get_object()
        asked = RenewSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        return self._accepted(asking.ask_renewal(found, user=request.user, purpose=wanted["purpose"], until=wanted.get("until")))

    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Take back what nobody has decided yet."""
        return self._accepted(asking.withdraw(self.get_object(), user=request.user))

    @action(detail=True, methods=["post"], url_path="give-back")
    def give_back(self, request: Request, pk: str) -> Response:
        """End your access before its time."""
        return self._accepted(asking.give_back(self.get_object(), user=request.user))

    def _decide(self, request: Request, shape: type[serializers.Serializer[Any]], verb: Callable[..., AccessRequest]) -> Response:
        found = self.get_object()
        check_curator(request.user, found.dataset)
        asked = shape(data=request.data)
        asked.is_valid(raise_exception=True)
        return self._accepted(verb(found, user=request.user, **asked.validated_data))

    def _accepted(self, found: AccessRequest) -> Response:
        shown = self.get_serializer(self.get_queryset().get(pk=found.pk)).data
        return Response(shown, status=202, headers={"Location": self.reverse_action("detail", args=[found.pk])})
