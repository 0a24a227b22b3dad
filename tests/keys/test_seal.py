"""Sealed keys open for who knows the passphrase, together with what they were sealed with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from isthmus.arm.errors import ArmError
from isthmus.keys.bundle import is_empty, unseal_files, write_files
from isthmus.keys.seal import seal, unseal

CHEAP, PHRASE = 2**4, "long enough phrase"


def test_it_opens_with_the_same_passphrase_and_company_only() -> None:
    sealed = seal(b"content", PHRASE, bound=b"with", cost=CHEAP)
    assert unseal(sealed, PHRASE, bound=b"with") == b"content"
    for phrase, bound in ((PHRASE + "x", b"with"), (PHRASE, b"without")):
        with pytest.raises(ArmError, match="WrongPassphrase"):
            unseal(sealed, phrase, bound=bound)
    assert b"content" not in sealed
    assert sealed != seal(b"content", PHRASE, bound=b"with", cost=CHEAP), "salt and nonce are fresh"


def test_it_is_scrypt_and_aes_gcm_as_the_header_says() -> None:
    sealed = seal(b"content", PHRASE, bound=b"b", cost=CHEAP, entropy=lambda count: b"s" * count)
    header, _, ciphertext = sealed.partition(b"\n")
    assert json.loads(header) | {"salt": 0, "nonce": 0} == {
        "kdf": "scrypt",
        "n": CHEAP,
        "r": 8,
        "p": 1,
        "cipher": "AES-256-GCM",
        "salt": 0,
        "nonce": 0,
    }
    key = Scrypt(salt=b"s" * 16, length=32, n=CHEAP, r=8, p=1).derive(PHRASE.encode())
    assert AESGCM(key).decrypt(b"s" * 12, ciphertext, header + b"\nb") == b"content"


@pytest.mark.parametrize(
    "change",
    [{"n": 2**30}, {"n": 3}, {"n": "many"}, {"kdf": "none"}, {"r": 1024}, {"cipher": "none"}, {"salt": "!"}, {"nonce": 7}, {"salt": None}],
)
def test_a_header_that_nobody_wrote_is_refused_before_anything_is_derived(change: dict[str, object]) -> None:
    header, _, rest = seal(b"content", PHRASE, bound=b"", cost=CHEAP).partition(b"\n")
    with pytest.raises(ArmError, match="DamagedArchive"):
        unseal(json.dumps(json.loads(header) | change).encode() + b"\n" + rest, PHRASE, bound=b"")


@pytest.mark.parametrize("text", [b"", b"{}", b"\n", b"{}\nx", b"x" * 5000 + b"\nx", b"[]\nx"])
def test_what_was_never_sealed_is_refused(text: bytes) -> None:
    with pytest.raises(ArmError, match="DamagedArchive"):
        unseal(text, PHRASE, bound=b"")


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(ArmError, match="WeakPassphrase"):
        seal(b"", "eleven char", bound=b"")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "api/../../x", "other/x", "api/x/y", "..", "", "a\nb", "api/", ".hidden"])
def test_names_that_would_lie_elsewhere_are_refused(name: str) -> None:
    sealed = seal(json.dumps({name: ""}).encode(), PHRASE, bound=b"", cost=CHEAP)
    with pytest.raises(ArmError, match="UnsafeArchive"):
        unseal_files(sealed, PHRASE, bound=b"")


def test_files_fill_an_empty_folder_only_and_all_or_none(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    write_files(folder, {"ca.pem": b"1", "api/ring.json": b"2"})
    assert (folder / "api" / "ring.json").read_bytes() == b"2"
    assert not is_empty(folder)
    with pytest.raises(ArmError, match="KeysExist"):
        write_files(folder, {"ca.pem": b"3"})
    with pytest.raises(OSError):
        write_files(tmp_path / "other", {"ca.pem": b"1", "api": b"a file", "api/ring.json": b"2"})
    assert not (tmp_path / "other").exists()
