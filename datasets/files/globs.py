"""Globs over logical paths, translated into regular expressions that PostgreSQL and Python read alike.

    *       any run of characters within one path segment
    ?       one character, not /
    [a-c]   one of a set, not /; [!a-c] one outside it
    **      any run of characters, across segments; as a whole segment also none: a/**/b matches a/b

A glob that starts with / is matched against the whole path from the root of the version, any other one at every depth (so `*.nc` finds
`/a/b/c.nc`). One that ends with / means everything below that folder.
"""

import re

from datasets.errors import InvalidError

LONGEST = 300


def to_regex(glob: str) -> str:
    """The anchored expression for a glob over a path that starts with /. Raises InvalidError for an empty, too long or unprintable glob."""
    if not glob or len(glob) > LONGEST or "\0" in glob:
        raise InvalidError(fields={"glob": [f"A glob has 1 to {LONGEST} characters."]})
    if glob.endswith("/"):
        glob += "**"
    body = _translate(glob.lstrip("/"))
    return f"^/{body}$" if glob.startswith("/") else f"^/(.*/)?{body}$"


def matches(glob: str, path: str) -> bool:
    """Whether the path fits the glob."""
    return re.search(to_regex(glob)[:-1] + r"\Z", path, flags=re.DOTALL) is not None


def _translate(glob: str) -> str:
    out, at = [], 0
    while at < len(glob):
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            out.append("(.*/)?")
            at += 3
        elif glob.startswith("**", at):
            out.append(".*")
            at += 2
        elif glob[at] == "*":
            out.append("[^/]*")
            at += 1
        elif glob[at] == "?":
            out.append("[^/]")
            at += 1
        elif glob[at] == "[" and (end := _class_end(glob, at)):
            out.append(_class(glob[at + 1 : end]))
            at = end + 1
        else:
            out.append(_literal(glob[at]))
            at += 1
    return "".join(out)


def _literal(character: str) -> str:
    """A character that stands for itself inside and outside brackets, in both dialects."""
    return f"\\{character}" if character in r"\.^$*+?()[]{}|-&~#" else character


def _class_end(glob: str, at: int) -> int:
    """Where the set that opens at `at` closes; 0 when it does not, and the bracket then stands for itself."""
    first = at + 2 if glob.startswith("!", at + 1) else at + 1
    return max(glob.find("]", first + 1), 0)


def _class(inside: str) -> str:
    is_negated = inside.startswith("!")
    characters = inside[1:] if is_negated else inside
    parts, at = [], 0
    while at < len(characters):
        if at + 2 < len(characters) and characters[at + 1] == "-":
            low, high = characters[at], characters[at + 2]
            if low <= high:
                parts.append(f"{_literal(low)}-{_literal(high)}")
            at += 3
        else:
            parts.append(_literal(characters[at]))
            at += 1
    if not parts:
        return "[^/]" if is_negated else "(?!.)."
    return f"(?!/)[{'^' if is_negated else ''}{''.join(parts)}]"
