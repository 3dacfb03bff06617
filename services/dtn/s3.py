"""The gateway to S3: one bucket, its objects and multipart uploads; our words in and out. What a collection makes of it is `objects.py`.

Every object is written with server-side encryption: SSE-S3 (AES256) unless the account names another. Credentials come from the node's own
file (`s3_accounts.py`) or the environment, never from control. Calls block and may be made from any thread.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import IO, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from services.dtn.errors import ChangedError, ForbiddenError, InvalidPathError, MissingError, NodeError, NoSpaceError, UnavailableError
from services.dtn.s3_accounts import Account

LEAST_PART_BYTES = 8 << 20
MOST_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MOST_COPY_BYTES = 5 << 30  # what one CopyObject copies
COPY_PART_BYTES = 1 << 30
KEYS_AT_ONCE = 1000
CONNECTIONS = 64
DIGEST = "sha256"  # the name of the metadata that says which bytes were found right before the object got its name
METADATA = ("Metadata", "ContentType", "ContentEncoding", "ContentLanguage", "ContentDisposition", "CacheControl", "Expires")
MISSING = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NoSuchUpload", "NotFound"})
FULL = frozenset({"QuotaExceeded", "InsufficientStorage", "InsufficientCapacity", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"})
BUSY = frozenset({"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "OperationAborted"})


@dataclass(frozen=True)
class Object:
    """What S3 tells of an object. `etag` is without quotes; `digest` is only known after `head`."""

    key: str
    size: int
    modified: datetime
    etag: str
    digest: str | None = None


@dataclass(frozen=True)
class Page:
    objects: list[Object]
    prefixes: list[str]


class Bucket:
    """One bucket, as one account. `shown` is the part of keys that messages leave out."""

    def __init__(self, account: Account, name: str, *, shown: str = "") -> None:
        self.account = account
        self.name = name
        self._shown = shown
        self._client = _client(account)
        self._encryption = {"ServerSideEncryption": account.encryption}
        if account.kms_key_id:
            self._encryption["SSEKMSKeyId"] = account.kms_key_id

    @property
    def label(self) -> str:
        return f"{self.account.endpoint or 'aws'}/{self.name}"

    # reading

    def head(self, key: str) -> Object | None:
        try:
            with self._refusals(key):
                found = self._client.head_object(Bucket=self.name, Key=key)
        except MissingError:
            return None
        return _object_from(key, found)

    def scan(self, prefix: str, *, delimiter: str = "", limit: int = KEYS_AT_ONCE) -> Iterator[Page]:
        """Yield pages of at most `limit` keys below `prefix`, in the order of their UTF-8 bytes."""
        asked: dict[str, Any] = {"Bucket": self.name, "Prefix": prefix, "Delimiter": delimiter, "MaxKeys": limit}
        while True:
            with self._refusals(prefix):
                answer = self._client.list_objects_v2(**asked)
            objects = [
                Object(one["Key"], int(one["Size"]), one["LastModified"].astimezone(UTC).replace(microsecond=0), one["ETag"].strip('"'))
                for one in answer.get("Contents", ())
            ]  # fmt: skip
            yield Page(objects, [one["Prefix"] for one in answer.get("CommonPrefixes", ())])
            if not answer.get("IsTruncated"):
                return
            asked["ContinuationToken"] = answer["NextContinuationToken"]

    def get(self, key: str, *, offset: int = 0, length: int | None = None, etag: str | None = None) -> Body:
        """Open an object, or a part of it; with `etag` only that one. Raises ChangedError when it is another by now."""
        asked: dict[str, Any] = {"Bucket": self.name, "Key": key}
        if length is not None:
            asked["Range"] = f"bytes={offset}-{offset + length - 1}"
        if etag is not None:
            asked["IfMatch"] = f'"{etag}"'
        with self._refusals(key):
            answer = self._client.get_object(**asked)
        found = _object_from(key, answer)
        body = Body(found, answer["Body"], self._words(key))
        if etag is not None and found.etag != etag:  # a server that does not heed If-Match
            body.close()
            raise ChangedError(f"{self._words(key)} is no longer the file that it was.")
        return body

    # writing

    def put(self, key: str, body: bytes | IO[bytes], *, digest: str | None = None) -> None:
        with self._refusals(key):
            self._client.put_object(
                Bucket=self.name, Key=key, Body=body, ContentMD5=_md5(body), Metadata=_metadata(digest), **self._encryption
            )  # fmt: skip

    def copy(self, source: Object, key: str, *, digest: str | None = None) -> str:
        """Copy an object within the bucket; the new one appears whole. Returns its ETag.

        What the object's metadata say goes with it, unless a `digest` is given to be said instead.
        """
        origin = {"Bucket": self.name, "Key": source.key}
        with self._refusals(key):
            if source.size <= MOST_COPY_BYTES:
                said = {"MetadataDirective": "REPLACE", "Metadata": _metadata(digest)} if digest else {"MetadataDirective": "COPY"}
                answer = self._client.copy_object(Bucket=self.name, Key=key, CopySource=origin, **said, **self._encryption)
                return str(answer.get("CopyObjectResult", {}).get("ETag", "")).strip('"')
        upload_id = self.begin_upload(key, said={"Metadata": _metadata(digest)} if digest else self._said_of(source))
        try:
            with self._refusals(key):
                return self._copy_in_parts(source, key, upload_id, origin)
        except NodeError:
            self.abort_uploads(key, upload_id=upload_id)
            raise

    def _said_of(self, source: Object) -> dict[str, Any]:
        """Return an object's metadata, as what begins an upload takes them."""
        with self._refusals(source.key):
            answer = self._client.head_object(Bucket=self.name, Key=source.key)
        return {name: answer[name] for name in METADATA if answer.get(name)}

    def _copy_in_parts(self, source: Object, key: str, upload_id: str, origin: dict[str, str]) -> str:
        parts = []
        for number, start in enumerate(range(0, source.size, COPY_PART_BYTES), 1):
            last = min(start + COPY_PART_BYTES, source.size) - 1
            answer = self._client.upload_part_copy(
                Bucket=self.name, Key=key, UploadId=upload_id, PartNumber=number, CopySource=origin, CopySourceRange=f"bytes={start}-{last}"
            )
            tag = answer.get("CopyPartResult", {}).get("ETag")
            if tag is None:
                raise NodeError(
                    "This S3 server copies no parts; larger objects than 5 GiB cannot get here.", code="EndpointError", http_status=502
                )
            parts.append({"PartNumber": number, "ETag": tag})
        made = self._client.complete_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})
        return str(made.get("ETag", "")).strip('"')

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there do not matter."""
        for start in range(0, len(keys), KEYS_AT_ONCE):
            group = [{"Key": key} for key in keys[start : start + KEYS_AT_ONCE]]
            with self._refusals(keys[start]):
                if len(group) == 1:
                    self._client.delete_object(Bucket=self.name, Key=keys[start])
                    continue
                answer = self._client.delete_objects(Bucket=self.name, Delete={"Objects": group, "Quiet": True})
            for error in answer.get("Errors", ()):
                if error.get("Code") not in MISSING:
                    raise _refusal(str(error.get("Code")), 0, self._words(str(error.get("Key"))))

    # multipart uploads

    def begin_upload(self, key: str, *, said: dict[str, Any] | None = None) -> str:
        """Begin an upload; what is `said` (`METADATA`) the object will say. Returns its id."""
        with self._refusals(key):
            answer = self._client.create_multipart_upload(Bucket=self.name, Key=key, **(said or {}), **self._encryption)
        return str(answer["UploadId"])

    def find_upload(self, key: str) -> str | None:
        """Return the upload to exactly this key that was begun last, if there is one."""
        found = self._uploads(key)
        return str(max(found, key=lambda one: one["Initiated"])["UploadId"]) if found else None

    def _uploads(self, key: str) -> list[dict[str, Any]]:
        try:
            with self._refusals(key):
                answer = self._client.list_multipart_uploads(Bucket=self.name, Prefix=key)
        except MissingError:  # what some servers say when there are none
            return []
        return [one for one in answer.get("Uploads", ()) if one["Key"] == key]

    def upload_part(self, key: str, upload_id: str, number: int, body: IO[bytes]) -> None:
        """Store part `number` (from 1); it survives until the upload is completed or aborted. Safe to repeat."""
        with self._refusals(key):
            self._client.upload_part(
                Bucket=self.name, Key=key, UploadId=upload_id, PartNumber=number, Body=body, ContentMD5=_md5(body)
            )  # fmt: skip

    def parts(self, key: str, upload_id: str) -> dict[int, tuple[str, int]]:
        """Return ETag and size of each part that is stored, by its number."""
        found: dict[int, tuple[str, int]] = {}
        with self._refusals(key):
            for page in self._client.get_paginator("list_parts").paginate(Bucket=self.name, Key=key, UploadId=upload_id):
                found.update({int(one["PartNumber"]): (str(one["ETag"]), int(one["Size"])) for one in page.get("Parts", ())})
        return found

    def complete_upload(self, key: str, upload_id: str, parts: dict[int, tuple[str, int]]) -> None:
        listed = [{"PartNumber": number, "ETag": parts[number][0]} for number in sorted(parts)]
        with self._refusals(key):
            self._client.complete_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed})

    def abort_uploads(self, key: str, *, upload_id: str | None = None) -> None:
        """End the upload, or all uploads, to exactly this key; their parts are gone. Safe to repeat."""
        for one in [upload_id] if upload_id else [str(found["UploadId"]) for found in self._uploads(key)]:
            with contextlib.suppress(MissingError), self._refusals(key):
                self._client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=one)

    def _words(self, key: str) -> str:
        return "/" + key.removeprefix(self._shown)

    @contextlib.contextmanager
    def _refusals(self, key: str) -> Iterator[None]:
        """Say what S3 says about `key` in our errors."""
        try:
            yield
        except ClientError as error:
            said = error.response.get("Error", {})
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            raise _refusal(str(said.get("Code", "")), status, self._words(key)) from error
        except BotoCoreError as error:
            raise UnavailableError(f"The bucket of {self._words(key)} does not answer.") from error


class Body:
    """An open answer of S3."""

    def __init__(self, found: Object, stream: Any, words: str) -> None:
        self.object = found
        self._stream = stream
        self._words = words

    def read(self, n_bytes: int) -> bytes:
        """Return up to `n_bytes`, none at the end. Raises UnavailableError when the answer breaks off."""
        try:
            chunk: bytes = self._stream.read(n_bytes)
        except (BotoCoreError, HTTPError, OSError) as error:
            raise UnavailableError(f"The bucket's answer for {self._words} broke off.") from error
        return chunk

    def close(self) -> None:
        self._stream.close()


@lru_cache(64)
def _client(account: Account) -> Any:
    """Return the account's client, with its connections; making one reads the whole description of S3, so it is made once."""
    return boto3.session.Session().client(
        "s3", endpoint_url=account.endpoint, region_name=account.region, aws_access_key_id=account.access_key_id,
        aws_secret_access_key=account.secret_access_key, aws_session_token=account.session_token, verify=account.ca_file,
        config=Config(
            retries={"max_attempts": 4, "mode": "standard"}, connect_timeout=5, read_timeout=120, max_pool_connections=CONNECTIONS,
            s3={"addressing_style": "path" if account.endpoint else "auto"},
            request_checksum_calculation="when_required", response_checksum_validation="when_required",
        ),
    )  # fmt: skip


