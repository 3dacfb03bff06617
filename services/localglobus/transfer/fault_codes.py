"""Globus's own codes for what nodes report: those of events, of `nice_status`, of `fatal_error` and of skipped errors.

A node says what its disk or its peer said (services/dtn/PROTOCOL.md, section 5). Source of Globus's codes: the list that its developers
gave (https://groups.google.com/a/globus.org/g/archive-developer-discuss/c/NR2guXS-9SI, 2020) and
https://docs.globus.org/api/transfer/task_events. What has the same name in both is not in the table.
"""

GLOBUS_CODES = {
    "NO_SPACE": "NO_SPACE_LEFT",
    "FILE_CHANGED": "FILE_SIZE_CHANGED",
    "CHECKSUM_MISMATCH": "VERIFY_CHECKSUM",
    "InvalidPath": "INVALID_PATH_NAME",
    "IsDirectory": "IS_A_DIRECTORY",
    "ExternalError.DirListingFailed.NotDirectory": "NOT_A_DIRECTORY",
    "ExternalError.MkdirFailed.Exists": "IS_A_FILE",
    "EndpointError": "ENDPOINT_ERROR",
    "EndpointNotFound": "ENDPOINT_ERROR",
}


def globus_code(code: str) -> str:
    """What Globus calls it."""
    return GLOBUS_CODES.get(code, code)
