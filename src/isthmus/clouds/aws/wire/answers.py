"""From an HTTP answer to the operation's result, or to the error that AWS meant."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import orjson
from lxml import etree

from isthmus.clouds.aws.wire.errors import AwsError
from isthmus.clouds.aws.wire.faults import parse_xml, read_fault
from isthmus.clouds.aws.wire.models import Operation

# Namespaces cost a copy of every tag's name. The root's own is cut out of its start tag, and only there: elsewhere it may be text.
_NAMESPACE = re.compile(rb'\A((?:<\?[^>]*\?>)?\s*(?:<!--[^>]*-->\s*)?<[A-Za-z][^\s>]*)\sxmlns="[^"]*"')
_HEAD = 1024
_LARGE = 64 * 1024
# Signature checks fail under these names when the caller's clock is wrong; then the answer's Date tells by how much.
_CLOCK_CODES = frozenset(
    {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"}
)
_EMPTY = etree.Element("empty")
_REFUSED = object()
SKEW = 240.0  # seconds; AWS refuses at 300


class Answer(NamedTuple):
    """An HTTP answer, complete. Header names are lower case. `signed` is the time that the request was signed with, 0 without signature."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    signed: float = 0.0


def read_answer(operation: Operation, answer: Answer, *, region: str) -> dict[str, Any]:
    """The result; raises AwsError `MalformedAnswer` when a body of a success cannot be read, and S3's errors that come with status 200."""
    try:
        if len(answer.body) < _LARGE:
            result = _read(operation, answer)
        else:
            with _undisturbed():
                result = _read(operation, answer)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise AwsError(
            code="MalformedAnswer",
            message=f"the answer is not what the service's model promises ({error})",
            status=answer.status,
            operation=operation.name,
            region=region,
        ) from error
    if result is None:
        raise refusal(operation, answer, region=region)
    return result


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No cycle collection meanwhile: a page makes a hundred thousand objects and no cycle, and looking for some costs a seventh more."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(operation: Operation, answer: Answer) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for member, location, name, ref in operation.out_at:
        value = _located(answer, location, name, ref)
        if value is not None:
            found[member] = value
    if operation.payload is not None and operation.body is None:
        found[operation.payload[0]] = answer.body if operation.payload[1] == "x" else answer.body.decode()
    elif operation.body is not None:
        content = _json_body(answer.body) if operation.service.speaks_json else _xml_body(operation, answer.body)
        if content is _REFUSED:
            return None
        if operation.payload is not None:
            found[operation.payload[0]] = operation.body(content)
        else:
            found.update(operation.body(content))
            if operation.name == "s3:GetBucketLocation":  # the one answer whose root element is the value; us-east-1 is an empty one
                found["LocationConstraint"] = content.text
    return found


def _json_body(body: bytes) -> Any:
    return orjson.loads(body) if body else {}


def _xml_body(operation: Operation, body: bytes) -> Any:
    """The element that the result's shape describes; an empty one for an empty body, `_REFUSED` for an error in a success' clothes (S3)."""
    if not body and operation.service.protocol == "rest-xml":
        return _EMPTY
    root = parse_xml(_NAMESPACE.sub(rb"\1", body[:_HEAD]) + body[_HEAD:])
    if operation.service.is_s3 and root.tag == "Error":
        return _REFUSED
    if operation.wrapper is None:
        return root
    for child in root:
        if child.tag.rpartition("}")[2] == operation.wrapper:
            return child
    raise ValueError(f"there is no {operation.wrapper}")


def _located(answer: Answer, location: str, name: str, ref: Any) -> Any:
    if location == "statusCode":
        return answer.status
    if location == "headers":
        start = name.lower()
        return {key[len(start) :]: value for key, value in answer.headers.items() if key.startswith(start)}
    value = answer.headers.get(name.lower())
    if value is None:
        return None
    if ref == "i":
        return int(value)
    if ref == "f":
        return float(value)
    return value.lower() == "true" if ref == "b" else value


def refusal(operation: Operation, answer: Answer, *, region: str) -> AwsError:
    """The error of an answer that refuses."""
    code, message = read_fault(answer.body, answer.headers, answer.status, speaks_json=operation.service.speaks_json)
    if "x-amz-bucket-region" in answer.headers:
        message += f" (the bucket lies in {answer.headers['x-amz-bucket-region']})"
    return AwsError(
        code=code,
        message=message,
        status=answer.status,
        operation=operation.name,
        region=region,
        retry_after=_retry_after(answer.headers),
    )


def true_time(error: AwsError, answer: Answer) -> float | None:
    """AWS' time in epoch seconds, if our clock explains a refused signature."""
    if error.code not in _CLOCK_CODES or "date" not in answer.headers or not answer.signed:
        return None
    try:
        time = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except ValueError:
        return None
    return time if abs(time - answer.signed) > SKEW or error.code == "RequestTimeTooSkewed" else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "")
    return float(text) if text.isdigit() else None
