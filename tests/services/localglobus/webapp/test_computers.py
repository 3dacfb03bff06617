"""A computer of one's own by the pages: registered, looked at, shared from."""

import pytest

from tests.services.localglobus.transfer.test_personal import ada, host, laptop
from tests.services.localglobus.webapp.conftest import find, notices

pytestmark = pytest.mark.long

__all__ = ["ada", "host", "laptop"]


def test_a_computer_is_registered_and_its_key_told_once(sites, person):
    visitor = person("ada")
    visitor.open("/file-manager/gcp")
    page = visitor.send("/file-manager/gcp", {"display_name": "Laptop by the pages"})
    key, made = find(r'id="setup-key">([^<]+)<', page.text), find(r"/collections/([0-9a-f-]{36})/overview", page.text)
    assert len(key) > 30
    overview = visitor.open(f"/file-manager/collections/{made}/overview")
    assert "personal computer, not connected" in overview.text
    assert key not in overview.text
    assert "Laptop by the pages" in visitor.open("/collections?list=computers").text
    assert "Laptop by the pages" not in person("cy").open("/collections?q=laptop").text
    assert visitor.open(f"/file-manager?origin_id={made}").status_code >= 400, "nothing is shown of what is not connected"
    visitor.open(f"/file-manager/collections/{made}/overview")
    page = visitor.send(f"/file-manager/collections/{made}/overview", {"act": "delete", "display_name": "Laptop by the pages"})
    assert "is deleted" in notices(page)


def test_a_folder_of_a_connected_computer_is_listed_and_shared(person, host, laptop):
    visitor, cy = person("ada"), person("cy")
    page = visitor.open(f"/file-manager?origin_id={host['id']}&origin_path=/photos/")
    assert "one.txt" in page.text
    assert "one.txt</a>" not in page.text, "no address serves it to a browser"
    visitor.open(f"/file-manager?origin_id={host['id']}&origin_path=/")
    assert "Share /photos/" in visitor.press("share:origin", origin_entry="d:photos").text
    fields = {"collection_id": host["id"], "path": "/photos/", "display_name": "Photos of Ada"}
    page = visitor.send("/file-manager/share", fields)
    assert "was made" in notices(page)
    guest = find(r"/collections/([0-9a-f-]{36})/sharing", str(page.url))
    address = f"/file-manager/collections/{guest}/sharing/add"
    visitor.open(address)
    visitor.send(address, {"principal_type": "identity", "person": "cy@elsewhere.example", "path": "/"})
    assert "one.txt" in cy.open(f"/file-manager?origin_id={guest}").text
    assert "Photos of Ada" in visitor.open(f"/file-manager/collections/{host['id']}/shares").text
