"""What the gateway to Globus takes and gives, as plain records, and its fault codes as sentences."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class CopyItem:
    """One file, or one folder with all it holds, to copy."""

    source_path: str
    destination_path: str
    is_recursive: bool = False
    sha256: str = ""


@dataclass(frozen=True)
class TaskProgress:
    """How far a Globus task is. `status` is active, succeeded or failed; `condition` is Globus's short word for a trouble.

    One that `is_held` is active and does not go on before its owner agrees or signs in anew.
    """

    status: str
    n_files: int
    files_done: int
    files_skipped: int
    bytes_done: int
    bytes_per_second: int
    faults: int
    condition: str
    fatal: str
    is_held: bool = False

    @property
    def is_finished(self) -> bool:
        return self.status != "active"


@dataclass(frozen=True)
class SearchTask:
    """A task of Globus Search. `status` is pending, succeeded or failed."""

    status: str
    message: str


@dataclass(frozen=True)
class IndexedEntry:
    """An entry of an index of Globus Search."""

    subject: str
    entry_id: str
    content: Any


@dataclass(frozen=True)
class Fault:
    """Something went wrong with a task, in words."""

    code: str
    words: str
    at: datetime
    is_error: bool


@dataclass(frozen=True)
class Arrived:
    source_path: str
    destination_path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Skipped:
    source_path: str
    is_folder: bool
    reason: str


@dataclass(frozen=True)
class Entry:
    """A line of a folder listing; `kind` is file, dir, or what Globus calls it."""

    name: str
    kind: str
    size_bytes: int
    modified_at: datetime | None

    @property
    def is_folder(self) -> bool:
        return self.kind == "dir"


@dataclass(frozen=True)
class Rule:
    """An access rule. `rule_id` is empty for the implicit rights of a role."""

    rule_id: str
    path: str
    principal_type: str
    principal: str
    permissions: str


@dataclass(frozen=True)
class Collection:
    id: str
    name: str
    kind: str
    owner: str
    https_server: str
    mapped_collection_id: str
    roles: tuple[str, ...]
    default_folder: str

    @property
    def has_manager_role(self) -> bool:
        """Whether who asked may give and take access there."""
        return bool({"administrator", "access_manager", "owner"} & set(self.roles))

    @property
    def is_mapped(self) -> bool:
        return "mapped" in self.kind


def fault_in_words(code: str, detail: str = "") -> str:
    """A Globus fault code as a sentence, followed by what Globus says about it."""
    words = FAULT_WORDS.get(code.upper(), code.replace("_", " ").capitalize())
    return f"{words}: {_plain(detail)}" if _plain(detail) else words


FAULT_WORDS = {
    "PERMISSION_DENIED": "The file may not be read or written there",
    "FILE_NOT_FOUND": "The file is not there any more",
    "CONNECT_FAILED": "The other side does not answer",
    "ENDPOINT_ERROR": "The collection reports a fault",
    "NO_SPACE_LEFT": "There is no space left at the destination",
    "FILE_SIZE_CHANGED": "The file changed while it was copied, and is copied anew",
    "QUOTA_EXCEEDED": "The quota at the destination is used up",
    "VERIFY_CHECKSUM": "The copy differed from the original and is made again",
    "EXPIRED": "The time allowed for the copy ran out",
    "CANCELED": "The copy was cancelled",
    "TIMEOUT": "The other side took too long to answer",
}


def _plain(detail: str) -> str:
    """Globus gives details as a sentence or as JSON; of JSON the path or the message is kept."""
    try:
        found = json.loads(detail)
    except ValueError:
        return " ".join(detail.split())[:300]
    if not isinstance(found, dict):
        return ""
    return str(found.get("path") or found.get("message") or found.get("context") or "")[:300]
