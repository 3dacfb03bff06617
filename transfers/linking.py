"""The address of one file of a version at its data transfer node: what "HTTPS" means on the pages of a dataset."""

from typing import Any

from datasets import files
from datasets.access import check_may_have, check_offered, terms
from datasets.models import Version
from transfers import globus, manifests
from transfers.errors import ForbiddenError, NotFoundError


def file_address(version: Version, path: str, *, user: Any) -> str:
    """Where this person downloads a file from. The node checks her right once more.

    Raises NotFoundError for a path that the version does not hold, ForbiddenError with the way that is open instead,
    TermsNeededError where terms are to be accepted first.
    """
    check_may_have(user, version.dataset)
    check_offered(user, version)
    terms.check_accepted(user, [version.dataset])
    if not version.dataset.is_read_in_place:
        raise ForbiddenError("The files of this dataset are not read in the archive itself. Prepare a share: its files have addresses.")
    location = manifests.location_of(version)
    found = next(files.iterate(version, files.FileQuery(files=(path,)), batch=1), None)
    if found is None or location.collection_id is None:
        raise NotFoundError(f"Version {version.number} holds no file {path}.")
    return globus.https_url(location.collection_id, found.collection_path)
