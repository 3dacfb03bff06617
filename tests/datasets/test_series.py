"""Series of datasets: the tree, its pages and counts, who curates through it, and what moves with it."""

import re
import threading
import uuid
from html import unescape

import pytest
from django.core import mail
from django.db import connection
from django.db.models import ProtectedError

from datasets import series
from datasets.access import seeing
from datasets.asking import ask_steward
from datasets.curation import publishing, registering
from datasets.errors import ConflictError, ForbiddenError, InvalidError
from datasets.models import Dataset, Series, SeriesEvent
from portal.models import GroupMembership, RoleGrant, User
from portal.signin import watched_groups

GROUP = uuid.UUID(int=77)


@pytest.fixture
def tree(dee):
    """archive > climate > ocean > ice, and archive > weather."""
    climate = series.create(user=dee, slug="climate", title="Climate", description="Long runs.")
    ocean = series.create(user=dee, slug="ocean", title="Ocean", parent=climate)
    ice = series.create(user=dee, slug="ice", title="Ice", parent=ocean)
    weather = series.create(user=dee, slug="weather", title="Weather")
    return {"climate": climate, "ocean": ocean, "ice": ice, "weather": weather}


def fresh(person):
    return User.objects.get(pk=person.pk)


def appoint(one, person, dee):
    series.appoint(one, user=dee, principal_type="identity", principal=person.pk, label=person.username)
    return fresh(person)


def lineages():
    names = dict(Series.objects.values_list("id", "slug"))
    return {one.slug: [names[pk] for pk in one.lineage] for one in Series.objects.all()}


def page(response, status=200):
    assert response.status_code == status, response.content.decode()[:2000]
    return unescape(response.content.decode())


def test_a_series_is_moved_with_all_below_and_never_into_itself(tree, dee):
    assert lineages() == {
        "climate": ["climate"], "ocean": ["climate", "ocean"], "ice": ["climate", "ocean", "ice"], "weather": ["weather"],
    }  # fmt: skip
    series.move(tree["ocean"], user=dee, parent=tree["weather"])
    assert lineages()["ice"] == ["weather", "ocean", "ice"]
    for inside in (tree["ocean"], tree["ice"]):
        with pytest.raises(ConflictError):
            series.move(tree["ocean"], user=dee, parent=inside)
    series.move(tree["ocean"], user=dee, parent=None)
    assert (lineages()["ocean"], lineages()["ice"]) == (["ocean"], ["ocean", "ice"])
    series.move(tree["climate"], user=dee, parent=tree["ice"])
    assert lineages()["climate"] == ["ocean", "ice", "climate"]
    assert list(SeriesEvent.objects.filter(slug="ocean").values_list("act", "note"))[-1] == ("moved", "from weather to no series")


def test_a_tree_stays_readable_in_depth(tree, dee, monkeypatch):
    monkeypatch.setattr("datasets.series.DEEPEST", 3)  # a size: the real one says the same of more levels
    with pytest.raises(ConflictError):
        series.create(user=dee, slug="floe", title="Floe", parent=tree["ice"])
    with pytest.raises(ConflictError):
        series.move(tree["climate"], user=dee, parent=tree["weather"])


def test_only_an_empty_series_is_deleted(tree, draft, ben, dee):
    with pytest.raises(ConflictError, match="1 series hang below"):
        series.delete(tree["ocean"], user=dee)
    dataset = draft().dataset
    series.put(dataset, user=dee, series=tree["ice"])
    with pytest.raises(ConflictError, match="1 datasets are in it, drafts and the bin counted"):
        series.delete(tree["ice"], user=dee)
    with pytest.raises(ProtectedError):
        tree["ice"].delete()
    series.put(dataset, user=dee, series=None)
    series.delete(tree["ice"], user=dee)
    assert not Series.objects.filter(slug="ice").exists()
    assert SeriesEvent.objects.filter(slug="ice", act="deleted", actor=dee).exists()


