import re
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from datasets.files import FileQuery, iterate, measure
from datasets.models import ScanRun
from tests.transfers.conftest import everything, run_until
from tests.transfers.test_sending import consent_to_campus
from transfers import globus, manifests, requesting, selecting, sending, sharing
from transfers.models import Basket, DataRequest, DataRequestEvent
from transfers.states import FINISHED, MOVES, WORKING, Kind, Status, TaskStatus


@pytest.fixture
def as_ada(client, ada):
    client.force_login(ada)
    return client


def add(client, version, **chosen):
    """As the forms do: what is chosen, or everything by name."""
    named = chosen or {"everything": "1"}
    return client.post(reverse("transfers:basket-add"), {"dataset": version.dataset.slug, "version": version.number, **named})


def form_of(page, action):
    """The hidden fields of the form that posts to `action`."""
    text = page.content.decode()
    form = next(part for part in text.split("<form")[1:] if f'action="{action}"' in part)
    return dict(re.findall(r'name="([\w]+)" value="([^"]*)"', form.split("</form>")[0]))


def test_basket_of_a_stranger_survives_signing_in(client, publish, ada):
    version = publish()
    assert add(client, version, folder="/2020/").status_code == 302
    assert "2 files" in client.get(reverse("transfers:basket")).content.decode()
    selecting.adopt_basket(client.session.session_key, ada)
    client.force_login(ada)
    assert "2 files" in client.get(reverse("transfers:basket")).content.decode()
    assert Basket.objects.count() == 1


def test_adding_twice_does_not_ask_twice(as_ada, publish, ada):
    version = publish()
    add(as_ada, version, folder="/2020/")
    add(as_ada, version, file="/2020/jan.nc")
    add(as_ada, version, file="/readme.txt")
    (selection,) = ada.basket.selections.all()
    assert selection.n_files == 3
    add(as_ada, version, glob="*.nc")
    assert ada.basket.selections.count() == 2


def test_basket_is_changed_and_emptied(as_ada, publish, ada):
    add(as_ada, publish())
    (selection,) = ada.basket.selections.all()
    as_ada.post(reverse("transfers:basket-change", args=[selection.pk]), {"glob": "*.txt"})
    selection.refresh_from_db()
    assert selection.n_files == 1
    as_ada.post(reverse("transfers:basket-remove", args=[selection.pk]))
    assert not ada.basket.selections.exists()


def test_a_form_with_nothing_ticked_adds_nothing_and_says_so(as_ada, publish, ada):
    version = publish()
    files = reverse("datasets:files", args=[version.dataset.slug])
    empty = {"dataset": version.dataset.slug, "version": version.number, "folder": "", "next": files}
    answer = as_ada.post(reverse("transfers:basket-add"), empty)
    assert answer["Location"] == files
    page = as_ada.get(files).content.decode()
    assert "Nothing is ticked" in page
    assert "Added to" not in page
    assert not Basket.objects.filter(selections__isnull=False).exists()
    assert as_ada.post(reverse("transfers:basket-add"), empty | {"next": ""}).status_code == 400
    add(as_ada, version, folder="/2020/")
    (selection,) = ada.basket.selections.all()
    assert as_ada.post(reverse("transfers:basket-change", args=[selection.pk]), {"glob": ""}).status_code == 400
    selection.refresh_from_db()
    assert selection.n_files == 2


@pytest.mark.parametrize("page", ["dataset", "files"])
def test_buttons_that_mean_everything_say_so(as_ada, publish, ada, page):
    version = publish()
    shown = as_ada.get(reverse(f"datasets:{page}", args=[version.dataset.slug]))
    parts = [part.split("</form>")[0] for part in shown.content.decode().split("<form")[1:]]
    forms = [part for part in parts if f'action="{reverse("transfers:basket-add")}"' in part and 'type="checkbox"' not in part]
    assert len(forms) == (3 if page == "dataset" else 1)
    for form in forms:
        as_ada.post(reverse("transfers:basket-empty"))
        as_ada.post(reverse("transfers:basket-add"), dict(re.findall(r'name="([\w]+)" value="([^"]*)"', form)))
        assert [one.n_files for one in ada.basket.selections.all()] == [3]


def test_a_whole_version_in_the_basket_may_be_changed_back_and_forth(as_ada, publish, ada):
    add(as_ada, publish())
    (selection,) = ada.basket.selections.all()
    address = reverse("transfers:basket-change", args=[selection.pk])
    for glob, n_files in (("*.txt", 1), ("", 3)):
        as_ada.post(address, form_of(as_ada.get(reverse("transfers:basket")), address) | {"glob": glob})
        selection.refresh_from_db()
        assert selection.n_files == n_files


