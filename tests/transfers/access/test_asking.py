"""What people do with an access request."""

import datetime as dt

import pytest
from django.utils import timezone

from datasets.access import Reason, decide, granting, terms
from datasets.curation import registering
from datasets.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, TermsNeededError
from portal.assurance import mark_present
from portal.models import User
from tests.transfers.conftest import everything
from transfers import requesting
from transfers.access import asking
from transfers.access.models import AccessRequest
from transfers.access.states import ACCESS_MOVES, AccessStatus
from transfers.errors import NotYoursError, SignInNeededError

DAY = dt.timedelta(days=1)


def soon():
    return timezone.now() + 30 * DAY


def test_asking_again_while_a_request_is_open_answers_with_it(asked, dataset, ada):
    assert asking.request_access(dataset, user=ada, purpose="Another wording.").pk == asked.pk
    assert [(event.act, event.new, event.actor) for event in asked.events.all()] == [("asked", "waiting", ada)]


def test_whoever_has_access_or_cannot_get_it_by_asking_is_told_so(dataset, ada, ben, publish, draft_of_ben, client):
    with pytest.raises(ConflictError, match="access already"):
        asking.request_access(dataset, user=ben, purpose="Mine")
    with pytest.raises(ConflictError, match="Open to everybody"):
        asking.request_access(publish("open").dataset, user=ada, purpose="Why not")
    with pytest.raises(NotFoundError):
        asking.request_access(draft_of_ben, user=ada, purpose="Secret")
    with pytest.raises(SignInNeededError):
        asking.request_access(dataset, user=client.get("/").wsgi_request.user, purpose="Nobody")
    assert not AccessRequest.objects.exists()


@pytest.fixture
def draft_of_ben(ben):
    return registering.register(user=ben, slug="hidden", title="Hidden").dataset


@pytest.mark.parametrize(("purpose", "until"), [("", None), ("  ", None), ("x" * 4001, None), ("A study", dt.timedelta(days=-1))])
def test_a_request_says_what_for_and_ends_in_the_future(dataset, ada, purpose, until):
    with pytest.raises(InvalidError):
        asking.request_access(dataset, user=ada, purpose=purpose, until=timezone.now() + until if until else None)


def test_terms_are_accepted_with_the_request_and_not_asked_again_for_the_files(dataset, ada, ben):
    terms.publish_terms(dataset, user=ben, text="Cite us.")
    with pytest.raises(TermsNeededError):
        asking.request_access(dataset, user=ada, purpose="A study")
    with pytest.raises(ConflictError):
        asking.request_access(dataset, user=ada, purpose="A study", accepted_terms=7)
    assert not AccessRequest.objects.exists()
    made = asking.request_access(dataset, user=ada, purpose="A study", accepted_terms=1)
    assert made.acceptance.terms.number == 1
    asking.approve(made, user=ben, until=soon())
    requesting.check_wanted(ada, everything(dataset.versions.get()))
    terms.publish_terms(dataset, user=ben, text="Cite us twice.")
    with pytest.raises(TermsNeededError) as refused:
        requesting.check_wanted(ada, everything(dataset.versions.get()))
    assert refused.value.terms == [(dataset.slug, 2)]


def test_approval_gives_the_files_until_its_date_and_says_through_whom(asked, dataset, ada, ben):
    end = soon()
    assert not decide(ada, dataset).is_allowed
    asking.approve(asked, user=ben, until=end)
    decision = decide(ada, dataset)
    assert (decision.reason, decision.until) == (Reason.GRANT, end)
    assert ada.username in decision.words
    asked.refresh_from_db()
    assert (asked.status, asked.expires_at, asked.decided_by, asked.grant.granted_by) == ("granted", end, ben, ben)


def test_only_curators_decide_and_only_once(asked, ada, cy, ben):
    for person in (ada, cy):
        with pytest.raises(ForbiddenError):
            asking.approve(asked, user=person, until=soon())
        with pytest.raises(ForbiddenError):
            asking.deny(asked, user=person, reason="No")
    with pytest.raises(InvalidError):
        asking.approve(asked, user=ben, until=timezone.now())
    with pytest.raises(InvalidError):
        asking.approve(asked, user=ben, until=None)
    with pytest.raises(InvalidError):
        asking.deny(asked, user=ben, reason=" ")
    asking.deny(asked, user=ben, reason="The purpose is not clear.")
    for act in (lambda: asking.approve(asked, user=ben, until=soon()), lambda: asking.deny(asked, user=ben, reason="Twice")):
        with pytest.raises(ConflictError):
            act()
    assert not asked.dataset.grants.exists()