def test_operators_look_at_the_tree_in_the_administration(tree, dee, ben, browser):
    appoint(tree["ice"], ben, dee)
    client = browser(dee)
    assert "Ocean" in page(client.get("/admin/datasets/series/?q=ice"))
    assert ben.username in page(client.get("/admin/datasets/seriessteward/"))
    assert page(client.get(f"/admin/datasets/series/{tree['ice'].pk}/change/"))


def test_wrong_fields_are_named(tree, dee):
    with pytest.raises(InvalidError) as refused:
        series.create(user=dee, slug="No good", title="x")
    assert "slug" in refused.value.fields
    with pytest.raises(ConflictError):
        series.create(user=dee, slug="ice", title="x")
    with pytest.raises(InvalidError) as refused:
        series.describe(tree["ice"], user=dee, title=" ")
    assert "title" in refused.value.fields


def test_a_steward_of_a_series_curates_all_below_without_another_role(tree, draft, dee, cy, browser):
    version = draft()
    series.put(version.dataset, user=dee, series=tree["ice"])
    assert browser(cy).get("/datasets/sea/").status_code == 404
    cy = appoint(tree["ocean"], cy, dee)
    assert cy.is_steward
    assert browser(cy).get("/steward/datasets/sea/").status_code == 200
    assert registering.describe(version.dataset, user=cy, title="Ours").title == "Ours"
    assert publishing.publish(version, user=cy).status == "published"
    series.put(version.dataset, user=dee, series=tree["climate"])
    with pytest.raises(ForbiddenError):
        registering.describe(version.dataset, user=fresh(cy), title="Not ours")
    series.put(version.dataset, user=dee, series=tree["ocean"])
    series.dismiss(tree["ocean"].stewards.get(), user=dee)
    assert not fresh(cy).is_steward
    with pytest.raises(ForbiddenError):
        registering.describe(version.dataset, user=fresh(cy), title="Not ours")


def test_a_group_curates_a_series_as_long_as_one_is_in_it(tree, draft, dee, cy):
    version = draft()
    series.put(version.dataset, user=dee, series=tree["ice"])
    series.appoint(tree["climate"], user=dee, principal_type="group", principal=GROUP, label="Ice people")
    membership = GroupMembership.objects.create(user=cy, group_id=GROUP, name="Ice people", identity_id=cy.pk)
    assert Dataset.objects.curated_by(fresh(cy)).get() == version.dataset
    _, ways = seeing.who_can_see(version.dataset, user=dee)
    told = next(way for way in ways if way.through == "steward of the series Climate")
    assert (told.name, [member.username for member in told.members]) == ("Ice people", [cy.username])
    membership.delete()
    assert not Dataset.objects.curated_by(fresh(cy)).exists()


def test_groups_that_curate_a_series_are_read_from_globus(tree, dee):
    series.appoint(tree["climate"], user=dee, principal_type="group", principal=GROUP)
    assert GROUP in watched_groups()


def test_who_moves_a_dataset_curates_where_it_is_and_where_it_goes(tree, draft, ben, cy, dee):
    dataset = draft().dataset
    with pytest.raises(ForbiddenError):
        series.put(dataset, user=ben, series=tree["ice"])
    cy = appoint(tree["ice"], cy, dee)
    with pytest.raises(ForbiddenError):
        series.put(dataset, user=cy, series=tree["ice"])
    ben = appoint(tree["climate"], ben, dee)
    series.put(dataset, user=ben, series=tree["ice"])
    with pytest.raises(ConflictError, match=r"present state"):
        series.put(dataset, user=fresh(cy), series=None)
    dataset.refresh_from_db()
    assert dataset.series == tree["ice"]
    with pytest.raises(ForbiddenError):
        series.put(dataset, user=ben, series=tree["weather"])
    series.put(dataset, user=ben, series=tree["ocean"])
    assert [event.note for event in dataset.events.filter(act="series")] == ["from no series to ice", "from ice to ocean"]


