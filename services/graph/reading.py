"""Reading files of a data transfer node over HTTPS: ranges of NetCDF 4, the whole of small NetCDF 3 and CSV files.

`RemoteFile` is a seekable file whose reads become range requests through a small cache of blocks, so memory stays flat whatever the
file's size. `open_source` gives an xarray Dataset from it, or says why the file cannot be read.
"""

import base64
import io
import os
import ssl
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import h5py
import httpx
import pandas as pd
import xarray as xr

from services.graph import times
from services.graph.errors import SessionError, SourceError, SourceUnavailableError

BLOCK_BYTES = 64 * 2**10
CACHE_BLOCKS = 256
MOST_WHOLE_BYTES = 64 * 2**20
MOST_SERIES = 200
UNSOUND = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError, EOFError, ArithmeticError)
"""What readers raise on broken or hostile files."""
ATTEMPTS = 4
MAY_PASS = frozenset({429, 500, 502, 503, 504})
"""Answers of a data transfer node that may be others a moment later."""
TIMEOUT = httpx.Timeout(30, connect=10)

# What the first bytes say, from each format's own specification (pp: UM documentation paper F03, a Fortran record of 256 bytes).
MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"CDF\x01", "NetCDF-3"),
    (b"CDF\x02", "NetCDF-3"),
    (b"CDF\x05", "NetCDF-3 (64-bit data)"),
    (b"GRIB", "GRIB"),
    (b"\x00\x00\x01\x00", "Met Office PP"),
    (b"\x00\x01\x00\x00", "Met Office PP"),
    (b"PK\x03\x04", "ZIP"),
    (b"\x1f\x8b", "gzip"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"%PDF", "PDF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
)


def verification() -> ssl.SSLContext | bool:
    """How certificates are checked: the SDK's own setting, `GLOBUS_SDK_VERIFY_SSL` (a CA file, or yes or no)."""
    value = os.environ.get("GLOBUS_SDK_VERIFY_SSL", "").strip()
    if value.lower() in {"", "y", "yes", "t", "true", "on", "1"}:
        return True
    if value.lower() in {"n", "no", "f", "false", "off", "0"}:
        return False
    return ssl.create_default_context(cafile=value)


