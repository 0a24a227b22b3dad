"""The operator's key is made once and signs assertions."""

from __future__ import annotations

from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from isthmus.arm.errors import ArmError
from isthmus.keys.operator import operator_assertion, operator_signer


def test_the_key_is_made_once(tmp_path: Path) -> None:
    assert operator_signer(tmp_path / "keys").kid == operator_signer(tmp_path / "keys").kid


def test_an_assertion_is_short_unique_and_signed_by_the_registered_key(tmp_path: Path) -> None:
    signer = operator_signer(tmp_path / "keys")
    made = [operator_assertion(tmp_path / "keys", audience="https://localhost/token", clock=lambda: 1000.5) for _ in range(2)]
    first, second = (jwt.decode(token, RSAKey.import_key(signer.public_pem), algorithms=["RS256"]).claims for token in made)
    assert {name: first[name] for name in ("iss", "sub", "aud", "iat", "exp")} == {
        "iss": "operator",
        "sub": "operator",
        "aud": "https://localhost/token",
        "iat": 1000,
        "exp": 1300,
    }
    assert first["jti"] != second["jti"]


def test_without_a_data_folder_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(ArmError, match="NoOperatorKey"):
        operator_assertion(tmp_path / "keys", audience="a", clock=lambda: 0.0)
    assert not (tmp_path / "keys").exists()
