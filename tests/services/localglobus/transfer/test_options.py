"""Every option of a transfer document does on the nodes what it says, asked for by the unmodified TransferClient."""

import hashlib
import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from globus_sdk import DeleteData, TransferAPIError, TransferData

from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long


@pytest.fixture
def portal(sites):
    return sites.service("portal")


@pytest.fixture
def copy(sites, portal, folder):
    """Copies `/<folder>/from/` to `/<folder>/to/` in the shares; the task when it has ended."""
    (folder / "from/deep").mkdir(parents=True)

    def run(*items, filters=(), client=portal, **options):
        share = sites.collection("share")
        asked = TransferData(share, share, **options)
        for item in items or [("from/", "to/", {"recursive": True})]:
            source, target, more = (*item, {})[:3]
            asked.add_item(f"/{folder.name}/{source}", f"/{folder.name}/{target}", **more)
        for method, name, kind in filters:
            asked.add_filter_rule(name, method=method, **({"type": kind} if kind else {}))
        task_id = client.submit_transfer(asked)["task_id"]
        return wait_until(lambda: (task := client.get_task(task_id).data)["completion_time"] and task)

    return run


def age(path, seconds):
    status = path.stat()
    os.utime(path, (status.st_atime, status.st_mtime - seconds))


@pytest.mark.parametrize(
    ("level", "copied"),
    [
        (None, {"same", "shorter", "older", "newer", "changed", "new"}),
        ("exists", {"new"}),
        ("size", {"new", "shorter"}),
        ("mtime", {"new", "shorter", "older"}),
        ("checksum", {"new", "shorter", "older", "newer", "changed"}),
    ],
)
def test_sync_level_says_which_files_are_copied(portal, folder, copy, level, copied):
    source, target = folder / "from", folder / "to"
    target.mkdir()
    for name in ("same", "shorter", "older", "newer", "changed", "new"):
        (source / name).write_text(f"the {name} one")
        if name != "new":
            (target / name).write_text(f"the {name} one" if name == "same" else "?" * len(f"the {name} one"))
    (target / "shorter").write_text("short")
    for name in ("same", "changed", "newer"):
        age(source / name, 100)
    age(target / "older", 100)
    task = copy(sync_level=level)
    moved = {row["destination_path"].rpartition("/")[2] for row in portal.task_successful_transfers(task["task_id"])}
    assert moved == copied
    assert (task["status"], task["files"], task["files_skipped"]) == ("SUCCEEDED", 6, 6 - len(copied))


def test_times_are_kept_when_asked(folder, copy):
    (folder / "from/old").write_text("old")
    age(folder / "from/old", 10**8)
    copy(("from/old", "kept"), preserve_timestamp=True)
    copy(("from/old", "fresh"))
    assert int((folder / "kept").stat().st_mtime) == int((folder / "from/old").stat().st_mtime)
    assert (folder / "fresh").stat().st_mtime > (folder / "kept").stat().st_mtime + 10**7


def test_filter_rules_choose_by_the_first_that_matches(folder, copy):
    for name in ("keep.nc", "drop.tmp", "deep/also.nc", "deep/keep.tmp"):
        (folder / "from" / name).write_text(name)
    (folder / "from/skipped").mkdir()
    (folder / "from/skipped/file.nc").write_text("x")
    copy(filters=[("include", "keep.*", "file"), ("exclude", "*.tmp", "file"), ("exclude", "skipped", "dir")])
    found = {path.relative_to(folder / "to").as_posix() for path in (folder / "to").rglob("*") if path.is_file()}
    assert found == {"keep.nc", "deep/also.nc", "deep/keep.tmp"}


def test_what_the_source_has_not_goes_when_asked(folder, copy):
    (folder / "from/a").write_text("a")
    (folder / "to/old").mkdir(parents=True)
    (folder / "to/old/b").write_text("b")
    copy()
    assert (folder / "to/old/b").exists()
    copy(delete_destination_extra=True)
    assert sorted(path.name for path in (folder / "to").iterdir()) == ["a", "deep"]


def test_source_errors_are_passed_over_and_told(portal, folder, copy):
    (folder / "from/a").write_text("a")
    task = copy(("from/a", "to/a"), ("from/none", "to/none"), skip_source_errors=True)
    assert (task["status"], task["files_transferred"], task["subtasks_skipped_errors"]) == ("SUCCEEDED", 1, 1)
    (skipped,) = portal.task_skipped_errors(task["task_id"])
    assert (skipped["error_code"], skipped["source_path"]) == ("FILE_NOT_FOUND", f"/{folder.name}/from/none")


