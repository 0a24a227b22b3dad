"""Rotation with overlap: a key is published before it signs and after it signed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from joserfc import jwt
from joserfc.jwk import KeySet

from isthmus.arm.errors import ArmError
from isthmus.keys.ring import KeyRing
from isthmus.keys.signer import compact

LEAD, KEEP = 100.0, 50.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(tmp_path: Path, clock: Clock) -> KeyRing:
    return KeyRing(tmp_path / "keys", "aws", clock=clock, lead=LEAD, keep=KEEP)


def _states(ring: KeyRing) -> dict[str, str]:
    return {record.kid: record.state for record in ring.records()}


def test_first_start_publishes_a_current_and_a_next_key(ring: KeyRing) -> None:
    assert sorted(_states(ring).values()) == ["current", "next"]
    assert _states(ring)[ring.signer().kid] == "current"
    for jwk in ring.jwks()["keys"]:
        assert set(jwk) == {"kty", "n", "e", "kid", "use", "alg"}


def test_a_signature_verifies_with_the_published_key_by_another_library(ring: KeyRing) -> None:
    token = compact(ring.signer(), {"sub": "a"})
    keys = KeySet.import_key_set(ring.jwks())
    decoded = jwt.decode(token, keys, algorithms=["RS256"])
    assert decoded.claims == {"sub": "a"}
    assert decoded.header == {"alg": "RS256", "typ": "JWT", "kid": ring.signer().kid}
    assert ring.signer().kid == keys.keys[0].thumbprint()


def test_a_key_that_nobody_saw_yet_does_not_sign(ring: KeyRing, clock: Clock) -> None:
    before = ring.signer().kid
    clock.now += LEAD - 1
    with pytest.raises(ArmError, match="NextKeyTooYoung") as caught:
        ring.rotate()
    assert caught.value.status == 409
    assert ring.signer().kid == before


def test_rotation_overlaps(ring: KeyRing, clock: Clock, tmp_path: Path) -> None:
    old = ring.signer()
    following = next(kid for kid, state in _states(ring).items() if state == "next")
    clock.now += LEAD
    assert ring.rotate().kid == following == ring.signer().kid
    assert _states(ring)[old.kid] == "retired"
    assert len(ring.jwks()["keys"]) == 3
    clock.now += KEEP - 1
    assert old.kid in _states(ring)
    clock.now += 1
    assert old.kid not in _states(ring)
    assert not (tmp_path / "keys" / "aws" / f"{old.kid}.pem").exists(), "a retired key can never sign again"


def test_many_rotations_never_interrupt_verification(ring: KeyRing, clock: Clock) -> None:
    for _ in range(3):
        published = {jwk["kid"] for jwk in ring.jwks()["keys"]}
        clock.now += LEAD
        ring.rotate()
        assert ring.signer().kid in published, "verifiers with a cached set know the key that signs now"
        assert len(ring.records()) == 3


def test_a_rotation_is_due_by_age_and_only_when_it_would_succeed(ring: KeyRing, clock: Clock) -> None:
    assert not ring.is_due(after=0)
    clock.now += LEAD
    assert ring.is_due(after=LEAD)
    assert not ring.is_due(after=LEAD + 1)
    ring.rotate()
    assert not ring.is_due(after=LEAD), "the new next key was published just now"


def test_a_leak_replaces_every_key_at_once(ring: KeyRing, tmp_path: Path) -> None:
    old = set(_states(ring))
    ring.replace_all()
    assert old.isdisjoint(_states(ring))
    assert {path.stem for path in (tmp_path / "keys" / "aws").glob("*.pem")} == set(_states(ring))


def test_another_process_sees_the_rotation(ring: KeyRing, tmp_path: Path, clock: Clock) -> None:
    other = KeyRing(tmp_path / "keys", "aws", clock=clock, lead=LEAD, keep=KEEP)
    assert other.signer().kid == ring.signer().kid
    version = other.version
    clock.now += LEAD
    ring.rotate()
    assert other.version != version
    assert other.signer().kid == ring.signer().kid
    assert other.jwks() == ring.jwks()


def test_processes_that_start_together_agree(tmp_path: Path, clock: Clock) -> None:
    kids: list[str] = []
    starts = [threading.Thread(target=lambda: kids.append(KeyRing(tmp_path / "k", "api", clock=clock).signer().kid)) for _ in range(4)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert len(kids) == 4
    assert len(set(kids)) == 1


def test_what_a_crash_left_behind_is_swept(ring: KeyRing, tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "keys" / "aws"
    (folder / "orphan.pem").write_bytes(b"x")
    (folder / "ring.json.77.partial").write_bytes(b"{")
    again = KeyRing(tmp_path / "keys", "aws", clock=clock)
    assert again.signer().kid == ring.signer().kid
    assert {path.name for path in folder.iterdir()} == {".lock", "ring.json", *(f"{kid}.pem" for kid in _states(ring))}


@pytest.mark.parametrize("content", [None, b"no key", "other"])
def test_a_lost_or_foreign_key_file_says_so(ring: KeyRing, tmp_path: Path, clock: Clock, content: bytes | str | None) -> None:
    file = tmp_path / "keys" / "aws" / f"{ring.signer().kid}.pem"
    following = next(kid for kid, state in _states(ring).items() if state == "next")
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content if isinstance(content, bytes) else file.with_name(f"{following}.pem").read_bytes())
    with pytest.raises(ArmError, match="UnreadableKeyFile"):
        KeyRing(tmp_path / "keys", "aws", clock=clock)


def test_the_ring_file_and_the_repr_hold_nothing_private(ring: KeyRing, tmp_path: Path) -> None:
    document = json.loads((tmp_path / "keys" / "aws" / "ring.json").read_text())
    assert all(set(row["publicJwk"]) == {"kty", "n", "e", "kid", "use", "alg"} for row in document["keys"])
    assert "PRIVATE" not in repr(ring.signer())
    assert "PRIVATE" not in repr(ring.records())


def test_signatures_are_pkcs1_with_sha256(ring: KeyRing) -> None:
    jwk = ring.signer().public_jwk
    key = KeySet.import_key_set({"keys": [dict(jwk)]}).keys[0].raw_value
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(ring.signer().sign(b"data"), b"data", padding.PKCS1v15(), hashes.SHA256())


def test_the_next_key_can_be_tried_before_it_signs(tmp_path: Path, clock: Clock) -> None:
    ring = KeyRing(tmp_path / "keys", "aws", clock=clock)
    following = ring.next_signer()
    assert following.kid == ring.turn().following.kid != ring.current
    assert ring.signer().kid == ring.turn().current.kid
    clock.now += 86_400
    ring.rotate(expected=following.kid)
    assert ring.current == following.kid


def test_a_switch_to_another_key_than_the_expected_one_is_none(tmp_path: Path, clock: Clock) -> None:
    ring = KeyRing(tmp_path / "keys", "aws", clock=clock)
    before = ring.records()
    with pytest.raises(ArmError, match="KeysChanged"):
        ring.rotate(lead=0, expected=ring.current)
    with pytest.raises(ArmError, match="NextKeyTooYoung"):
        ring.rotate(lead=10, expected=ring.turn().following.kid)
    assert ring.records() == before
    clock.now += 10
    assert ring.rotate(lead=10).kid == before[1].kid


def test_the_time_until_a_key_is_due_falls_below_nothing(tmp_path: Path, clock: Clock) -> None:
    ring = KeyRing(tmp_path / "keys", "aws", clock=clock)
    assert ring.due_in(0) == 86_400, "the next key is not ready sooner"
    assert ring.due_in(90 * 86_400) == 90 * 86_400
    clock.now += 91 * 86_400
    assert ring.due_in(90 * 86_400) == -86_400


def test_one_rotation_at_a_time_in_whatever_process(tmp_path: Path, clock: Clock) -> None:
    ring = KeyRing(tmp_path / "keys", "aws", clock=clock)
    asks = (
        "import pathlib, sys, time\nfrom isthmus.arm.errors import ArmError\nfrom isthmus.keys import KeyRing\n"
        "try:\n    with KeyRing(pathlib.Path(sys.argv[1]), 'aws', clock=time.time).held(): print('mine')\n"
        "except ArmError as error: print(error.code)\n"
    )

    def other() -> str:
        return subprocess.run(
            [sys.executable, "-c", asks, str(tmp_path / "keys")], capture_output=True, text=True, check=True
        ).stdout.strip()

    with ring.held():
        assert other() == "RotationRunning"
        with pytest.raises(ArmError, match="RotationRunning"), ring.held():
            pass
    assert other() == "mine"
    KeyRing(tmp_path / "keys", "aws", clock=clock)
    assert other() == "mine", "opening a ring sweeps nothing that is needed"
