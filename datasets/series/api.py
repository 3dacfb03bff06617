"""The tree of series in the API: to read by everybody, to change by the stewards of a series."""

from typing import Any
from urllib.parse import urlencode

from rest_framework.permissions import IsAuthenticated, IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets import series
from datasets.access import Visitor, check_staff
from datasets.errors import NotFoundError
from datasets.models import Series
from datasets.serializers import SeriesChangeSerializer, SeriesStewardSerializer, SeriesStewardWriteSerializer, SeriesWriteSerializer

PAGE = 100


class SeriesListView(APIView):
    permission_classes = [IsAuthenticatedOrReadOnly]

    def get(self, request: Request) -> Response:
        """The series directly below one (`parent`), else those at the top of the tree; `cursor`. Counts hold all that is below."""
        parent = series.named(request.user, request.query_params.get("parent") or None, "parent")
        rows = series.branches(request.user, parent, after=request.query_params.get("cursor", "")[:80], limit=PAGE + 1)
        next_url = None
        if len(rows) > PAGE:
            asked = ({"parent": parent.slug} if parent else {}) | {"cursor": rows[PAGE - 1].series.slug}
            next_url = request.build_absolute_uri(f"?{urlencode(asked)}")
        body = {"next": next_url, "results": [_as_read(one.series, parent, one.n_listed) for one in rows[:PAGE]]}
        return Response(body, headers={"Link": f'<{next_url}>; rel="next"'} if next_url else {})

    def post(self, request: Request) -> Response:
        """Make a series below `parent`, for its stewards; at the top of the tree, for operators."""
        check_staff(request.user)
        asked = SeriesWriteSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        parent = series.named(request.user, asked.validated_data.pop("parent", None), "parent")
        made = series.create(user=request.user, parent=parent, **asked.validated_data)
        return Response(_as_read(made, parent, 0), status=201, headers={"Location": made.get_absolute_url()})


class SeriesView(APIView):
    def get(self, request: Request, slug: str) -> Response:
        """One series, with the way to it from the top of the tree. Its datasets: `/api/v1/datasets/?series=`."""
        found = series.find_series(request.user, slug)
        return Response(_detail(request.user, found))

    def patch(self, request: Request, slug: str) -> Response:
        """Change `title` or `description`; move it with all that is below by `parent` (null: the top of the tree)."""
        found = series.find_series(request.user, slug)
        series.check_series_steward(request.user, found)
        asked = SeriesChangeSerializer(data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        if "parent" in given:
            given["parent"] = series.named(request.user, given["parent"], "parent")
        found = series.change(found, user=request.user, **given)
        return Response(_detail(request.user, found))

    def delete(self, request: Request, slug: str) -> Response:
        """Delete an empty series."""
        series.delete(series.find_series(request.user, slug), user=request.user)
        return Response(status=204)


class SeriesStewardsView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, slug: str) -> Response:
        """Who curates the series and all that is below; for its stewards and operators."""
        found = series.find_series(request.user, slug)
        series.check_series_steward(request.user, found)
        return Response({"results": SeriesStewardSerializer(found.stewards.all(), many=True).data})

    def post(self, request: Request, slug: str) -> Response:
        """Appoint an identity or a group."""
        found = series.find_series(request.user, slug)
        series.check_series_steward(request.user, found)
        asked = SeriesStewardWriteSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        made = series.appoint(found, user=request.user, **asked.validated_data)
        return Response(SeriesStewardSerializer(made).data, status=201)


class SeriesStewardView(APIView):
    def delete(self, request: Request, slug: str, steward_id: str) -> Response:
        """End a stewardship."""
        found = series.find_series(request.user, slug)
        series.check_series_steward(request.user, found)
        steward = found.stewards.filter(pk=steward_id).select_related("series").first()
        if steward is None:
            raise NotFoundError
        series.dismiss(steward, user=request.user)
        return Response(status=204)


def _as_read(one: Series, parent: Series | None, n_listed: int) -> dict[str, Any]:
    return {
        "slug": one.slug,
        "title": one.title,
        "description": one.description,
        "parent": parent.slug if parent else None,
        "url": one.get_absolute_url(),
        "n_datasets": n_listed,
    }


def _detail(user: Visitor, found: Series) -> dict[str, Any]:
    lineage = series.lineage_of(found, user)
    parent = lineage[-2] if len(lineage) > 1 else None
    return {**_as_read(found, parent, series.count_listed(found)), "lineage": [{"slug": one.slug, "title": one.title} for one in lineage]}
