"""The nouns: `requests` (read first), `baskets`, `grants`, `tokens`. How workers do their steps: `working`."""

from transfers.models.baskets import Basket, Selection
from transfers.models.grants import ArchiveRule, Drift
from transfers.models.requests import DataRequest, DataRequestEvent, DataRequestTask, Destination, FailedFile, SentMail, ShareDeletion
from transfers.models.tokens import GlobusToken

__all__ = [
    "ArchiveRule",
    "Basket",
    "DataRequest",
    "DataRequestEvent",
    "DataRequestTask",
    "Destination",
    "Drift",
    "FailedFile",
    "GlobusToken",
    "Selection",
    "SentMail",
    "ShareDeletion",
]
