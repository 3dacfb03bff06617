"""A person with a browser, as far as forms, links, cookies and redirects go: what `script/demo --check` and the journeys walk with.

No JavaScript is run, so whatever works here works without it. Start reading at `Visitor.open` and `Visitor.submit`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx

VOID_INPUTS = {"submit", "button", "image", "reset", "file"}


class PageError(Exception):
    """The page did not hold what the visitor looked for; the message shows what it held instead."""


@dataclass
class Button:
    name: str
    value: str
    text: str = ""


@dataclass
class Form:
    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    name: str = ""  # the id that a button outside of the form says
    choices: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[Button] = field(default_factory=list)
    text: str = ""

    def button(self, words: str) -> Button | None:
        """The first button whose text or value contains `words`, case aside."""
        wanted = words.lower()
        return next((b for b in self.buttons if wanted in b.text.lower() or wanted in b.value.lower()), None)


class FormReader(HTMLParser):
    """Collects the forms and links of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.elsewhere: list[tuple[str, Button]] = []  # buttons of another form than the one they stand in
        self._form: Form | None = None
        self._button: Button | None = None
        self._link: str | None = None
        self._link_text = ""
        self._select = ""
        self._textarea: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(action=given.get("action", ""), method=given.get("method", "get").lower(), name=given.get("id", ""))
            self.forms.append(self._form)
        elif tag == "a" and "href" in given:
            self._link, self._link_text = given["href"], ""
        elif self._form is not None:
            self._read_control(tag, given, dict(attrs))

    def _read_control(self, tag: str, given: dict[str, str], attrs: dict[str, str | None]) -> None:
        form = self._form
        if form is None:
            return
        kind = given.get("type", "submit" if tag == "button" else "text")
        if tag == "button" or (tag == "input" and kind == "submit"):
            self._button = Button(given.get("name", ""), given.get("value", ""))
            if given.get("form", form.name) == form.name:
                form.buttons.append(self._button)
            else:
                self.elsewhere.append((given["form"], self._button))
        elif tag == "input" and "name" in given and kind not in VOID_INPUTS:
            if kind in {"checkbox", "radio"}:
                form.choices.setdefault(given["name"], []).append(given.get("value", "on"))
                if "checked" not in attrs:
                    return
            form.fields.append((given["name"], given.get("value", "on" if kind == "checkbox" else "")))
        elif tag == "select":
            self._select = given.get("name", "")
        elif tag == "option" and self._select:
            form.choices.setdefault(self._select, []).append(given.get("value", ""))
            if "selected" in attrs or len(form.choices[self._select]) == 1:
                form.fields = [pair for pair in form.fields if pair[0] != self._select]
                form.fields.append((self._select, given.get("value", "")))
        elif tag == "textarea" and "name" in given:
            self._textarea = given["name"]
            form.fields.append((given["name"], ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "button":
            self._button = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._textarea = None
        elif tag == "a" and self._link is not None:
            self.links.append((self._link, " ".join(self._link_text.split())))
            self._link = None

    def handle_data(self, data: str) -> None:
        if self._link is not None:
            self._link_text += data
        if self._form is not None:
            self._form.text += data
            if self._button is not None:
                self._button.text += data
            if self._textarea is not None:
                name, value = self._form.fields[-1]
                self._form.fields[-1] = (name, value + data)


@dataclass
class Page:
    """What an address answered with, after redirects."""

    url: str
    status: int
    text: str
    headers: httpx.Headers
    forms: list[Form]
    links: list[tuple[str, str]]

    def find_form(self, words: str) -> tuple[Form, Button]:
        """The first form with a button saying `words`."""
        for form in self.forms:
            button = form.button(words)
            if button is not None:
                return form, button
        held = [b.text.strip() or b.value for form in self.forms for b in form.buttons]
        raise PageError(f"{self.url} ({self.status}) has no button {words!r}; it has {held}: {self.summary()}")

    def has_button(self, words: str) -> bool:
        return any(form.button(words) for form in self.forms)

    def link(self, words: str) -> str:
        """The address behind the first link whose text or address contains `words`."""
        wanted = words.lower()
        for address, text in self.links:
            if wanted in text.lower() or wanted in address.lower():
                return urljoin(self.url, address)
        raise PageError(f"{self.url} ({self.status}) has no link {words!r}: {self.summary()}")

    def summary(self) -> str:
        return " ".join(self.text.split())[:400]


class Visitor:
    """One browser profile: cookies for every host, the local CA trusted."""

    def __init__(self, *, ca_file: Path, start: str) -> None:
        context = ssl.create_default_context()
        context.load_verify_locations(cafile=str(ca_file))
        self.client = httpx.Client(
            verify=context, follow_redirects=True, timeout=30, headers={"Accept": "text/html,application/xhtml+xml"}, trust_env=False
        )
        self.start = start

    def close(self) -> None:
        self.client.close()

    def open(self, address: str) -> Page:
        """Go to an address (absolute, or relative to the start page)."""
        return self._read(self.client.get(urljoin(self.start, address)))

    def submit(self, page: Page, words: str, **values: str | list[str]) -> Page:
        """Press the button that says `words`, after filling in `values` (a list for several of one name)."""
        form, button = page.find_form(words)
        pairs = [pair for pair in form.fields if pair[0] not in values]
        for name, value in values.items():
            pairs += [(name, each) for each in ([value] if isinstance(value, str) else value)]
        if button.name:
            pairs.append((button.name, button.value))
        target = urljoin(page.url, form.action or page.url)
        if form.method == "get":
            return self._read(self.client.get(target, params=httpx.QueryParams(tuple(pairs))))
        body = httpx.QueryParams(tuple(pairs))
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Referer": page.url, "Origin": origin(page.url)}
        return self._read(self.client.post(target, content=str(body).encode(), headers=headers))

    def download(self, address: str) -> Iterator[bytes]:
        """The bytes behind an address, as they come."""
        with self.client.stream("GET", address) as answer:
            if answer.status_code != 200:
                raise PageError(f"{address} answered {answer.status_code}")
            yield from answer.iter_bytes()

    def _read(self, answer: httpx.Response) -> Page:
        reader = FormReader()
        if "html" in answer.headers.get("content-type", ""):
            reader.feed(answer.text)
        for name, button in reader.elsewhere:
            next(form for form in reader.forms if form.name == name).buttons.append(button)
        return Page(str(answer.url), answer.status_code, answer.text, answer.headers, reader.forms, reader.links)


def origin(url: str) -> str:
    """Scheme, host and port of an address, as browsers send it in `Origin`."""
    parsed = httpx.URL(url)
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{parsed.host}{port}"
