"""Ready lines, with the person's own selection in them: globus CLI, globus-sdk, curl, wget, aria2, rclone, Python, R. Never with a token.

Every name that comes from the archive is quoted for the shell, Python or R, so that a file name is never read as a command.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath
from uuid import UUID

from datasets import files
from transfers import globus, linking, manifests
from transfers.models import DataRequest
from transfers.requesting import Wanted
from transfers.words import CopyItem

# A page shows so many lines; the manifest has all of them.
MOST_LINES = 50
LINES_HOLD_S = 3600
# What xarray reads in ranges through fsspec.
READABLE = (".nc", ".nc4", ".cdf", ".h5", ".hdf5", ".he5")


@dataclass(frozen=True)
class Snippet:
    """Lines to copy, and a sentence on what they need."""

    title: str
    code: str
    note: str


@dataclass(frozen=True)
class Source:
    """Where the files are read from: paths below `collection_id`, and whether a token is needed there; of a bucket, signed addresses."""

    collection_id: UUID
    items: Sequence[CopyItem]
    is_cut: bool
    needs_token: bool
    addresses: Mapping[str, str] = field(default_factory=dict)

    def place(self, item: CopyItem) -> str:
        """What a script asks for: a path, or an address as it is."""
        return self.addresses.get(item.source_path, item.source_path)


def snippets_of(wanted: Sequence[Wanted]) -> list[Snippet]:
    """For files of the archive itself, as a basket or a dataset's page shows them. Restricted files are closed there: shares have lines."""
    wanted = [one for one in wanted if linking.is_addressed(one.version)]
    if not wanted:
        return []
    if wanted[0].version.is_in_bucket:
        return _snippets_of_bucket([one for one in wanted if one.version.is_in_bucket])
    location = manifests.location_of(wanted[0].version)
    items = list(islice(_archive_items(wanted, location.collection_id), MOST_LINES + 1))
    needs_token = not all(one.version.dataset.is_open_to_all for one in wanted)
    return _all(Source(location.collection_id or UUID(int=0), items[:MOST_LINES], len(items) > MOST_LINES, needs_token))


def _snippets_of_bucket(wanted: Sequence[Wanted]) -> list[Snippet]:
    items: list[CopyItem] = []
    addresses: dict[str, str] = {}
    for one in wanted:
        name = f"{one.version.dataset.slug}-v{one.version.number}"
        for file in islice(files.iterate(one.version, one.query, batch=MOST_LINES + 1), MOST_LINES + 1 - len(items)):
            source_path = f"{one.version.primary_location}{file.path}"
            items.append(CopyItem(source_path, f"{name}{file.path}", sha256=file.sha256))
            addresses[source_path] = linking.signed_address(one.version, file, lifetime_s=LINES_HOLD_S)
    return _all(Source(UUID(int=0), items[:MOST_LINES], len(items) > MOST_LINES, needs_token=False, addresses=addresses))


def snippets_of_share(request: DataRequest) -> list[Snippet]:
    """For the files of an open share."""
    if not request.is_granted or request.collection_id is None:
        return []
    items = list(islice(_share_items(request), MOST_LINES + 1))
    return _all(Source(request.collection_id, items[:MOST_LINES], len(items) > MOST_LINES, needs_token=True))


def _archive_items(wanted: Sequence[Wanted], collection_id: UUID | None) -> Iterator[CopyItem]:
    for one in wanted:
        if one.version.is_in_bucket:
            continue
        location = manifests.location_of(one.version)
        if location.collection_id != collection_id:
            continue
        name = f"{one.version.dataset.slug}-v{one.version.number}"
        for file in files.iterate(one.version, one.query, batch=MOST_LINES + 1):
            yield CopyItem(file.collection_path, f"{name}{file.path}", sha256=file.sha256)


def _share_items(request: DataRequest) -> Iterator[CopyItem]:
    """Paths in the share: below the request's folder, or below the root where the collection is the request's own."""
    for file in manifests.expected_files(request):
        inside = file.destination_path.removeprefix(request.folder)
        yield CopyItem(request.granted_path + inside, inside, sha256=file.sha256)


def _all(source: Source) -> list[Snippet]:
    server = "" if source.addresses else globus.https_server(source.collection_id)
    ways = (_curl, _wget, _aria2, _rclone) if source.addresses else (_globus_cli, _globus_sdk, _curl, _wget, _aria2, _rclone)
    found = [*(way(source) for way in ways), _python(source, server), _r(source, server)]
    readable = [item for item in source.items if item.source_path.lower().endswith(READABLE)]
    return [*found, _xarray(source, server, readable)] if readable else found