@contextmanager
def open_client(token: str | None) -> Iterator[httpx.Client]:
    """A client of data transfer nodes that carries `token` (None: as anyone)."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers["Accept-Encoding"] = "identity"
    with httpx.Client(verify=verification(), headers=headers, timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client:
        yield client


def file_url(https_server: str, path: str) -> str:
    """The HTTPS address of a file: server and path, encoded segment by segment."""
    return https_server.rstrip("/") + "/" + "/".join(quote(part, safe="") for part in path.lstrip("/").split("/"))


class RemoteFile(io.RawIOBase):
    """A file on a data transfer node, readable and seekable. Changes of the file while it is read are noticed (If-Match)."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        super().__init__()
        self._client, self._url = client, url
        self._position = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self.bytes_read = 0
        self.failure: SourceError | None = None  # HDF5 forgets why a read failed
        answer = send(client, "HEAD", url, headers={"Want-Repr-Digest": "sha-256=10"})
        self.headers = answer.headers
        self.size = int(answer.headers.get("Content-Length", 0))
        self.etag: str | None = answer.headers.get("ETag")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self.size - self._position))
        if not length:
            return 0
        first, last = self._position // BLOCK_BYTES, (self._position + length - 1) // BLOCK_BYTES
        done = 0
        while first <= last:
            upto = min(last, first + CACHE_BLOCKS // 2 - 1)
            self._fetch(first, upto)
            for number in range(first, upto + 1):
                start = self._position + done - number * BLOCK_BYTES
                piece = self._blocks[number][start : start + length - done]
                view[done : done + len(piece)] = piece
                done += len(piece)
            first = upto + 1
        self._position += done
        return done

    def _fetch(self, first: int, last: int) -> None:
        """Bring blocks first..last into the cache, neighbours that are missing in one request."""
        missing = [number for number in range(first, last + 1) if number not in self._blocks]
        for number in range(first, last + 1):
            if number in self._blocks:
                self._blocks.move_to_end(number)
        while missing:
            run = [missing.pop(0)]
            while missing and missing[0] == run[-1] + 1:
                run.append(missing.pop(0))
            start, stop = run[0] * BLOCK_BYTES, min(self.size, (run[-1] + 1) * BLOCK_BYTES)
            try:
                body = self._read_range(start, stop)
            except SourceError as error:
                self.failure = error
                raise
            for i, number in enumerate(run):
                self._blocks[number] = body[i * BLOCK_BYTES : (i + 1) * BLOCK_BYTES]
        while len(self._blocks) > CACHE_BLOCKS:
            self._blocks.popitem(last=False)

    def _read_range(self, start: int, stop: int) -> bytes:
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if self.etag:
            headers["If-Match"] = self.etag
        answer = send(self._client, "GET", self._url, headers=headers)
        is_whole = answer.status_code == 200 and len(answer.content) == self.size  # a server without ranges
        body = answer.content[start:stop] if is_whole else answer.content
        if len(body) != stop - start:
            raise SourceUnavailableError("The data transfer node sent less than was asked for.")
        self.bytes_read += len(answer.content)
        return body

    def reason(self, error: Exception) -> SourceError:
        """Why the file could not be read: what the node said, else what the reader says of the content."""
        return self.failure or SourceError(f"The file cannot be read: {_first_line(error)}")


def send(
    client: httpx.Client, method: str, url: str, *, headers: dict[str, str] | None = None, content: bytes | None = None
) -> httpx.Response:
    """One request with patience: repeats what may pass, and turns the rest into reasons in words. Bodies are read whole."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(0.2 * 2**attempt)
        try:
            answer = client.request(method, url, headers=headers, content=content)
        except httpx.TransportError as error:
            failure: Exception = error
            continue
        if answer.status_code in MAY_PASS:
            failure = SourceUnavailableError(f"The data transfer node answered {answer.status_code}.")
            continue
        if answer.status_code == 403 and method == "HEAD":  # which has no body to say why
            send(client, "GET", url, headers={"Range": "bytes=0-0"})  # raises what it says
            raise SourceUnavailableError("The data transfer node was of two minds.")
        _refuse(answer)
        return answer
    raise SourceUnavailableError("The data transfer node that holds the file does not answer.") from failure


def _asked_of_session(answer: httpx.Response) -> dict[str, Any]:
    """What a sign-in must show, where that is what the node refuses for."""
    try:
        told = answer.json()
    except ValueError:
        return {}
    asked = told.get("authorization_parameters") if isinstance(told, dict) else None
    return asked if isinstance(asked, dict) else {}


def _refuse(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    reasons = {
        401: "You have no right to read this file.",
        403: "You have no right to read this file.",
        404: "The file is not there.",
        412: "The file changed while it was read.",
        507: "The data transfer node has no space left.",
    }
    if answer.status_code == 403 and (asked := _asked_of_session(answer)):
        raise SessionError(authorization_parameters=asked)
    if answer.is_redirect:  # a collection sends who has no right to its sign-in page
        raise SourceError(reasons[403])
    raise SourceError(reasons.get(answer.status_code, f"The data transfer node refused the file ({answer.status_code})."))


def offered_digest(headers: httpx.Headers) -> str | None:
    """The SHA-256 that a node offers in `Repr-Digest` (RFC 9530), as lower-case hex; None when it does not."""
    for part in headers.get("Repr-Digest", "").split(","):
        name, _, value = part.strip().partition("=")
        if name == "sha-256" and value.startswith(":") and value.endswith(":"):
            return base64.b64decode(value.strip(":")).hex()
    return None


def detect_format(file: RemoteFile, path: str) -> str:
    """The format by the first bytes; for text by its name (a table is `CSV`). `unknown` when neither tells."""
    file.seek(0)
    head = file.read(512) or b""
    file.seek(0)
    for magic, name in MAGIC:
        if head.startswith(magic):
            return "NetCDF-4" if name == "HDF5" and path.lower().endswith((".nc", ".nc4", ".cdf")) else name
    if head and not any(byte < 9 for byte in head):
        first = head.splitlines()[0]
        return "CSV" if path.lower().endswith(".csv") or (first.count(b",") > 1 and b"{" not in first) else "Text"
    return "unknown" if head else "empty"


@contextmanager
def open_source(file: RemoteFile, path: str) -> Iterator[xr.Dataset]:
    """The file as a lazily read Dataset with decoded times. Raises SourceError with the reason when it cannot be read."""
    found = detect_format(file, path)
    try:
        if found in {"NetCDF-4", "HDF5"}:
            _refuse_outside(file)
            dataset = _open_netcdf(file, "h5netcdf")
        elif found.startswith("NetCDF-3"):
            _refuse_whole(file, found)
            dataset = _open_netcdf(io.BytesIO(file.readall()), "scipy")
        elif found == "CSV":
            _refuse_whole(file, found)
            dataset = table_to_dataset(file.readall())
        else:
            raise SourceError(f"The graph service has no reader for this format: {found}.")
    except UNSOUND as error:
        raise (file.failure or SourceError(f"The file is not a sound {found} file: {_first_line(error)}")) from error
    try:
        yield dataset
    finally:
        dataset.close()


def _open_netcdf(file: Any, engine: str) -> xr.Dataset:
    """With times as cftime objects in every calendar; a time axis that cannot be decoded stays numbers."""
    coder = xr.coders.CFDatetimeCoder(use_cftime=True)
    try:
        return xr.open_dataset(file, engine=engine, decode_times=coder, decode_timedelta=False, cache=False)
    except ValueError:
        file.seek(0)
        return xr.open_dataset(file, engine=engine, decode_times=False, cache=False)


def _refuse_outside(file: RemoteFile) -> None:
    """HDF5 may take values from other files of the host that reads it: then whoever made the file would see this service's own disk."""

    def is_outside(_: str, item: Any) -> bool | None:
        return True if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual) else None

    def is_external(_: str, link: Any) -> bool | None:
        return True if isinstance(link, h5py.ExternalLink) else None

    with h5py.File(file, "r") as opened:
        if opened.visititems_links(is_external) or opened.visititems(is_outside):
            raise SourceError("The file takes its values from other files (external or virtual storage), which are not read here.")