def piece_bytes(size: int) -> int:
    """Return how long the parts of an object of `size` are, so that their number is allowed; whole MiB."""
    needed = -(-size // MOST_PARTS)
    return max(LEAST_PART_BYTES, -(-needed >> 20) << 20)


def _object_from(key: str, answer: dict[str, Any]) -> Object:
    size = int(answer["ContentLength"])
    _, _, total = str(answer.get("ContentRange", "")).rpartition("/")
    told = {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
    modified = answer["LastModified"].astimezone(UTC).replace(microsecond=0)
    return Object(key, int(total) if total else size, modified, str(answer["ETag"]).strip('"'), told.get(DIGEST))


def _metadata(digest: str | None) -> dict[str, str]:
    return {DIGEST: digest} if digest else {}


def _md5(body: bytes | IO[bytes]) -> str:
    """Return the Content-MD5 that S3 holds what arrived against."""
    digest = hashlib.md5(body if isinstance(body, bytes) else b"", usedforsecurity=False)
    if not isinstance(body, bytes):
        while chunk := body.read(1 << 20):
            digest.update(chunk)
        body.seek(0)
    return base64.b64encode(digest.digest()).decode()


def _refusal(code: str, status: int, path: str) -> NodeError:
    if code in FULL or status == 507:
        return NoSpaceError(f"The bucket takes no more: {path}.")
    if code in MISSING or status == 404:
        return MissingError(f"Nothing is at {path}.")
    if code == "InvalidObjectState":
        return ForbiddenError(f"{path} lies in an archive of the bucket and has to be restored first.")
    if code == "KeyTooLongError":
        return InvalidPathError(f"{path} is too long a name for the bucket.")
    if code in BUSY or status >= 500:
        return UnavailableError(f"The bucket of {path} cannot answer now ({code}).")
    if status == 403 or code in {"AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken"}:
        return ForbiddenError(f"The bucket does not permit this at {path}.")
    if status in {409, 412, 416}:
        return ChangedError(f"{path} is no longer the file that it was.")
    return NodeError(f"{path}: the bucket answers {code or status}.", code="EndpointError", http_status=502)
