"""What a search costs: no more where thousands of collections stand."""

import uuid

import pytest

from services.localglobus import app
from services.localglobus.auth import identities
from services.localglobus.settings import Settings
from services.localglobus.store import connect
from services.localglobus.transfer.monitoring import MONITOR_ROLES
from services.localglobus.transfer.permissions import person_of
from services.localglobus.transfer.searching import SCOPES, Wanted, looked_after, usable
from services.localglobus.transfer.seeing import search
from tests.services.localglobus.transfer.conftest import NODES

OTHERS = 3000


@pytest.fixture
def db(tmp_path):
    """The demo world, without a server."""
    nodes = {name: f"https://{host}:1" for name, host in NODES.items()}
    _, _, store = app.make_apps(Settings(data=tmp_path, host="127.0.0.2", port=1, portal_url="", graph_url="", nodes=nodes))
    store.close()
    connection = connect(tmp_path / "localglobus.sqlite")
    yield connection
    connection.close()


def add_others(db, *, is_public):
    """Guest collections of strangers, as many as a service of years has."""
    like = db.execute("SELECT * FROM collection WHERE kind = 'guest' LIMIT 1").fetchone()
    names = like.keys()
    rows = [
        {**dict(like), "id": str(uuid.uuid4()), "display_name": f"Causeway copy {n:05}", "owner_id": str(uuid.uuid4())}
        for n in range(OTHERS)
    ]
    rows = [{**row, "is_public": is_public} for row in rows]
    marks = ", ".join(f":{name}" for name in names)
    db.execute("BEGIN")
    db.executemany(f"INSERT INTO collection ({', '.join(names)}) VALUES ({marks})", rows)
    db.execute("COMMIT")
    return rows


def counted(db, act):
    """What the act answers, and how many statements it needed."""
    seen = []
    db.set_trace_callback(seen.append)
    try:
        return act(), len(seen)
    finally:
        db.set_trace_callback(None)


@pytest.mark.parametrize("is_public", [True, False])
@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_a_search_asks_no_more_where_thousands_stand(db, scope, is_public):
    ada = person_of(db, identities.find_by_username(db, "ada@university.example")["id"])

    def look():
        return search(db, ada, Wanted(scope=scope, words=["causeway"] if scope == "all" else []), limit=2, offset=0)

    (before, _), cost = counted(db, look)
    add_others(db, is_public=is_public)
    (after, has_more), cost_among_many = counted(db, look)
    assert cost_among_many <= cost
    assert [each["id"] for each in after] == [each["id"] for each in before]
    assert has_more is (scope == "all")


def test_who_looks_after_some_is_asked_for_those_alone(db):
    dee = person_of(db, identities.find_by_username(db, "dee@archive.example")["id"])

    def look():
        return [each.id for each in looked_after(db, dee, MONITOR_ROLES)]

    before, cost = counted(db, look)
    assert before
    others = add_others(db, is_public=True)
    assert counted(db, look) == (before, cost)
    role = (str(uuid.uuid4()), others[0]["id"], "identity", dee.identity_id, "activity_monitor")
    db.execute("INSERT INTO role VALUES (?, ?, ?, ?, ?)", role)
    assert set(look()) == {*before, others[0]["id"]}


def test_the_last_of_many_is_found_and_no_more_than_the_cap(db):
    ada = person_of(db, identities.find_by_username(db, "ada@university.example")["id"])
    others = add_others(db, is_public=False)
    last = others[-1]["id"]
    db.execute(
        "INSERT INTO access_rule VALUES (?, ?, 'identity', ?, '/', 'r', '2026-01-01', NULL, NULL, NULL)",
        (str(uuid.uuid4()), last, ada.identity_id),
    )
    found, has_more = search(db, ada, Wanted(scope="shared-with-me"), limit=100, offset=0)
    assert ([each["id"] for each in found], has_more) == ([last], False)
    assert last in {each.id for each in usable(db, ada)}
    assert not {each["id"] for each in others[:-1]} & {each.id for each in usable(db, ada)}
    db.execute("UPDATE collection SET is_public = 1")
    found, has_more = search(db, ada, Wanted(words=["copy"]), limit=100, offset=950)
    assert (len(found), has_more) == (50, False), "a search shows a thousand at most"
    words = [last[:8]]
    assert [each["id"] for each in search(db, ada, Wanted(words=words), limit=100, offset=0)[0]] == [last]
