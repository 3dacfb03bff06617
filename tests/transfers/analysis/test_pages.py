"""The pages and the API of graphs: shown to whom they belong, charts only ever as images that can do nothing."""

import pytest
from django.urls import reverse

from datasets.models import Dataset
from transfers.analysis import graphs
from transfers.analysis.models import AnalysisJob, QuickLook
from transfers.models import GlobusToken

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture
def as_ada(client, ada):
    client.force_login(ada)
    return client


@pytest.fixture
def ready(described, ada):
    """A graph that is partly ready."""
    job = graphs.request_graph(user=ada, wanted=[(described(), "tos")])
    results = [
        {
            "source": "sea-level", "kind": "series", "svg": SVG, "text_alternative": 'Rises by 1 K "and more" <b>',
            "svg_url": "https://node/1.svg", "png_url": "https://node/1.png", "csv_url": "https://node/1.csv",
        }
    ]  # fmt: skip
    failures = [{"source": "sea-level", "kind": "map", "reason": "A map needs a latitude."}, {"source": "other", "reason": "It is gone."}]
    job.move_to("queued")
    job.move_to("running", service_id="service-job", parts_total=100)
    job.move_to("partial", results=results, failures=failures, folder_url="https://globus/file-manager?x=1")
    return job


def test_the_job_page_shows_charts_as_images_with_their_finding(as_ada, ready):
    page = as_ada.get(ready.get_absolute_url()).content.decode()
    assert reverse("analysis:graph-chart", args=[ready.pk, 0]) in page
    assert 'alt="Rises by 1 K &#34;and more&#34; &lt;b&gt;"' in page
    assert "alert(1)" not in page
    assert "A map needs a latitude." in page
    assert "It is gone." in page
    assert "https://globus/file-manager?x=1" in page
    assert "https://node/1.csv" in page


def test_a_chart_is_served_so_that_it_can_do_nothing(as_ada, ready):
    answer = as_ada.get(reverse("analysis:graph-chart", args=[ready.pk, 0]))
    assert answer["Content-Type"].startswith("image/svg+xml")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "script-src" not in answer["Content-Security-Policy"]
    assert as_ada.get(reverse("analysis:graph-chart", args=[ready.pk, 1])).status_code == 404


def test_another_persons_graph_is_not_there(client, ready, cy, dee):
    client.force_login(cy)
    for name, args in (("graph", [ready.pk]), ("graph-chart", [ready.pk, 0])):
        assert client.get(reverse(f"analysis:{name}", args=args)).status_code == 404
    assert client.post(reverse("analysis:graph-act", args=[ready.pk, "clean-up"])).status_code == 404
    assert client.get(f"/api/v1/graphs/{ready.pk}").status_code == 404
    client.force_login(dee)
    assert client.get(ready.get_absolute_url()).status_code == 200


def test_a_waiting_page_renews_its_live_part_only(as_ada, ready):
    AnalysisJob.objects.filter(pk=ready.pk).update(status="running", due_at=ready.created_at)
    page = as_ada.get(ready.get_absolute_url(), headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in page
    assert 'hx-trigger="every' in page
    assert "<progress" in page


def test_the_form_asks_for_a_graph_and_leads_to_the_permission(as_ada, described, ada):
    described()
    form = as_ada.get(reverse("analysis:graph-new"), {"dataset": "sea-level"}).content.decode()
    assert '<option value="sea-level/tos" selected>' in form
    assert AnalysisJob.objects.count() == 0
    answer = as_ada.post(reverse("analysis:graph-new"), {"source": ["sea-level/tos", ""], "kind": ["series"], "start_year": "1990"})
    job = AnalysisJob.objects.get()
    assert (job.user, job.kinds, job.years) == (ada, ["series"], (1990, 1990))
    assert answer["Location"].startswith(reverse("portal:consent"))
    assert f"next=%2Fgraphs%2F{job.pk}%2F" in answer["Location"]
    page = as_ada.get(job.get_absolute_url()).content.decode()
    assert "Give the permission" in page


def test_with_a_permission_the_form_leads_to_the_job(as_ada, described, ada):
    described()
    GlobusToken.objects.create(
        user=ada,
        resource_server="7d5a4f1e-0000-4000-8000-00000000000a",
        scopes=[],
        access_token_encrypted=b"",
        refresh_token_encrypted=b"",
        expires_at="2099-01-01T00:00:00Z",
    )
    asked = {"source": ["sea-level/tos"], "kind": ["map"]}
    first, second = (as_ada.post(reverse("analysis:graph-new"), asked) for _ in range(2))
    assert first["Location"] == second["Location"] == AnalysisJob.objects.get().get_absolute_url()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"source": [""]}, "Choose one to 4 datasets."),
        ({"source": ["nothing/x"]}, "There is no published dataset nothing."),
        ({"source": ["sea-level/x"]}, "has no variable that can be drawn named x"),
        ({"source": ["sea-level/tos"], "start_year": "early"}, "Give years as numbers"),
        ({"source": ["sea-level/tos"], "start_year": "2000", "end_year": "1990"}, "The first year is not after the last."),
    ],
)
def test_a_wrong_form_comes_back_with_words(as_ada, described, asked, words):
    described()
    answer = as_ada.post(reverse("analysis:graph-new"), asked)
    assert answer.status_code == 400
    assert words in answer.content.decode()