def _refuse_whole(file: RemoteFile, found: str) -> None:
    if file.size > MOST_WHOLE_BYTES:
        raise SourceError(f"{found} files are read whole, up to {MOST_WHOLE_BYTES // 2**20} MiB; this one has {file.size / 2**20:.0f} MiB.")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def table_to_dataset(content: bytes) -> xr.Dataset:
    """A CSV table as a Dataset over `time`, or over `time` and the text column that tells its series apart (a station).

    The time is a column of ISO 8601 times, else of year, month, day and hour. Columns without units stay without.
    """
    table = pd.read_csv(io.BytesIO(content), na_values=["NA"], low_memory=False)
    moments, used = _find_moments(table)
    numeric = [name for name in table.select_dtypes("number").columns if name not in used]
    if moments is None:
        return xr.Dataset({str(name): ("row", table[name].to_numpy()) for name in numeric})
    table = table.assign(**{"\ttime": moments}).dropna(subset=["\ttime"])
    words = [name for name in table.select_dtypes(exclude=["number", "datetime"]).columns if name not in used]
    group = next((name for name in words if 1 < table[name].nunique() <= MOST_SERIES), None)
    keys = ["\ttime"] if group is None else ["\ttime", group]
    means = table.groupby(keys, sort=True)[numeric].mean()
    dataset = xr.Dataset.from_dataframe(means).rename({"\ttime": "time"})
    coordinate = xr.DataArray(times.from_numpy(dataset["time"].values), dims="time", attrs={"standard_name": "time"})
    return dataset.assign_coords(time=coordinate)


def _find_moments(table: pd.DataFrame) -> tuple["pd.Series[Any] | None", set[str]]:
    """The times of the rows in UTC and the columns that tell them."""
    parts = [name for name in ("year", "month", "day", "hour") if name in table.columns]
    for name in table.columns:
        if any(word in str(name).lower() for word in ("time", "date")) and not pd.api.types.is_numeric_dtype(table[name]):
            try:
                moments = pd.to_datetime(table[name], utc=True, format="ISO8601")
            except ValueError:
                continue
            return moments.dt.tz_localize(None), {str(name), *parts}
    if "year" in parts and "month" in parts:
        pieces = table[parts].assign(day=table["day"] if "day" in parts else 1)
        return pd.to_datetime(pieces, errors="coerce"), set(parts)
    return None, set(parts)


def is_hdf5_netcdf(file: RemoteFile) -> bool:
    """Whether an HDF5 file keeps the NetCDF 4 conventions (its library signs the file, or it has dimension scales)."""
    file.seek(0)
    with h5py.File(file, "r") as opened:
        return "_NCProperties" in opened.attrs or any(getattr(item, "is_scale", False) for item in opened.values())
