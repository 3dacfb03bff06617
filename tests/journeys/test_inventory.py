"""J4, inventory: a steward scans, accepts the report, publishes; what is lost in the archive is found, told, and found whole again."""

import shutil

import pytest

from services.embedded.main_job import call_api
from tests.journeys.conftest import Person, Site, wait_until

pytestmark = pytest.mark.long
SLUG = "inventory-of-a-test"
VERSION = f"datasets/{SLUG}/versions/1/"
FORGET = "from datasets.models import Dataset; Dataset.objects.filter(slug='{}').delete()"


@pytest.fixture
def folder(site: Site):
    """A folder of the archive's collection, which is gone afterwards together with its dataset."""
    place = site.stack.places.archive / "data" / SLUG
    place.mkdir()
    for name in ("a", "b"):
        (place / f"{name}.txt").write_text(name)
    yield place
    site.manage("shell", "-c", FORGET.format(SLUG))
    shutil.rmtree(place)


def scan(ben: Person, *statuses: str) -> dict:
    """The version's newest scan once it is in one of the states."""

    def look() -> object:
        newest = ben.api(f"{VERSION}scans/")["results"][0]
        return newest if newest["status"] in statuses else None

    return wait_until(look, f"a scan that is {statuses}")


def test_j4_a_report_is_accepted_and_what_is_lost_later_is_found(site: Site, folder):
    ben = site.person("ben")
    made = {"slug": SLUG, "title": "Inventory of a test", "abstract": "For a journey.", "access_policy": "restricted"}
    ben.api("datasets/", made, expected=201)
    place = {"collection_id": site.stack.globus_environment["CAUSEWAY_ARCHIVE_COLLECTION"], "base_path": f"/{SLUG}/"}
    call_api(ben.visitor, f"{VERSION}location/", place, method="PUT", expected=200)
    ben.api(f"{VERSION}scans/", {})
    assert scan(ben, "done", "failed")["n_new"] == 2

    (folder / "c.txt").write_text("c")
    (folder / "b.txt").unlink()
    ben.api(f"{VERSION}scans/", {})
    reported = scan(ben, "reported", "done", "failed")
    page = ben.open(f"/steward/datasets/{SLUG}/scans/{reported['id']}/")
    assert "/c.txt" in page.text
    ben.submit(page, "Accept")
    assert (scan(ben, "done", "failed")["n_inspected"], ben.api(VERSION)["n_files"]) == (1, 2)
    ben.api(f"{VERSION}publication/", {}, expected=201)

    call_api(ben.visitor, f"datasets/{SLUG}/watch/", {"verify_every": "monthly"}, method="PATCH", expected=200)
    (folder / "c.txt").unlink()
    call_api(ben.visitor, f"datasets/{SLUG}/watch/", {"rescan_every": "daily"}, method="PATCH", expected=200)
    wait_until(lambda: ben.api(f"{VERSION}damage/")["damage"] == "1 file is gone", "the damage")
    wait_until(lambda: site.mails(f"datasets/{SLUG}/damage/"), "the mail of the alarm")
    (folder / "c.txt").write_text("c")
    ben.submit(ben.open(f"/datasets/{SLUG}/damage/"), "Check the published files")
    wait_until(lambda: ben.api(f"{VERSION}damage/")["damage"] == "", "the end of the alarm")
    (alarm,) = ben.api(f"{VERSION}damage/")["alarms"]
    assert alarm["lifted_as"] == "whole"
    wait_until(lambda: ben.api(f"datasets/{SLUG}/watch/")["n_to_verify"] == 2, "the first count of fixity")