def test_restricted_files_are_neither_sent_nor_scripted_but_prepared(client, publish, dee):
    version = publish(policy="restricted")
    client.force_login(dee)
    page = client.get(reverse("datasets:dataset", args=[version.dataset.slug])).content.decode()
    assert "Prepare a share" in page
    assert "From a prepared share: its page has the lines to copy" in page
    for words in ("Send to my collection", "Make a script", "Choose files"):
        assert words not in page
    add(client, version)
    basket = client.get(reverse("transfers:basket")).content.decode()
    assert reverse("transfers:request-new") in basket
    assert "prepare a share of the restricted files" in basket
    assert reverse("transfers:send") not in basket
    assert "curl --fail" not in basket


@pytest.mark.parametrize("is_signed_in", [True, False])
def test_names_of_restricted_files_are_not_told_by_the_basket(client, publish, cy, is_signed_in):
    if is_signed_in:
        client.force_login(cy)
    version = publish(policy="restricted")
    assert [add(client, version, **part).status_code for part in ({"file": "/no"}, {"glob": "*.nc"}, {"folder": "/2020/"})] == [403] * 3
    assert add(client, version).status_code == 302
    page = client.get(reverse("transfers:basket")).content.decode()
    assert version.dataset.title in page
    assert "jan.nc" not in page
    (selection,) = Basket.objects.get().selections.all()
    assert client.post(reverse("transfers:basket-change", args=[selection.pk]), {"glob": "*.nc"}).status_code == 403


def test_another_persons_selection_is_not_found(as_ada, publish, cy, ada):
    add(as_ada, publish())
    other = selecting.open_basket(user=cy, session_key=None)
    selection = selecting.add_selection(other, version=publish("other"), query=everything(publish("third"))[0].query, user=cy)
    assert as_ada.post(reverse("transfers:basket-change", args=[selection.pk]), {"glob": "*.txt"}).status_code == 404


def test_asking_for_a_share_by_page_makes_one_request_for_a_double_click(as_ada, publish, ada):
    add(as_ada, publish())
    address = reverse("transfers:request-new")
    fields = form_of(as_ada.get(address), address) | {"lifetime_days": "7"}
    first, second = as_ada.post(address, fields), as_ada.post(address, fields)
    assert first["Location"] == second["Location"]
    (request,) = DataRequest.objects.all()
    assert (request.lifetime_days, request.n_files) == (7, 3)
    assert not ada.basket.selections.exists()
    page = as_ada.get(first["Location"])
    assert page.status_code == 200
    assert "Waiting to start" in page.content.decode()
    assert 'http-equiv="refresh"' in page.content.decode()


def test_same_files_asked_for_again_lead_to_the_live_request(as_ada, publish, ada):
    version = publish()
    request = sharing.request_share(user=ada, wanted=everything(version))
    add(as_ada, version)
    address = reverse("transfers:request-new")
    fields = form_of(as_ada.get(address), address) | {"lifetime_days": "7"}
    answer = as_ada.post(address, fields)
    assert answer["Location"] == request.get_absolute_url()
    assert "You asked for exactly these files already" in as_ada.get(answer["Location"]).content.decode()
    assert ada.basket.selections.exists()


def test_list_of_requests_costs_few_queries(as_ada, publish, ada, django_assert_max_num_queries):
    for n in range(4):
        sharing.request_share(user=ada, wanted=everything(publish(f"set-{n}")))
    with django_assert_max_num_queries(14):
        as_ada.get(reverse("transfers:requests"))


def test_basket_that_another_tab_changed_is_not_asked_for(as_ada, publish):
    add(as_ada, publish())
    address = reverse("transfers:request-new")
    fields = form_of(as_ada.get(address), address) | {"lifetime_days": "7"}
    add(as_ada, publish("other"))
    assert as_ada.post(address, fields).status_code == 409
    assert not DataRequest.objects.exists()


def test_lifetime_beyond_the_policy_is_refused(as_ada, publish):
    add(as_ada, publish())
    address = reverse("transfers:request-new")
    fields = form_of(as_ada.get(address), address)
    for days in ("4000", "0", "a week", "9" * 5000):
        refused = as_ada.post(address, fields | {"lifetime_days": days})
        assert refused.status_code == 400
        assert "A share lives from 1 to" in refused.content.decode()


