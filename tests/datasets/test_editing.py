"""The edit lock, revisions and autosave: two people at one description lose nothing of each other's and nothing of their own."""

import datetime as dt
import re
from html import unescape

import pytest
from django.http import QueryDict
from django.utils import timezone

from datasets.curation import publishing, registering
from datasets.description import editing, locking
from datasets.errors import BeingEditedError, ChangedMeanwhileError, ForbiddenError
from datasets.models import Dataset, Editing

DESCRIBE, LOCK, AUTOSAVE = (f"/steward/datasets/sea/{name}/" for name in ("describe", "edit-lock", "autosave"))
LIVE = {"HX-Request": "true"}


@pytest.fixture
def sea(draft, dee):
    dataset = draft(abstract="As it was.").dataset
    dataset.stewards.add(dee)
    return dataset


def page(response, status=200):
    assert response.status_code == status, response.content.decode()[:2000]
    return unescape(response.content.decode())


def opened(client, **typed):
    """The fields of the form as a browser would send them back."""
    html = page(client.get(DESCRIBE))
    hidden = {name: re.search(rf'name="{name}"(?: id="\w+")? value="([^"]+)"', html).group(1) for name in ("key", "revision")}
    return {**hidden, "title": "The sea", "abstract": "As it was.", **typed}


def fresh(dataset):
    return Dataset.objects.get(pk=dataset.pk)


def run_out(dataset):
    past = timezone.now() - dt.timedelta(hours=1)
    Editing.objects.filter(dataset=dataset).update(since=past, until=past)


def test_the_lock_shows_its_holder_and_ends_by_itself(sea, ben, dee, cy):
    held = locking.take(sea, user=ben)
    assert locking.take(sea, user=ben).since == held.since
    with pytest.raises(BeingEditedError, match="Ben has been editing this description since"):
        locking.take(sea, user=dee)
    with pytest.raises(ForbiddenError):
        locking.take(sea, user=cy)
    run_out(sea)
    assert locking.holder_of(sea) is None
    assert locking.take(sea, user=dee).since > held.since
    with pytest.raises(BeingEditedError):
        locking.take(sea, user=ben)
    locking.take(sea, user=ben, is_take_over=True)
    assert locking.holder_of(sea).editor == ben
    event = sea.events.get(act="edit lock taken over")
    assert (event.actor, event.note[:9]) == (ben, "from Dee,")
    locking.release(sea, user=ben)
    assert locking.holder_of(sea) is None


def test_nobody_describes_or_publishes_beside_the_holder(sea, ben, dee):
    locking.take(sea, user=ben)
    version = sea.versions.get()
    for act in (
        lambda: registering.describe(sea, user=dee, title="Dee's"),
        lambda: publishing.submit(version, user=dee),
        lambda: publishing.publish(version, user=dee),
    ):
        with pytest.raises(BeingEditedError, match="take it over"):
            act()
    assert registering.describe(sea, user=ben, title="Ben's").title == "Ben's"


@pytest.mark.long
def test_the_desk_takes_the_lock_and_the_second_sees_who_has_it(sea, ben, dee, browser):
    assert browser(ben).post(LOCK)["Location"] == DESCRIBE
    assert "You edit this" in page(browser(ben).get(DESCRIBE))
    html = page(browser(dee).get(DESCRIBE))
    assert "Ben is editing this description" in html
    assert re.search(r"Being edited.*by Ben, begun", page(browser(dee).get("/steward/datasets/sea/")), re.DOTALL)
    assert "Ben is editing this description" in page(browser(dee).post(LOCK, headers=LIVE))
    assert "You edit this" in page(browser(dee).post(LOCK, {"take_over": "1"}, headers=LIVE))
    assert "Dee is editing this description" in page(browser(ben).post(LOCK, headers=LIVE))


def test_an_operator_ends_a_lock_in_the_administration(sea, ben, dee, browser):
    held = locking.take(sea, user=ben)
    editing.keep(sea, user=ben, typed="title=Mine+alone")
    assert "Mine" not in page(browser(dee).get(f"/admin/datasets/editing/{held.pk}/change/")), "what she typed is hers"
    browser(dee).post("/admin/datasets/editing/", {"action": "end_lock", "_selected_action": [held.pk]})
    assert locking.holder_of(sea) is None
    assert editing.kept_by(sea, ben)


def test_looking_at_the_form_changes_nothing(sea, ben, browser):
    page(browser(ben).get(DESCRIBE))
    assert not Editing.objects.exists()


