"""The pages and the API of access requests."""

import datetime as dt

import pytest
from django.utils import timezone

from datasets.access import terms
from tests.transfers.conftest import make_person
from transfers.access import asking
from transfers.access.models import AccessRequest

NEXT_YEAR = f"{timezone.now().year + 1}-06-30"


@pytest.fixture
def as_person(client):
    def signed_in(person):
        client.force_login(person)
        return client

    return signed_in


def test_a_researcher_asks_on_the_page_of_the_dataset(as_person, dataset, ada, ben):
    terms.publish_terms(dataset, user=ben, text="Cite us.")
    client = as_person(ada)
    assert "Request access" in client.get(f"/datasets/{dataset.slug}/files/").content.decode()
    form = f"/datasets/{dataset.slug}/request-access/"
    assert form in client.get(dataset.get_absolute_url()).content.decode()
    page = client.get(form).content.decode()
    assert "Cite us." in page
    refused = client.post(form, {"purpose": "A study", "until": NEXT_YEAR})
    assert refused.status_code == 400
    assert "A study" in refused.content.decode()
    assert client.post(form, {"purpose": "", "accepted_terms": "1"}).status_code == 400
    assert client.post(form, {"purpose": "A study", "until": "soon", "accepted_terms": "1"}).status_code == 400
    answer = client.post(form, {"purpose": "A study", "until": NEXT_YEAR, "accepted_terms": "1"})
    made = AccessRequest.objects.get()
    assert answer["Location"] == made.get_absolute_url()
    assert made.wanted_until == dt.datetime.combine(dt.date.fromisoformat(NEXT_YEAR), dt.time(23, 59, 59), tzinfo=dt.UTC)
    shown = client.get(dataset.get_absolute_url()).content.decode()
    assert "Look at your request" in shown
    assert form not in shown
    assert "a steward has not decided yet" in client.get(made.get_absolute_url()).content.decode()
    assert dataset.title in client.get("/access-requests/").content.decode()


def test_the_queue_spans_datasets_oldest_first_and_is_acted_on_in_place(as_person, asked, dataset, publish, ada, cy, ben, dee):
    other = publish("wind", policy="restricted").dataset
    other.stewards.set([ben])
    second = asking.request_access(other, user=cy, purpose="Wind")
    theirs = asking.request_access(publish("ice", policy="restricted").dataset, user=cy, purpose="Ice")
    client = as_person(ben)
    page = client.get("/steward/access-requests/").content.decode()
    assert page.index(str(asked.pk)) < page.index(str(second.pk))
    assert str(theirs.pk) not in page, "not her dataset"
    assert '<span class="count">2<span class="hidden-words"> to decide' in page, "the menu counts them"
    answer = client.post(f"/access-requests/{asked.pk}/approve/", {"until": NEXT_YEAR, "next": "queue"}, follow=True)
    assert answer.redirect_chain[-1][0] == "/steward/access-requests/"
    assert str(asked.pk) not in answer.content.decode()
    assert str(asked.pk) in client.get("/steward/access-requests/?show=granted").content.decode()
    refused = client.post(f"/access-requests/{second.pk}/deny/", {"reason": "", "next": "queue"})
    assert refused.status_code == 400
    assert "Say why" in refused.content.decode()
    assert client.post(f"/access-requests/{second.pk}/deny/", {"reason": "No wind.", "next": "queue"}).status_code == 302
    assert "No wind." in client.get("/steward/access-requests/?show=over").content.decode()
    assert "Nothing waits for you" in client.get("/steward/access-requests/").content.decode()
    assert str(asked.pk) not in client.get("/steward/access-requests/?show=granted&dataset=wind").content.decode()


def test_acts_of_the_person_are_on_her_page(as_person, asked, ada, ben):
    asking.approve(asked, user=ben, until=timezone.now() + dt.timedelta(days=5))
    client, address = as_person(ada), asked.get_absolute_url()
    page = client.get(address).content.decode()
    assert "Ask for more time" in page
    assert "Give the access back" in page
    assert ">Approve<" not in page
    assert client.post(f"{address}renew/", {"purpose": ""}).status_code == 400
    assert client.post(f"{address}renew/", {"purpose": "It goes on", "until": NEXT_YEAR}).status_code == 302
    assert "more time is asked for" in client.get(address).content.decode()
    assert client.post(f"{address}withdraw/").status_code == 302
    assert client.post(f"{address}give-back/").status_code == 302
    assert "Access has ended" in client.get(address).content.decode()
    assert client.post(f"{address}approve/", {"until": NEXT_YEAR}).status_code == 403
    assert client.post(f"{address}steal/").status_code == 404


def test_what_others_asked_is_not_found(as_person, asked, cy):
    client = as_person(cy)
    assert client.get(asked.get_absolute_url()).status_code == 404
    assert client.get(f"/api/v1/access-requests/{asked.pk}").status_code == 404
    assert client.post(f"{asked.get_absolute_url()}withdraw/").status_code == 404
    assert client.get("/api/v1/access-requests").json()["results"] == []
    assert client.get("/steward/access-requests/").status_code == 403


