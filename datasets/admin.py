"""The catalogue in the administration: to look at, with actions that call verbs. Curating itself happens on the steward's pages."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from datasets.access import granting
from datasets.curation import publishing
from datasets.description import locking
from datasets.errors import RefusedError
from datasets.importing import harvests
from datasets.metadata import pushing
from datasets.models import (
    Alarm,
    Dataset,
    DatasetEvent,
    Editing,
    GlobusCollection,
    Grant,
    Harvest,
    Link,
    PushedRecord,
    ScanRun,
    Series,
    SeriesSteward,
    Terms,
    TermsAcceptance,
    Version,
    Vocabulary,
    Watch,
)
from datasets.scans import ingesting, scanning
from datasets.search.indexing import index_dataset


def each(request: HttpRequest, rows: QuerySet[Any], verb: Callable[[Any], object], done: str) -> None:
    """Call a verb for each chosen row, and say of each what came of it."""
    for row in rows:
        try:
            verb(row)
        except RefusedError as error:
            reasons = " ".join(words for texts in error.fields.values() for words in texts)
            messages.error(request, f"{row}: {error.detail} {reasons}".strip())
        else:
            messages.success(request, f"{row}: {done}")


class LookOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Rows are read here, never edited: their fields and states have rules. `hidden` names fields that say nothing to a reader."""

    hidden: tuple[str, ...] = ()
    extra_fields: tuple[str, ...] = ()

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:  # type: ignore[override]  # names alone
        concrete = [field.name for field in (*self.opts.fields, *self.opts.many_to_many)]
        return [name for name in concrete if name not in self.hidden] + list(self.extra_fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return self.get_fields(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Dataset)
class DatasetAdmin(LookOnlyAdmin):
    list_display = ("slug", "title", "access_policy", "licence", "n_files", "size_bytes", "published_at")
    list_filter = ("access_policy", "share_variant", "licence")
    search_fields = ("slug", "title")
    hidden = ("search_terms",)
    actions = ("index_again",)

    @admin.action(description="Write the catalogue row again")
    def index_again(self, request: HttpRequest, rows: QuerySet[Dataset]) -> None:
        each(request, rows, index_dataset, "indexed")


@admin.register(Version)
class VersionAdmin(LookOnlyAdmin):
    list_display = ("dataset", "number", "status", "published_at", "damaged_at")
    list_filter = ("status", "damaged_at")
    search_fields = ("dataset__slug",)
    list_select_related = ("dataset",)
    hidden = ("digest",)
    extra_fields = ("digest_hex",)
    actions = ("check_files", "publish")

    @admin.action(description="Scan the location")
    def check_files(self, request: HttpRequest, rows: QuerySet[Version]) -> None:
        each(request, rows, lambda version: ingesting.request_scan(version, user=request.user), "a scan is queued")

    @admin.action(description="Publish")
    def publish(self, request: HttpRequest, rows: QuerySet[Version]) -> None:
        each(request, rows, lambda version: publishing.publish(version, user=request.user), "published")


@admin.register(ScanRun)
class ScanRunAdmin(LookOnlyAdmin):
    list_display = ("version", "status", "step", "n_files", "n_inspected", "asked_at", "finished_at", "error")
    list_filter = ("status",)
    list_select_related = ("version__dataset",)
    actions = ("retry", "accept", "discard", "pause", "resume", "cancel")

    @admin.action(description="Try again")
    def retry(self, request: HttpRequest, rows: QuerySet[ScanRun]) -> None:
        each(request, rows, lambda run: ingesting.retry_scan(run, user=request.user), "queued")

    @admin.action(description="Accept the report")
    def accept(self, request: HttpRequest, rows: QuerySet[ScanRun]) -> None:
        each(request, rows, lambda run: scanning.accept_scan(run, user=request.user), "accepted")

    @admin.action(description="Discard the report")
    def discard(self, request: HttpRequest, rows: QuerySet[ScanRun]) -> None:
        each(request, rows, lambda run: scanning.discard_report(run, user=request.user), "discarded")

    @admin.action(description="Pause")
    def pause(self, request: HttpRequest, rows: QuerySet[ScanRun]) -> None:
        each(request, rows, lambda run: scanning.pause_scan(run, user=request.user), "paused")

    @admin.action(description="Go on")
    def resume(self, request: HttpRequest, rows: QuerySet[ScanRun]) -> None:
        each(request, rows, lambda run: scanning.resume_scan(run, user=request.user), "queued")

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, rows: QuerySet[ScanRun]) -> None:
        each(request, rows, lambda run: scanning.cancel_scan(run, user=request.user), "cancelled")


@admin.register(Alarm)
class AlarmAdmin(LookOnlyAdmin):
    list_display = ("version", "words", "raised_at", "mailed_at", "lifted_at", "lifted_as")
    list_filter = ("lifted_as",)
    list_select_related = ("version__dataset",)


@admin.register(GlobusCollection)
class GlobusCollectionAdmin(LookOnlyAdmin):
    list_display = ("name", "id", "is_usable", "tested_at", "registered_by")
    search_fields = ("name", "id")