def test_a_steward_builds_below_her_series_and_not_beside_it(tree, cy, dee):
    cy = appoint(tree["ocean"], cy, dee)
    floe = series.create(user=cy, slug="floe", title="Floe", parent=tree["ice"])
    with pytest.raises(ForbiddenError):
        series.create(user=cy, slug="top", title="Top")
    with pytest.raises(ForbiddenError):
        series.move(tree["ocean"], user=cy, parent=None)
    assert series.move(floe, user=cy, parent=tree["ocean"]).parent == tree["ocean"]
    with pytest.raises(ForbiddenError):
        series.appoint(tree["climate"], user=cy, principal_type="identity", principal=cy.pk)


@pytest.mark.long
def test_the_page_shows_way_counts_and_datasets_and_searches_below(tree, published, draft, dee, browser):
    for slug, title, one in (("a", "Floes of the north", "ice"), ("b", "Salt", "ocean"), ("c", "Rain", "weather")):
        series.put(published(slug, title=title).dataset, user=dee, series=tree[one])
    series.put(draft("d", title="Secret floes").dataset, user=dee, series=tree["ocean"])
    html = page(browser().get("/series/ocean/"))
    assert re.search(r'href="/series/climate/">Climate</a>.*aria-current="page">Ocean', html, re.DOTALL)
    assert re.search(r'href="/series/ice/">Ice</a>.*?1 dataset<', html, re.DOTALL)
    assert "Salt" in html
    assert "Floes of the north" not in html
    assert "Secret floes" not in html
    html = page(browser().get("/series/climate/?q=floes"))
    assert "Floes of the north" in html
    assert "1 dataset for" in html
    assert "Secret floes" not in html
    assert "Secret floes" in page(browser(dee).get("/series/climate/?q=floes"))
    assert "2 datasets" in page(browser().get("/series/"))
    assert "Nothing in this series matches" in page(browser().get("/series/weather/?q=floes"))
    html = page(browser().get("/datasets/a/"))
    assert re.search(r"/series/climate/.*/series/ocean/.*/series/ice/.*aria-current", html, re.DOTALL)


@pytest.mark.long
def test_a_series_without_published_datasets_is_for_its_stewards(tree, draft, ben, cy, dee, browser):
    series.put(draft().dataset, user=dee, series=tree["ice"])
    assert browser().get("/series/ice/").status_code == 404
    assert browser(cy).get("/series/climate/").status_code == 404
    assert "Climate" not in page(browser(cy).get("/series/"))
    assert page(browser(ben).get("/series/ice/")), "she is steward of a dataset in it, and finds the way to it"
    assert page(browser(ben).get("/series/climate/"))
    assert browser(ben).get("/series/weather/").status_code == 404
    cy = appoint(tree["weather"], cy, dee)
    assert page(browser(cy).get("/series/weather/"))
    assert browser(cy).get("/api/v1/series/ice/").status_code == 404


