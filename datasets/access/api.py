"""Terms, and the questions who can see what, over REST."""

import uuid
from dataclasses import asdict
from typing import Any

from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated, IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets.access import check_curator, seeing, terms
from datasets.errors import InvalidError
from datasets.finding import find_dataset
from datasets.models import Terms
from datasets.moments import read_moment


class TermsSerializer(serializers.ModelSerializer[Terms]):
    version = serializers.IntegerField(source="number")

    class Meta:
        model = Terms
        fields = ["version", "text", "published_at", "retired_at"]


class TermsWriteSerializer(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=terms.LONGEST)


class TermsView(APIView):
    permission_classes = [IsAuthenticatedOrReadOnly]

    def get(self, request: Request, slug: str) -> Response:
        """The terms of a dataset: every version, newest first; `current` is the one that is asked now, `is_accepted` whether you did."""
        dataset = find_dataset(request.user, slug)
        versions = list(dataset.terms.all())
        current = next((one for one in versions if one.retired_at is None), None)
        is_accepted = not terms.lacking_terms(request.user, [dataset]) if request.user.is_authenticated else None
        body = {"current": current.number if current else None, "is_accepted": is_accepted}
        return Response({**body, "results": TermsSerializer(versions, many=True).data})

    def post(self, request: Request, slug: str) -> Response:
        """Publish a new version of the terms; stewards and operators. The same `text` again changes nothing."""
        dataset = find_dataset(request.user, slug)
        check_curator(request.user, dataset)
        asked = TermsWriteSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        made = terms.publish_terms(dataset, user=request.user, text=asked.validated_data["text"])
        return Response(TermsSerializer(made).data, status=201)

    def delete(self, request: Request, slug: str) -> Response:
        """Ask for no terms any more; stewards and operators. Past versions and acceptances stay."""
        terms.retire_terms(find_dataset(request.user, slug), user=request.user)
        return Response(status=204)


class AcceptanceView(APIView):
    permission_classes = [IsAuthenticated]

    def put(self, request: Request, slug: str, number: str) -> Response:
        """Accept this version of the terms, which must be the current one. Safe to repeat."""
        made = terms.accept_terms(find_dataset(request.user, slug), user=request.user, number=int(number))
        return Response({"version": made.terms.number, "accepted_at": made.accepted_at})


class WhoCanSeeView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, slug: str) -> Response:
        """Who can have the files of a dataset, through what, until when; `at`: a past date. Its stewards and operators."""
        dataset = find_dataset(request.user, slug)
        kept, ways = seeing.who_can_see(dataset, user=request.user, moment=read_moment(request.query_params.get("at", "")))
        return Response({**asdict(kept), "is_embargoed": kept.is_embargoed, "results": [asdict(way) for way in ways]})


class WhatSheSeesView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, identity_id: str) -> Response:
        """The datasets whose files a person can have beyond what is open; `at`: a past date. For staff and herself."""
        try:
            identity = uuid.UUID(identity_id)
        except ValueError as error:
            raise InvalidError(fields={"identity_id": ["That is no identity."]}) from error
        seen = seeing.what_she_sees(identity, user=request.user, moment=read_moment(request.query_params.get("at", "")))
        return Response({"results": [_shown(one) for one in seen]})


def _shown(seen: seeing.Seen) -> dict[str, Any]:
    way = asdict(seen.way)
    way.pop("members")
    return {"dataset": seen.dataset.slug, "title": seen.dataset.title, **way}
