"""Who a node is at S3 servers: accounts from its own file (mode 0600) or the environment. Control never hears of them."""

import os
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Account:
    """Who the node is at an endpoint. Without keys boto3 looks where it always does: the environment, or the host's role."""

    endpoint: str | None = None  # None: Amazon's own
    buckets: tuple[str, ...] = ()  # none named: all of them
    region: str = "us-east-1"
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    encryption: str = "AES256"  # "AES256" | "aws:kms"
    kms_key_id: str | None = None
    folder_marker: str = ""  # the name of the empty object that keeps a folder; "" as other programs do: the folder's own key and a slash
    ca_file: str | None = None

    def serves(self, endpoint: str | None, bucket: str) -> bool:
        return (self.endpoint or "").rstrip("/") == (endpoint or "").rstrip("/") and (not self.buckets or bucket in self.buckets)


class AccountsError(Exception):
    """The file of accounts cannot be used."""


def read_accounts(file: Path | None) -> list[Account]:
    """Read `[[account]]` tables (TOML) of a file that nobody else may read; without a file, the account of the environment if there is one.

    Raises AccountsError.
    """
    if file is None:
        has_keys = "AWS_ACCESS_KEY_ID" in os.environ
        return [Account(endpoint=os.environ.get("AWS_ENDPOINT_URL_S3"), region=_environment_region())] if has_keys else []
    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise AccountsError(f"{file} holds secrets and may be read by others: chmod 600")
        tables = tomllib.loads(file.read_text(encoding="utf-8")).get("account", [])
        accounts = [Account(**{**table, "buckets": tuple(table.get("buckets", ()))}) for table in tables]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise AccountsError(f"{file} is no list of [[account]] tables: {error}") from error
    if any(account.encryption not in {"AES256", "aws:kms"} for account in accounts):
        raise AccountsError(f"{file}: encryption is AES256 or aws:kms")
    return accounts


def _environment_region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
