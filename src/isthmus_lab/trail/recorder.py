"""Listens to the answer of a call and records it: who called what, and what came of it.

Calls that did not authenticate are not recorded, nor data events (objects, items, messages, invocations), as CloudTrail has it.
"""

import json
import re
import sys
from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import urlencode

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.adapter.requests import Send
from isthmus_lab.call import Call
from isthmus_lab.hooks import Headers, Query
from isthmus_lab.trail.entry import Entry
from isthmus_lab.trail.parameters import LONGEST, RawRequest
from isthmus_lab.trail.store import Store

_AUTHENTICATION = """
AuthFailure InvalidClientTokenId UnrecognizedClientException InvalidAccessKeyId SignatureDoesNotMatch InvalidSignatureException
MissingAuthenticationToken MissingAuthenticationTokenException IncompleteSignature IncompleteSignatureException ExpiredToken
ExpiredTokenException RequestExpired AuthorizationHeaderMalformed InvalidToken
"""
_UNAUTHENTICATED = frozenset(_AUTHENTICATION.split())
_DATA = {
    "s3": "GetObject PutObject DeleteObject HeadObject CopyObject ListObjects ListObjectsV2 ListBucket ListObjectVersions"
    " ListBucketVersions UploadPart CreateMultipartUpload CompleteMultipartUpload AbortMultipartUpload GetObjectTagging PutObjectTagging"
    " GetObjectAttributes ListMultipartUploadParts GetObjectVersion DeleteObjectVersion",
    "lambda": "Invoke InvokeFunction InvokeAsync InvokeWithResponseStream InvokeFunctionUrl",
    "dynamodb": "GetItem PutItem UpdateItem DeleteItem Query Scan BatchGetItem BatchWriteItem TransactGetItems TransactWriteItems",
    "dynamodbstreams": "GetRecords GetShardIterator",
    "sqs": "SendMessage SendMessageBatch ReceiveMessage DeleteMessage DeleteMessageBatch ChangeMessageVisibility",
    "sns": "Publish PublishBatch",
    "kinesis": "PutRecord PutRecords GetRecords GetShardIterator",
    "firehose": "PutRecord PutRecordBatch",
    "monitoring": "PutMetricData GetMetricData GetMetricStatistics ListMetrics",
    "logs": "PutLogEvents GetLogEvents FilterLogEvents",
    "events": "PutEvents",
}
_DATA_ACTIONS = {service: frozenset(names.split()) for service, names in _DATA.items()}
GLOBAL_SERVICES = frozenset({"iam", "cloudfront", "route53", "organizations", "account"})
"""Services whose events belong to us-east-1 wherever they were called."""

_ERROR_BYTES = 8192
_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>", re.IGNORECASE)
_REQUEST_ID = (b"x-amzn-requestid", b"x-amz-request-id")


class Recorder:
    """One per lab. `series` tells the event ids of one run of the lab from those of another; 64 random bits."""

    def __init__(self, adapter: Adapter, store: Store, *, series: int, clock: Callable[[], float]) -> None:
        self._adapter, self._store, self._clock = adapter, store, clock
        self.series = series
        self._number = 0

    @property
    def number(self) -> int:
        """Number of the newest record."""
        return self._number

    def listen(self, call: Call, source: str, path: str, headers: Headers, query: Query, body: bytes, send: Send) -> Send:
        """A `send` that records the call just before the last of its answer leaves, so that a caller who has it finds the record."""
        if not call.action or call.action in _DATA_ACTIONS.get(call.service, ()):
            return send
        return _Listener(self, call, self._clock(), source, path, headers, query, body, send)

    def record(self, heard: "_Listener") -> None:
        """Keep what a listener heard."""
        call, notes = heard.call, heard.call.notes
        code, message = _error(heard.answer) if heard.status >= 400 else ("", "")
        if code in _UNAUTHENTICATED:
            return
        principal = None
        if call.key and notes.identity is None:
            principal = self._adapter.sessions.principal(call.key, self._adapter.requests.account_of_key(call.key))
        if principal is None and notes.identity is None:
            return
        account = notes.account or (principal.account if principal else "")
        side = ("Client." if heard.status < 500 else "Server.") if code and call.service == "ec2" else ""
        self._number += 1
        names = heard.headers
        entry = Entry(
            number=self._number,
            series=self.series,
            at=heard.at,
            account=account,
            region="us-east-1" if call.service in GLOBAL_SERVICES else call.region,
            service=call.service,
            action=call.action,
            principal=principal,
            notes=notes,
            request=RawRequest(path=heard.path, query=urlencode(heard.query, doseq=True), body=_kept(heard)),
            source=heard.source,
            agent=sys.intern(names.get("user-agent", "")),
            host=sys.intern(names.get("host", "")),
            request_id=heard.request_id,
            error_code=f"{side}{code}" if code else "",
            error_message=message,
            twin=self._number + 1 if notes.shared_with else None,
        )
        self._store.add(entry)
        if notes.shared_with:
            self._number += 1
            self._store.add(_twin(entry, self._number, notes.shared_with))

    def clear(self) -> None:
        """Forget all records; numbers go on."""
        self._store.clear()


class _Listener:
    """ASGI `send` of one call."""

    __slots__ = ("answer", "at", "body", "call", "headers", "path", "query", "recorder", "request_id", "send", "source", "status")

    def __init__(
        self, recorder: Recorder, call: Call, at: float, source: str, path: str, headers: Headers, query: Query, body: bytes, send: Send
    ) -> None:
        self.recorder, self.call, self.at, self.source, self.send = recorder, call, at, source, send
        self.path, self.headers, self.query, self.body = path, headers, query, body
        self.status, self.request_id, self.answer = 0, "", b""

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.request_id = next((value.decode("latin-1") for name, value in message["headers"] if name.lower() in _REQUEST_ID), "")
        elif message["type"] == "http.response.body" and self.status:
            if self.status >= 400 and len(self.answer) < _ERROR_BYTES:
                self.answer += message.get("body", b"")
            if not message.get("more_body"):
                self.recorder.record(self)
                self.status = 0
        await self.send(message)


def _kept(heard: _Listener) -> bytes | None:
    """Of a body that its handler told of nothing is kept: it may hold a token."""
    if heard.call.notes.parameters is not None:
        return b""
    return heard.body if len(heard.body) <= LONGEST else None


def _twin(entry: Entry, number: int, account: str) -> Entry:
    """The record that the account of a foreign role gets."""
    members = {name: getattr(entry, name) for name in Entry.__slots__}
    return Entry(**{**members, "number": number, "account": account, "twin": entry.number, "is_foreign": True})


def _error(answer: bytes) -> tuple[str, str]:
    """(code, message) of an error answer in any protocol; a code is never empty."""
    if answer[:1] == b"{":
        try:
            value = json.loads(answer)
        except ValueError:
            return "InternalFailure", ""
        code = str(value.get("__type") or value.get("code") or value.get("Code") or "InternalFailure").rpartition("#")[2]
        return code, str(value.get("message") or value.get("Message") or "")
    named, said = _CODE.search(answer), _MESSAGE.search(answer)
    return named[1].decode("utf-8", "replace") if named else "InternalFailure", _plain(said[1]) if said else ""


def _plain(text: bytes) -> str:
    words = text.decode("utf-8", "replace")
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&#x27;", "'"), ("&amp;", "&")):
        words = words.replace(entity, character)
    return words