@pytest.mark.long
def test_the_second_is_refused_with_the_remedy_and_loses_nothing(sea, ben, dee, browser):
    second = opened(browser(dee), title="The sea of Dee", abstract="Dee wrote long.")
    locking.take(sea, user=ben)
    html = page(browser(dee).post(DESCRIBE, second), 409)
    assert "Ben has been editing this description since" in html
    assert "Take over and save mine" in html
    assert 'value="The sea of Dee"' in html
    assert fresh(sea).title == "The sea"
    html = page(browser(dee).get(DESCRIBE))
    assert 'value="The sea of Dee"' in html, "she comes back and finds it"
    assert "You had typed this" in html
    assert browser(dee).post(DESCRIBE, {**second, "take_over": "1"}).status_code == 302
    assert (fresh(sea).title, fresh(sea).abstract) == ("The sea of Dee", "Dee wrote long.")
    assert locking.holder_of(sea) is None
    assert "You had typed this" not in page(browser(dee).get(DESCRIBE))


def test_what_was_changed_meanwhile_is_shown_before_it_is_overwritten(sea, ben, dee, browser):
    second = opened(browser(dee), abstract="Dee wrote long.")
    registering.describe(sea, user=ben, title="The sea of Ben")
    html = page(browser(dee).post(DESCRIBE, second), 412)
    assert "Dee wrote long." in html
    assert re.search(r"<dt>Title</dt><dd>The sea of Ben</dd>", html)
    assert fresh(sea).abstract == "As it was."
    revision = re.search(r'name="revision" id="revision" value="(\d+)"', html).group(1)
    assert browser(dee).post(DESCRIBE, {**second, "title": "The sea of Ben", "revision": revision}).status_code == 302
    assert (fresh(sea).title, fresh(sea).abstract) == ("The sea of Ben", "Dee wrote long.")


def test_an_invalid_form_keeps_the_revision_with_which_it_began(sea, ben, dee, browser):
    second = opened(browser(dee), temporal_start="soon")
    html = page(browser(dee).post(DESCRIBE, second), 400)
    assert 'value="soon"' in html
    registering.describe(sea, user=ben, title="The sea of Ben")
    revision = re.search(r'name="revision" id="revision" value="(\d+)"', html).group(1)
    assert browser(dee).post(DESCRIBE, {**second, "temporal_start": "", "revision": revision}).status_code == 412


def test_autosave_saves_what_is_right_and_keeps_what_is_wrong(sea, ben, browser):
    client = browser(ben)
    typed = opened(client, title="The wide sea", temporal_start="soon", west="far", licence="CC-BY-4.0")
    html = page(client.post(AUTOSAVE, typed, headers=LIVE))
    assert re.search(r"Saved \d\d:\d\d", html)
    assert "Temporal start: A date looks like 1999-12-31." in html
    assert "West: A number of degrees, such as" in html
    saved = fresh(sea)
    assert (saved.title, saved.licence, saved.temporal_start, saved.is_published) == ("The wide sea", "CC-BY-4.0", None, False)
    assert f'id="revision" value="{saved.revision}" hx-swap-oob' in html
    assert locking.holder_of(sea).editor == ben, "typing holds the lock"
    html = page(client.get(DESCRIBE))
    assert 'value="soon"' in html
    assert 'value="far"' in html
    html = page(client.post(AUTOSAVE, {**typed, "revision": saved.revision, "temporal_start": "", "west": ""}, headers=LIVE))
    assert "date looks like" not in html
    assert "You had typed this" not in page(client.get(DESCRIBE))


@pytest.mark.long
def test_saving_after_an_autosave_that_the_page_did_not_hear_of(sea, ben, dee, browser):
    typed = opened(browser(ben), title="One")
    page(browser(ben).post(AUTOSAVE, typed, headers=LIVE))
    assert browser(ben).post(DESCRIBE, {**typed, "title": "Two"}).status_code == 302, "its own autosave is no news to the form"
    assert fresh(sea).title == "Two"
    assert browser(ben).post(DESCRIBE, {**opened(browser(ben)), "revision": typed["revision"]}).status_code == 412, "to another form it is"


@pytest.mark.long
def test_autosave_of_what_is_published_tells_nobody(published, ben, ada, browser):
    dataset = published("sea", abstract="As it was.").dataset
    client = browser(ben)
    typed = opened(client, title="Half a tit", temporal_start="soon")
    html = page(client.post(AUTOSAVE, typed, headers=LIVE))
    assert "Published descriptions change only when you save." in html
    assert "A date looks like" in html
    assert (fresh(dataset).title, fresh(dataset).revision) == ("The sea", dataset.revision)
    assert "Half a tit" not in page(browser(ada).get("/datasets/sea/"))
    html = page(client.get(DESCRIBE))
    assert 'value="Half a tit"' in html
    assert "<dt>Title</dt><dd>The sea</dd>" in html
    assert client.post("/steward/datasets/sea/discard-typed/").status_code == 302
    assert "Half a tit" not in page(client.get(DESCRIBE))
    assert client.post(DESCRIBE, {**typed, "title": "A whole title", "temporal_start": ""}).status_code == 302
    assert "A whole title" in page(browser(ada).get("/datasets/sea/"))


