"""Events as the log keeps them: read strictly, packed small, and the same again."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.audit import events
from isthmus.audit.events import UnreadableEvent, pack, parse, read_event, unpack
from tests.access.cloudtrail import Session, called

CALL = called(Session(key="ASIAONE", person="p", grant="G"), "DescribeInstances", 3, errorCode="Client.Nope")


def test_an_event_comes_back_as_it_was_read() -> None:
    event = read_event(CALL)
    digest, packed = pack(event)
    assert unpack(packed) == (digest, event)
    assert (event.key, event.at, event.began_at, event.outcome) == ("ASIAONE", 1_767_225_603_000, 1_767_225_600_000, "Client.Nope")
    assert len(packed) < len(json.dumps(CALL)) / 3


def test_the_digest_does_not_depend_on_how_the_event_was_written() -> None:
    assert pack(read_event(CALL))[0] == pack(read_event(json.loads(json.dumps(dict(reversed(CALL.items())), indent=3))))[0]


@pytest.mark.parametrize("value", [2**70, -(2**70), "half of \ud83d a character", "Zürich \U0001f511", 1.5, [[[[]]] * 200]])
def test_unusual_values_come_back_unchanged(value: object) -> None:
    event = read_event(parse(json.dumps({**CALL, "requestParameters": {"value": value}})))
    digest, packed = pack(event)
    assert unpack(packed) == (digest, event)
    assert event.document["requestParameters"] == {"value": value}


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": -Infinity}', b"\xff{}", b"\xef\xbb\xbf{}", "{", "[" * 200_000])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(UnreadableEvent, match="it is not JSON"):
        parse(text)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"eventID": None}, "eventID"),
        ({"eventID": "x" * 65}, "eventID"),
        ({"eventTime": "yesterday"}, "eventTime"),
        ({"eventTime": "2026-01-01T00:00:00"}, "time zone"),
        ({"recipientAccountId": "12"}, "recipientAccountId"),
        ({"awsRegion": "../../etc"}, "awsRegion"),
        ({"eventName": 3}, "eventName"),
    ],
)
def test_what_is_no_event_is_refused_by_what_is_missing(change: dict[str, Any], told: str) -> None:
    with pytest.raises(UnreadableEvent, match=told):
        read_event(CALL | change)


def test_parts_of_another_shape_are_read_as_if_they_were_not_there() -> None:
    odd = read_event(CALL | {"userIdentity": ["x"], "requestParameters": "i-0123456789abcdef1", "resources": {"a": 1}})
    assert (odd.kind, odd.key, odd.resources, odd.machines) == ("", "", (), ("i-0123456789abcdef1",))
    assert read_event(CALL | {"errorCode": "a\x00b\ud800c"}).outcome == "abc"


def test_what_the_first_format_kept_is_read() -> None:
    digest, packed = pack(read_event(CALL))
    text = zlib.decompressobj(-15, zdict=events._SHARED).decompress(packed[1:-4])
    squeezer = zlib.compressobj(6, zdict=events._SHARED)
    assert unpack(b"\x01" + squeezer.compress(text) + squeezer.flush())[0] == digest


def test_bombs_and_changed_bytes_are_refused() -> None:
    _, packed = pack(read_event(CALL))
    with pytest.raises(UnreadableEvent):
        unpack(b"\x01" + zlib.compress(b" " * 100_000_000))
    with pytest.raises(UnreadableEvent, match="sum"):
        unpack(packed + b"x")
    with pytest.raises(UnreadableEvent, match="format"):
        unpack(b"\x03" + packed[1:])
    with pytest.raises(UnreadableEvent):
        read_event(parse("[" * 100_000))
    deep = parse('{"a":' * 900 + "1" + "}" * 900)
    pack(read_event(CALL | {"requestParameters": deep}))


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_never_goes_unseen(place: int, bit: int) -> None:
    digest, packed = pack(read_event(CALL))
    changed = bytearray(packed)
    changed[place % len(packed)] ^= 1 << bit
    try:
        found, _ = unpack(bytes(changed))
    except UnreadableEvent:
        return
    assert found != digest
