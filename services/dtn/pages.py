"""The few pages that a browser sees at a node: a folder, and a refusal. Templates are in `templates/`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from services.dtn.entries import Entry

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
STYLE = (Path(__file__).parent / "templates" / "style.css").read_bytes()


@dataclass(frozen=True)
class Page:
    """A part of a folder, folders first, then by name. `next_url` leads to what follows (None at the end)."""

    entries: list[Entry]
    next_url: str | None


def page_of(entries: Sequence[Entry], *, after: str, limit: int, url: str) -> Page:
    """Return the `limit` entries that follow `after`: the last name that was shown, with a slash if it is a folder's ("" begins).

    By name and not by number: what is made or deleted meanwhile shifts nothing.
    """

    def place(name: str, is_folder: bool) -> tuple[bool, str]:
        return not is_folder, name

    rows = sorted(entries, key=lambda entry: place(str(entry["name"]), entry["type"] == "dir"))
    if after:
        last = place(after.rstrip("/"), after.endswith("/"))
        rows = [row for row in rows if place(str(row["name"]), row["type"] == "dir") > last]
    if len(rows) <= limit:
        return Page(rows, None)
    end = rows[limit - 1]
    shown_last = str(end["name"]) + ("/" if end["type"] == "dir" else "")
    return Page(rows[:limit], f"{url}?{urlencode({'after': shown_last, 'limit': limit})}")


def folder_page(*, collection_id: str, collection_name: str, path: str, page: Page, username: str | None) -> HTMLResponse:
    """Show a part of a folder with a way up and, for each entry, its size and time."""
    rows = page.entries
    crumbs = [{"name": collection_name, "url": url_of(collection_id, "/")}]
    names = [name for name in path.split("/") if name]
    crumbs += [{"name": name, "url": url_of(collection_id, "/" + "/".join(names[: at + 1]) + "/")} for at, name in enumerate(names)]
    shown = [
        {**row, "url": quote(row["name"], safe="") + ("/" if row["type"] == "dir" else ""), "words": in_words(row["size"])} for row in rows
    ]
    text = _TEMPLATES.get_template("folder.html").render(
        title=f"{path} in {collection_name}", crumbs=crumbs, rows=shown, username=username, has_parent=path != "/",
        next_url=page.next_url,
    )  # fmt: skip
    return HTMLResponse(text)


def refusal_page(*, status: int, title: str, words: str, username: str | None = None, other_url: str | None = None) -> HTMLResponse:
    """Say what was refused, as whom the reader acts, and how to act as somebody else."""
    text = _TEMPLATES.get_template("refusal.html").render(title=title, words=words, username=username, other_url=other_url)
    return HTMLResponse(text, status_code=status)


def url_of(collection_id: str, path: str) -> str:
    """Return the address, on this node, of a collection path; encoded segment by segment."""
    return f"/{collection_id}" + "/".join(quote(segment, safe="") for segment in path.split("/"))


def in_words(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size_bytes} B" if unit == "B" else f"{size:.1f} {unit}"