def test_autosave_beside_another_editor_keeps_and_tells(sea, ben, dee, browser):
    typed = opened(browser(dee), title="The sea of Dee")
    locking.take(sea, user=ben)
    html = page(browser(dee).post(AUTOSAVE, typed, headers=LIVE))
    assert "not saved" in html
    assert "Ben has been editing" in html
    assert fresh(sea).title == "The sea"
    locking.release(sea, user=ben)
    registering.describe(sea, user=ben, abstract="Ben wrote.")
    html = page(browser(dee).post(AUTOSAVE, typed, headers=LIVE))
    assert "was changed since you read it" in html
    html = page(browser(dee).get(DESCRIBE))
    assert 'value="The sea of Dee"' in html
    assert "<dt>Abstract</dt><dd>Ben wrote.</dd>" in html
    assert QueryDict(editing.kept_by(sea, dee).unsaved)["title"] == "The sea of Dee"
    assert editing.kept_by(sea, ben) is None, "what she typed is hers alone"


def test_in_review_autosave_keeps_and_says_why(sea, ben, browser):
    typed = opened(browser(ben), title="Too late")
    publishing.submit(sea.versions.get(), user=ben)
    html = page(browser(ben).post(AUTOSAVE, typed, headers=LIVE))
    assert "not saved" in html
    assert fresh(sea).title == "The sea"


def test_without_scripts_the_form_works_as_before(sea, ben, browser):
    assert browser(ben).post(DESCRIBE, {"title": "Plain"}).status_code == 302
    assert fresh(sea).title == "Plain"


def test_who_takes_over_what_was_changed_sees_it_and_saves_the_second_time(sea, ben, dee, browser):
    mine = opened(browser(dee), title="The sea of Dee")
    locking.take(sea, user=ben)
    registering.describe(sea, user=ben, title="The sea of Ben")
    html = page(browser(dee).post(DESCRIBE, {**mine, "take_over": "1"}), 412)
    assert "<dt>Title</dt><dd>The sea of Ben</dd>" in html
    assert locking.holder_of(sea).editor == dee
    revision = re.search(r'name="revision" id="revision" value="(\d+)"', html).group(1)
    assert browser(dee).post(DESCRIBE, {**mine, "revision": revision}).status_code == 302
    assert fresh(sea).title == "The sea of Dee"


@pytest.mark.long
def test_the_api_refuses_a_change_of_what_was_not_read(sea, ben, dee, browser):
    client = browser(ben)
    read = client.get("/api/v1/datasets/sea/")

    def send(body, **headers):
        return client.patch("/api/v1/datasets/sea/", body, content_type="application/json", headers=headers)

    assert send({"title": "One"}, **{"If-Match": read["ETag"]}).json()["revision"] == read.json()["revision"] + 1
    refused = send({"title": "Two"}, **{"If-Match": read["ETag"]})
    assert (refused.status_code, refused.json()["code"]) == (412, "changed-meanwhile")
    assert "Read it again" in refused.json()["detail"]
    assert send({"title": "Two", "revision": read.json()["revision"]}).status_code == 412
    assert send({"title": "Two"}, **{"If-Match": '"never"'}).status_code == 412
    assert send({"revision": "x"}).json()["fields"] == {"revision": ["The number that the dataset has under `revision`."]}
    assert fresh(sea).title == "One"
    assert send({"title": "Two"}).status_code == 200
    now = client.get("/api/v1/datasets/sea/")
    assert client.get("/api/v1/datasets/sea/", headers={"If-None-Match": now["ETag"]}).status_code == 304


def test_the_api_takes_shows_and_gives_back_the_lock(sea, ben, dee, browser):
    address = "/api/v1/datasets/sea/edit-lock/"
    mine, hers = browser(ben), browser(dee)
    assert hers.get(address).json() == {"lock": None}
    assert mine.put(address).json()["lock"]["holder"] == ben.username
    assert hers.get(address).json()["lock"]["name"] == "Ben"
    refused = hers.patch("/api/v1/datasets/sea/", {"title": "x"}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (409, "being-edited")
    assert hers.put(address).status_code == 409
    assert hers.put(address, {"take_over": "yes"}, content_type="application/json").status_code == 400
    assert hers.put(address, {"take_over": True}, content_type="application/json").json()["lock"]["name"] == "Dee"
    assert hers.delete(address).status_code == 204
    assert mine.get(address).json() == {"lock": None}


def test_a_lock_that_ran_out_does_not_bring_back_its_holder(sea, ben, dee):
    locking.take(sea, user=ben)
    run_out(sea)
    registering.describe(sea, user=dee, title="Dee's")
    with pytest.raises(ChangedMeanwhileError):
        registering.describe(sea, user=ben, title="Ben's", revision=1)
