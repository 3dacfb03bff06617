"""Graphs under /api/v1/: each action checks the shape, calls one verb and answers."""

from typing import Any

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from transfers.analysis import graphs
from transfers.analysis.models import AnalysisJob
from transfers.analysis.serializers import AnalysisJobSerializer, AnalysisJobWriteSerializer
from transfers.analysis.states import JobStatus
from transfers.api import NewestFirst
from transfers.errors import ConsentNeededError


class GraphViewSet(ReadOnlyModelViewSet[AnalysisJob]):
    """Graphs: drawn near the data by the graph service, kept in a folder that only the person may read."""

    permission_classes = [IsAuthenticated]
    pagination_class = NewestFirst
    lookup_value_converter = "uuid"
    serializer_class = AnalysisJobSerializer

    def get_queryset(self) -> Any:
        jobs = AnalysisJob.objects.visible_to(self.request.user)
        return jobs.prefetch_related("sources__version__dataset", "events")

    def create(self, request: Request) -> Response:
        """Ask for graphs of one to four datasets: answers 202 and where to look. The same request answers with the same graph.

        403 with `required_scopes` when the person has to agree first: the graph waits, and goes on by itself once she did.
        """
        asked = AnalysisJobWriteSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        job = graphs.request_graph(user=request.user, wanted=wanted["wanted"], kinds=wanted.get("kinds", ()), years=wanted["years"])
        if job.status == JobStatus.NEEDS_SIGN_IN:
            raise ConsentNeededError(required_scopes=job.required_scopes)
        return self._accepted(job)

    def destroy(self, request: Request, pk: str) -> Response:
        """Remove what a graph left in the results collection."""
        return self._accepted(graphs.clean_up(self.get_object(), user=request.user))

    def _accepted(self, job: AnalysisJob) -> Response:
        shown = self.get_serializer(self.get_queryset().get(pk=job.pk)).data
        return Response(shown, status=202, headers={"Location": self.reverse_action("detail", args=[job.pk])})
