"""Where the page before a page of a folder begins, so that a long folder is read upwards too: by keys backwards, not from the start."""

# ruff: noqa: S608  (statements are put together from constants of this app; every value is a parameter)

from typing import Any

from django.db import connection

from datasets.files import STATE, VALID, WALKED, FileQuery, source_of
from datasets.files.filters import FileFilter
from datasets.models import Version

HIGHEST = "\U0010ffff"  # after every name, in byte order


def page_before(
    version: Version, path: str, after: str, limit: int, *, glob: str = "", filters: FileFilter | None = None, availability: str = ""
) -> str:
    """The `after` of the page that ends with the entry `after`, for `files.list_folder` with the same folder, limit and search.

    Empty for the first page, which may reach further than that entry.
    """
    cold = [one for one in version.cold_folders if one.startswith(path)] if availability else []
    if glob or filters:
        asked = filters or FileFilter()
        without = tuple(cold) if availability == "online" else ()
        bounds = FileFilter(**{**vars(asked), "without": (*asked.without, *without)})
        folders = tuple(cold) if cold and availability == "cold" else (path,)
        keys = _found(version, FileQuery(folders, (glob,) if glob else (), filters=bounds), after, limit + 1)
    else:
        parts = [one.removeprefix(path).rstrip("/").split("/") for one in cold]
        names = [part[0] for part in parts if availability == "cold" or len(part) == 1]
        keys = _listed(version, path, after, limit + 1, names, is_chosen=availability == "cold" and bool(cold))
    return keys[limit] if len(keys) > limit else ""


def _listed(version: Version, path: str, after: str, most: int, names: list[str], *, is_chosen: bool) -> list[str]:
    """Up to `most` entries of a folder from `after` backwards: files, then folders."""
    is_file = not after.endswith("/")
    name = after.rstrip("/").rpartition("/")[2]
    keys = {"dataset": version.dataset_id, "version": version.number, "path": path, "names": names, "is_chosen": is_chosen}
    here = "(select id from datasets_folder where dataset_id = %(dataset)s and path = %(path)s)"
    found: list[str] = []
    if is_file:
        sql = f"select fi.name from datasets_file fi where fi.folder_id = {here} and {VALID} and fi.name <= %(name)s"
        found = [path + row[0] for row in _rows(f"{sql} order by fi.name desc limit %(most)s", {**keys, "name": name, "most": most})]
    if len(found) < most:
        chosen = "and (f.name = any(%(names)s::text[])) = %(is_chosen)s" if names else ""
        sql = (
            f"select f.name from datasets_folder f {STATE} where f.parent_id = {here} and state.n_files > 0 and f.name <= %(name)s {chosen}"
        )
        asked = {**keys, "name": HIGHEST if is_file else name, "most": most - len(found)}
        found += [f"{path}{row[0]}/" for row in _rows(f"{sql} order by f.name desc limit %(most)s", asked)]
    return found


def _found(version: Version, query: FileQuery, after: str, most: int) -> list[str]:
    """Up to `most` files of a search from `after` backwards."""
    source, where, parameters = source_of(version, query)
    folder, _, name = after.rpartition("/")
    keys = {**parameters, "folder": f"{folder}/", "name": name, "most": most}
    if source != WALKED:
        sql = f"""
            select f.path || fi.name from {source} where {where} and (f.path, fi.name) <= (%(folder)s, %(name)s)
            order by f.path desc, fi.name desc limit %(most)s"""
        return [row[0] for row in _rows(sql, keys)]
    found: list[str] = []
    for step, highest in (("f.path = %(folder)s", name), ("f.path < %(folder)s", HIGHEST)):
        sql = f"""
            select f.path || page.name from datasets_folder f
            cross join lateral (
                select fi.name from datasets_file fi where fi.folder_id = f.id and fi.name <= %(name)s and {where}
                order by fi.name desc limit %(most)s
            ) page
            where {step} and f.dataset_id = %(dataset)s and f.path >= %(lowest)s and f.path < %(highest)s
            order by f.path desc, page.name desc limit %(most)s"""
        found += [row[0] for row in _rows(sql, {**keys, "name": highest, "most": most - len(found)})] if len(found) < most else []
    return found


def _rows(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
