"""The gateway to S3: what a bucket lists below a prefix, and what S3 itself says of an object's checksum. No object is opened here.

Address and credentials are found by boto3 itself: AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID and so on, or a role of the machine. A folder is
what stands before a `/` in keys, as Globus' S3 connector shows it; the base path `/a/b/` of a location is the prefix `a/b/`.
"""

import base64
import contextlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from django.utils.http import content_disposition_header

from datasets.errors import NotReadyError, RefusedError, UnavailableError
from datasets.scans.listing import Entry

TIMEOUT_S = 20
KEYS_AT_ONCE = 1000
BUSY = frozenset({"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling"})
WRITTEN_DIGEST = "sha256"
"""Metadata in which our data transfer nodes keep the SHA-256 of the bytes that they wrote."""


class StorageUnavailableError(UnavailableError):
    code = "storage-unavailable"
    message = "The object store does not answer at the moment. It is tried again."


class StorageRefusedError(RefusedError):
    code = "storage-refused"
    http_status = 502
    message = "The object store refused this."


def list_folder(bucket: str, path: str) -> Iterator[Entry]:
    """What a folder of a bucket holds, page by page. Raises StorageUnavailableError (try again) or StorageRefusedError (do not)."""
    prefix = path.lstrip("/")
    asked: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "Delimiter": "/", "MaxKeys": KEYS_AT_ONCE}
    while True:
        with _refusals(bucket):
            page = _client().list_objects_v2(**asked)
        for folder in page.get("CommonPrefixes", ()):
            yield Entry(folder["Prefix"].removeprefix(prefix).rstrip("/"), is_folder=True)
        for found in page.get("Contents", ()):
            name = found["Key"].removeprefix(prefix)
            if name:  # the folder's own empty object is no file
                yield Entry(name, is_folder=False, size_bytes=int(found["Size"]), modified_at=found["LastModified"])
        if not page.get("IsTruncated"):
            return
        asked["ContinuationToken"] = page["NextContinuationToken"]


def stated_digests(bucket: str, paths: list[str]) -> Iterator[tuple[str, int, str]]:
    """(path, size in bytes, SHA-256) of each object; the SHA-256 that S3 keeps of the whole object, empty where it keeps none.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html; composite checksums of parts are not it.
    """
    for path in paths:
        with _refusals(bucket):
            head = _client().head_object(Bucket=bucket, Key=path.lstrip("/"), ChecksumMode="ENABLED")
        yield path, int(head["ContentLength"]), _sha256(head)


def signed_address(bucket: str, path: str, *, lifetime_s: int) -> str:
    """An address that gives an object to whoever has it, for so long; made here, without asking S3 whether it is there.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html. Raises StorageRefusedError where the portal has no
    account at the object store.
    """
    name = content_disposition_header(as_attachment=True, filename=PurePosixPath(path).name)
    asked = {"Bucket": bucket, "Key": path.lstrip("/"), "ResponseContentDisposition": name}
    with _refusals(bucket):
        return str(_client().generate_presigned_url("get_object", Params=asked, ExpiresIn=lifetime_s))


def check_bucket(bucket: str, path: str) -> None:
    """Raises NotReadyError with the remedy when the portal may not list a prefix of a bucket. An empty prefix lists as well."""
    try:
        next(list_folder(bucket, path), None)
    except StorageRefusedError as error:
        raise NotReadyError("This bucket cannot be scanned yet.", fields={"bucket": [error.detail]}) from error


def _sha256(head: dict[str, Any]) -> str:
    stated = str(head.get("ChecksumSHA256") or "")
    if stated and "-" not in stated and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
        return base64.b64decode(stated).hex()
    written = str(head.get("Metadata", {}).get(WRITTEN_DIGEST, "")).lower()
    return written if len(written) == 64 else ""


@lru_cache(maxsize=1)
def _client() -> Any:
    """Making one reads the whole description of S3, so it is made once; clients may be used from any thread."""
    patience = Config(
        signature_version="s3v4",
        connect_timeout=TIMEOUT_S,
        read_timeout=TIMEOUT_S,
        retries={"max_attempts": 3, "mode": "standard"},
        max_pool_connections=16,
    )
    return boto3.client("s3", config=patience)


@contextlib.contextmanager
def _refusals(bucket: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in BUSY or status >= 500:
            raise StorageUnavailableError from error
        words = {
            "NoSuchBucket": f"There is no bucket {bucket} at this object store.",
            "NoSuchKey": "An object that was listed is gone.",
            "404": "An object that was listed is gone.",
        }
        denied = f"The portal may not read bucket {bucket} ({code}). Let its account list the bucket: s3:ListBucket and s3:GetObject."
        raise StorageRefusedError(words.get(code, denied)) from error
    except NoCredentialsError as error:
        raise StorageRefusedError(
            "The portal has no account at an object store: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error
    except BotoCoreError as error:
        raise StorageUnavailableError from error
