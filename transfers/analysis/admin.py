"""Graphs and quick looks for operators: read only; a graph is cleaned up by the verb that its page calls."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from datasets.errors import RefusedError
from transfers.admin import ReadOnly, ReadOnlyInline
from transfers.analysis import graphs
from transfers.analysis.models import AnalysisEvent, AnalysisJob, AnalysisSource, QuickLook


class SourceInline(ReadOnlyInline):
    model = AnalysisSource
    fields = ["position", "version", "variable", "units"]


class EventInline(ReadOnlyInline):
    model = AnalysisEvent
    fields = ["at", "old", "new", "actor", "note"]
    readonly_fields = ["at"]


@admin.register(AnalysisJob)
class AnalysisJobAdmin(ReadOnly):
    list_display = ["id", "status", "user", "created_at", "due_at", "expires_at", "attempts"]
    list_filter = ["status"]
    search_fields = ["id", "user__username"]
    exclude = ["results"]
    inlines = [SourceInline, EventInline]
    actions = ["clean_up"]

    @admin.action(description="Clean up")
    def clean_up(self, request: HttpRequest, chosen: QuerySet[AnalysisJob]) -> None:
        for job in chosen:
            try:
                graphs.clean_up(job, user=request.user)
                self.message_user(request, f"{job}: is being removed", messages.SUCCESS)
            except RefusedError as error:
                messages.error(request, f"{job}: {error.detail or error.message}")


@admin.register(QuickLook)
class QuickLookAdmin(ReadOnly):
    list_display = ["id", "version", "variable", "status", "kind", "due_at", "attempts", "reason"]
    list_filter = ["status", "kind"]
    exclude = ["svg"]
