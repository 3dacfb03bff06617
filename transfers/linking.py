"""The address of one file of a version, at its data transfer node or at its object store: what "HTTPS" means on the pages of a dataset."""

from typing import Any

from datasets import files
from datasets.access import check_may_have, check_offered, terms
from datasets.models import Version
from datasets.scans import storage
from transfers import globus, manifests
from transfers.errors import ConflictError, ForbiddenError, NotFoundError

SIGNED_FOR_S = 900


def file_address(version: Version, path: str, *, user: Any) -> str:
    """Where this person downloads a file from. A node checks her right once more; of a bucket the address is signed, for some minutes.

    Raises NotFoundError for a path that the version does not hold, ForbiddenError with the way that is open instead,
    TermsNeededError where terms are to be accepted first, ConflictError for what is cold.
    """
    check_may_have(user, version.dataset)
    check_offered(user, version)
    terms.check_accepted(user, [version.dataset])
    if version.is_in_bucket and version.dataset.is_controlled:
        raise ForbiddenError(
            "Controlled files leave the archive in encrypted shares alone, and these lie in no collection. Ask the steward."
        )
    if not is_addressed(version):
        raise ForbiddenError("The files of this dataset are not read in the archive itself. Prepare a share: its files have addresses.")
    found = next(files.iterate(version, files.FileQuery(files=(path,)), batch=1), None)
    if found is None:
        raise NotFoundError(f"Version {version.number} holds no file {path}.")
    if found.availability == "cold":
        raise ConflictError(f"{path} is cold: on tape or away for a time. Ask the steward when it is on line.")
    if version.is_in_bucket:
        return signed_address(version, found, lifetime_s=SIGNED_FOR_S)
    return globus.https_url(str(manifests.location_of(version).collection_id), found.collection_path)


def is_addressed(version: Version) -> bool:
    """Whether single files have addresses, for whom may have them: in place in a collection, or signed in a bucket; controlled never."""
    return version.dataset.is_read_in_place or (version.is_in_bucket and not version.dataset.is_controlled)


def signed_address(version: Version, file: files.FileRow, *, lifetime_s: int) -> str:
    """The address of a file in a bucket, for everybody who has it; whoever calls checked that this person may have the file.

    Raises ConflictError where the bucket is not on line, StorageRefusedError where the portal has no account there.
    """
    location = version.primary_location
    if location is None or not location.is_online or file.availability == "cold":
        raise ConflictError(f"The files of {version} are not on line at the moment.")
    return storage.signed_address(location.bucket, file.collection_path, lifetime_s=lifetime_s)