def _globus_cli(source: Source) -> Snippet:
    # One line a file, in a text that a line of its own ends: a name with a line break would end it, and Globus takes none.
    items = [item for item in source.items if len(f"{item.source_path}{item.destination_path}".splitlines()) == 1]
    pairs = [f"{shlex.quote(item.source_path)} {shlex.quote('/~/' + item.destination_path)}" for item in items]
    code = "\n".join([f"globus transfer {source.collection_id} YOUR_COLLECTION_ID --label causeway --batch - <<'FILES'", *pairs, "FILES"])
    note = "Needs the Globus CLI, signed in once with “globus login”; put the id of your own collection in place of YOUR_COLLECTION_ID."
    return Snippet("Globus CLI", code, _cut(source, note))


def _globus_sdk(source: Source) -> Snippet:
    pairs = [f"    ({item.source_path!a}, {'/~/' + item.destination_path!a})," for item in source.items]
    code = "\n".join(
        [
            "import globus_sdk",
            "",
            'app = globus_sdk.UserApp("causeway", client_id="YOUR_CLIENT_ID")',
            "transfer = globus_sdk.TransferClient(app=app)",
            'transfer.add_app_data_access_scope("YOUR_COLLECTION_ID")  # leave this out if yours is a guest collection',
            f'task = globus_sdk.TransferData(source_endpoint="{source.collection_id}", destination_endpoint="YOUR_COLLECTION_ID",',
            '    label="causeway", sync_level="checksum", verify_checksum=True)',
            "for path, name in [",
            *pairs,
            "]:",
            "    task.add_item(path, name)",
            'print(transfer.submit_transfer(task)["task_id"])',
        ]
    )
    note = "Needs globus-sdk 4, the id of an application of yours registered at Globus, and the id of your own collection."
    return Snippet("globus-sdk", code, _cut(source, note))


def _curl(source: Source) -> Snippet:
    options = " ".join(["--fail", "--location", "--create-dirs", *_curl_token(source), *_ca(source, "--cacert")])
    lines = [f"curl {options} --output {shlex.quote(item.destination_path)} {_url(source, item)}" for item in source.items]
    return Snippet("curl", "\n".join(lines), _cut(source, _token_note(source)))


def _wget(source: Source) -> Snippet:
    token = ['--header "Authorization: Bearer $TOKEN"'] if source.needs_token else []
    options = " ".join(["--continue", *token, *_ca(source, "--ca-certificate")])
    # wget makes folders only for names that it takes from the address itself, where it changes some letters.
    folders = sorted({str(PurePosixPath(item.destination_path).parent) for item in source.items} - {"."})
    made = [f"mkdir -p {shlex.join(folders)}"] if folders else []
    lines = [f"wget {options} --output-document {shlex.quote(item.destination_path)} {_url(source, item)}" for item in source.items]
    return Snippet("wget", "\n".join([*made, *lines]), _cut(source, _token_note(source)))


def _aria2(source: Source) -> Snippet:
    """Addresses and names in aria2's own input format, where a line break ends a name."""
    items = [item for item in source.items if len(item.destination_path.splitlines()) == 1]
    token = ['--header="Authorization: Bearer $TOKEN"'] if source.needs_token else []
    options = " ".join(["--continue", "--max-concurrent-downloads=4", *token, *_ca(source, "--ca-certificate"), "--input-file=-"])
    lines = []
    for item in items:
        checksum = [f" checksum=sha-256={item.sha256}"] if item.sha256 else []
        lines += [_address(source, item), f" out={item.destination_path}", *checksum]
    return Snippet("aria2", "\n".join([f"aria2c {options} <<'FILES'", *lines, "FILES"]), _cut(source, _token_note(source)))


def _rclone(source: Source) -> Snippet:
    token = ['--header "Authorization: Bearer $TOKEN"'] if source.needs_token else []
    options = " ".join([*token, *_ca(source, "--ca-cert")])
    lines = [f"rclone copyurl {options} {_url(source, item)} {shlex.quote('./' + item.destination_path)}".replace("  ", " ")
             for item in source.items]  # fmt: skip
    return Snippet("rclone", "\n".join(lines), _cut(source, _token_note(source)))