def test_get_changes_nothing(as_ada, publish, ada):
    request = sharing.request_share(user=ada, wanted=everything(publish()))
    for act in ("cancel", "retry", "extend", "ask-again"):
        assert as_ada.get(reverse("transfers:request-act", args=[request.pk, act])).status_code == 405
    for name in ("basket-add", "basket-empty", "send-confirm"):
        assert as_ada.get(reverse(f"transfers:{name}")).status_code == 405
    as_ada.get(request.get_absolute_url())
    as_ada.get(reverse("transfers:requests"))
    request.refresh_from_db()
    assert request.status == Status.QUEUED
    assert DataRequest.objects.count() == 1


def test_request_of_somebody_else_is_not_found(client, publish, ada, cy):
    request = sharing.request_share(user=ada, wanted=everything(publish()))
    client.force_login(cy)
    assert client.get(request.get_absolute_url()).status_code == 404
    assert client.get(reverse("transfers:manifest", args=[request.pk])).status_code == 404
    assert client.post(reverse("transfers:request-act", args=[request.pk, "cancel"])).status_code == 404
    assert client.get(reverse("transfers:request", args=[uuid.uuid4()])).status_code == 404
    assert "You asked for nothing yet" in client.get(reverse("transfers:requests")).content.decode()


@pytest.mark.parametrize("name", ["requests", "request-new", "send"])
def test_stranger_is_led_to_sign_in_and_back(client, db, name):
    answer = client.get(reverse(f"transfers:{name}"))
    assert answer.status_code == 303
    assert answer["Location"].startswith(reverse("portal:signin"))
    assert "next=" in answer["Location"]


def test_cancelling_by_page(as_ada, publish, ada):
    request = sharing.request_share(user=ada, wanted=everything(publish()))
    assert as_ada.post(reverse("transfers:request-act", args=[request.pk, "cancel"])).status_code == 302
    request.refresh_from_db()
    assert request.status == Status.CANCELLING
    page = as_ada.get(request.get_absolute_url(), headers={"HX-Request": "true"}).content.decode()
    assert "Being cancelled" in page
    assert "<html" not in page


def test_send_page_leads_to_the_consent_that_is_missing(as_ada, publish):
    add(as_ada, publish())
    answer = as_ada.get(reverse("transfers:send"))
    assert answer.status_code == 303
    assert answer["Location"].startswith(reverse("portal:consent"))


def test_pages_of_an_open_share_show_links_and_lines_without_a_token(world, publish_real, real_ada, client):
    client.force_login(real_ada)
    request = run_until(sharing.request_share(user=real_ada, wanted=everything(publish_real())), Status.OPEN)
    page = client.get(request.get_absolute_url()).content.decode()
    assert "file-manager?origin_id=" in page
    assert "curl --fail" in page
    assert "$TOKEN" in page
    assert "hx-trigger" not in page
    manifest = b"".join(client.get(reverse("transfers:manifest", args=[request.pk])).streaming_content).decode()
    assert manifest.count("\n") == 4


def test_sending_by_page_from_choice_to_request(world, publish_real, real_ada, client):
    consent_to_campus(world, real_ada)
    client.force_login(real_ada)
    add(client, publish_real())
    chosen = client.get(reverse("transfers:send"), {"q": "Campus"}).content.decode()
    assert str(world.campus_id) in chosen
    review = client.get(reverse("transfers:send-review"), {"collection": world.campus_id, "path": "/home/ada/"})
    confirm = reverse("transfers:send-confirm")
    fields = form_of(review, confirm)
    wrong = client.post(confirm, fields | {"path": "no-slash"})
    assert wrong.status_code == 400
    assert "starts and ends with /" in wrong.content.decode()
    answer = client.post(confirm, fields | {"path": f"/home/ada/{uuid.uuid4().hex[:6]}/"})
    assert answer.status_code == 302
    request = DataRequest.objects.get()
    run_until(request, Status.SENT)
    assert "Sent" in client.get(request.get_absolute_url()).content.decode()
    assert "Campus storage" in client.get(reverse("transfers:send")).content.decode()


def test_the_first_time_she_is_offered_her_institution_and_then_what_she_used(world, real_ada, client):
    real_ada.organization = "Causeway University"
    real_ada.save()
    consent_to_campus(world, real_ada)
    first = sending.offer_destinations(real_ada)
    assert str(world.campus_id) in {one.id for one in first.own + first.nearby}
    sending.look_at(real_ada, world.campus_id, "/home/ada/")
    offer = sending.offer_destinations(real_ada)
    assert str(world.campus_id) in {one.id for one in offer.own}
    assert offer.nearby == []
    client.force_login(real_ada)
    page = client.get(reverse("transfers:send")).content.decode()
    assert page.count(str(world.campus_id)) == 2
    assert "Your basket is empty" in page


