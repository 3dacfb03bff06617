"""Terms: versions of a text, accepted once each, and what asks for them."""

import pytest
from django.contrib.auth.models import AnonymousUser

from datasets.access import terms
from datasets.errors import ConflictError, ForbiddenError, InvalidError, SignInFirstError, TermsNeededError
from datasets.models import TermsAcceptance


@pytest.fixture
def dataset(published):
    return published().dataset


def test_a_changed_text_is_a_new_version_and_the_same_text_is_not(dataset, ben):
    first = terms.publish_terms(dataset, user=ben, text="Cite us.\r\nShare alike. ")
    assert (first.number, first.text) == (1, "Cite us.\nShare alike.")
    assert terms.publish_terms(dataset, user=ben, text="Cite us.\nShare alike.").pk == first.pk
    second = terms.publish_terms(dataset, user=ben, text="Cite us twice.")
    assert second.number == 2
    assert terms.current_terms(dataset) == second
    first.refresh_from_db()
    assert first.retired_at is not None
    assert first.text.startswith("Cite us."), "what was accepted can be read for ever"


def test_a_version_is_asked_once_and_a_new_one_again(dataset, ben, ada):
    terms.check_accepted(ada, [dataset])
    terms.publish_terms(dataset, user=ben, text="One")
    with pytest.raises(TermsNeededError) as refused:
        terms.check_accepted(ada, [dataset])
    assert refused.value.terms == [("sea", 1)]
    made = terms.accept_terms(dataset, user=ada, number=1)
    assert terms.accept_terms(dataset, user=ada, number=1).pk == made.pk
    terms.check_accepted(ada, [dataset])
    terms.publish_terms(dataset, user=ben, text="Two")
    assert [one.number for one in terms.lacking_terms(ada, [dataset])] == [2]
    assert TermsAcceptance.objects.filter(user=ada, terms__number=1).count() == 1


def test_the_text_that_was_read_is_the_one_that_is_accepted(dataset, ben, ada):
    terms.publish_terms(dataset, user=ben, text="One")
    terms.publish_terms(dataset, user=ben, text="Two")
    for number in (1, 3):
        with pytest.raises(ConflictError):
            terms.accept_terms(dataset, user=ada, number=number)
    with pytest.raises(SignInFirstError):
        terms.accept_terms(dataset, user=AnonymousUser(), number=2)
    assert not TermsAcceptance.objects.exists()


def test_terms_that_are_not_asked_any_more_stay_with_who_accepted_them(dataset, ben, ada):
    terms.publish_terms(dataset, user=ben, text="One")
    terms.accept_terms(dataset, user=ada, number=1)
    terms.retire_terms(dataset, user=ben)
    terms.retire_terms(dataset, user=ben)
    assert terms.current_terms(dataset) is None
    terms.check_accepted(AnonymousUser(), [dataset])
    assert dataset.events.filter(act="terms").count() == 2
    assert ada.accepted_terms.count() == 1
    assert terms.publish_terms(dataset, user=ben, text="One").number == 2


def test_only_curators_set_terms_and_only_with_a_text(dataset, ben, ada):
    with pytest.raises(ForbiddenError):
        terms.publish_terms(dataset, user=ada, text="Mine")
    with pytest.raises(ForbiddenError):
        terms.retire_terms(dataset, user=ada)
    for text in ("", "  \n ", "x" * (terms.LONGEST + 1)):
        with pytest.raises(InvalidError):
            terms.publish_terms(dataset, user=ben, text=text)


def test_the_pages_ask_and_return_only_to_this_site(dataset, ben, ada, browser):
    terms.publish_terms(dataset, user=ben, text="Cite <us>.")
    client = browser(ada)
    page = client.get("/terms/", {"dataset": "sea", "next": "/basket/"})
    assert "Cite &lt;us&gt;." in page.content.decode()
    assert '<a href="/datasets/sea/">Not now</a>' in page.content.decode(), "not to the page that leads here again"
    refused = client.post("/terms/", {"dataset": "sea", "next": "/basket/"})
    assert refused.status_code == 400
    assert "Tick that you accept" in refused.content.decode()
    for address in ("//evil.example/", "/\\evil.example/", "https://evil.example/", "/a\nb/"):
        page = client.get("/terms/", {"dataset": "sea", "next": address})
        assert 'name="next" value="/datasets/"' in page.content.decode()
    answer = client.post("/terms/", {"dataset": "sea", "next": "//evil.example/", "accepted": "sea:1"})
    assert answer["Location"] == "/datasets/"
    assert client.get("/terms/", {"dataset": "sea", "next": "/basket/"})["Location"] == "/basket/", "never asked twice for one version"
    assert "Version 1" in client.get("/datasets/sea/").content.decode()
    assert browser().get("/datasets/sea/terms/").status_code == 200
    assert browser().get("/datasets/sea/terms/?version=7").status_code == 404


def test_whoever_does_not_accept_the_terms_of_several_goes_back_to_her_basket(published, ben, ada, browser):
    for slug in ("sea", "ice"):
        terms.publish_terms(published(slug).dataset, user=ben, text="Cite us.")
    page = browser(ada).get("/terms/", {"dataset": ["sea", "ice"], "next": "/requests/new/"}).content.decode()
    assert '<a href="/basket/">Not now</a>' in page


def test_the_steward_changes_the_text_on_the_desk(dataset, ben, browser):
    client = browser(ben)
    assert client.post("/steward/datasets/sea/terms/", {"text": ""}).status_code == 400
    assert client.post("/steward/datasets/sea/terms/", {"text": "Cite us."}).status_code == 302
    assert "accepted by 0 people" in client.get("/steward/datasets/sea/").content.decode()
    assert client.post("/steward/datasets/sea/retire-terms/").status_code == 302
    assert terms.current_terms(dataset) is None


def test_terms_over_rest(dataset, ben, ada, browser):
    curator, reader = browser(ben), browser(ada)
    for body in ({"text": "Cite \0 us."}, {"text": "x" * (terms.LONGEST + 1)}, {"text": ["Cite us."]}, {"text": ""}, {}, ["Cite us."]):
        refused = curator.post("/api/v1/datasets/sea/terms", body, content_type="application/json")
        assert refused.status_code == 400
        assert refused.json()["fields"].keys() <= {"text", "non_field_errors"}
    assert reader.post("/api/v1/datasets/sea/terms", {}, content_type="application/json").status_code == 403
    made = curator.post("/api/v1/datasets/sea/terms", {"text": "Cite us."}, content_type="application/json")
    assert (made.status_code, made.json()["version"]) == (201, 1)
    assert reader.get("/api/v1/datasets/sea/terms").json() | {"results": 0} == {"current": 1, "is_accepted": False, "results": 0}
    assert reader.put("/api/v1/datasets/sea/terms/2/acceptance").status_code == 409
    assert reader.put("/api/v1/datasets/sea/terms/1/acceptance").json()["version"] == 1
    assert reader.get("/api/v1/datasets/sea/terms").json()["is_accepted"] is True
    assert browser().get("/api/v1/datasets/sea").json()["terms"] == 1
    assert curator.delete("/api/v1/datasets/sea/terms").status_code == 204
    assert reader.get("/api/v1/datasets/sea/terms").json()["current"] is None