def test_who_was_denied_may_ask_again(asked, dataset, ada, ben):
    asking.deny(asked, user=ben, reason="Not yet.")
    assert not decide(ada, dataset).is_allowed
    again = asking.request_access(dataset, user=ada, purpose="Now with a plan.")
    assert again.pk != asked.pk


def test_a_renewal_keeps_access_meanwhile_and_moves_its_end(asked, dataset, ada, ben):
    asking.approve(asked, user=ben, until=timezone.now() + DAY)
    first = dataset.grants.get()
    asked.refresh_from_db()
    asking.ask_renewal(asked, user=ada, purpose="The study goes on.", until=soon())
    assert asking.ask_renewal(asked, user=ada, purpose="Pressed twice.").purpose == "The study goes on."
    assert decide(ada, dataset).until == first.expires_at
    end = soon()
    asking.approve(asked, user=ben, until=end)
    assert decide(ada, dataset).until == end
    first.refresh_from_db()
    assert first.valid_until < first.expires_at, "the first grant ended when the second began"
    assert dataset.grants.count() == 2


def test_a_renewal_that_is_denied_or_withdrawn_leaves_what_was_given(asked, dataset, ada, ben):
    end = timezone.now() + DAY
    asking.approve(asked, user=ben, until=end)
    asked.refresh_from_db()
    asking.ask_renewal(asked, user=ada, purpose="More")
    asking.deny(asked, user=ben, reason="A year is enough.")
    asked.refresh_from_db()
    assert (asked.status, asked.last_act, asked.reason) == ("granted", "renewal-denied", "A year is enough.")
    asking.ask_renewal(asked, user=ada, purpose="Please")
    asking.withdraw(asked, user=ada)
    asked.refresh_from_db()
    assert (asked.status, asked.last_act) == ("granted", "renewal-withdrawn")
    assert decide(ada, dataset).until == end


def test_withdrawing_and_giving_back_are_for_the_person_alone(asked, dataset, ada, cy, ben, dee):
    for person in (cy, ben, dee):
        for act in (asking.withdraw, asking.give_back):
            with pytest.raises(NotYoursError):
                act(asked, user=person)
    with pytest.raises(ConflictError):
        asking.give_back(asked, user=ada)
    asking.approve(asked, user=ben, until=soon())
    asked.refresh_from_db()
    with pytest.raises(ConflictError):
        asking.withdraw(asked, user=ada)
    asking.give_back(asked, user=ada)
    asking.give_back(asked, user=ada)
    assert not decide(ada, dataset).is_allowed
    assert dataset.grants.get().revoked_by == ada


def test_a_request_is_seen_by_its_person_and_those_who_decide(asked, dataset, ada, cy, ben, dee):
    other = User.objects.get(pk=cy.pk)
    assert [person.name for person in (ada, ben, dee, other) if AccessRequest.objects.visible_to(person).exists()] == ["Ada", "Ben", "Dee"]
    assert list(AccessRequest.objects.to_decide(ben)) == [asked]
    dataset.stewards.clear()
    assert not AccessRequest.objects.to_decide(ben).exists()
    assert not AccessRequest.objects.visible_to(ben).exists()


def test_the_right_to_controlled_files_is_no_reason_to_ask(asked, dataset, ada, ben):
    type(dataset).objects.filter(pk=dataset.pk).update(classification="controlled")
    asking.approve(asked, user=ben, until=soon())
    asking.give_back(AccessRequest.objects.get(), user=ada)
    granting.grant(dataset, principal_type="identity", principal=ada.pk, granted_by=ben)
    mark_present(ada, None)
    dataset.refresh_from_db()
    with pytest.raises(ConflictError, match="second factor"):
        asking.request_access(dataset, user=ada, purpose="A study")


def test_every_state_leads_to_an_end():
    def reachable(status, seen=frozenset()):
        return {status} | {end for new in ACCESS_MOVES[status] if new not in seen for end in reachable(new, seen | {status})}

    assert all(reachable(status) & {AccessStatus.ENDED, AccessStatus.DENIED, AccessStatus.WITHDRAWN} for status in AccessStatus)