def test_collections_that_were_made_as_her_shares_are_no_destinations(world, publish_real, real_ada):
    asked = sharing.request_share(user=real_ada, wanted=everything(publish_real(share_variant="collection")))
    request = run_until(asked, Status.OPEN)
    offer = sending.offer_destinations(real_ada)
    listed = globus.search_collections(token=sending.token_of(real_ada), scopes=["shared-with-me"])
    assert str(request.collection_id) in {one.id for one in listed}
    assert str(request.collection_id) not in {one.id for one in offer.own + offer.shared + offer.nearby}


def test_a_collection_where_the_portal_lacks_its_role_is_not_scanned_and_the_steward_reads_the_remedy(world, dee, client):
    client.force_login(dee)
    form = {"slug": "elsewhere", "title": "Elsewhere", "collection_id": str(world.campus_id), "base_path": "/data/"}
    assert client.post(reverse("datasets:register"), form).status_code == 302
    answer = client.post(reverse("datasets:desk-act", args=["elsewhere", "scan"]))
    assert answer.status_code == 409
    assert f"globus endpoint role create {world.campus_id} --role access_manager" in answer.content.decode()
    told = client.post("/api/v1/datasets/elsewhere/versions/1/scans/")
    assert told.status_code == 409
    assert "globus endpoint role create" in told.json()["fields"]["collection_id"][0]
    assert not ScanRun.objects.exists()
    client.post(
        reverse("datasets:desk-act", args=["elsewhere", "place"]),
        form | {"collection_id": world.environment["CAUSEWAY_ARCHIVE_COLLECTION"]},
    )
    assert client.post(reverse("datasets:desk-act", args=["elsewhere", "scan"])).status_code == 302
    assert ScanRun.objects.count() == 1


def test_what_is_ticked_says_how_long_it_takes_once_copies_were_measured(as_ada, publish, ada):
    version = publish(files={"/a.nc": 40_000_000, "/b.nc": 5})
    address = reverse("transfers:measure", args=[version.dataset.slug]) + "?version=1&file=/a.nc"
    before = as_ada.get(address).content.decode()
    assert "1 file, " in before
    assert "to copy" not in before
    asked, now = sharing.request_share(user=ada, wanted=everything(version)), timezone.now()
    times = {"submitted_at": now - timedelta(seconds=10), "finished_at": now}
    asked.tasks.create(sequence=1, submission_id=uuid.uuid4(), bytes_done=10_000_000, task_id="t", status=TaskStatus.SUCCEEDED, **times)
    assert "about 40 seconds to copy" in as_ada.get(address).content.decode()


@pytest.mark.parametrize("kind", Kind)
def test_a_copy_says_its_last_fault_how_many_its_rate_and_the_time_left(as_ada, publish, ada, kind):
    wanted = everything(publish(files={"/a.nc": 40 * 2**20, "/b.nc": 5}))
    if kind == Kind.SHARE:
        request = sharing.request_share(user=ada, wanted=wanted)
    else:
        request = sending.request_transfer(user=ada, wanted=wanted, collection_id=uuid.uuid4(), path="/x/", name="Mine")
    status = Status.COPYING if kind == Kind.SHARE else Status.SENDING
    facts = {"faults": 3, "last_fault": "The file /a.nc may not be read.", "bytes_per_second": 2**20}
    DataRequest.objects.filter(pk=request.pk).update(status=status, files_done=1, bytes_done=10 * 2**20 + 5, **facts)
    text = as_ada.get(request.get_absolute_url()).content.decode()
    for words in ("The file /a.nc may not be read.", "3 faults so far", "1 of 2 files", "1.0 MiB/s", "about 30 seconds left"):
        assert words in text


def test_a_waiting_request_says_its_position_and_the_wait_of_recent_ones(as_ada, publish, ada, cy):
    def ask(user, slug):
        return sharing.request_share(user=user, wanted=everything(publish(slug)))

    def left_after(request, *, seconds, new=Status.STAGING):
        asked = timezone.now() - timedelta(minutes=10)
        request.move_to(new)
        request.events.filter(new=Status.QUEUED).update(at=asked)
        request.events.filter(new=new).update(at=asked + timedelta(seconds=seconds))

    first, second, third = ask(cy, "one"), ask(ada, "two"), ask(ada, "three")
    assert [requesting.queue_position(one) for one in (first, second, third)] == [0, 1, 2]
    page = as_ada.get(third.get_absolute_url()).content.decode()
    assert "2 requests are ahead of yours." in page
    assert "wait" not in page.split("ahead of yours.")[1].split("</p>")[0]
    left_after(first, seconds=40)
    assert requesting.expected_wait_s(third) == 40
    page = as_ada.get(third.get_absolute_url()).content.decode()
    assert "1 request is ahead of yours. Expect to wait about 40 seconds, as recent requests did." in page
    left_after(second, seconds=5, new=Status.CANCELLING)
    assert requesting.expected_wait_s(third) == 40, "who gave up tells nothing"
    assert requesting.expected_wait_s(first) is None
    assert "Yours is next. Expect to wait about 40 seconds" in as_ada.get(third.get_absolute_url()).content.decode()