def _r(source: Source, server: str) -> Snippet:
    rows = [f"  c({_r_text(source.place(item))}, {_r_text(item.destination_path)})" for item in source.items]
    ca = _ca_file(source)
    address = "paste0(server, path)" if server else "file[1]"
    headers = 'c(Authorization = paste("Bearer", Sys.getenv("TOKEN")))' if source.needs_token else "NULL"
    code = "\n".join(
        [
            *([f"Sys.setenv(CURL_CA_BUNDLE = {_r_text(ca)})"] if ca else []),
            f"server <- {_r_text(server)}",
            "files <- list(",
            ",\n".join(rows),
            ")",
            "for (file in files) {",
            '  path <- paste(vapply(strsplit(file[1], "/", fixed = TRUE)[[1]], URLencode, "", reserved = TRUE), collapse = "/")',
            "  dir.create(dirname(file[2]), recursive = TRUE, showWarnings = FALSE)",
            f'  download.file({address}, file[2], method = "libcurl", mode = "wb", headers = {headers})',
            "}",
        ]
    )
    return Snippet("R", code, _cut(source, _token_note(source)))


def _r_text(text: str) -> str:
    """An R string: printable ASCII as it is, all else by its code point."""
    plain = [char if char.isascii() and char.isprintable() and char not in '"\\' else f"\\U{{{ord(char):x}}}" for char in text]
    return '"' + "".join(plain) + '"'


def _xarray(source: Source, server: str, items: Sequence[CopyItem]) -> Snippet:
    """Reads only what is used of the files, where they are."""
    ca = _ca_file(source)
    address = "server + urllib.parse.quote(path)" if server else "path"
    headers = '{"headers": {"Authorization": "Bearer " + os.environ["TOKEN"]}}' if source.needs_token else "{}"
    code = "\n".join(
        [
            "import os, urllib.parse",
            *([f'os.environ["SSL_CERT_FILE"] = {ca!a}'] if ca else []),
            "import fsspec, xarray",
            "",
            f"server = {server!a}",
            "paths = [",
            *(f"    {source.place(item)!a}," for item in items),
            "]",
            f"files = [fsspec.open({address}, **{headers}).open() for path in paths]",
            "for file in files:",
            "    print(xarray.open_dataset(file))",
        ]
    )
    note = f"Needs xarray, h5netcdf, scipy, fsspec and aiohttp; reads only the parts that are used. {_token_note(source)}"
    return Snippet("xarray", code, _cut(source, note))


def _python(source: Source, server: str) -> Snippet:
    names = [f"    ({source.place(item)!a}, {item.destination_path!a})," for item in source.items]
    ca = _ca_file(source)
    address = "server + urllib.parse.quote(path)" if server else "path"
    context = f"ssl.create_default_context(cafile={ca!a})" if ca else "ssl.create_default_context()"
    headers = '{"Authorization": "Bearer " + os.environ["TOKEN"]}' if source.needs_token else "{}"
    code = "\n".join(
        [
            "import os, pathlib, shutil, ssl, urllib.parse, urllib.request",
            "",
            f"server = {server!a}",
            "files = [",
            *names,
            "]",
            f"context = {context}",
            f"headers = {headers}",
            "for path, name in files:",
            f"    request = urllib.request.Request({address}, headers=headers)",
            "    pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)",
            '    with urllib.request.urlopen(request, context=context) as answer, open(name, "wb") as file:',
            "        shutil.copyfileobj(answer, file)",
        ]
    )
    return Snippet("Python", code, _cut(source, _token_note(source)))


def _url(source: Source, item: CopyItem) -> str:
    return shlex.quote(_address(source, item))


def _address(source: Source, item: CopyItem) -> str:
    return source.addresses.get(item.source_path) or globus.https_url(source.collection_id, item.source_path)


def _curl_token(source: Source) -> list[str]:
    return ['--header "Authorization: Bearer $TOKEN"'] if source.needs_token else []


def _token_note(source: Source) -> str:
    if source.addresses:
        return "The addresses hold for an hour, for everybody who has them: keep them to yourself, and load this page again for new ones."
    if not source.needs_token:
        return "These files are open to everybody; no token is needed."
    scope = f"https://auth.globus.org/scopes/{source.collection_id}/https"
    return (
        f"$TOKEN is a Globus access token of yours for the scope {scope}: get one with any Globus client (globus-sdk: UserApp). "
        "Keep it out of files that others read."
    )


def _ca(source: Source, option: str) -> list[str]:
    ca = _ca_file(source)
    return [f"{option} {shlex.quote(ca)}"] if ca else []


def _ca_file(source: Source) -> str:
    """The authority of the data nodes; an object store has one of its own."""
    return "" if source.addresses else globus.trusted_ca_file()


def _cut(source: Source, note: str) -> str:
    return f"The first {MOST_LINES} files; the manifest lists all of them. {note}" if source.is_cut else note
