"""What the processes of the embedded default are told: the few variables of our own environment that they inherit, files
of `export NAME=value` lines, and the secrets that are made once. Who gets what is decided in `stack.py`.
"""

import base64
import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")


def plain_environment() -> dict[str, str]:
    """The start of every process's environment. Nothing else of ours leaks in: no proxies, no cloud keys, no settings."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {"LANG": "C.UTF-8", "HOME": "/nonexistent", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "0"} | kept


def read_environment(path: Path) -> dict[str, str]:
    """The variables of a file of shell `export` lines (or plain `NAME=value`); an absent file is an empty one."""
    found: dict[str, str] = {}
    if not path.exists():
        return found
    for words in (shlex.split(line, comments=True) for line in path.read_text().splitlines()):
        for word in words[1:] if words[:1] == ["export"] else words:
            name, _, value = word.partition("=")
            found[name] = value
    return found


def write_environment(path: Path, variables: Mapping[str, str]) -> None:
    """Write `export` lines, readable by the owner only, in one step: a reader sees the old file or the new one."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as lines:
        lines.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    new.replace(path)


def keep_secrets(path: Path) -> dict[str, str]:
    """The portal's own secrets, made at the first start and the same ever after. Safe to repeat."""
    kept = read_environment(path)
    if not kept:
        kept = {
            "CAUSEWAY_SECRET_KEY": secrets.token_urlsafe(48),
            # A Fernet key is 32 random bytes in URL-safe base64 (https://github.com/fernet/spec).
            "CAUSEWAY_TOKEN_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        write_environment(path, kept)
    return kept
