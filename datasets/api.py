"""The catalogue over REST. Every lookup starts at what the person may see; verbs decide the rest."""

import hashlib
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from django.db import transaction
from django.db.models import Prefetch, prefetch_related_objects
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.cache import get_conditional_response
from rest_framework.permissions import IsAuthenticated, IsAuthenticatedOrReadOnly
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from datasets import dois, files, search, series
from datasets.access import check_curator, check_may_list, decide, granting
from datasets.access.terms import current_terms
from datasets.curation import bin_api, checking, deleting, publishing, registering
from datasets.description import api as editing_api
from datasets.description import probing
from datasets.description.snapshots import description_changes
from datasets.errors import InvalidError, NotFoundError
from datasets.files import manifests
from datasets.files.bounding import bounded
from datasets.files.differences import changes, count_changes
from datasets.files.filters import FileFilter
from datasets.finding import find_dataset, find_version, whole_number
from datasets.items.differences import item_changes
from datasets.models import Grant, Series, Version
from datasets.scans import ingesting
from datasets.search.query import SearchQuery
from datasets.serializers import (
    DatasetSerializer,
    DatasetWriteSerializer,
    DraftWriteSerializer,
    FileSerializer,
    FolderSerializer,
    GrantSerializer,
    GrantWriteSerializer,
    NoteWriteSerializer,
    PlaceWriteSerializer,
    RegisterSerializer,
    ScanSerializer,
    VersionSerializer,
    WithdrawalWriteSerializer,
)

PAGE = 100
MOST = 1_000


class DatasetsView(APIView):
    permission_classes = [IsAuthenticatedOrReadOnly]

    def get(self, request: Request) -> Response:
        """Search the catalogue: `q`, facets (repeat), `from`, `to`, `bbox`, `sort`, `limit`, `cursor`; exact counts.

        Facets: subject, variable, format, licence, access, decade, year, series (a slug: with all below) and availability (online, cold).

        By best match of very many, pages end after the `ranked` best (else null); any other `sort` goes through all.
        """
        query = SearchQuery.from_parameters(request.query_params)
        results = search.search(query, user=request.user)
        datasets = [hit.dataset for hit in results.hits]
        prefetch_related_objects(datasets, "creators", "series", "subjects", "variables")
        next_url = request.build_absolute_uri(query.url(with_cursor=results.next_cursor)) if results.next_cursor else None
        body = {
            "total": results.total,
            "ranked": results.n_ranked or None,
            "next": next_url,
            "corrected": results.corrected or None,
            "facets": {
                name: [{"value": one.value, "words": one.words, "count": one.count} for one in values]
                for name, values in results.facets.items()
            },
            "results": DatasetSerializer(datasets, many=True).data,
        }
        return Response(body, headers=_link(next_url))

    def post(self, request: Request) -> Response:
        """Register a dataset with an open draft; stewards and operators."""
        registering.check_may_register(request.user)
        given, placed = _without_series(request, _read(request, RegisterSerializer))
        with transaction.atomic():
            dataset = registering.register(user=request.user, **given).dataset
            if placed:
                series.put(dataset, user=request.user, series=placed[0])
        return Response(DatasetSerializer(dataset).data, status=201, headers={"Location": dataset.get_absolute_url()})


