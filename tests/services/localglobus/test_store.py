import asyncio
import sqlite3

import pytest

from services.localglobus.store import Store, StoreVersionError

SCHEMA = "create table if not exists thing (name text primary key);"


def add(connection, name):
    connection.execute("insert into thing values (?)", (name,))
    return name


def names(connection):
    return [row["name"] for row in connection.execute("select name from thing order by name")]


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "db", [SCHEMA])
    yield store
    store.close()


def test_a_write_that_raises_leaves_nothing_behind(store):
    def add_and_fail(connection):
        add(connection, "half")
        raise ValueError("no")

    async def act():
        with pytest.raises(ValueError, match="no"):
            await store.write(add_and_fail)
        await store.write(add, "whole")
        return await store.read(names)

    assert asyncio.run(act()) == ["whole"]


def test_reads_see_every_write_answered_before_and_cannot_write(store):
    async def act():
        for number in range(50):
            await store.write(add, f"{number:02}")
            assert len(await store.read(names)) == number + 1
        with pytest.raises(sqlite3.OperationalError):
            await store.read(add, "by a reader")
        return len(await store.read(names))

    assert asyncio.run(act()) == 50


def test_concurrent_writes_all_happen_once(store):
    async def act():
        await asyncio.gather(*(store.write(add, f"{number:03}") for number in range(200)))
        return await store.read(names)

    assert asyncio.run(act()) == [f"{number:03}" for number in range(200)]


def test_a_file_of_a_newer_program_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "db") as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(StoreVersionError):
        Store(tmp_path / "db", [SCHEMA])


def test_what_was_answered_is_durable_by_settings(store):
    assert store.write_now(lambda connection: connection.execute("pragma synchronous").fetchone()[0]) == 2
    assert store.write_now(lambda connection: connection.execute("pragma journal_mode").fetchone()[0]) == "wal"
