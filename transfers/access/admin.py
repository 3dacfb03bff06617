"""Access requests for operators: read only. They are decided on the stewards' pages."""

from django.contrib import admin

from transfers.access.models import AccessEvent, AccessRequest
from transfers.admin import ReadOnly, ReadOnlyInline


class EventInline(ReadOnlyInline):
    model = AccessEvent
    fields = ["at", "act", "old", "new", "actor", "note"]
    readonly_fields = ["at"]


@admin.register(AccessRequest)
class AccessRequestAdmin(ReadOnly):
    list_display = ["id", "status", "user", "dataset", "created_at", "decided_by", "expires_at", "due_at", "attempts"]
    list_filter = ["status"]
    search_fields = ["id", "user__username", "dataset__slug"]
    list_select_related = ["user", "dataset", "decided_by"]
    inlines = [EventInline]
