"""Listing, looking, making and renaming through the API, down to the node's disk."""

from datetime import UTC, datetime, timedelta

import pytest
from globus_sdk import DeleteData, TransferAPIError, TransferData

from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long


@pytest.fixture
def portal(sites):
    return sites.service("portal")


@pytest.fixture
def share(sites):
    return sites.collection("share")


def test_ls_filters_orders_and_pages(portal, share, folder):
    for name, size in (("b.txt", 3), ("a.nc", 2), ("c.nc", 1), (".hidden", 0)):
        (folder / name).write_bytes(b"x" * size)
    (folder / "sub").mkdir()
    path = f"/{folder.name}/"

    def names(**query):
        return [entry["name"] for entry in portal.operation_ls(share, path=path, **query)]

    assert names(orderby="name") == [".hidden", "a.nc", "b.txt", "c.nc", "sub"]
    assert names(orderby="name", show_hidden=False) == ["a.nc", "b.txt", "c.nc", "sub"]
    assert names(filter="name:~*.nc", orderby="size DESC") == ["a.nc", "c.nc"]
    assert names(filter=["name:~*.txt", "type:dir"], orderby="name") == ["b.txt", "sub"]
    assert names(filter={"type": "file", "name": "!~*.nc"}, orderby="name") == [".hidden", "b.txt"]
    assert names(orderby=["type DESC", "name"], limit=2, offset=1) == ["a.nc", "b.txt"]
    page = portal.operation_ls(share, path=path, limit=2)
    assert (page["length"], page["total"], page["path"]) == (2, 5, path)
    entry = next(iter(portal.operation_ls(share, path=path, filter="name:a.nc")))
    assert entry["last_modified"].endswith("+00:00")
    assert " " in entry["last_modified"]


@pytest.mark.parametrize("query", [{"filter": "owner:x"}, {"orderby": "colour"}, {"limit": 0}, {"offset": -1}])
def test_ls_refuses_a_query_that_it_does_not_know(portal, share, query):
    with pytest.raises(TransferAPIError) as refused:
        portal.operation_ls(share, path="/", **query)
    assert (refused.value.http_status, refused.value.code) == (400, "BadRequest")


@pytest.mark.parametrize("path", ["/../data/", "/a/../../data/", "..", "data", "/a\nb/", "/a\0b/", "/~/"])
def test_path_that_could_lead_out_is_refused(portal, share, path):
    with pytest.raises(TransferAPIError) as refused:
        portal.operation_ls(share, path=path)
    assert (refused.value.http_status, refused.value.code) == (400, "InvalidPath")


def test_symbolic_link_leads_nowhere_outside(portal, share, sites, folder):
    (folder / "out").symlink_to(sites.root("archive") / "data/closed")
    (folder / "up.nc").symlink_to("../../data/closed/secret.nc")
    with pytest.raises(TransferAPIError) as refused:
        portal.operation_ls(share, path=f"/{folder.name}/out/")
    assert refused.value.http_status in {403, 404}
    with pytest.raises(TransferAPIError) as refused:
        portal.operation_stat(share, path=f"/{folder.name}/up.nc")
    assert refused.value.http_status in {403, 404}


@pytest.fixture
def linked(sites, share, folder):
    """Ada may write `mine`, not `theirs`; links in hers lead to both and above."""
    for name in ("mine", "theirs"):
        (folder / name).mkdir()
        (folder / name / f"{name}.nc").write_text(name)
    for name, target in (("other", "../theirs"), ("file", "../theirs/theirs.nc"), ("own", "mine.nc"), ("up", "..")):
        (folder / "mine" / name).symlink_to(target)
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": sites.identity("ada@university.example")}
    sites.service("portal").add_endpoint_acl_rule(share, {**rule, "path": f"/{folder.name}/mine/", "permissions": "rw"})
    return f"/{folder.name}/mine"


def test_symbolic_link_leads_to_no_share_of_somebody_else(sites, share, folder, linked):
    ada = sites.person("ada")
    for act in (
        lambda: ada.operation_ls(share, path=f"{linked}/other/"),
        lambda: ada.operation_stat(share, path=f"{linked}/file"),
        lambda: ada.operation_mkdir(share, f"{linked}/other/new/"),
        lambda: ada.operation_rename(share, f"{linked}/mine.nc", f"{linked}/other/mine.nc"),
        lambda: ada.operation_rename(share, f"{linked}/other/theirs.nc", f"{linked}/got.nc"),
    ):
        with pytest.raises(TransferAPIError) as refused:
            act()
        assert (refused.value.http_status, refused.value.code) == (403, "EndpointPermissionDenied")
    assert [entry["name"] for entry in ada.operation_ls(share, path=f"{linked}/up/")] == ["mine"], "the way to what is hers, no more"
    assert {entry["name"]: (entry["type"], entry["size"]) for entry in ada.operation_ls(share, path=f"{linked}/")} == {
        "mine.nc": ("file", 4), "own": ("file", 4), "up": ("dir", folder.stat().st_size),
        **{name: ("invalid_symlink", (folder / "mine" / name).lstat().st_size) for name in ("other", "file")},
    }  # fmt: skip
    assert ada.operation_stat(share, path=f"{linked}/own")["size"] == 4


