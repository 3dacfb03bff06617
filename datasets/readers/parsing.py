"""XML and JSON from strangers: what is no document is refused in words, and no document makes the portal fetch, expand or recurse.

XML goes through defusedxml: a document with an entity, or with a definition from elsewhere, is refused.
"""

import codecs
import json
import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from datasets.errors import InvalidError

LONGEST = 5_000_000
DEEPEST = 100
DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")

NO_CHARACTER_SETS = frozenset({"punycode", "idna", "unicode-escape", "raw-unicode-escape"})  # Python decodes them too, the first for hours


def text_of(content: bytes) -> str:
    """The text of a file: by its byte order mark, by what an XML declaration says, else UTF-8. Raises InvalidError where it is none."""
    if len(content) > 4 * LONGEST:
        raise refusal(f"At most {LONGEST // 1_000_000} million characters at once.")
    declared = DECLARED.match(content[:400])
    marked = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig" if content[:3] == b"\xef\xbb\xbf" else ""
    encoding = marked or (declared[1].decode() if declared else "utf-8")
    refused = refusal(f"This is not text in {encoding}. Save the record as UTF-8.")
    try:
        if codecs.lookup(encoding).name not in NO_CHARACTER_SETS:
            return content.decode(encoding)
    except (UnicodeError, LookupError) as error:
        raise refused from error
    raise refused


def parse_xml(document: str) -> Element:
    """The root. Raises InvalidError for what is no XML, is too deep, or declares entities."""
    try:
        root: Element = ElementTree.fromstring(document, forbid_dtd=True)
    except DefusedXmlException as error:
        raise refusal("The XML carries a document type or entities, which are not read. Remove its <!DOCTYPE>.") from error
    except (ParseError, ValueError) as error:
        raise refusal(f"This is not XML: {error}.") from error
    level, depth = [root], 0
    while level:
        level, depth = [child for one in level for child in one], depth + 1
        if depth > DEEPEST:
            raise refusal(f"The XML is nested more than {DEEPEST} deep.")
    return root


def parse_json(document: str) -> Any:
    """The value. Raises InvalidError for what is no JSON or is too deep."""
    try:
        value = json.loads(document, parse_constant=lambda name: name)
    except RecursionError as error:
        raise refusal("The JSON is nested too deep.") from error
    except ValueError as error:
        raise refusal(f"This is not JSON: {error}.") from error
    level, depth = [value], 0
    while level:
        within = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level, depth = [child for children in within for child in children], depth + 1
        if depth > DEEPEST:
            raise refusal(f"The JSON is nested more than {DEEPEST} deep.")
    return value


def refusal(words: str) -> InvalidError:
    return InvalidError(words, fields={"record": [words]})


def local_name(element: Element) -> str:
    """The name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]
