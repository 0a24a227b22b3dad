"""Requests and answers of the query protocol, as EC2, IAM and STS speak it."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlencode

from lxml import etree

from isthmus_lab.world import Response

Form = dict[str, str]


def read_form(query: Mapping[str, list[str]], body: bytes) -> Form:
    """Parameters of a request, from query string and form body."""
    form = {name: values[0] for name, values in query.items() if values}
    return form | dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def write_form(form: Form) -> bytes:
    """A form body."""
    return urlencode(form).encode()


def members(form: Form, prefix: str, suffix: str = "") -> list[str]:
    """Values of `prefix.1`, `prefix.2` …, in order; `suffix` follows the number."""
    pattern = re.compile(re.escape(prefix) + r"\.(\d+)" + re.escape(suffix))
    found = [(int(match[1]), value) for name, value in form.items() if (match := pattern.fullmatch(name))]
    return [value for _, value in sorted(found)]


def tags(form: Form, prefix: str) -> list[dict[str, str]]:
    """Tags given as `prefix.N.Key` and `prefix.N.Value`."""
    numbers = sorted(int(name.split(".")[-2]) for name in form if re.fullmatch(re.escape(prefix) + r"\.\d+\.Key", name))
    return [{"Key": form[f"{prefix}.{n}.Key"], "Value": form.get(f"{prefix}.{n}.Value", "")} for n in numbers]


def text(value: object) -> str:
    """A value as XML text."""
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class TokenMismatchError(ValueError):
    """A paging token is not one that this listing handed out."""


def _fingerprint(form: Form, ignored: Iterable[str]) -> str:
    kept = sorted((name, value) for name, value in form.items() if name not in ignored)
    return hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:12]


def read_token(token: str, form: Form, ignored: Iterable[str]) -> int:
    """The offset that a paging token stands for; raises TokenMismatchError for a token of another listing or no token at all."""
    try:
        mark, offset = base64.urlsafe_b64decode(token.encode()).decode().split(":")
        if mark != _fingerprint(form, ignored):
            raise TokenMismatchError(token)
        return int(offset)
    except (ValueError, binascii.Error) as error:
        raise TokenMismatchError(token) from error


def write_token(offset: int, form: Form, ignored: Iterable[str]) -> str:
    """A paging token; it fits only the listing with the same parameters."""
    return base64.urlsafe_b64encode(f"{_fingerprint(form, ignored)}:{offset}".encode()).decode()


def xml_of(response: Response) -> etree._Element:
    """The parsed body of an answer of our own engine."""
    return etree.fromstring(response[2], etree.XMLParser(resolve_entities=False, huge_tree=True))


def with_xml(response: Response, root: etree._Element) -> Response:
    """The answer with another body."""
    return response[0], response[1], etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def local(element: etree._Element) -> str:
    """Name of an element without its namespace."""
    return etree.QName(element).localname


def child(root: etree._Element, name: str) -> etree._Element | None:
    """Direct child by local name."""
    return next((one for one in root if isinstance(one.tag, str) and local(one) == name), None)


def append_text(parent: etree._Element, name: str, value: str) -> None:
    """Append `<name>value</name>` in the parent's namespace."""
    space = etree.QName(parent).namespace
    etree.SubElement(parent, f"{{{space}}}{name}" if space else name).text = value