def test_tasks_write_and_delete_nothing_behind_a_link(sites, share, folder, linked):
    ada = sites.person("ada")
    copy = TransferData(share, share, verify_checksum=False, deadline=datetime.now(UTC) + timedelta(seconds=8))
    copy.add_item(f"{linked}/mine.nc", f"{linked}/other/planted.nc")
    deletion = DeleteData(share)
    deletion.add_item(f"{linked}/other/theirs.nc")
    tasks = [ada.submit_delete(deletion)["task_id"], ada.submit_transfer(copy)["task_id"]]
    assert [wait_until(lambda task=task: ended(ada, task)) for task in tasks] == ["FAILED", "FAILED"]
    assert [path.name for path in (folder / "theirs").iterdir()] == ["theirs.nc"]


def test_a_copy_tells_no_names_behind_a_link(sites, share, folder, linked):
    ada = sites.person("ada")
    copy = TransferData(share, share, deadline=datetime.now(UTC) + timedelta(seconds=8))
    copy.add_item(f"{linked}/other/", f"{linked}/got/", recursive=True)
    task = ada.submit_transfer(copy)["task_id"]
    assert wait_until(lambda: ended(ada, task)) == "FAILED"
    assert "theirs.nc" not in str(ada.task_event_list(task, limit=100))
    assert not list(folder.glob("mine/got/*"))


def ended(client, task):
    status = client.get_task(task)["status"]
    return status if status != "ACTIVE" else None


def test_ls_of_nothing_and_of_a_file(portal, share, folder):
    with pytest.raises(TransferAPIError) as missing:
        portal.operation_ls(share, path=f"/{folder.name}/none/")
    assert (missing.value.http_status, missing.value.code) == (404, "ClientError.NotFound")
    (folder / "file").write_text("x")
    with pytest.raises(TransferAPIError) as file:
        portal.operation_ls(share, path=f"/{folder.name}/file/")
    assert (file.value.http_status, file.value.code) == (502, "ExternalError.DirListingFailed.NotDirectory")


def test_mkdir_stat_and_rename(portal, share, folder):
    made = portal.operation_mkdir(share, f"/{folder.name}/new/")
    assert (made.http_status, made["code"]) == (202, "DirectoryCreated")
    assert portal.operation_stat(share, f"/{folder.name}/new")["type"] == "dir"
    with pytest.raises(TransferAPIError) as refused:
        portal.operation_mkdir(share, f"/{folder.name}/new/")
    assert "MkdirFailed.Exists" in refused.value.code
    portal.operation_rename(share, f"/{folder.name}/new/", f"/{folder.name}/newer/")
    assert (folder / "newer").is_dir()
    assert not (folder / "new").exists()
    with pytest.raises(TransferAPIError) as refused:
        portal.operation_stat(share, f"/{folder.name}/new")
    assert (refused.value.http_status, refused.value.code) == (404, "NotFound")


def test_reader_may_not_write(sites, share, folder):
    ada, rule = (
        sites.person("ada"),
        {"DATA_TYPE": "access", "principal_type": "all_authenticated_users", "principal": "", "path": f"/{folder.name}/"},
    )
    sites.service("portal").add_endpoint_acl_rule(share, {**rule, "permissions": "r"})
    with pytest.raises(TransferAPIError) as refused:
        ada.operation_mkdir(share, f"/{folder.name}/mine/")
    assert (refused.value.http_status, refused.value.code) == (403, "EndpointPermissionDenied")
    assert list(folder.iterdir()) == []


def test_node_out_of_reach_is_said_and_not_repeated(own_sites):
    own_sites.stop_node("campus")
    with pytest.raises(TransferAPIError) as refused:
        own_sites.person("ada", data_access="campus").operation_ls(own_sites.collection("campus"))
    assert (refused.value.http_status, refused.value.code) == (502, "ExternalError.DirListingFailed.ConnectFailed")