class DatasetView(APIView):
    def get(self, request: Request, slug: str) -> HttpResponseBase:
        """One dataset, with its versions and whether you may have its files; ETag."""
        dataset = find_dataset(request.user, slug)
        current = Prefetch(
            "versions", Version.objects.visible_to(request.user).filter(dataset=dataset).select_related("doi").prefetch_related("locations")
        )
        prefetch_related_objects([dataset], "creators", "series", "subjects", "variables", current)
        decision = decide(request.user, dataset)
        through, asked_terms = decision.through, current_terms(dataset)
        body = {
            **DatasetSerializer(dataset).data,
            "versions": VersionSerializer(dataset.versions.all(), many=True).data,
            "terms": asked_terms.number if asked_terms else None,
            "access": {
                "is_allowed": decision.is_allowed,
                "reason": decision.reason,
                "words": decision.words,
                "until": decision.until,
                "through": {"principal_type": through.principal_type, "principal": str(through.principal), "label": through.label}
                if through
                else None,
            },
        }
        etag = f'"{dataset.revision}-{hashlib.sha256(JSONRenderer().render(body)).hexdigest()[:32]}"'
        unchanged = get_conditional_response(request._request, etag=etag)  # noqa: SLF001  (DRF's own name for Django's request)
        return unchanged or Response(body, headers={"ETag": etag, "Vary": "Authorization, Cookie"})

    def patch(self, request: Request, slug: str) -> Response:
        """Change the description; what is not named stays. With `If-Match` (the ETag) or `revision`, 412 where it was changed since."""
        dataset = find_dataset(request.user, slug)
        check_curator(request.user, dataset)
        asked = DatasetWriteSerializer(data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        given, placed = _without_series(request, asked.validated_data)
        with transaction.atomic():
            if placed:
                series.put(dataset, user=request.user, series=placed[0])
            dataset = registering.describe(dataset, user=request.user, revision=editing_api.asked_revision(request), **given)
        return Response(DatasetSerializer(dataset).data)

    def delete(self, request: Request, slug: str) -> Response:
        """Put a dataset that was never published in the bin, for 30 days; `name` (query) repeats its slug. 409 for what was published."""
        dataset = find_dataset(request.user, slug)
        gone = deleting.delete(dataset, user=request.user, name=request.query_params.get("name", ""))
        return Response(bin_api.as_deleted(gone))


class VersionsView(APIView):
    def get(self, request: Request, slug: str) -> Response:
        """The versions of a dataset, newest first."""
        dataset = find_dataset(request.user, slug)
        versions = Version.objects.visible_to(request.user).filter(dataset=dataset).prefetch_related("locations")
        return Response({"results": VersionSerializer(versions, many=True).data})

    def post(self, request: Request, slug: str) -> Response:
        """Open the next draft; its stewards and operators."""
        draft = publishing.open_draft(find_dataset(request.user, slug), user=request.user, **_read(request, DraftWriteSerializer))
        return Response(VersionSerializer(draft).data, status=201)


class VersionView(APIView):
    def get(self, request: Request, slug: str, number: str) -> Response:
        """One version with its totals."""
        version = find_version(request.user, slug, number)
        total = files.measure(version, files.FileQuery())
        return Response({**VersionSerializer(version).data, "n_files": total.n_files, "size_bytes": total.size_bytes})

    def delete(self, request: Request, slug: str, number: str) -> Response:
        """Discard an open draft: it lies in the bin for 30 days, see `/api/v1/discarded-drafts`."""
        publishing.discard_draft(find_version(request.user, slug, number), user=request.user)
        return Response(status=204)


class FilesView(APIView):
    def get(self, request: Request, slug: str, number: str) -> Response:
        """A folder of a version: `folder`, `cursor`, `limit`; with `glob`, `min_size`, `max_size`, `modified_from` or `modified_to` the
        files at any depth below that fit. Of more than 10,000 the totals are of the first 10,000, and `is_more` says so.

        `availability` is online or cold of a file, also partly of a folder, and null where nobody said where the files are; as a parameter
        it leaves out what is not so. `without` (a JSON list of folders) leaves out what lies in them.
        """
        version = find_version(request.user, slug, number)
        check_may_list(request.user, version.dataset, version)
        asked = request.query_params
        limit = _limit(asked.get("limit", ""))
        folder, after, glob, bounds = asked.get("folder") or "/", asked.get("cursor"), asked.get("glob", ""), FileFilter.read(asked.dict())
        availability = asked.get("availability", "")
        with bounded() if glob or bounds else nullcontext():  # a folder is read by key
            listing = files.list_folder(version, folder, after or None, limit, glob or None, bounds, availability)
        next_url = None
        if listing.next_after:
            pairs = {
                "folder": listing.path,
                "glob": glob,
                "availability": availability,
                **bounds.to_fields(),
                "limit": limit,
                "cursor": listing.next_after,
            }
            next_url = request.build_absolute_uri(f"?{urlencode({key: value for key, value in pairs.items() if value})}")
        body = {
            "folder": listing.path,
            "n_files": listing.n_files,
            "size_bytes": listing.size_bytes,
            "is_more": listing.is_more,
            "availability": version.availability_of(listing.path) or None,
            "wait_minutes": version.primary_location.wait_minutes if version.primary_location else None,
            "folders": FolderSerializer(listing.folders, many=True).data,
            "files": FileSerializer(listing.files, many=True).data,
            "next": next_url,
        }
        return Response(body, headers=_link(next_url))


class ChangesView(APIView):
    def get(self, request: Request, slug: str, number: str) -> Response:
        """What changed against another version (`since`, by default the one before), in description, files (`cursor`, `limit`) and items
        (`items_cursor`, with the same limit; null where neither version has items). Each has its own `next`.
        """
        version = find_version(request.user, slug, number)
        check_may_list(request.user, version.dataset, version)
        since = request.query_params.get("since", "") or str(max(int(number) - 1, 1))
        if whole_number(since) is None:
            raise InvalidError(fields={"since": ["The number of a version."]})
        other = find_version(request.user, slug, since)
        limit = _limit(request.query_params.get("limit", ""))
        found = changes(other, version, after=request.query_params.get("cursor", ""), limit=limit + 1)
        next_url = None
        if len(found) > limit:
            pairs = {"since": since, "limit": limit, "cursor": found[limit - 1].path}
            next_url = request.build_absolute_uri(f"?{urlencode(pairs)}")
        described = description_changes(other, version)
        items = item_changes(other, version, after=request.query_params.get("items_cursor", ""), limit=limit)
        items_url = None
        if items and items.next_after:
            items_url = request.build_absolute_uri(f"?{urlencode({'since': since, 'limit': limit, 'items_cursor': items.next_after})}")
        body = {
            "since": int(since),
            "description": None if described is None else [asdict(change) for change in described],
            "totals": {kind: asdict(count) for kind, count in count_changes(other, version).items()},
            "results": [asdict(change) for change in found[:limit]],
            "next": next_url,
            "items": items
            and {
                "totals": items.counts,
                "columns": [asdict(column) for column in items.columns],
                "results": [asdict(change) for change in items.changes],
                "next": items_url,
            },
        }
        return Response(body, headers=_link(next_url))


class ManifestView(APIView):
    def get(self, request: Request, slug: str, number: str) -> HttpResponseBase:
        """Every file with its size and SHA-256, streamed: `format` csv, ndjson or sha256 (for `sha256sum --check`). Of some files alone
        with `folder` and `glob` (both repeat), `min_size`, `max_size`, `modified_from`, `modified_to`.
        """
        version = find_version(request.user, slug, number)
        check_may_list(request.user, version.dataset, version)
        form = request.query_params.get("format", "csv")
        asked = request.query_params
        chosen = files.FileQuery(tuple(asked.getlist("folder")), tuple(asked.getlist("glob")), filters=FileFilter.read(asked.dict()))
        lines = manifests.stream(version, form, chosen)
        name = f"{slug}-v{version.number}.{form}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"}
        return StreamingHttpResponse(lines, content_type=manifests.media_type(form), headers=headers)


