"""genkey's output in every dress it may wear: exactly one usable key is found, or a reason is given."""

from __future__ import annotations

import base64
import contextlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from isthmus.machines.publickey import KEY_BEGIN, KEY_END, MAX_OUTPUT, KeyParseError, PublicKey, parse_public_key

PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=3072)
KEY = PRIVATE.public_key()
PKCS1 = base64.b64encode(KEY.public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()
SPKI = base64.b64encode(KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
PEM = KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
PEM1 = KEY.public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()


def wrapped(text: str, width: int) -> str:
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


DRESSES = {
    "bare PKCS#1": PKCS1,
    "bare SPKI": SPKI,
    "PEM SPKI": PEM,
    "PEM PKCS#1": PEM1,
    "wrapped at 64": wrapped(PKCS1, 64),
    "wrapped at 76, CRLF": wrapped(SPKI, 76).replace("\n", "\r\n"),
    "base64url without padding": PKCS1.replace("+", "-").replace("/", "_").rstrip("="),
    "JSON": json.dumps({"publicKey": PKCS1}),
    "JSON, another field": json.dumps({"status": "ok", "data": [{"Key": SPKI}]}, indent=2),
    "JSON with PEM": json.dumps({"publicKey": PEM}),
    "JSON with escaped slashes": json.dumps({"publicKey": PKCS1}).replace("/", "\\/"),
    "JSON in JSON": json.dumps({"output": json.dumps({"publicKey": PEM1})}),
    "JSON after a log line": 'level=info msg="made [1] key"\n' + json.dumps({"publicKey": PKCS1}),
    "CRLF": PKCS1 + "\r\n",
    "BOM": "\ufeff" + PKCS1,
    "UTF-16 read as UTF-8": "".join(character + "\x00" for character in PKCS1),
    "colour": f"\x1b[32m{PKCS1}\x1b[0m",
    "colour inside": PKCS1[:50] + "\x1b[0m" + PKCS1[50:],
    "log prefix": f'time="2026-11-20T10:04:09Z" level=info msg="{PKCS1}" Key="x"',
    "log prefix per PEM line": "\n".join(f"2026-11-20 10:04 INFO {line}" for line in PEM.splitlines()),
    "label": f"Public key: {SPKI} (RSA 2048)",
    "noise around": f"WARNING: locale\nMISSING MIGHT\n{PKCS1}\nDone in 0.3 s\n",
    "the same key twice": f"{PKCS1}\n{PEM}",
}


@pytest.mark.parametrize("sentinels", [False, True], ids=["plain", "between sentinels"])
@pytest.mark.parametrize("dress", DRESSES)
def test_every_dress_gives_the_pkcs1_form(dress: str, sentinels: bool) -> None:
    text = f"profile noise {SPKI[:40]}\n{KEY_BEGIN}\n{DRESSES[dress]}\n{KEY_END}\nmore noise" if sentinels else DRESSES[dress]
    found = parse_public_key(text)
    assert found.base64 == PKCS1
    assert len(PKCS1) == 360
    assert PKCS1.startswith("MIIBCgKCAQEA")
    assert found.bits == 2048


def reason_of(text: str) -> str:
    with pytest.raises(KeyParseError) as caught:
        parse_public_key(text)
    assert PKCS1[20:60] not in str(caught.value)
    return caught.value.reason


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_reasons() -> None:
    other = base64.b64encode(OTHER.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()
    private = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    assert reason_of("") == "empty"
    assert reason_of(f"{KEY_BEGIN}\n \n{KEY_END}") == "empty"
    assert reason_of("azcmagent: command not found") == "none"
    assert reason_of("MII" + "A" * 400) == "none"
    assert reason_of(PKCS1[:200]) == "cut"
    assert reason_of(f"{PKCS1[:200]}\n--output truncated--") == "cut"
    assert reason_of(f"{KEY_BEGIN}\n{PKCS1}") == "cut"
    assert reason_of(f"{PKCS1}\n{other}") == "several"
    assert reason_of(f"{KEY_BEGIN}\n{PKCS1}\n{KEY_END}\n{KEY_BEGIN}\n{PKCS1}\n{KEY_END}") == "several"
    assert reason_of(private) == "private"
    assert reason_of(public(ec.generate_private_key(ec.SECP256R1()))) == "not-rsa"
    assert reason_of(public(small)) == "too-small"
    assert reason_of(base64.b64encode(small.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()) == "too-small"
    assert reason_of(public(rsa.generate_private_key(public_exponent=3, key_size=2048))) == "exponent"
    assert reason_of("x" * (MAX_OUTPUT + 1)) == "too-long"


def test_a_key_larger_than_the_usual_keeps_its_size() -> None:
    assert parse_public_key(public(OTHER)).bits == 3072


@given(before=st.text(alphabet=st.characters(exclude_characters="-"), max_size=200), after=st.text(max_size=200))
def test_noise_outside_the_sentinels_changes_nothing(before: str, after: str) -> None:
    assert parse_public_key(f"{before}\n{KEY_BEGIN}\n{PKCS1}\n{KEY_END}\n{after.replace('-', '')}").base64 == PKCS1


@given(st.text(max_size=400) | st.binary(max_size=400).map(lambda raw: base64.b64encode(raw).decode()))
def test_any_text_gives_a_key_or_a_typed_error(text: str) -> None:
    with contextlib.suppress(KeyParseError):
        assert isinstance(parse_public_key(text), PublicKey)


@given(at=st.integers(0, len(PKCS1) - 1))
def test_a_shortened_key_is_never_taken(at: int) -> None:
    assert reason_of(PKCS1[:at]) in ("empty", "none", "cut")


@given(at=st.integers(0, 359), character=st.sampled_from("ABCxyz019+/"))
def test_a_changed_character_gives_another_key_or_none(at: int, character: str) -> None:
    changed = PKCS1[:at] + character + PKCS1[at + 1 :]
    try:
        found = parse_public_key(changed)
    except KeyParseError:
        return
    assert found.base64 == changed or changed[:-3] == PKCS1[:-3]


@pytest.mark.parametrize("text", ["[" * 30_000, "{" * 30_000, "MII" * 10_000, '{"a":' * 5_000, ("MIIBCgKCAQEA" + "A" * 28 + "\n") * 700])
def test_hostile_text_is_read_quickly(text: str) -> None:
    reason_of(text)
