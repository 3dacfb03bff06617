"""The address of one file of a version at its data transfer node: what "HTTPS" means on the pages of a dataset."""

from typing import Any

from datasets import files
from datasets.access import decide
from datasets.models import AccessPolicy, Version
from transfers import globus, manifests
from transfers.errors import ForbiddenError, NotFoundError


def file_address(version: Version, path: str, *, user: Any) -> str:
    """Where this person downloads a file from. The node checks her right once more.

    Raises NotFoundError for a path that the version does not hold, ForbiddenError with the way that is open instead.
    """
    decision = decide(user, version.dataset)
    if not decision.is_allowed:
        raise ForbiddenError(decision.words)
    if version.dataset.access_policy == AccessPolicy.RESTRICTED:
        raise ForbiddenError("Files of a restricted dataset are not read in the archive itself. Prepare a share: its files have addresses.")
    location = manifests.location_of(version)
    found = next(files.iterate(version, files.FileQuery(files=(path,)), batch=1), None)
    if found is None or location.collection_id is None:
        raise NotFoundError(f"Version {version.number} holds no file {path}.")
    return globus.https_url(location.collection_id, found.collection_path)