@admin.register(Watch)
class WatchAdmin(LookOnlyAdmin):
    list_display = ("dataset", "acceptance", "rescan_every", "rescan_due_at", "verify_every", "n_verified", "n_to_verify", "verify_error")
    list_filter = ("rescan_every", "verify_every")
    list_select_related = ("dataset",)


@admin.register(Grant)
class GrantAdmin(LookOnlyAdmin):
    list_display = ("dataset", "principal_type", "label", "principal", "granted_by", "granted_at", "expires_at", "revoked_at")
    list_filter = ("principal_type",)
    search_fields = ("dataset__slug", "label", "principal")
    list_select_related = ("dataset", "granted_by")
    actions = ("revoke",)

    @admin.action(description="Take access back")
    def revoke(self, request: HttpRequest, rows: QuerySet[Grant]) -> None:
        each(request, rows, lambda given: granting.revoke(given, revoked_by=request.user), "taken back")


@admin.register(PushedRecord)
class PushedRecordAdmin(LookOnlyAdmin):
    list_display = ("__str__", "status", "is_present", "wanted", "told", "told_at", "due_at", "n_attempts", "error")
    list_filter = ("status", "is_present")
    search_fields = ("subject", "dataset_id")
    actions = ("push_again",)

    @admin.action(description="Push again")
    def push_again(self, request: HttpRequest, rows: QuerySet[PushedRecord]) -> None:
        each(request, rows, lambda row: pushing.push_again(row, user=request.user), "queued")


@admin.register(Harvest)
class HarvestAdmin(LookOnlyAdmin):
    list_display = ("base_url", "prefix", "set_spec", "status", "is_dry_run", "n_pages", "every", "next_at", "asked_by", "error")
    list_filter = ("status", "is_dry_run", "every")
    search_fields = ("base_url", "repository")
    list_select_related = ("asked_by",)
    hidden = ("token",)
    actions = ("pause", "resume", "cancel", "retry")

    @admin.action(description="Pause")
    def pause(self, request: HttpRequest, rows: QuerySet[Harvest]) -> None:
        each(request, rows, lambda run: harvests.pause(run, user=request.user), "paused")

    @admin.action(description="Go on")
    def resume(self, request: HttpRequest, rows: QuerySet[Harvest]) -> None:
        each(request, rows, lambda run: harvests.resume(run, user=request.user), "queued")

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, rows: QuerySet[Harvest]) -> None:
        each(request, rows, lambda run: harvests.cancel(run, user=request.user), "cancelled")

    @admin.action(description="Try again")
    def retry(self, request: HttpRequest, rows: QuerySet[Harvest]) -> None:
        each(request, rows, lambda run: harvests.retry(run, user=request.user), "queued")


@admin.register(Terms)
class TermsAdmin(LookOnlyAdmin):
    list_display = ("dataset", "number", "published_at", "published_by", "retired_at")
    search_fields = ("dataset__slug",)
    list_select_related = ("dataset", "published_by")


@admin.register(TermsAcceptance)
class TermsAcceptanceAdmin(LookOnlyAdmin):
    list_display = ("terms", "user", "accepted_at")
    search_fields = ("terms__dataset__slug", "user__username")
    list_select_related = ("terms__dataset", "user")


@admin.register(DatasetEvent)
class DatasetEventAdmin(LookOnlyAdmin):
    list_display = ("at", "dataset", "act", "old", "new", "actor", "note")
    list_filter = ("act",)
    search_fields = ("dataset__slug",)
    list_select_related = ("dataset", "actor")


@admin.register(Vocabulary)
class VocabularyAdmin(LookOnlyAdmin):
    list_display = ("name", "use", "edition", "is_whole", "loaded_at")
    list_filter = ("use",)
    search_fields = ("slug", "name")


@admin.register(Link)
class LinkAdmin(LookOnlyAdmin):
    list_display = ("url", "dataset", "is_dead", "words", "checked_at", "due_at")
    list_filter = ("is_dead",)
    search_fields = ("url", "dataset__slug")
    list_select_related = ("dataset",)


@admin.register(Series)
class SeriesAdmin(LookOnlyAdmin):
    list_display = ("slug", "title", "parent", "n_listed")
    search_fields = ("slug", "title")
    list_select_related = ("parent",)


@admin.register(SeriesSteward)
class SeriesStewardAdmin(LookOnlyAdmin):
    list_display = ("series", "principal_type", "label", "principal", "appointed_by", "appointed_at")
    search_fields = ("series__slug", "label", "principal")
    list_select_related = ("series", "appointed_by")


@admin.register(Editing)
class EditingAdmin(LookOnlyAdmin):
    list_display = ("dataset", "editor", "is_holder", "since", "until", "kept_at")
    search_fields = ("dataset__slug", "editor__username")
    list_select_related = ("dataset", "editor")
    hidden = ("unsaved",)
    actions = ("end_lock",)

    @admin.action(description="End the edit lock")
    def end_lock(self, request: HttpRequest, rows: QuerySet[Editing]) -> None:
        each(request, rows, lambda one: locking.release(one.dataset, user=one.editor), "the lock is ended, what was typed is kept")
