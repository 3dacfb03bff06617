"""Whom a right names: an identity or a group, as Globus knows them by id."""

from typing import Any

from django.db import models
from django.db.models import Q


class PrincipalType(models.TextChoices):
    IDENTITY = "identity", "Identity"
    GROUP = "group", "Group"


def names_person(user: Any) -> Q:
    """Rows that name one of her linked identities or one of her groups."""
    return Q(principal_type=PrincipalType.IDENTITY, principal__in=list(user.identity_ids)) | Q(
        principal_type=PrincipalType.GROUP, principal__in=list(user.group_ids)
    )
