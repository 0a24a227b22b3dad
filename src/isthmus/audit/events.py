"""Events of a cloud's trail as the log keeps them: what joins and finds them as columns, the whole of them compressed, with its digest.

Everything but the joining follows from the document, so who holds a row can tell whether any of it was changed.
Source: CloudTrail User Guide, "CloudTrail record contents" and "userIdentity element".
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from isthmus.clouds.documents import read_json

WEB, SAML, ASSUME = "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML", "AssumeRole"
STS: Final = "sts.amazonaws.com"
LARGEST: Final = 1 << 20
"""Bytes of one event; CloudTrail ends at 256 KB."""
_MOST_RESOURCES, _MOST_MACHINES = 100, 1_000

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z0-9-]{1,32}")
_MACHINE = re.compile(r"(?<![A-Za-z0-9-])m?i-(?:[0-9a-f]{17}|[0-9a-f]{8})(?![0-9a-f])")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_SMALL = 6_000
_FIRST_FORMAT, _FORMAT = b"\x01", b"\x02"
# Part of the format: what most events share. Never change it; a new one needs a new format byte.
_SHARED = (
    b'"tlsDetails":{"cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":".amazonaws.com","tlsVersion":"TLSv1.3"},'
    b'"sourceIPAddress":"","errorCode":"AccessDenied","errorMessage":"User: is not authorized to perform: because no '
    b'identity-based policy allows the action","additionalEventData":{"RoleAuthorizedByIdp":true},"responseElements":{"credentials":'
    b'{"accessKeyId":"ASIA","expiration":""},"assumedRoleUser":{"arn":"","assumedRoleId":"AROA"}},"requestParameters":'
    b'{"durationSeconds":900,"roleArn":"arn:aws:iam::","roleSessionName":"","sourceIdentity":"","principalTags":{"grant":"G-",'
    b'"signin":""}},"resources":[{"ARN":"arn:aws:","accountId":"","type":"AWS::"}],"requestID":"","userAgent":"Boto3/1 md/Botocore",'
    b'"awsRegion":"us-east-1","eventCategory":"Management","eventID":"","eventName":"Describe","eventSource":"ec2.amazonaws.com",'
    b'"eventTime":"2026-","eventType":"AwsApiCall","eventVersion":"1.11","managementEvent":true,"readOnly":true,'
    b'"recipientAccountId":"","requestParameters":null,"responseElements":null,"userIdentity":{"accessKeyId":"ASIA","accountId":"",'
    b'"arn":"arn:aws:sts:::assumed-role/IsthmusPerson-","principalId":"AROA","sessionContext":{"attributes":{"creationDate":"2026-",'
    b'"mfaAuthenticated":"false"},"sessionIssuer":{"accountId":"","arn":"arn:aws:iam:::role/IsthmusPerson-","principalId":"AROA",'
    b'"type":"Role","userName":"IsthmusPerson-"},"sourceIdentity":"","webIdFederationData":{"attributes":{},"federatedProvider":'
    b'"arn:aws:iam:::oidc-provider/"}},"type":"AssumedRole"}}'
)


_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


class UnreadableEvent(Exception):
    """This is no event of a trail; the text says what is missing. It repeats nothing of the event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One event. `at` and `began_at` (creation of the caller's session, 0 where it is not told) in milliseconds.

    `kind` is the caller's type, `caller` their account (the event's where none is told), `key` their access key; `made` is the key of the
    session that the event made, `made_principal` its role id and name, `home` the account in which it acts; `outcome` is the error code,
    empty when it succeeded. `machines` are instances that it names. Texts are cut to the log's lengths.
    `content` is the document as it is kept: an event that could be read can be kept.
    """

    id: str
    account: str
    region: str
    at: int
    source: str
    name: str
    kind: str
    caller: str
    key: str
    principal: str
    source_identity: str
    began_at: int
    made: str
    made_principal: str
    home: str
    outcome: str
    is_read_only: bool
    resources: tuple[str, ...]
    machines: tuple[str, ...]
    document: Mapping[str, Any]
    content: bytes

    @property
    def is_federation(self) -> bool:
        """Whether it exchanged a token or an assertion for a session."""
        return self.source == STS and self.name in (WEB, SAML)


def read_event(document: object) -> Event:
    """The event in a parsed document. Raises UnreadableEvent, also for what could not be kept."""
    if not isinstance(document, dict):
        raise UnreadableEvent("it is not a JSON object")
    return _read(document, _canonical(document))


def _read(document: Mapping[str, Any], content: bytes) -> Event:
    identity, parameters = part(document, "userIdentity"), part(document, "requestParameters")
    answer, context = part(document, "responseElements"), part(identity, "sessionContext")
    source, name = text(document, "eventSource", 128), text(document, "eventName", 128)
    if not source or not name:
        raise UnreadableEvent("eventSource or eventName is missing")
    is_assume = source == STS and name in (WEB, SAML, ASSUME)
    made = text(part(answer, "credentials"), "accessKeyId", 128) if is_assume else ""
    given = parameters if source == STS and name == WEB else context
    account = _matching(_ACCOUNT, document, "recipientAccountId", identity.get("accountId"))
    user = part(answer, "assumedRoleUser") if made else {}
    return Event(
        id=_matching(_ID, document, "eventID"),
        account=account,
        region=_matching(_REGION, document, "awsRegion"),
        at=_instant(document.get("eventTime"), "eventTime"),
        source=source,
        name=name,
        kind=text(identity, "type", 32),
        caller=_account_or(account, identity.get("accountId")),
        key=text(identity, "accessKeyId", 128),
        principal=text(identity, "principalId", 512),
        source_identity=text(given, "sourceIdentity", 64),
        began_at=_instant(part(context, "attributes").get("creationDate") or 0, "creationDate"),
        made=made,
        made_principal=text(user, "assumedRoleId", 512),
        home=_account_or(account, ":".join(text(user, "arn", 2_048).split(":")[4:5])),
        outcome=text(document, "errorCode", 128),
        is_read_only=document.get("readOnly") in (True, "true"),
        resources=_resources(document),
        machines=_machines(document, identity),
        document=document,
        content=content,
    )


def pack(event: Event) -> tuple[str, bytes]:
    """The digest of an event (hex) and its compressed document."""
    # A small window is enough for a small event and is made faster; whatever the window, the text opens the same way.
    squeezer = zlib.compressobj(3, zlib.DEFLATED, -13 if len(event.content) < _SMALL else -15, 6, zdict=_SHARED)
    packed = squeezer.compress(event.content) + squeezer.flush()
    return hashlib.sha256(event.content).hexdigest(), _FORMAT + packed + zlib.crc32(packed).to_bytes(4, "big")


def resources_text(event: Event) -> str:
    """The resources of an event as their column holds them: a JSON list."""
    return json.dumps(event.resources) if event.resources else "[]"


def unpack(packed: bytes) -> tuple[str, Event]:
    """Digest and event of a packed document. Raises UnreadableEvent for anything that `pack` did not make."""
    opener, content = _opened(packed)
    try:
        found = opener.decompress(content, LARGEST * 2)
    except zlib.error as error:
        raise UnreadableEvent("it cannot be decompressed") from error
    if not opener.eof or opener.unused_data:
        raise UnreadableEvent("its end is missing, or something follows it")
    document = parse(found)
    if not isinstance(document, dict):
        raise UnreadableEvent("it is not a JSON object")
    return hashlib.sha256(found).hexdigest(), _read(document, found)


def _opened(packed: bytes) -> tuple[Any, bytes]:
    """What decompresses a document, and what it is to be given. The sum is of the compressed bytes: their last ones hold bits that mean
    nothing, and a change of these is to be seen as well."""
    if packed[:1] == _FIRST_FORMAT:
        return zlib.decompressobj(zdict=_SHARED), packed[1:]
    if packed[:1] != _FORMAT:
        raise UnreadableEvent("its format is unknown")
    if zlib.crc32(packed[1:-4]).to_bytes(4, "big") != packed[-4:]:
        raise UnreadableEvent("its sum is another one")
    return zlib.decompressobj(-15, zdict=_SHARED), packed[1:-4]


def parse(content: bytes | str) -> object:
    """JSON that came from outside. Raises UnreadableEvent."""
    if len(content) > LARGEST * 2:
        raise UnreadableEvent("it is too large")
    try:
        found: object = read_json(content)
    except ValueError as error:
        raise UnreadableEvent("it is not JSON") from error
    return found


def _encoded(document: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # numbers of more than 64 bits, halves of characters, more than 254 levels
        return _ENCODE(document).encode()


def _canonical(document: Mapping[str, Any]) -> bytes:
    try:
        content = _encoded(document)
    except (ValueError, RecursionError) as error:
        raise UnreadableEvent("it is nested too deeply") from error
    if len(content) > LARGEST:
        raise UnreadableEvent("it is too large")
    return content


def part(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A part of a document, empty where there is none or something else stands there."""
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def text(document: Mapping[str, Any], name: str, longest: int) -> str:
    """A text of a document as it may be kept: without control characters and halves of characters, and cut. Empty for anything else."""
    found = document.get(name)
    if not isinstance(found, str):
        return ""
    return found[:longest] if found.isprintable() and len(found) <= longest else _CONTROL.sub("", found)[:longest]


