"""Previews of files: read near the data by the running graph service, shown to those alone who may have the file."""

import io
import time

import pytest
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from datasets.access import granting
from datasets.curation import publishing
from datasets.errors import ConflictError, ForbiddenError
from tests.transfers.analysis.conftest import SAMPLES
from transfers.analysis import previews
from transfers.analysis.models import FilePreview, QuickLook

pytestmark = pytest.mark.long


def read(preview, *statuses):
    """Do what workers do, one step after the other."""
    deadline = time.monotonic() + 90
    while preview.status not in statuses:
        assert time.monotonic() < deadline, preview.status
        FilePreview.objects.filter(pk=preview.pk).update(due_at=timezone.now())
        previews.read(preview.pk)
        preview.refresh_from_db()
        time.sleep(0.05)  # polled: there is no event to wait for
    return preview


def look(version, path, user=None):
    return previews.request_preview(version, previews.find_file(version, path), user=user)


def picture():
    content = io.BytesIO()
    Image.new("RGB", (900, 600), (10, 90, 97)).save(content, format="PNG")
    return content.getvalue()


def test_formats_are_shown_on_the_page_of_the_file_and_read_once(service, publish_real, client):
    contents = {
        "/ostia.nc": (SAMPLES / "ostia_monthly.nc").read_bytes(),
        "/copy/ostia.nc": (SAMPLES / "ostia_monthly.nc").read_bytes(),
        "/t.csv": b"station,depth\nA,<script>alert(1)</script>\n",
        "/notes.txt": b"read me",
        "/photo.png": picture(),
        "/x.pp": b"\x00\x00\x01\x00" + b"\0" * 400,
        "/broken.nc": b"CDF\x01 broken",
    }
    version = publish_real(files=contents)
    QuickLook.objects.create(version=version, variable="surface_temperature", status="ready", svg="<svg/>", text_alternative="warm")
    address = reverse("analysis:file", args=[version.dataset.slug, version.number])

    def page(path, status=200, **headers):
        answer = client.get(address, {"path": path}, headers=headers)
        assert answer.status_code == status
        return answer.content.decode()

    assert "Show what is in it" in page("/ostia.nc")
    assert client.post(f"{address}?path=/ostia.nc").status_code == 302
    preview = FilePreview.objects.get(dataset=version.dataset)
    waiting = page("/ostia.nc", **{"HX-Request": "true"})
    assert "Being read" in waiting
    assert "hx-trigger" in waiting
    assert "<html" not in waiting
    read(preview, "ready")
    header = page("/ostia.nc")
    assert "surface_temperature" in header
    assert 'alt="warm"' in header, "a quick look stands where there is one"
    for words in ("Lasting address", "Address at the data node", "rclone", "globus-sdk", "aria2", "xarray"):
        assert words in header
    if previews.find_file(version, "/copy/ostia.nc").sha256:
        assert look(version, "/copy/ostia.nc") == preview, "the same content is read once"

    for path, status in (
        ("/t.csv", "ready"),
        ("/notes.txt", "ready"),
        ("/photo.png", "ready"),
        ("/x.pp", "unsupported"),
        ("/broken.nc", "failed"),
    ):
        read(look(version, path), status)
    table = page("/t.csv")
    assert "&lt;script&gt;alert(1)" in table
    assert "<script>alert" not in table
    assert "read me" in page("/notes.txt")
    shown = client.get(page("/photo.png").split('<img src="')[1].split('"')[0])
    assert (shown.status_code, shown["Content-Type"]) == (200, "image/png")
    with Image.open(io.BytesIO(shown.content)) as small:
        assert max(small.size) <= 640
    assert "There is no preview for this format" in page("/x.pp")
    assert "not a sound" in page("/broken.nc")
    assert "Try again" in page("/broken.nc")
    page("/absent.nc", 404)
    told = client.get(f"/api/v1/datasets/{version.dataset.slug}/versions/1/preview?path=/t.csv").json()
    assert (told["status"], told["found"]["columns"]) == ("ready", ["station", "depth"])


def test_nothing_of_a_restricted_file_is_shown_to_who_may_not_have_it(service, publish_real, client, ada, cy, dee):
    version = publish_real(files={"/secret.csv": b"word\nxyzzy\n", "/secret.png": picture()}, policy="restricted")
    for person in (None, cy):
        with pytest.raises(ForbiddenError):
            look(version, "/secret.csv", person)
    granting.grant(version.dataset, principal_type="identity", principal=ada.pk, granted_by=dee)
    read(look(version, "/secret.csv", ada), "ready")
    image = read(look(version, "/secret.png", ada), "ready")
    address = reverse("analysis:file", args=[version.dataset.slug, version.number]) + "?path=/secret.csv"
    api = f"/api/v1/datasets/{version.dataset.slug}/versions/1/preview?path=/secret.csv"
    assert image.document["kind"] == "image"
    pictured = reverse("analysis:file-picture", args=[version.dataset.slug, version.number]) + "?path=/secret.png"
    for person, status in ((None, 403), (cy, 403), (ada, 200)):
        if person:
            client.force_login(person)
        for place in (address, api, pictured):
            answer = client.get(place)
            assert answer.status_code == status, place
            assert (b"xyzzy" in answer.content) == (status == 200 and place != pictured)
    draft = publishing.open_draft(version.dataset, user=dee)
    of_the_draft = reverse("analysis:file-picture", args=[version.dataset.slug, draft.number]) + "?path=/secret.png"
    assert client.get(of_the_draft).status_code == 404, "whoever may have a version may not look into the next one"
    granting.revoke(version.dataset.grants.get(), revoked_by=dee)
    for place in (address, api, pictured):
        assert client.get(place).status_code == 403


def test_what_cannot_be_asked_says_why(described, settings, ada):
    version = described()
    settings.GRAPH_URL = ""
    with pytest.raises(ConflictError, match="no service"):
        look(version, "/2020/jan.nc", ada)
    settings.GRAPH_URL = "http://127.0.0.5:9"
    version.locations.update(is_online=False)
    del version.primary_location
    with pytest.raises(ConflictError, match="not on line"):
        look(version, "/2020/jan.nc", ada)


def test_a_service_that_does_not_answer_is_asked_again_and_then_said_so(described, service, settings, ada):
    version = described()
    settings.GRAPH_URL = "http://127.0.0.5:9"
    preview = look(version, "/2020/jan.nc", ada)
    previews.read(preview.pk)
    preview.refresh_from_db()
    assert (preview.status, preview.attempts) == ("waiting", 1)
    FilePreview.objects.filter(pk=preview.pk).update(attempts=previews.MOST_ATTEMPTS)
    assert "not answer" in read(preview, "failed").reason
    assert look(version, "/2020/jan.nc", ada).status == "waiting", "asked again, it is tried again"
