import json

import pytest

from datasets.models import Dataset
from datasets.scans import ingesting
from tests.datasets.conftest import COLLECTION

DATASETS = "/api/v1/datasets"


def problem(response, status: int) -> dict:
    assert response.status_code == status
    assert response["Content-Type"].startswith("application/problem+json")
    return response.json()


def send(client, method: str, path: str, body: dict):
    return getattr(client, method)(path, json.dumps(body), content_type="application/json")


def test_the_list_is_paged_by_link_and_carries_facets(published, browser):
    for number in range(3):
        published(f"d{number}", title=f"Dataset {number}", subjects=["Ocean"])
    response = browser().get(f"{DATASETS}?limit=2")
    body = response.json()
    assert body["total"] == 3
    assert body["facets"]["subject"] == [{"value": "Ocean", "words": "Ocean", "count": 3}]
    assert response["Link"] == f'<{body["next"]}>; rel="next"'
    rest = browser().get(body["next"]).json()
    slugs = [row["slug"] for row in body["results"] + rest["results"]]
    assert sorted(slugs) == ["d0", "d1", "d2"]
    assert rest["next"] is None


def test_the_list_costs_the_same_for_many_as_for_one(published, browser, django_assert_max_num_queries):
    for number in range(5):
        published(f"d{number}", creators=[{"name": "A"}], variables=[{"name": "t"}], subjects=["Ocean"])
    client = browser()
    with django_assert_max_num_queries(6):
        client.get(DATASETS)


def test_bad_parameters_are_a_problem_that_names_them(db, browser):
    assert set(problem(browser().get(f"{DATASETS}?sort=luck&limit=x"), 400)["fields"]) == {"sort", "limit"}


