"""XML and JSON as text, escaped by the standard library.

Neither holds the characters that XML 1.0 cannot hold, so that all formats say the same.
"""

import json
import re
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, register_namespace, tostring

# https://www.w3.org/TR/xml/#charsets: everything but these may stand in a document.
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
XSI = "http://www.w3.org/2001/XMLSchema-instance"

register_namespace("xsi", XSI)


def clean(text: object) -> str:
    return NOT_XML.sub("", str(text))


def add(parent: Element, tag: str, text: object = "", **attributes: str) -> Element:
    """A child with text; attributes named with a namespace are passed by `set`."""
    child = SubElement(parent, tag, {name: clean(value) for name, value in attributes.items()})
    if text != "":
        child.text = clean(text)
    return child


def add_path(parent: Element, *tags: str) -> Element:
    """A chain of children, one in the other; the innermost."""
    for tag in tags:
        parent = SubElement(parent, tag)
    return parent


def xml_text(root: Element) -> str:
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def json_text(value: Any) -> str:
    return json.dumps(_cleaned(value), ensure_ascii=False, indent=2) + "\n"


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(one) for one in value]
    return clean(value) if isinstance(value, str) else value


def without_empty(value: dict[str, Any]) -> dict[str, Any]:
    """The same without what is not known: empty strings, lists and mappings, and None."""
    return {name: one for name, one in value.items() if one not in ("", None, [], {}, ())}