@pytest.mark.parametrize("algorithm", ["MD5", "SHA1", "SHA-256", "sha512", None])
def test_external_checksum_is_what_must_arrive(folder, copy, algorithm):
    """A small file and one that comes in pieces."""
    large = os.urandom(17 << 20)
    (folder / "from/a").write_text("a")
    (folder / "from/large").write_bytes(large)
    named = {} if algorithm is None else {"checksum_algorithm": algorithm}
    right = [hashlib.new((algorithm or "MD5").replace("-", ""), body).hexdigest() for body in (b"a", large)]
    good = copy(
        ("from/a", "a", {"external_checksum": right[0].upper(), **named}),
        ("from/large", "large", {"external_checksum": right[1], **named}),
        verify_checksum=True,
    )
    assert good["status"] == "SUCCEEDED"
    for name, other in (("a", right[1]), ("large", right[0])):
        bad = copy((f"from/{name}", "wrong", {"external_checksum": other, **named}), verify_checksum=True)
        assert (bad["status"], bad["fatal_error"]["code"]) == ("FAILED", "EXTERNAL_CHECKSUM_MISMATCH")
        assert not (folder / "wrong").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"external_checksum": hashlib.sha256(b"a").hexdigest()}, "taken for MD5"),
        ({"external_checksum": hashlib.sha256(b"a").hexdigest(), "checksum_algorithm": "SHA512"}, "128 digits"),
        ({"external_checksum": "a", "checksum_algorithm": "SHA256"}, "in hexadecimal"),
        ({"external_checksum": hashlib.sha256(b"a").hexdigest(), "checksum_algorithm": "CRC"}, "none of MD5"),
        ({"checksum_algorithm": "nonsense"}, "none of MD5"),
    ],
)
def test_checksums_that_are_not_compared_are_refused_in_words(portal, sites, folder, given, words):
    share = sites.collection("share")
    asked = TransferData(share, share)
    asked.add_item(f"/{folder.name}/a", f"/{folder.name}/b", **given)
    with pytest.raises(TransferAPIError) as refused:
        portal.submit_transfer(asked)
    assert (refused.value.http_status, refused.value.code) == (400, "BadRequest")
    assert words in refused.value.message


def test_algorithm_without_a_checksum_is_taken(folder, copy):
    (folder / "from/a").write_text("a")
    assert copy(("from/a", "right", {"checksum_algorithm": "MD5"}), verify_checksum=True)["status"] == "SUCCEEDED"


@pytest.fixture
def full_disk(sites):
    sites.node_fault("archive", kind="write", no_space=True, times=10_000)
    yield
    sites.clear_node_faults("archive")


def test_full_disk_is_waited_for_or_fails_at_once_when_asked(sites, portal, folder, copy, full_disk):
    (folder / "from/a").write_text("a")
    failed = copy(("from/a", "failed"), fail_on_quota_errors=True)
    assert (failed["status"], failed["fatal_error"]["code"]) == ("FAILED", "NO_SPACE_LEFT")
    asked = TransferData(sites.collection("share"), sites.collection("share"))
    asked.add_item(f"/{folder.name}/from/a", f"/{folder.name}/waits")
    task_id = portal.submit_transfer(asked)["task_id"]
    wait_until(lambda: portal.get_task(task_id)["nice_status"] == "NO_SPACE_LEFT")
    assert portal.get_task(task_id)["status"] == "ACTIVE"
    sites.clear_node_faults("archive")
    wait_until(lambda: portal.get_task(task_id)["status"] == "SUCCEEDED")


def link_about(sites, folder):
    """Links of every kind in `/<folder>/from/`: to a file, to a folder, back up, out of the collection, and to what is not there."""
    (folder / "from/a").write_text("a")
    (folder / "beside").mkdir()
    (folder / "beside/b").write_text("b")
    for name, target in {"file": "a", "tree": "../beside", "back": "..", "out": sites.root("archive") / "data", "none": "nowhere"}.items():
        (folder / "from" / name).symlink_to(target)


def arrived(folder):
    return sorted(path.relative_to(folder / "to").as_posix() for path in (folder / "to").rglob("*"))


def test_symbolic_links_in_folders_are_left_out(sites, folder, copy):
    link_about(sites, folder)
    task = copy()
    assert (task["status"], task["files"], task["recursive_symlinks"]) == ("SUCCEEDED", 1, "ignore")
    assert arrived(folder) == ["a", "deep"]