def test_one_dataset_with_an_etag(published, browser, ada):
    published(variables=[{"name": "tos", "units": "K", "dimensions": ["time"]}], creators=[{"name": "Ada", "orcid": "0000-0002-1825-0097"}])
    response = browser().get(f"{DATASETS}/sea/")
    body = response.json()
    assert body["variables"][0]["units"] == "K"
    assert body["versions"][0]["digest"]
    assert body["access"] == {"is_allowed": True, "reason": "public", "words": "Open to everybody.", "until": None, "through": None}
    again = browser().get(f"{DATASETS}/sea/", headers={"If-None-Match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    Dataset.objects.update(title="Changed")
    assert browser().get(f"{DATASETS}/sea/", headers={"If-None-Match": response["ETag"]}).status_code == 200


def test_what_may_not_be_seen_is_not_found(draft, browser, ada, ben):
    draft()
    for path in ("", "/versions", "/versions/1", "/versions/1/files", "/grants"):
        problem(browser().get(f"{DATASETS}/sea{path}"), 401 if path == "/grants" else 404)
        problem(browser(ada).get(f"{DATASETS}/sea{path}"), 404)
        assert browser(ben).get(f"{DATASETS}/sea{path}").status_code == 200


def test_what_may_be_seen_but_not_changed_is_forbidden(published, browser, ada):
    published()
    client = browser(ada)
    problem(send(client, "patch", f"{DATASETS}/sea", {"title": "Mine"}), 403)
    problem(send(client, "post", f"{DATASETS}/sea/versions", {}), 403)
    problem(send(client, "post", f"{DATASETS}/sea/versions/1/publication", {}), 403)
    problem(send(client, "post", f"{DATASETS}/sea/versions/1/scans", {}), 403)
    problem(client.get(f"{DATASETS}/sea/versions/1/scans"), 403)
    problem(client.get(f"{DATASETS}/sea/grants"), 403)
    problem(send(client, "post", DATASETS, {"slug": "mine", "title": "Mine"}), 403)
    assert send(browser(), "patch", f"{DATASETS}/sea", {"title": "Mine"}).status_code in {401, 403}
    assert Dataset.objects.get().title == "The sea"


@pytest.mark.parametrize(
    ("method", "path"), [("post", ""), ("patch", "/sea"), ("put", "/sea/versions/1/location"), ("post", "/sea/grants")]
)
def test_the_right_is_checked_before_the_body(published, browser, ada, ben, method, path):
    published()
    wrong = {"title": "", "collection_id": "nowhere", "principal": "nobody"}
    problem(send(browser(ada), method, f"{DATASETS}{path}", wrong), 403)
    problem(send(browser(ben), method, f"{DATASETS}{path}", wrong), 400)


@pytest.mark.parametrize("path", ["grants", "versions/1/scans"])
def test_what_is_for_curators_asks_a_stranger_to_sign_in(published, browser, path):
    published()
    answer = browser().get(f"{DATASETS}/sea/{path}")
    problem(answer, 401)
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_files_by_folder_cursor_and_glob(published, browser):
    published(files={f"/{year}/{month:02}.nc": "x" for year in (2001, 2002) for month in range(1, 6)} | {"/readme.txt": "read"})
    path = f"{DATASETS}/sea/versions/1/files"
    root = browser().get(path).json()
    assert [row["path"] for row in root["folders"]] == ["/2001/", "/2002/"]
    assert root["folders"][0]["n_files"] == 5
    assert (root["n_files"], root["size_bytes"]) == (11, 14)
    assert root["files"][0]["collection_path"] == "/sea/readme.txt"
    page = browser().get(f"{path}?folder=/2001/&limit=2").json()
    seen = [row["path"] for row in page["files"]]
    while page["next"]:
        page = browser().get(page["next"]).json()
        seen += [row["path"] for row in page["files"]]
    assert seen == [f"/2001/{month:02}.nc" for month in range(1, 6)]
    assert browser().get(f"{path}?glob=0[12].nc").json()["n_files"] == 4
    problem(browser().get(f"{path}?folder=2001"), 400)
    for number in ("a", "0", "9" * 5000):
        problem(browser().get(f"{path}?limit={number}"), 400)


def test_files_of_restricted_datasets_are_for_those_with_access(published, browser, ada, ben):
    published(access_policy="restricted", variables=[{"name": "tos", "example_path": "/secret.nc"}])
    assert "secret.nc" not in browser().get(f"{DATASETS}/sea").content.decode() + browser().get(DATASETS).content.decode()
    path = f"{DATASETS}/sea/versions/1/files"
    problem(browser().get(path), 403)
    problem(browser(ada).get(path), 403)
    made = send(browser(ben), "post", f"{DATASETS}/sea/grants", {"principal_type": "identity", "principal": str(ada.id), "label": "Ada"})
    assert made.status_code == 201
    assert browser(ada).get(path).status_code == 200
    assert browser(ada).get(f"{DATASETS}/sea").json()["access"]["through"]["label"] == "ada@university.example"
    assert browser(ben).delete(f"{DATASETS}/sea/grants/{made.json()['id']}").status_code == 204
    problem(browser(ada).get(path), 403)


def test_a_steward_takes_a_dataset_from_nothing_to_published(browser, ben, disk):
    client = browser(ben)
    made = send(client, "post", DATASETS, {"slug": "new", "title": "New", "bbox": [-10, 0, 10, 5], "subjects": ["Ocean"]})
    assert made.status_code == 201
    assert made.json()["bbox"] == [-10, 0, 10, 5]
    missing = problem(send(client, "post", f"{DATASETS}/new/versions/1/publication", {}), 409)
    assert {"abstract", "location", "files"} <= set(missing["fields"])
    placed = send(client, "put", f"{DATASETS}/new/versions/1/location", {"collection_id": str(COLLECTION), "base_path": "/new/"})
    assert placed.json()["locations"][0]["base_path"] == "/new/"
    asked = send(client, "post", f"{DATASETS}/new/versions/1/scans", {})
    assert asked.status_code == 202
    disk.write("/new/a.nc", "a")
    ingesting.run_scan(asked.json()["id"], disk.list_folder, disk.inspect)
    assert client.get(asked["Location"]).json()["results"][0]["status"] == "done"
    assert send(client, "patch", f"{DATASETS}/new", {"abstract": "What it is."}).status_code == 200
    assert send(client, "post", f"{DATASETS}/new/versions/1/publication", {}).status_code == 201
    assert browser().get(f"{DATASETS}/new/versions/1").json()["n_files"] == 1
    assert send(client, "post", f"{DATASETS}/new/versions", {"reason": "more"}).status_code == 201
    assert client.delete(f"{DATASETS}/new/versions/2").status_code == 204


@pytest.mark.parametrize(
    "body", [{"slug": "x y", "title": "t"}, {"title": "t"}, {"slug": "ok", "title": ""}, {"slug": "ok", "title": "t", "bbox": [1]}]
)
def test_a_body_that_is_wrong_is_a_problem_with_its_fields(browser, ben, body):
    assert problem(send(browser(ben), "post", DATASETS, body), 400)["fields"]


def test_suggestions(published, browser):
    published(title="Temperature")
    assert browser().get("/api/v1/suggestions?q=temp").json() == {"results": ["temperature"]}
