"""Errors as AWS' protocols write them, and bodies that are no error of AWS at all (a proxy's HTML, nothing)."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any

import orjson
from lxml import etree

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True, huge_tree=True)
_SHOWN = 500


def parse_xml(body: bytes) -> Any:
    """The root element; raises ValueError for what is no XML. Entities are never resolved."""
    try:
        return etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"no XML: {error.msg}") from None


def read_fault(body: bytes, headers: Mapping[str, str], status: int, *, speaks_json: bool) -> tuple[str, str]:
    """Code and message of a refusal. The code is `Http<status>` where the answer names none."""
    code, message = _json_fault(body, headers) if speaks_json else _xml_fault(body)
    return code or f"Http{status}", message or http.client.responses.get(status, "")


def _json_fault(body: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
    try:
        document = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError:
        document = {}
    if not isinstance(document, dict):
        document = {}
    old = headers.get("x-amzn-query-error", "").partition(";")[0]
    named = old or headers.get("x-amzn-errortype") or document.get("__type") or document.get("code") or document.get("Code") or ""
    message = document.get("message") or document.get("Message") or document.get("errorMessage") or ""
    return _bare(str(named)), str(message)[:_SHOWN]


def _bare(code: str) -> str:
    """`com.amazonaws.x#Name:http://…` as `Name`."""
    return code.partition(":")[0].rpartition("#")[2]


def _xml_fault(body: bytes) -> tuple[str, str]:
    try:
        root = parse_xml(body)
    except ValueError:
        return "", ""
    if _local(root) == "Error":
        return _code_and_message(root)
    for node in root.iter():
        if _local(node) == "Error":
            return _code_and_message(node)
    return _code_and_message(root)


def _code_and_message(node: Any) -> tuple[str, str]:
    found = {_local(child): (child.text or "").strip() for child in node}
    return found.get("Code", ""), found.get("Message", found.get("message", ""))[:_SHOWN]


def _local(node: Any) -> str:
    return str(node.tag).rpartition("}")[2]
