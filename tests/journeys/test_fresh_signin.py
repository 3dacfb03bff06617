"""A collection that lets nobody in without a second factor: she is led to Globus and back, and what she began goes on."""

import uuid
from urllib.parse import urlsplit

import pytest

from tests.journeys import second_factor
from tests.journeys.conftest import Person, Site
from tests.transfers.guarded import guarded_collection


@pytest.fixture
def guarded(site: Site, monkeypatch: pytest.MonkeyPatch):
    """A collection of a new folder of the archive, and that folder."""
    environment = site.stack.globus_environment
    for name, value in environment.items():
        if name.startswith("GLOBUS_SDK_"):
            monkeypatch.setenv(name, value)
    folder = site.stack.places.archive / "shares" / uuid.uuid4().hex
    folder.mkdir()
    with guarded_collection(environment, f"/shares/{folder.name}/") as collection:
        yield collection, folder


@pytest.fixture
def dee(site: Site):
    """In a browser of her own, whose session no other test gave a second factor."""
    person = site.new_person("dee")
    yield person
    site.empty_basket(person)
    person.visitor.close()


def test_she_signs_in_anew_where_the_collection_wants_it_and_her_files_arrive(site: Site, dee: Person, guarded):
    collection, folder = guarded
    site.empty_basket(dee)
    dee.submit(dee.open("/datasets/um-sea-ice-velocity/files/"), "Add the ticked", folder="/1893/")
    page = dee.open(f"/send/review/?collection={collection}&path=/")
    if "Your permission is needed" in page.text:  # to transfer at all: the first time that she sends something
        page = dee.submit(page, "Continue to Globus")
    assert "A fresh sign-in is needed" in page.text
    assert "A second factor" in page.text
    page, met = second_factor.pass_globus(dee.visitor, dee.visitor.submit(page, "Continue to Globus"), person=dee.identity)
    assert "second factor" in met
    assert urlsplit(page.url).path == "/send/review/"
    page = dee.submit(page, "Send ", path="/")
    request_id = urlsplit(page.url).path.strip("/").rpartition("/")[2]
    done = dee.wait(request_id, "sent", "failed", "needs-sign-in")
    assert done["status"] == "sent", done
    assert any(path.is_file() for path in folder.rglob("*"))
