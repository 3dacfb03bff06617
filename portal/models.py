"""People as Globus knows them: a user, her linked identities, her groups; and who was made steward or operator by hand.

Nothing here asks Globus: sign-in and the refresh of groups (portal/auth.py) write these rows, everything else reads them.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from functools import cached_property
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import salted_hmac

from datasets.models import SeriesSteward
from datasets.models.principal import names_person


class UserManager(BaseUserManager["User"]):
    """Users are made by sign-in alone, never with a password."""


class User(AbstractBaseUser):
    """A person; the key is the Globus identity id."""

    password = None  # type: ignore[assignment]  # sign-in is through Globus only
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.CharField(max_length=320, db_index=True)
    name = models.CharField(max_length=300, blank=True)
    email = models.EmailField(max_length=320, blank=True)
    organization = models.CharField(max_length=300, blank=True)
    is_active = models.BooleanField(default=True)
    session_epoch = models.PositiveIntegerField(default=0, help_text="Raised by “sign out everywhere”: older sessions end.")
    groups_read_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "id"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    is_present: bool = False
    """Whether she is at the other end of this request. A worker acts on what she asked for earlier and has no sign-in to judge."""
    second_factor_at: datetime | None = None
    """When she last gave a second factor in the sign-in of this request."""

    class Meta:
        ordering = ("username",)

    def __str__(self) -> str:
        return self.username

    def get_full_name(self) -> str:
        return self.name or self.username

    def get_short_name(self) -> str:
        return self.name or self.username

    def has_usable_password(self) -> bool:
        return False

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        # AbstractBaseUser derives it from the password, which people here do not have.
        return salted_hmac("portal.User.session", f"{self.pk}:{self.session_epoch}", secret=secret, algorithm="sha256").hexdigest()

    @cached_property
    def identity_ids(self) -> frozenset[uuid.UUID]:
        """Her own identity and those linked to it; each of them may be the one that gives access."""
        return frozenset({self.id, *self.linked_identities.values_list("identity_id", flat=True)})

    @cached_property
    def group_ids(self) -> frozenset[uuid.UUID]:
        return frozenset(self.group_memberships.values_list("group_id", flat=True))

    @cached_property
    def held_roles(self) -> frozenset[str]:
        """Roles given by hand to one of her identities or groups, those of the groups that settings name; a series makes a steward, too."""
        given = RoleGrant.objects.filter(
            Q(principal_type="identity", principal__in=self.identity_ids) | Q(principal_type="group", principal__in=self.group_ids)
        )
        named = {str(group_id) for group_id in self.group_ids}
        curates = SeriesSteward.objects.filter(names_person(self)).order_by().annotate(role=Value(str(RoleGrant.Role.STEWARD)))
        roles = set(given.values_list("role", flat=True).union(curates.values_list("role", flat=True)))
        if named & set(settings.STEWARD_GROUPS):
            roles.add(RoleGrant.Role.STEWARD)
        if named & set(settings.OPERATOR_GROUPS):
            roles.add(RoleGrant.Role.OPERATOR)
        return frozenset(roles)

    @property
    def lacks_second_factor(self) -> bool:
        """Whether she holds a role that does not count in this sign-in, because staff here need a second factor."""
        return settings.STAFF_NEEDS_SECOND_FACTOR and not self.is_assured and bool(self.held_roles)

    @property
    def roles(self) -> frozenset[str]:
        """The roles that count in this request."""
        return frozenset() if self.lacks_second_factor else self.held_roles

    @property
    def is_assured(self) -> bool:
        """Whether her sign-in carries a second factor that is not too old for controlled files."""
        if not self.is_present:
            return True
        oldest = timezone.now() - timedelta(minutes=settings.ASSURANCE_MINUTES)
        return self.second_factor_at is not None and self.second_factor_at >= oldest

    def name_of(self, identity_id: uuid.UUID) -> str:
        """The username of one of her identities; empty for any other."""
        if identity_id == self.id:
            return self.username
        return self.linked_identities.filter(identity_id=identity_id).values_list("username", flat=True).first() or ""

    @property
    def is_steward(self) -> bool:
        return RoleGrant.Role.STEWARD in self.roles

    @property
    def is_operator(self) -> bool:
        return RoleGrant.Role.OPERATOR in self.roles

    @property
    def is_staff(self) -> bool:
        """The admin's word for an operator."""
        return self.is_operator

    def has_perm(self, perm: str, row: object = None) -> bool:
        return self.is_active and self.is_operator

    def has_perms(self, perms: list[str], row: object = None) -> bool:
        return self.is_active and self.is_operator

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_operator


class LinkedIdentity(models.Model):
    """Another identity that the person linked to hers in Globus."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="linked_identities")
    identity_id = models.UUIDField(db_index=True)
    username = models.CharField(max_length=320)
    organization = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "linked identities"
        constraints = [models.UniqueConstraint(fields=["user", "identity_id"], name="one_row_per_linked_identity")]

    def __str__(self) -> str:
        return self.username


class GroupMembership(models.Model):
    """A Globus group that the person is an active member of, through one of her identities; read by the portal's own client."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="group_memberships")
    group_id = models.UUIDField(db_index=True)
    name = models.CharField(max_length=300, blank=True)
    identity_id = models.UUIDField()
    joined_at = models.DateTimeField(default=timezone.now, db_default=Now(), help_text="When the portal first read it")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "group_id"], name="one_row_per_membership")]

    def __str__(self) -> str:
        return self.name or str(self.group_id)


class PastMembership(models.Model):
    """A membership that ended: who was in a group when can be answered, as far as the portal read it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="past_memberships")
    group_id = models.UUIDField(db_index=True)
    name = models.CharField(max_length=300, blank=True)
    identity_id = models.UUIDField()
    joined_at = models.DateTimeField()
    left_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-left_at",)

    def __str__(self) -> str:
        return f"{self.name or self.group_id} until {self.left_at:%Y-%m-%d}"


class RoleGrant(models.Model):
    """A role given by an operator to an identity or a group."""

    class Role(models.TextChoices):
        STEWARD = "steward"
        OPERATOR = "operator"

    class PrincipalType(models.TextChoices):
        IDENTITY = "identity"
        GROUP = "group"

    role = models.CharField(max_length=16, choices=Role.choices)
    principal_type = models.CharField(max_length=16, choices=PrincipalType.choices)
    principal = models.UUIDField()
    name = models.CharField(max_length=320, blank=True, help_text="What Globus called the principal when the role was given.")
    given_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["role", "principal_type", "principal"], name="a_role_is_given_once")]

    def __str__(self) -> str:
        return f"{self.role}: {self.name or self.principal}"