@pytest.mark.long
def test_datasets_of_a_series_come_by_keyset_pages(tree, published, dee, browser, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr("datasets.series.pages.DATASETS_ON_A_PAGE", 2)  # a size: the real one says the same of more rows
    for number in range(5):
        series.put(published(f"d{number}", title=f"Same {number // 3}").dataset, user=dee, series=tree["ice"])
    client, url, found = browser(), "/series/ice/", []
    while url:
        with django_assert_max_num_queries(8):
            html = page(client.get(url))
        found += re.findall(r'<h3><a href="/datasets/([a-z0-9]+)/"', html)
        following = re.search(r'rel="next" href="(\?page=[^"]+)"', html)
        url = f"/series/ice/{following.group(1)}" if following else ""
    assert sorted(found) == [f"d{number}" for number in range(5)]
    assert len(found) == 5
    assert client.get("/series/ice/?page=forged").status_code == 400


def test_counts_follow_publication_withdrawal_moves_and_deletion(tree, draft, ben, dee):
    def listed():
        return dict(Series.objects.filter(slug__in=("ice", "weather")).values_list("slug", "n_listed"))

    version = draft()
    dataset = version.dataset
    series.put(dataset, user=dee, series=tree["ice"])
    assert listed() == {"ice": 0, "weather": 0}
    publishing.publish(version, user=dee)
    assert listed() == {"ice": 1, "weather": 0}
    dataset.refresh_from_db()
    series.put(dataset, user=dee, series=tree["weather"])
    assert listed() == {"ice": 0, "weather": 1}
    publishing.withdraw(version, user=ben, reason="Wrong.")
    assert listed() == {"ice": 0, "weather": 0}
    publishing.publish(publishing.open_draft(dataset, user=ben), user=ben)
    assert listed() == {"ice": 0, "weather": 1}
    Dataset.objects.all().delete()
    assert listed() == {"ice": 0, "weather": 0}


@pytest.mark.long
def test_search_keeps_to_a_series_with_all_below(tree, published, dee, browser):
    for slug, one in (("a", "ice"), ("b", "ocean"), ("c", "weather"), ("d", None)):
        dataset = published(slug, subjects=["Sea"]).dataset
        if one:
            series.put(dataset, user=dee, series=tree[one])
    client = browser()

    def found(query):
        told = client.get(f"/api/v1/datasets/?{query}").json()
        return sorted(one["slug"] for one in told["results"]), told["total"], {one["count"] for one in told["facets"]["subject"]}

    assert found("series=climate") == (["a", "b"], 2, {2})
    assert found("series=ice&subject=Sea") == (["a"], 1, {1})
    assert found("series=nothing")[:2] == ([], 0)
    assert client.get("/api/v1/datasets/?series=No!").json()["fields"] == {"series": ["The short name of a series, as in its address."]}
    html = page(client.get("/datasets/?series=climate&q=data"))
    assert "Series: Climate" in html
    assert 'name="series" value="climate" checked' in html
    assert re.search(r'role="switch" name="availability" value="online"><span>Online only</span><span class="num">2<', html)
    assert "Without Series: nothing: 4 datasets" in page(client.get("/datasets/?series=nothing"))
    feed = client.get("/datasets/feed.atom?series=climate").content.decode()
    assert len(re.findall(r"<(?:\w+:)?entry>", feed)) == 2


def test_harvesters_get_the_tree_as_sets_and_are_told_of_moves(tree, published, ben, dee, browser):
    client = browser()
    version = published()
    dataset = version.dataset
    series.put(dataset, user=dee, series=tree["ice"])

    def headers(spec):
        text = client.get(f"/oai?verb=ListIdentifiers&metadataPrefix=oai_dc&set={spec}").content.decode()
        return re.findall(r"<(?:\w+:)?setSpec>(series[^<]*)<", text), 'status="deleted"' in text

    sets = re.findall(r"<(?:\w+:)?setSpec>(series[^<]*)<", client.get("/oai?verb=ListSets").content.decode())
    assert sets == ["series", "series:climate", "series:climate:ocean", "series:climate:ocean:ice"]
    for spec in sets:
        assert headers(spec) == (["series:climate:ocean:ice"], False)
    assert headers("series:ocean") == ([], False)
    before = Dataset.objects.get(pk=dataset.pk).updated_at
    series.move(tree["ocean"], user=dee, parent=tree["weather"])
    assert Dataset.objects.get(pk=dataset.pk).updated_at > before
    assert headers("series:weather") == (["series:weather:ocean:ice"], False)
    publishing.withdraw(version, user=ben, reason="Wrong.")
    assert headers("series:weather") == (["series:weather:ocean:ice"], True)


def test_questions_reach_the_stewards_of_the_series(tree, published, ada, cy, dee, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    dataset = published().dataset
    series.put(dataset, user=dee, series=tree["ice"])
    appoint(tree["climate"], cy, dee)
    ask_steward(Dataset.objects.get(pk=dataset.pk), user=ada, message="May I?")
    assert cy.email in mail.outbox[-1].to


@pytest.mark.long
def test_the_tree_is_written_over_the_api(tree, published, ben, dee, browser):
    client = browser(dee)
    published()

    def send(method, path, body=None):
        answer = getattr(client, method)(f"/api/v1{path}", body, content_type="application/json")
        return answer.status_code, answer.json() if answer.content else None

    status, made = send("post", "/series/", {"slug": "floe", "title": "Floe", "parent": "ice"})
    assert (status, made["parent"]) == (201, "ice")
    assert send("patch", "/datasets/sea/", {"series": "floe", "title": "Floes"})[1]["series"] == "floe"
    status, told = send("get", "/series/floe/")
    assert ([one["slug"] for one in told["lineage"]], told["n_datasets"]) == (["climate", "ocean", "ice", "floe"], 1)
    assert [(one["slug"], one["n_datasets"]) for one in send("get", "/series/")[1]["results"]] == [("climate", 1), ("weather", 0)]
    assert [one["slug"] for one in send("get", "/series/?parent=ice")[1]["results"]] == ["floe"]
    assert send("patch", "/series/climate/", {"parent": "floe"})[1]["code"] == "conflict"
    assert send("patch", "/series/floe/", {"parent": None, "title": "Floes"})[1]["parent"] is None
    assert send("delete", "/series/floe/")[0] == 409
    assert send("patch", "/datasets/sea/", {"series": None})[1]["series"] is None
    assert send("delete", "/series/floe/")[0] == 204
    assert list(send("patch", "/series/ice/", {"parent": "floe"})[1]["fields"]) == ["parent"]
    assert send("patch", "/datasets/sea/", {"series": "floe"})[1]["fields"] == {
        "series": ["There is no series floe that you may see. Give its short name."]
    }
    status, steward = send("post", "/series/ice/stewards/", {"principal_type": "identity", "principal": str(ben.pk)})
    assert status == 201
    assert [one["principal"] for one in send("get", "/series/ice/stewards/")[1]["results"]] == [str(ben.pk)]
    assert send("delete", f"/series/ice/stewards/{steward['id']}/")[0] == 204
    status, registered = send("post", "/datasets/", {"slug": "new", "title": "New", "series": "ice"})
    assert (status, registered["series"]) == (201, "ice")


@pytest.mark.long
def test_a_steward_works_on_the_tree_in_the_browser(tree, draft, ben, dee, browser):
    draft()
    client = browser(dee)
    made = client.post("/steward/series/", {"title": "Floe", "slug": "floe", "parent": "ice"})
    assert made["Location"] == "/steward/series/floe/"
    assert "There is no series nowhere" in page(client.post("/steward/series/", {"title": "x", "slug": "x", "parent": "nowhere"}), 400)
    html = page(client.post("/steward/series/climate/move/", {"parent": "floe"}), 409)
    assert "Floe lies in Climate itself" in html
    assert client.post("/steward/series/floe/appoint/", {"principal_type": "identity", "principal": str(ben.pk)}).status_code == 302
    html = page(browser(fresh(ben)).get("/steward/series/"))
    assert "Floe" in html
    assert "Weather" not in html
    client = browser(fresh(ben))
    assert client.post("/steward/datasets/sea/series/", {"series": "floe"}).status_code == 302
    assert 'In <a href="/series/floe/">Floe</a>' in page(client.get("/steward/datasets/sea/"))
    assert client.post("/steward/series/climate/describe/", {"title": "Mine"}).status_code == 403
    assert client.post("/steward/series/floe/describe/", {"title": "Mine"}).status_code == 302
    assert client.post("/steward/series/floe/delete/").status_code == 409
    assert client.post("/steward/datasets/sea/series/", {"series": ""}).status_code == 302
    assert client.post("/steward/series/floe/delete/").status_code == 302


@pytest.mark.django_db(transaction=True)
@pytest.mark.long
def test_two_moves_at_once_close_no_circle(dee):
    """Each alone is legal; the second waits for the first and is refused."""
    a = series.create(user=dee, slug="a", title="A")
    b = series.create(user=dee, slug="b", title="B")
    refused = []

    def run(one, under):
        try:
            series.move(one, user=dee, parent=under)
        except ConflictError:
            refused.append(one.slug)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in ((a, b), (b, a))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    try:
        assert len(refused) == 1
        assert sorted(len(one.lineage) for one in Series.objects.all()) == [1, 2]
    finally:
        Series.objects.exclude(parent=None).delete()
        Series.objects.all().delete()
        SeriesEvent.objects.all().delete()
        RoleGrant.objects.all().delete()
        User.objects.all().delete()
