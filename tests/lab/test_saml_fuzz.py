"""The lab's SAML verifier under mutation: bytes changed, elements moved, doubled and wrapped. What it takes is what was signed, and
whatever it refuses it refuses as STS does. More examples: `--hypothesis-profile=long`."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from isthmus_lab.pack.assertions import Assertion, verify
from isthmus_lab.pack.refusals import StsError
from isthmus_lab.pack.saml_metadata import read_metadata
from tests.lab.saml import ATTRIBUTES, GROUPS, NS, Key, assertion, metadata, response, sign
from tests.support.examples import examples

KEY, EVIL = Key(), Key()
METADATA = read_metadata(metadata(KEY))
ROLE = f"{ATTRIBUTES}Role"
GENUINE = {ROLE: ["arn:aws:iam::1:role/Dev,p"], f"{ATTRIBUTES}RoleSessionName": ["alice"], GROUPS: ["g-dev"]}
FORGED = {ROLE: ["arn:aws:iam::1:role/Admin,p"], f"{ATTRIBUTES}RoleSessionName": ["mallory"], GROUPS: ["g-admin"]}
BY_ASSERTION = response(sign(assertion(GENUINE), KEY))
BY_RESPONSE = sign(response(assertion(GENUINE)), KEY)
EVIL_ASSERTION = sign(assertion(FORGED, id="_evil"), EVIL)
NOW = time.time()
WHOLE = pytest.mark.parametrize("genuine", [BY_ASSERTION, BY_RESPONSE], ids=["assertion", "response"])
PIECES = [b"<!---->", b"<x/>", b"&amp;", b"]]>", b"<![CDATA[", b"\x00", b" ", b"mallory"]
WORDS = st.tuples(st.sampled_from(["Dev", "alice", "g-dev", "_a1", "NotOnOrAfter", "AttributeValue"]), st.text(max_size=12))
BOUNDED = settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def judged(text: bytes | str) -> Assertion | None:
    """What the verifier reads; None where it refuses. Any other error fails the test, as does a forged role."""
    raw = text.encode() if isinstance(text, str) else text
    try:
        found = verify(b64encode(raw).decode(), METADATA, NOW)
    except StsError as error:
        if error.code not in ("InvalidIdentityToken", "ExpiredTokenException"):
            raise
        return None
    assert {name: list(values) for name, values in found.attributes.items()} == GENUINE, "a forged role was read"
    return found


@WHOLE
def test_what_is_genuine_is_taken_and_a_foreign_key_is_not(genuine: str) -> None:
    assert judged(genuine) is not None
    assert judged(response(EVIL_ASSERTION)) is None
    assert judged(response(assertion(FORGED))) is None


@WHOLE
@BOUNDED
@given(data=st.data())
def test_changed_bytes_never_forge_and_never_crash(genuine: str, data: st.DataObject) -> None:
    raw = bytearray(genuine.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["set", "cut", "put", "swap"])):
            case "set":
                raw[place] = data.draw(st.integers(0, 255))
            case "cut":
                del raw[place : place + data.draw(st.integers(1, 40))]
            case "put":
                raw[place:place] = data.draw(st.sampled_from(PIECES))
            case _:
                other = data.draw(st.integers(0, len(raw) - 1))
                raw[place], raw[other] = raw[other], raw[place]
        if not raw:
            return
    judged(bytes(raw))


@WHOLE
@BOUNDED
@given(words=st.lists(WORDS, min_size=1, max_size=3))
def test_changed_words_never_forge(genuine: str, words: list[tuple[str, str]]) -> None:
    text = genuine
    for old, new in words:
        text = text.replace(old, new)
    judged(text.encode("utf-8", "replace").decode())


def _wrap(root: etree._Element, at: etree._Element, evil: etree._Element) -> None:
    holder = etree.Element("{urn:x}wrapper")
    parent = at.getparent()
    if parent is None:
        return
    parent.replace(at, holder)
    holder.extend([at, evil])


def _before(root: etree._Element, at: etree._Element, evil: etree._Element) -> None:
    at.addprevious(evil) if at.getparent() is not None else at.insert(0, evil)


def _inside(root: etree._Element, at: etree._Element, evil: etree._Element) -> None:
    at.append(evil)


def _instead(root: etree._Element, at: etree._Element, evil: etree._Element) -> None:
    """The forged one stands where an element stood, which moves into it."""
    parent = at.getparent()
    if parent is not None:
        parent.replace(at, evil)
        evil.append(at)


def _double(root: etree._Element, at: etree._Element, evil: etree._Element) -> None:
    at.addnext(deepcopy(at)) if at.getparent() is not None else at.append(deepcopy(at))


def _move(root: etree._Element, at: etree._Element, evil: etree._Element) -> None:
    if at is not root:
        root.insert(0, at)


MOVES: list[Callable[[etree._Element, etree._Element, etree._Element], None]] = [_wrap, _before, _inside, _instead, _double, _move]


@WHOLE
@BOUNDED
@given(data=st.data())
def test_moved_doubled_and_wrapped_elements_never_forge(genuine: str, data: st.DataObject) -> None:
    root = etree.fromstring(genuine)
    for _ in range(data.draw(st.integers(1, 3))):
        every = list(root.iter())
        at = every[data.draw(st.integers(0, len(every) - 1))]
        evil = etree.fromstring(data.draw(st.sampled_from([EVIL_ASSERTION, assertion(FORGED, id="_evil"), assertion(FORGED, id="_a1")])))
        if data.draw(st.booleans()) and (signature := root.find(".//d:Signature", NS)) is not None:
            evil.insert(1, deepcopy(signature))
        data.draw(st.sampled_from(MOVES))(root, at, evil)
    judged(etree.tostring(root).decode())