class LocationView(APIView):
    def put(self, request: Request, slug: str, number: str) -> Response:
        """Say where the bytes of a draft are. 409 names other datasets that would be closed to readers by it; `closes_others` means it."""
        version = find_version(request.user, slug, number)
        check_curator(request.user, version.dataset)
        asked = PlaceWriteSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        registering.place(version, user=request.user, **asked.validated_data)
        return Response(VersionSerializer(find_version(request.user, slug, number)).data)


class ScansView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, slug: str, number: str) -> Response:
        """The scans of a version, newest first; its stewards and operators."""
        version = find_version(request.user, slug, number)
        check_curator(request.user, version.dataset)
        return Response({"results": ScanSerializer(version.scans.all()[:20], many=True).data})

    def post(self, request: Request, slug: str, number: str) -> Response:
        """Ask for a scan of the version's location; poll this address for its progress."""
        run = ingesting.ask_for_scan(find_version(request.user, slug, number), user=request.user)
        return Response(ScanSerializer(run).data, status=202, headers={"Location": request.path})


class ChecksView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, slug: str, number: str) -> Response:
        """All that is to be mended before a draft is published, what must be first; and its links, when each was looked at last."""
        version = find_version(request.user, slug, number)
        check_curator(request.user, version.dataset)
        links = version.dataset.links.values("url", "field", "is_dead", "words", "checked_at")
        return Response({"results": [asdict(finding) for finding in checking.check(version)], "links": list(links)})

    def post(self, request: Request, slug: str, number: str) -> Response:
        """Have the links of the description looked at again; the answer of a GET tells what came of it."""
        version = find_version(request.user, slug, number)
        n_links = probing.ask_again(version.dataset, user=request.user)
        return Response({"n_links": n_links}, status=202)