def test_a_retried_request_waits_from_its_retry(publish, ada):
    retried, next_one = (sharing.request_share(user=ada, wanted=everything(publish(slug))) for slug in ("one", "two"))
    for status in (Status.STAGING, Status.FAILED, Status.QUEUED, Status.STAGING):
        retried.move_to(status)
    for event, seconds in zip(retried.events.order_by("id"), (0, 10, 20, 1000, 1030), strict=True):
        DataRequestEvent.objects.filter(pk=event.pk).update(at=timezone.now() - timedelta(seconds=5000 - seconds))
    assert requesting.expected_wait_s(next_one) == pytest.approx(20, abs=1)


SHARE_FACTS = {"rule_id": "r", "collection_id": uuid.uuid4(), "expires_at": timezone.now(), "due_at": timezone.now()}


@pytest.mark.parametrize(("kind", "status"), [(kind, status) for kind in Kind for status in MOVES[kind]])
def test_page_of_every_state_says_the_state(as_ada, publish, ada, kind, status):
    wanted = everything(publish())
    if kind == Kind.SHARE:
        request = sharing.request_share(user=ada, wanted=wanted)
    else:
        request = sending.request_transfer(user=ada, wanted=wanted, collection_id=uuid.uuid4(), path="/x/", name="Mine")
    facts = {} if kind == Kind.TRANSFER else SHARE_FACTS | ({"rule_id": ""} if status == Status.EXPIRED else {})
    if status in FINISHED:
        facts |= {"finished_at": timezone.now(), "due_at": None}
    DataRequest.objects.filter(pk=request.pk).update(status=status, last_fault="Slow", faults=2, required_scopes=["urn:x"], **facts)
    request.failed_files.create(selection=request.selections.get(), path="/readme.txt", reason="It may not be read")
    page = as_ada.get(request.get_absolute_url())
    assert page.status_code == 200
    text = page.content.decode()
    assert Status(status).label in text
    assert ("hx-trigger" in text) == (status in WORKING or status == Status.NEEDS_SIGN_IN)
    assert ("/readme.txt" in text) == (status == Status.FAILED)
    assert ("Give the permission" in text) == (status == Status.NEEDS_SIGN_IN)
    assert as_ada.get(reverse("transfers:requests")).status_code == 200


def test_a_filtered_selection_keeps_its_bounds_from_the_basket_to_the_request(as_ada, publish, ada):
    version = publish()
    path = next(iter(iterate(version, FileQuery(globs=("*.txt",))))).path
    size = measure(version, FileQuery(files=(path,))).size_bytes
    add(as_ada, version, everything="1", min_size=str(size), max_size=str(size))
    (selection,) = ada.basket.selections.all()
    wanted = [row.path for row in iterate(version, FileQuery()) if row.size_bytes == size]
    assert [row.path for row in iterate(version, selection.query)] == wanted
    assert "at least" in selection.describe()
    address = reverse("transfers:basket-change", args=[selection.pk])
    form = form_of(as_ada.get(reverse("transfers:basket")), address)
    assert form["min_size"] == str(size)
    body = {"selections": [{"dataset": version.dataset.slug, "filters": {"min_size": f"{size} bytes", "max_size": size}}]}
    told = as_ada.post("/api/v1/data-requests/", body, content_type="application/json")
    assert told.status_code == 202, told.content
    asked = DataRequest.objects.get(pk=told.json()["id"])
    assert asked.selections.get().filters == {"min_size": size, "max_size": size}
    assert [file.path for file in manifests.expected_files(asked)] == wanted
    assert as_ada.post("/api/v1/data-requests/", body, content_type="application/json").status_code == 409, (
        "the same bounds, the same request"
    )
    body["selections"][0]["filters"] = {"heaviness": 1}
    assert b"There is no filter" in as_ada.post("/api/v1/data-requests/", body, content_type="application/json").content
