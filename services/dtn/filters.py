"""Filter rules of a recursive copy, as Globus applies them: in order, the first that matches decides, what none matches is included.

Source: Transfer API, "filter_rules" (https://docs.globus.org/api/transfer/task_submit/#filter_rules). A folder that is excluded
takes what it holds with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from services.dtn.errors import BadRequestError


@dataclass(frozen=True)
class FilterRule:
    method: str  # "include" | "exclude"
    type: str | None  # "file" | "dir" | None for both
    pattern: str

    def matches(self, name: str, entry_type: str) -> bool:
        return self.type in {None, entry_type} and fnmatchcase(name, self.pattern)


def filters_from(asked: Sequence[dict[str, Any]] | None) -> list[FilterRule]:
    """Read the rules of an order. Raises BadRequestError for a method that does not exist."""
    rules = [FilterRule(str(rule.get("method", "exclude")), rule.get("type"), str(rule.get("name", ""))) for rule in asked or ()]
    if any(rule.method not in {"include", "exclude"} or rule.type not in {None, "file", "dir"} for rule in rules):
        raise BadRequestError("A filter rule includes or excludes files, folders or both.")
    return rules


def is_included(name: str, entry_type: str, rules: Sequence[FilterRule]) -> bool:
    for rule in rules:
        if rule.matches(name, entry_type):
            return rule.method == "include"
    return True