class ReviewView(APIView):
    permission_classes = [IsAuthenticated]

    def post(self, request: Request, slug: str, number: str) -> Response:
        """Ask for a review of a draft: `note`. 409 names all that must be mended first."""
        version = publishing.submit(find_version(request.user, slug, number), user=request.user, **_read(request, NoteWriteSerializer))
        return Response(VersionSerializer(version).data, status=201)

    def delete(self, request: Request, slug: str, number: str) -> Response:
        """Send it back, or take it back: `note` says what is to be mended."""
        version = publishing.send_back(find_version(request.user, slug, number), user=request.user, **_read(request, NoteWriteSerializer))
        return Response(VersionSerializer(version).data)


class PublicationView(APIView):
    def post(self, request: Request, slug: str, number: str) -> Response:
        """Publish a draft; 409 names all that is missing."""
        version = publishing.publish(find_version(request.user, slug, number), user=request.user)
        return Response(VersionSerializer(version).data, status=201)


class DoiView(APIView):
    permission_classes = [IsAuthenticated]

    def post(self, request: Request, slug: str, number: str) -> Response:
        """Reserve the DOI of a version, or answer with the one that it has; its stewards and operators."""
        doi = dois.reserve(find_version(request.user, slug, number), user=request.user)
        return Response({"name": doi.name, "status": doi.status}, status=201)


class WithdrawalView(APIView):
    permission_classes = [IsAuthenticated]

    def post(self, request: Request, slug: str, number: str) -> Response:
        """Withdraw a published version: `reason`, and `forward_url` where something else is to be used. Its page stays."""
        version = find_version(request.user, slug, number)
        withdrawn = publishing.withdraw(version, user=request.user, **_read(request, WithdrawalWriteSerializer))
        return Response(VersionSerializer(withdrawn).data, status=201)


class GrantsView(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request: Request, slug: str) -> Response:
        """Who was given access, by whom and until when; its stewards and operators."""
        dataset = find_dataset(request.user, slug)
        check_curator(request.user, dataset)
        return Response({"results": GrantSerializer(dataset.grants.all()[:MOST], many=True).data})

    def post(self, request: Request, slug: str) -> Response:
        """Give an identity or a group access."""
        dataset = find_dataset(request.user, slug)
        check_curator(request.user, dataset)
        asked = GrantWriteSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = granting.grant(dataset, granted_by=request.user, **asked.validated_data)
        return Response(GrantSerializer(given).data, status=201)


class GrantView(APIView):
    def delete(self, request: Request, slug: str, grant_id: str) -> Response:
        """Take access back."""
        dataset = find_dataset(request.user, slug)
        check_curator(request.user, dataset)
        given = Grant.objects.filter(dataset=dataset, pk=grant_id).first()
        if given is None:
            raise NotFoundError
        granting.revoke(given, revoked_by=request.user)
        return Response(status=204)


class SuggestionsView(APIView):
    def get(self, request: Request) -> Response:
        """Words of published descriptions that complete or resemble the last word of `q`."""
        return Response({"results": search.suggest(request.query_params.get("q", "")[:300])})


def _without_series(request: Request, given: dict[str, Any]) -> tuple[dict[str, Any], list[Series | None]]:
    """What describes a dataset, and the series that it is put in, where one is named (null: in none)."""
    placed = [series.named(request.user, given["series"], "series")] if "series" in given else []
    return {name: value for name, value in given.items() if name != "series"}, placed


def _read(request: Request, shape: type[Serializer[Any]]) -> dict[str, Any]:
    """The body as arguments of a verb. Raises ValidationError naming each field that is not of the shape."""
    asked = shape(data=request.data)
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def _limit(asked: str) -> int:
    if not asked:
        return PAGE
    limit = whole_number(asked) or 0
    if not 1 <= limit <= MOST:
        raise InvalidError(fields={"limit": [f"A number from 1 to {MOST}."]})
    return limit


def _link(next_url: str | None) -> dict[str, str]:
    return {"Link": f'<{next_url}>; rel="next"'} if next_url else {}