def test_nobody_is_shown_the_form_and_led_to_sign_in_by_it(client, described):
    described()
    assert client.get(reverse("analysis:graph-new")).status_code == 200
    answer = client.post(reverse("analysis:graph-new"), {"source": ["sea-level/tos"]})
    assert "/signin/" in answer["Location"]


def test_clean_up_is_a_post(as_ada, ready):
    address = reverse("analysis:graph-act", args=[ready.pk, "clean-up"])
    assert as_ada.get(address).status_code == 405
    assert as_ada.post(address).status_code == 302
    ready.refresh_from_db()
    assert ready.status == "cleaning"
    assert as_ada.post(reverse("analysis:graph-act", args=[ready.pk, "no-such-act"])).status_code == 404


def test_my_graphs_are_listed(as_ada, client, ready, cy):
    assert ready.get_absolute_url() in as_ada.get(reverse("analysis:graphs")).content.decode()
    client.force_login(cy)
    assert "No graphs yet" in client.get(reverse("analysis:graphs")).content.decode()


def test_the_api_tells_the_permission_that_is_missing_then_the_same_graph(as_ada, described, ada):
    described()
    body = {"datasets": [{"dataset": "sea-level"}], "start_year": 1990, "end_year": 1999}
    refused = as_ada.post("/api/v1/graphs", body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "consent-needed")
    assert refused.json()["required_scopes"][0].startswith("https://auth.globus.org/scopes/7d5a4f1e-0000-4000-8000-00000000000a/graph[*")
    GlobusToken.objects.create(
        user=ada,
        resource_server="7d5a4f1e-0000-4000-8000-00000000000a",
        scopes=[],
        access_token_encrypted=b"",
        refresh_token_encrypted=b"",
        expires_at="2099-01-01T00:00:00Z",
    )
    made = as_ada.post("/api/v1/graphs", body, content_type="application/json")
    assert made.status_code == 202
    told = as_ada.get(made["Location"]).json()
    assert (told["status"], told["sources"][0]["dataset"], told["start_year"]) == ("queued", "sea-level", 1990)
    assert AnalysisJob.objects.count() == 1


@pytest.mark.parametrize(
    "body", [{}, {"datasets": []}, {"datasets": [{"dataset": "nothing"}]}, {"datasets": [{"dataset": "sea-level"}], "start_year": 1990}]
)
def test_the_api_refuses_what_it_does_not_understand(as_ada, described, body):
    described()
    answer = as_ada.post("/api/v1/graphs", body, content_type="application/json")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


def test_the_api_cleans_up(as_ada, ready):
    assert as_ada.delete(f"/api/v1/graphs/{ready.pk}").status_code == 202
    ready.refresh_from_db()
    assert ready.status == "cleaning"


@pytest.fixture
def look(described):
    version = described()
    return QuickLook.objects.create(
        version=version, variable="tos", status="ready", svg=SVG, text_alternative="Rises by 2 K.", kind="series"
    )


def test_a_quick_look_is_seen_by_everybody(client, look):
    address = reverse("analysis:quick-look", args=["sea-level", "tos"])
    page = client.get(address).content.decode()
    assert "Rises by 2 K." in page
    assert look.get_absolute_url() == address
    part = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    chart = client.get(reverse("analysis:quick-look-chart", args=[look.pk]))
    assert (chart.status_code, chart["X-Content-Type-Options"]) == (200, "nosniff")


@pytest.mark.parametrize("policy", ["registered", "restricted"])
def test_a_quick_look_closes_with_its_dataset(client, look, policy):
    Dataset.objects.update(access_policy=policy)
    assert "Rises by 2 K." not in client.get(reverse("analysis:quick-look", args=["sea-level", "tos"])).content.decode()
    assert client.get(reverse("analysis:quick-look-chart", args=[look.pk])).status_code == 404


def test_a_quick_look_that_cannot_be_drawn_says_why(client, look):
    QuickLook.objects.filter(pk=look.pk).update(status="empty", svg="", reason="No reader for this format: GRIB.")
    assert "No reader for this format: GRIB." in client.get(reverse("analysis:quick-look", args=["sea-level", "tos"])).content.decode()
    assert client.get(reverse("analysis:quick-look-chart", args=[look.pk])).status_code == 404
    assert client.get(reverse("analysis:quick-look", args=["sea-level", "nothing"])).status_code == 404


def test_an_archive_without_a_graph_service_says_so(as_ada, described, settings):
    described()
    settings.GRAPH_SCOPE = ""
    asked = as_ada.post(reverse("analysis:graph-new"), {"source": ["sea-level/tos"], "kind": ["map"]})
    assert (asked.status_code, "no graph service" in asked.content.decode()) == (404, True)
    assert (
        as_ada.post("/api/v1/graphs", {"datasets": [{"dataset": "sea-level"}]}, content_type="application/json").json()["code"]
        == "no-graph-service"
    )
    assert "Draw a graph" not in as_ada.get(reverse("datasets:dataset", args=["sea-level"])).content.decode()
    assert graphs.sweep() == 0
