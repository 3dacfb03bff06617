"""People and roles in the administration. What sign-in writes is read-only here; roles are given and taken."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from portal.models import GroupMembership, LinkedIdentity, RoleGrant, User


class ReadOnly:
    """Mixed into what may be looked at only."""

    def has_add_permission(self, request: HttpRequest, row: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class LinkedIdentityInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]  # not generic at run time
    model = LinkedIdentity


class GroupMembershipInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]  # not generic at run time
    model = GroupMembership


@admin.register(User)
class UserAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("username", "name", "organization", "is_active", "last_login")
    list_filter = ("is_active",)
    search_fields = ("username", "name", "organization", "id")
    fields = ("id", "username", "name", "email", "organization", "is_active", "groups_read_at", "created_at", "last_login")
    readonly_fields: ClassVar[Any] = tuple(name for name in fields if name != "is_active")
    inlines = (LinkedIdentityInline, GroupMembershipInline)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False


@admin.register(RoleGrant)
class RoleGrantAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("role", "name", "principal_type", "principal", "given_at")
    list_filter = ("role", "principal_type")

    def has_change_permission(self, request: HttpRequest, obj: RoleGrant | None = None) -> bool:
        return False