def test_the_whole_story_over_rest(as_person, dataset, ada, ben):
    terms.publish_terms(dataset, user=ben, text="Cite us.")
    client = as_person(ada)

    def post(path, body):
        return client.post(f"/api/v1/access-requests{path}", body, content_type="application/json")

    lacking = post("", {"dataset": dataset.slug, "purpose": "A study"})
    assert (lacking.status_code, lacking.json()["code"]) == (409, "terms-needed")
    assert lacking.json()["terms"] == [{"dataset": dataset.slug, "version": 1}]
    assert lacking["Content-Type"] == "application/problem+json"
    made = post("", {"dataset": dataset.slug, "purpose": "A study", "accepted_terms": 1})
    assert made.status_code == 202
    told = made.json()
    assert made["Location"].rstrip("/").endswith(f"/api/v1/access-requests/{told['id']}")
    assert (told["status"], told["accepted_terms"], told["events"][0]["act"]) == ("waiting", 1, "asked")
    assert post("", {"dataset": dataset.slug, "purpose": "Again"}).json()["id"] == told["id"]
    as_person(ben)
    assert [one["id"] for one in client.get("/api/v1/access-requests?waiting=1").json()["results"]] == [told["id"]]
    assert post(f"/{told['id']}/approve", {}).status_code == 400
    given = post(f"/{told['id']}/approve", {"until": "2098-01-01T00:00:00Z"}).json()
    assert (given["status"], given["expires_at"]) == ("granted", "2098-01-01T00:00:00Z")
    as_person(ada)
    assert client.get(f"/api/v1/datasets/{dataset.slug}").json()["access"]["until"] == "2098-01-01T00:00:00Z"
    assert post(f"/{told['id']}/renew", {"purpose": "More"}).json()["status"] == "renewing"
    assert post(f"/{told['id']}/withdraw", {}).json()["status"] == "granted"
    ended = post(f"/{told['id']}/give-back", {}).json()
    assert (ended["status"], [event["act"] for event in ended["events"]][-1]) == ("ended", "given-back")
    assert post(f"/{told['id']}/approve", {"until": "2099-01-01T00:00:00Z"}).status_code == 403


def test_what_waits_is_listed_the_longest_wait_first(as_person, dataset, ben):
    made = [asking.request_access(dataset, user=make_person(f"reader{number}"), purpose="A study") for number in range(4)]
    # the second asked first, and waits for a decision for the shortest time: she asked anew
    AccessRequest.objects.filter(pk=made[1].pk).update(created_at=timezone.now() - dt.timedelta(days=9), moved_at=timezone.now())
    expected = [str(made[number].pk) for number in (0, 2, 3, 1)]
    client = as_person(ben)
    assert [one["id"] for one in client.get("/api/v1/access-requests?waiting=1").json()["results"]] == expected
    newest = client.get("/api/v1/access-requests").json()["results"]
    assert [one["id"] for one in newest] == [str(made[number].pk) for number in (3, 2, 0, 1)]
    page = client.get("/steward/access-requests/").content.decode()
    assert sorted(expected, key=page.index) == expected


@pytest.mark.parametrize("number", ["9" * 5000, "²", "-1", "0"])
def test_a_version_of_terms_that_is_no_number_of_one_is_refused_beside_its_field(as_person, dataset, ada, ben, number):
    terms.publish_terms(dataset, user=ben, text="Cite us.")
    page = as_person(ada).post(f"/datasets/{dataset.slug}/request-access/", {"purpose": "A study", "accepted_terms": number})
    assert page.status_code in {400, 409}
    assert not AccessRequest.objects.filter(dataset=dataset).exists()


def test_lists_do_not_ask_more_for_more_rows(as_person, dataset, ben, django_assert_max_num_queries):
    for number in range(12):
        asking.request_access(dataset, user=make_person(f"reader{number}"), purpose="A study")
    client = as_person(ben)
    for address in ("/steward/access-requests/", "/api/v1/access-requests?waiting=1"):
        with django_assert_max_num_queries(16):
            assert client.get(address).status_code == 200


def test_the_administration_only_looks(as_person, asked, dee):
    client = as_person(dee)
    page = client.get(f"/admin/access/accessrequest/{asked.pk}/change/").content.decode()
    assert "A study of seas." in page
    assert 'name="_save"' not in page
    assert client.post(f"/admin/access/accessrequest/{asked.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/access/accessrequest/add/").status_code == 403
    assert client.get("/admin/datasets/terms/").status_code == 200
    assert client.get("/admin/datasets/termsacceptance/").status_code == 200


def test_the_page_of_a_dataset_stays_within_its_statements(as_person, asked, dataset, ada, ben, django_assert_max_num_queries):
    terms.publish_terms(dataset, user=ben, text="Cite us.")
    client = as_person(ada)
    asking.approve(asked, user=ben, until=timezone.now() + dt.timedelta(days=5))
    with django_assert_max_num_queries(18):
        assert "Ask for more time" in client.get(dataset.get_absolute_url()).content.decode()
