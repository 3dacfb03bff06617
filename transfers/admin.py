"""Requests for operators: read only, with actions that call the same verbs as the pages."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from datasets.errors import RefusedError
from transfers import acts
from transfers.models import ArchiveRule, DataRequest, DataRequestEvent, DataRequestTask, Drift, SentMail, ShareDeletion


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Nothing is added, changed or deleted by hand: rows with states change through verbs only."""

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False


class ReadOnlyInline(admin.TabularInline):  # type: ignore[type-arg]  # not generic at run time
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False


class TaskInline(ReadOnlyInline):
    model = DataRequestTask
    fields = ["sequence", "kind", "status", "task_id", "n_files", "files_done", "bytes_done", "faults", "last_fault"]


class EventInline(ReadOnlyInline):
    model = DataRequestEvent
    fields = ["at", "old", "new", "actor", "note"]
    readonly_fields = ["at"]


@admin.register(DataRequest)
class DataRequestAdmin(ReadOnly):
    list_display = ["id", "kind", "status", "user", "n_files", "size_bytes", "created_at", "due_at", "expires_at"]
    list_filter = ["kind", "status"]
    search_fields = ["id", "user__username"]
    inlines = [TaskInline, EventInline]
    actions = ["cancel", "extend", "retry"]

    @admin.action(description="Cancel, or end the share")
    def cancel(self, request: HttpRequest, chosen: QuerySet[DataRequest]) -> None:
        self._act("cancel", request, chosen)

    @admin.action(description="Extend the share")
    def extend(self, request: HttpRequest, chosen: QuerySet[DataRequest]) -> None:
        self._act("extend", request, chosen)

    @admin.action(description="Retry what failed")
    def retry(self, request: HttpRequest, chosen: QuerySet[DataRequest]) -> None:
        self._act("retry", request, chosen)

    def _act(self, name: str, request: HttpRequest, chosen: QuerySet[DataRequest]) -> None:
        for asked in chosen:
            try:
                acts.ACTS[name](asked, user=request.user)
                self.message_user(request, f"{asked}: {name}", messages.SUCCESS)
            except RefusedError as error:
                self.message_user(request, f"{asked}: {error.detail}", messages.ERROR)


@admin.register(Drift)
class DriftAdmin(ReadOnly):
    list_display = ["found_at", "finding", "collection_id", "path", "principal", "permissions", "repaired_at"]
    list_filter = ["finding"]


@admin.register(ShareDeletion)
class ShareDeletionAdmin(ReadOnly):
    list_display = ["request", "rule_removed_at", "folder_deleted_at", "n_files", "bytes_freed"]


@admin.register(SentMail)
class SentMailAdmin(ReadOnly):
    list_display = ["request", "message", "occasion", "claimed_at", "sent_at"]
    list_filter = ["message"]


@admin.register(ArchiveRule)
class ArchiveRuleAdmin(ReadOnly):
    list_display = ["dataset", "path", "principal_type", "rule_id", "created_at"]