def _matching(pattern: re.Pattern[str], document: Mapping[str, Any], name: str, otherwise: object = None) -> str:
    found = document.get(name) or otherwise
    if not isinstance(found, str) or not pattern.fullmatch(found):
        raise UnreadableEvent(f"{name} is missing or is none")
    return found


def _account_or(otherwise: str, found: object) -> str:
    return found if isinstance(found, str) and _ACCOUNT.fullmatch(found) else otherwise


def _instant(value: object, name: str) -> int:
    """Milliseconds of an ISO 8601 text with its zone; 0 for 0."""
    if value == 0:
        return 0
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise UnreadableEvent(f"{name} is missing or is no instant") from error
    if moment.tzinfo is None:
        raise UnreadableEvent(f"{name} has no time zone")
    return round(moment.timestamp() * 1000)


def _resources(document: Mapping[str, Any]) -> tuple[str, ...]:
    listed = document.get("resources")
    found = [text(one, "ARN", 512) for one in listed[:_MOST_RESOURCES] if isinstance(one, dict)] if isinstance(listed, list) else []
    return tuple(dict.fromkeys(one for one in found if one))


def _machines(document: Mapping[str, Any], identity: Mapping[str, Any]) -> tuple[str, ...]:
    """Instances that the call is about, or that called. What callers write about themselves (user agent) names none."""
    found: dict[str, None] = {}
    parts = [document.get(name) for name in ("requestParameters", "responseElements", "resources", "serviceEventDetails")]
    if str(identity.get("principalId", "")).partition(":")[2].startswith(("i-", "mi-")):
        parts.append(identity["principalId"])
    _collect(parts, found, 0)
    return tuple(found)[:_MOST_MACHINES]


def _collect(value: object, found: dict[str, None], depth: int) -> None:
    if isinstance(value, str):
        if "i-" in value:
            found.update(dict.fromkeys(_MACHINE.findall(value)))
    elif depth < 40 and isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            _collect(one, found, depth + 1)
