"""Giving and taking the roles steward and operator, to an identity or a group named by its username or id."""

from __future__ import annotations

import logging
import uuid

from django.db.models import Q, QuerySet

from datasets.errors import NotFoundError
from portal import auth
from portal.models import RoleGrant

log = logging.getLogger("portal.roles")


def give_role(role: str, named: str) -> RoleGrant:
    """Globus is asked who `named` is. Safe to repeat. Raises GlobusRefusedError for a name that Globus does not know."""
    principal = auth.find_principal(named)
    given, is_new = RoleGrant.objects.update_or_create(
        role=role, principal_type=principal.kind, principal=principal.id, defaults={"name": principal.name}
    )
    log.info("role given", extra={"role": role, "principal": str(principal.id), "is_new": is_new})
    return given


def take_role(role: str, named: str) -> int:
    """How many grants were removed. Works when Globus is out: by id, or by the name that Globus had when the role was given."""
    found = grants_of(role).filter(Q(name=named) | Q(principal=as_id(named)))
    if not found.exists():
        message = f"{named} was not made {role} here. Roles that come from the groups in settings are taken by leaving the group."
        raise NotFoundError(message)
    removed, _ = found.delete()
    log.info("role taken", extra={"role": role})
    return removed


def grants_of(role: str) -> QuerySet[RoleGrant]:
    return RoleGrant.objects.filter(role=role).order_by("principal_type", "name")


def as_id(named: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(named)
    except ValueError:
        return None