def test_symbolic_links_in_folders_are_copied_as_what_they_lead_to(sites, folder, copy):
    link_about(sites, folder)
    (folder / "from/back").unlink()
    task = copy(additional_fields={"recursive_symlinks": "copy"})
    assert (task["status"], task["recursive_symlinks"]) == ("SUCCEEDED", "copy")
    assert arrived(folder) == ["a", "deep", "file", "tree", "tree/b"]
    assert not any(path.is_symlink() for path in (folder / "to").rglob("*"))
    assert [(folder / "to" / name).read_text() for name in ("file", "tree/b")] == ["a", "b"]


def test_links_are_followed_neither_in_circles_nor_where_the_owner_may_not_read(sites, folder, copy):
    ada, share = sites.person("ada"), sites.collection("share")
    (folder / "from/a").write_text("a")
    (folder / "from/circle").symlink_to(".")
    (folder / "from/deep/up").symlink_to("..")
    (folder / "closed").mkdir()
    (folder / "closed/secret").write_text("secret")
    (folder / "from/link").symlink_to("../closed")
    (folder / "from/file").symlink_to("../closed/secret")
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": sites.identity("ada@university.example")}
    for name, permissions in (("from", "r"), ("to", "rw")):
        wish = {**rule, "path": f"/{folder.name}/{name}/", "permissions": permissions}
        sites.service("portal").add_endpoint_acl_rule(share, wish)
    task = copy(client=ada, additional_fields={"recursive_symlinks": "copy"})
    assert task["status"] == "SUCCEEDED"
    assert arrived(folder) == ["a", "deep"]


def test_links_are_followed_between_two_nodes(sites, folder):
    campus, ada = sites.collection("campus"), sites.person("ada", data_access="campus")
    home = sites.root("campus") / "home/ada" / folder.name
    (home / "from").mkdir(parents=True)
    (home / "real").write_text("real")
    (home / "from/link").symlink_to("../real")
    (home / "from/out").symlink_to("/etc")
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": sites.identity("ada@university.example")}
    wish = {**rule, "path": f"/{folder.name}/", "permissions": "rw"}
    sites.service("portal").add_endpoint_acl_rule(sites.collection("share"), wish)
    asked = TransferData(campus, sites.collection("share"), additional_fields={"recursive_symlinks": "copy"})
    asked.add_item(f"/~/{folder.name}/from/", f"/{folder.name}/to/", recursive=True)
    task_id = ada.submit_transfer(asked)["task_id"]
    wait_until(lambda: ada.get_task(task_id)["status"] == "SUCCEEDED")
    assert arrived(folder) == ["link"]
    assert (folder / "to/link").read_text() == "real"
    shutil.rmtree(home)


def test_links_are_kept_as_links_that_lead_nowhere_out_of_what_is_copied(sites, folder, copy):
    (folder / "from/a").write_text("a")
    (folder / "from/deep/up").symlink_to("../a")
    (folder / "from/later").symlink_to("not/there/yet")
    (folder / "from/tree").symlink_to("deep")
    task = copy(additional_fields={"recursive_symlinks": "keep"})
    assert (task["status"], task["files_transferred"], task["recursive_symlinks"], task["symlinks"]) == ("SUCCEEDED", 1, "keep", 3)
    assert arrived(folder) == ["a", "deep", "deep/up", "later", "tree"]
    kept = {path.relative_to(folder / "to").as_posix(): str(path.readlink()) for path in (folder / "to").rglob("*") if path.is_symlink()}
    assert kept == {"deep/up": "../a", "later": "not/there/yet", "tree": "deep"}
    (folder / "from/later").unlink()
    (folder / "from/later").symlink_to("a")
    again = copy(additional_fields={"recursive_symlinks": "keep"}, delete_destination_extra=True)
    assert (again["status"], again["symlinks"], arrived(folder)) == ("SUCCEEDED", 3, ["a", "deep", "deep/up", "later", "tree"])
    assert str((folder / "to/later").readlink()) == "a"


def test_a_link_that_leads_out_is_not_kept_and_fails_by_itself(sites, folder, copy):
    (folder / "from/a").write_text("a")
    (folder / "from/out").symlink_to("../beside")
    (folder / "from/deep/host").symlink_to("/etc/passwd")
    (folder / "to").mkdir()
    (folder / "to/taken").write_text("mine")
    (folder / "from/taken").symlink_to("a")
    task = copy(additional_fields={"recursive_symlinks": "keep"})
    assert (task["status"], task["files_transferred"], task["symlinks"]) == ("FAILED", 1, 0)
    assert arrived(folder) == ["a", "deep", "taken"]
    assert (folder / "to/taken").read_text() == "mine"


