"""Globus collections in the API, for operators: searched, tested, registered."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets.models import GlobusCollection
from transfers import collecting
from transfers.errors import NotFoundError


class CollectionSerializer(serializers.ModelSerializer[GlobusCollection]):
    """A registered collection with its last test."""

    class Meta:
        model = GlobusCollection
        fields = ["id", "name", "folder", "registered_at", "tested_at", "is_usable", "checks"]


class TestSerializer(serializers.Serializer[Any]):
    folder = serializers.CharField(required=False, default="/")


class CollectionsView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request) -> Response:
        """The registered collections; with `q` what the portal finds at Globus by words of a name or by id. Operators."""
        collecting.check_operator(request.user)
        text = request.query_params.get("q", "")[:200]
        found = collecting.find_collections(text, user=request.user)
        told = [{"id": one.id, "name": one.name, "kind": one.kind, "owner": one.owner, "roles": list(one.roles)} for one in found]
        return Response({"results": CollectionSerializer(GlobusCollection.objects.all(), many=True).data, "found": told})


class CollectionView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, collection_id: str) -> Response:
        """A registered collection and its last test. Operators."""
        return Response(CollectionSerializer(_known(request, collection_id)).data)

    def post(self, request: Request, collection_id: str) -> Response:
        """Test a collection in a `folder` and register it: each check with the commands that mend what failed. Operators."""
        collecting.check_operator(request.user)
        asked = TestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        known = collecting.run_test(UUID(collection_id), user=request.user, folder=asked.validated_data["folder"])
        return Response(CollectionSerializer(known).data, status=201)

    def delete(self, request: Request, collection_id: str) -> Response:
        """Take a collection off the list; datasets that lie there stay. Operators."""
        collecting.forget_collection(_known(request, collection_id), user=request.user)
        return Response(status=204)


def _known(request: Request, collection_id: str) -> GlobusCollection:
    collecting.check_operator(request.user)
    known = GlobusCollection.objects.filter(pk=collection_id).first()
    if known is None:
        raise NotFoundError
    return known
