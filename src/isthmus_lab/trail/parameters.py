"""CloudTrail's `requestParameters` from a raw request. Names are the API's with a small first letter, lists are lists; what AWS hides is
hidden. EC2's `…Set` elements and path parameters of REST services other than S3's bucket are not rebuilt."""

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

LONGEST = 32_768
"""Bytes of a request body that are kept; of a longer one CloudTrail shows nothing but that it was left out."""

_HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
_SECRET_NAMES = """
password masterUserPassword newPassword oldPassword secretString secretBinary plaintext ciphertextBlob authToken privateKey tokenCode
webIdentityToken sAMLAssertion userData secretAccessKey sessionToken tokenValue
"""
_SECRETS = frozenset(_SECRET_NAMES.split())
_SECRETS_OF = {
    "SendCommand": "parameters",
    "PutParameter": "value",
    "CreateFunction": "environment",
    "UpdateFunctionConfiguration": "environment",
}
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class RawRequest:
    """What of a request the trail keeps: `query` is the query string as text; `body` None means longer than LONGEST."""

    path: str
    query: str
    body: bytes | None


def read_parameters(service: str, action: str, request: RawRequest) -> dict[str, Any] | None:
    """The parameters, None where there are none."""
    if request.body is None:
        return {"omitted": True, "reason": "The request is too large."}
    found = _parameters(service, request.body, request)
    return _without_secrets(found, _SECRETS_OF.get(action, "")) or None


def _parameters(service: str, body: bytes, request: RawRequest) -> dict[str, Any]:
    if body[:1] == b"{":
        try:
            value = json.loads(body)
        except ValueError:
            return {}
        return _lowered(value) if isinstance(value, dict) else {}
    pairs = dict(parse_qsl(request.query, keep_blank_values=True))
    if b"Action=" in body[:4096] and not body.startswith(b"<"):
        pairs |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    shown = {name: value for name, value in pairs.items() if name not in ("Action", "Version") and not name.startswith("X-Amz-")}
    bucket = unquote(request.path.lstrip("/").partition("/")[0]) if service == "s3" else ""
    return ({"bucketName": bucket} if bucket else {}) | _nested(shown)


def _nested(pairs: dict[str, str]) -> dict[str, Any]:
    """`Tags.member.1.Key` becomes `{"tags": [{"key": …}]}`."""
    root: dict[str, Any] = {}
    for name, value in pairs.items():
        parts = [part for part in name.split(".") if part not in ("member", "entry")]
        at = root
        for part in parts[:-1]:
            inner = at.setdefault(_lower(part), {})
            if not isinstance(inner, dict):
                break
            at = inner
        else:
            at[_lower(parts[-1]) if parts else name] = value
    listed = _listed(root)
    return listed if isinstance(listed, dict) else {}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(_NUMBER.fullmatch(name) for name in value):
        return [_listed(value[name]) for name in sorted(value, key=int)]
    return {name: _listed(one) for name, one in value.items()}


def _lowered(value: Any) -> Any:
    if isinstance(value, dict):
        return {_lower(name): _lowered(one) for name, one in value.items()}
    return [_lowered(one) for one in value] if isinstance(value, list) else value


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _without_secrets(value: Any, hidden: str) -> Any:
    if isinstance(value, dict):
        return {name: _HIDDEN if name in _SECRETS or name == hidden else _without_secrets(one, hidden) for name, one in value.items()}
    return [_without_secrets(one, hidden) for one in value] if isinstance(value, list) else value