def test_what_becomes_of_links_is_one_of_three(sites, portal, copy):
    for wish in ("follow", 3):
        with pytest.raises(TransferAPIError) as refused:
            copy(additional_fields={"recursive_symlinks": wish})
        assert (refused.value.http_status, refused.value.code) == (400, "BadRequest")
    asked = TransferData(sites.collection("share"), sites.collection("share"))
    asked["DATA"] = [{"DATA_TYPE": "transfer_symlink_item", "source_path": "/a", "destination_path": "/b"}]
    with pytest.raises(TransferAPIError) as refused:
        portal.submit_transfer(asked)
    assert refused.value.http_status == 400


def test_local_user_is_one_of_the_callers_own_accounts(sites, folder):
    campus, ada = sites.collection("campus"), sites.person("ada", data_access="campus")
    assert ada.operation_ls(campus, "/~/", local_user="ada")["path"] == "/home/ada/"
    for act in (
        lambda: ada.operation_ls(campus, "/~/", local_user="root"),
        lambda: ada.operation_stat(campus, "/~/", local_user="root"),
        lambda: ada.operation_mkdir(campus, "/~/made", local_user="root"),
        lambda: ada.operation_rename(campus, "/~/a", "/~/b", local_user="root"),
        lambda: ada.submit_delete({**DeleteData(endpoint=campus, local_user="root"), "DATA": [{"path": "/~/x"}]}),
    ):
        with pytest.raises(TransferAPIError) as refused:
            act()
        assert (refused.value.http_status, refused.value.code) == (403, "EndpointPermissionDenied")
    with pytest.raises(TransferAPIError) as refused:
        sites.service("portal").operation_ls(sites.collection("share"), "/", local_user="causeway")
    assert (refused.value.http_status, refused.value.code) == (400, "BadRequest")
    asked = TransferData(campus, campus, source_local_user="ada", destination_local_user="root")
    asked.add_item("/~/a", "/~/b")
    with pytest.raises(TransferAPIError) as refused:
        ada.submit_transfer(asked)
    assert refused.value.code == "EndpointPermissionDenied"


def test_a_hundred_tasks_wait_and_no_more(sites, folder):
    graph, results = sites.service("graph"), sites.root("archive") / "results"
    (results / folder.name).write_text("x")
    sites.fault(kind="node.ticket", times=100_000, error={"http_status": 503, "code": "ServiceUnavailable", "message": "busy"})
    made = []

    def submit():
        asked = TransferData(sites.collection("results"), sites.collection("results"))
        asked.add_item(f"/{folder.name}", f"/{folder.name}.copy")
        made.append(graph.submit_transfer(asked)["task_id"])

    for _ in range(100):
        submit()
    with pytest.raises(TransferAPIError) as refused:
        submit()
    assert (refused.value.http_status, refused.value.code) == (409, "LimitExceeded")
    assert graph.get_task(made[99])["nice_status"] == "Queued"
    for each in reversed(made):  # the queued ones first, so that none is begun
        graph.cancel_task(each)
    sites.clear_faults()
    submit()
    wait_until(lambda: graph.get_task(made[-1])["status"] == "SUCCEEDED")
    for name in (folder.name, f"{folder.name}.copy"):
        (results / name).unlink()


def test_owner_puts_off_the_deadline_of_a_copy_under_way(sites, portal, folder):
    share = sites.collection("share")
    asked = TransferData(share, share)
    asked.add_item(f"/{folder.name}/comes-later", f"/{folder.name}/copied")
    task_id = portal.submit_transfer(asked)["task_id"]
    wait_until(lambda: portal.get_task(task_id)["nice_status"] == "FILE_NOT_FOUND")
    late = datetime.now(UTC) + timedelta(seconds=10)
    for deadline in (late, late + timedelta(days=1)):
        portal.update_task(task_id, {"DATA_TYPE": "task", "deadline": deadline.isoformat(timespec="seconds")})
    wait_until(lambda: datetime.now(UTC) > late + timedelta(seconds=2))
    assert portal.get_task(task_id)["status"] == "ACTIVE"
    (folder / "comes-later").write_text("here")
    wait_until(lambda: portal.get_task(task_id)["status"] == "SUCCEEDED")
    assert (folder / "copied").read_text() == "here"
