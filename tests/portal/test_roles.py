import uuid

import pytest
from django.core.management import CommandError, call_command

from datasets.errors import NotFoundError
from portal import roles
from portal.models import RoleGrant, User

pytestmark = pytest.mark.django_db


def test_a_role_is_taken_by_name_or_id(people):
    roles.take_role("operator", "dee@archive.example")
    assert not User.objects.get(pk=people["dee"].pk).is_operator
    roles.take_role("steward", str(people["ben"].pk))
    assert not RoleGrant.objects.exists()


def test_taking_what_was_not_given_says_where_else_roles_come_from(people):
    with pytest.raises(NotFoundError, match="leaving the group"):
        roles.take_role("operator", "cy@elsewhere.example")


def test_a_role_of_a_linked_identity_counts(people):
    linked = uuid.uuid4()
    people["cy"].linked_identities.create(identity_id=linked, username="cy@work.example")
    RoleGrant.objects.create(role="operator", principal_type="identity", principal=linked)
    assert User.objects.get(pk=people["cy"].pk).is_operator


def test_the_command_lists_and_asks_for_a_name(people, capsys):
    call_command("operator", "list")
    assert capsys.readouterr().out == f"identity\t{people['dee'].pk}\tdee@archive.example\n"
    with pytest.raises(CommandError, match="Say whom"):
        call_command("steward", "add")
