import uuid

import pytest
from django.test import Client

from datasets.curation import publishing
from tests.transfers.conftest import everything
from transfers import sharing
from transfers.models import DataRequest

URL = "/api/v1/data-requests"


@pytest.fixture
def as_ada(client, ada):
    client.force_login(ada)
    return client


def post(client, body, **headers):
    return client.post(URL, body, content_type="application/json", headers=headers)


def test_share_is_accepted_and_read_back(as_ada, publish):
    version = publish()
    body = {"selections": [{"dataset": version.dataset.slug, "folders": ["/2020/"]}], "lifetime_days": 3}
    made = post(as_ada, body, **{"Idempotency-Key": "one"})
    assert made.status_code == 202
    assert made.json()["n_files"] == 2
    told = as_ada.get(made["Location"]).json()
    assert (told["status"], told["share"]["lifetime_days"], told["selections"][0]["folders"]) == ("queued", 3, ["/2020/"])
    assert told["acts"] == ["cancel"]
    again = post(as_ada, body, **{"Idempotency-Key": "one"})
    assert again.json()["id"] == made.json()["id"]
    other = post(as_ada, {"selections": [{"dataset": version.dataset.slug}]}, **{"Idempotency-Key": "one"})
    assert (other.status_code, other["Content-Type"]) == (409, "application/problem+json")
    assert DataRequest.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"selections": []}, "selections"),
        ({}, "selections"),
        ({"selections": [{"dataset": "not-there"}]}, "selections"),
        ({"selections": [{"dataset": "sea-level"}], "kind": "transfer"}, "destination"),
        ({"selections": [{"dataset": "sea-level"}], "lifetime_days": 5000}, "lifetime_days"),
        ({"selections": [{"dataset": "sea-level", "globs": ["*.none"]}]}, "selections"),
    ],
)
def test_what_is_wrong_is_named(as_ada, publish, body, field):
    publish()
    answer = post(as_ada, body)
    assert answer.status_code == 400
    assert field in answer.json()["fields"]


def test_draft_cannot_be_named(as_ada, publish, dee):
    version = publish()
    publishing.open_draft(version.dataset, user=dee)
    answer = post(as_ada, {"selections": [{"dataset": version.dataset.slug, "version": 2}]})
    assert answer.status_code == 400


def test_stranger_gets_nothing(client, publish, ada, cy):
    request = sharing.request_share(user=ada, wanted=everything(publish()))
    assert client.get(URL).status_code == 401
    client.force_login(cy)
    assert client.get(URL).json()["results"] == []
    assert client.get(f"{URL}/{request.pk}").status_code == 404
    assert client.get(f"{URL}/{uuid.uuid4()}").status_code == 404
    assert client.post(f"{URL}/{request.pk}/cancel").status_code == 404


def test_acts_are_posts(as_ada, publish, ada):
    request = sharing.request_share(user=ada, wanted=everything(publish()))
    assert as_ada.get(f"{URL}/{request.pk}/cancel").status_code == 405
    assert as_ada.post(f"{URL}/{request.pk}/cancel").json()["status"] == "cancelling"
    assert as_ada.post(f"{URL}/{request.pk}/extend").status_code == 409


def test_manifest_lists_every_file(as_ada, publish, ada):
    request = sharing.request_share(user=ada, wanted=everything(publish()))
    answer = as_ada.get(f"{URL}/{request.pk}/manifest")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines[0] == "dataset,path,sha256,size_bytes"
    assert lines[1:] == ["sea-level-v1,/readme.txt,,5", "sea-level-v1,/2020/feb.nc,,20", "sea-level-v1,/2020/jan.nc,,10"]


def test_list_is_paged_and_costs_few_queries(as_ada, publish, ada, django_assert_max_num_queries):
    for n in range(3):
        sharing.request_share(user=ada, wanted=everything(publish(f"set-{n}")))
    with django_assert_max_num_queries(8):
        found = as_ada.get(URL).json()
    assert len(found["results"]) == 3


def test_post_needs_the_form_token_of_a_session(ada, publish):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    assert post(strict, {"selections": [{"dataset": publish().dataset.slug}]}).status_code == 403
