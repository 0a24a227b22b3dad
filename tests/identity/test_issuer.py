"""Issuers: what they sign is verified by others, before and after a rotation, and from exported documents alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select

from isthmus.arm.errors import ArmError
from isthmus.clouds.contract import TokenSource
from isthmus.identity.issuer import AccountTokens, Issuer, aws_issuer, is_behind, record_keys, require_known
from isthmus.keys import KeyRing
from isthmus.store import Store
from isthmus.store.tables import signing_keys
from tests.identity.parties import BASE, TENANT
from tests.support.clock import Clock

URL = "https://issuer.isthmus.test"
DAY = 86_400.0


@pytest.fixture
def aws(ring_of: Callable[[str], KeyRing], clock: Clock) -> Issuer:
    return aws_issuer(URL, ring_of("aws"), clock)


def test_account_tokens_are_what_sts_wants(aws: Issuer, clock: Clock) -> None:
    source: TokenSource = AccountTokens(aws)
    tokens = [source.mint(audience="isthmus:aws:123456789012", subject="svc:Microsoft.AssetManagement:guid") for _ in range(2)]
    keys = KeySet.import_key_set(aws.jwks())
    first, second = (jwt.decode(token, keys, algorithms=["RS256"]).claims for token in tokens)
    assert {name: first[name] for name in first if name != "jti"} == {
        "iss": URL,
        "aud": "isthmus:aws:123456789012",
        "sub": "svc:Microsoft.AssetManagement:guid",
        "iat": int(clock()),
        "nbf": int(clock()),
        "exp": int(clock()) + 600,
    }
    assert first["jti"] != second["jti"]
    assert len(tokens[0]) < 1000


def test_claims_cannot_replace_what_the_issuer_says(aws: Issuer) -> None:
    token = aws.mint({"iss": "https://evil.test", "exp": 1e12, "sub": "s"}, 60)
    claims = jwt.decode(token, KeySet.import_key_set(aws.jwks()), algorithms=["RS256"]).claims
    assert claims["iss"] == URL
    assert claims["exp"] - claims["iat"] == 60


def test_a_token_outlives_a_rotation_by_its_lifetime(aws: Issuer, clock: Clock) -> None:
    clock.advance(2 * DAY)
    old = AccountTokens(aws).mint(audience="a", subject="s")
    cached = KeySet.import_key_set(aws.jwks())
    aws.ring.rotate()
    jwt.decode(old, KeySet.import_key_set(aws.jwks()), algorithms=["RS256"])
    new = AccountTokens(aws).mint(audience="a", subject="s")
    jwt.decode(new, cached, algorithms=["RS256"])
    assert len(aws.verification_keys()) == 3
    clock.advance(2 * DAY)
    assert len(aws.verification_keys()) == 2


def test_exported_documents_are_enough_to_verify(aws: Issuer, tmp_path: Path) -> None:
    written = aws.export(tmp_path / "public")
    assert [path.relative_to(tmp_path / "public").as_posix() for path in written] == [
        ".well-known/openid-configuration",
        ".well-known/jwks.json",
    ]
    discovery = json.loads(written[0].read_text())
    assert discovery["issuer"] == URL
    assert discovery["jwks_uri"] == f"{URL}/.well-known/jwks.json"
    assert discovery["id_token_signing_alg_values_supported"] == ["RS256"]
    assert discovery["response_types_supported"] == ["id_token"]
    assert discovery["subject_types_supported"] == ["public"]
    published = KeySet.import_key_set(json.loads(written[1].read_text()))
    jwt.decode(AccountTokens(aws).mint(audience="a", subject="s"), published, algorithms=["RS256"])
    assert not any(set(key) & {"d", "p", "q", "dp", "dq", "qi"} for key in json.loads(written[1].read_text())["keys"])


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.test",
        "https://issuer.test:8443",
        "https://issuer.test/",
        "https://Issuer.test",
        "https://u@issuer.test",
        "https://issuer.test?",
        "https://issuer.test/a?b=c",
        "https://issuer.test#",
        "issuer.test",
        "https://",
        "https://" + "a" * 250 + ".test",
    ],
)
def test_urls_that_aws_would_not_take_are_refused(url: str, ring: KeyRing, clock: Clock) -> None:
    with pytest.raises(ArmError, match="InvalidIssuerUrl"):
        aws_issuer(url, ring, clock)


def test_the_two_issuers_share_no_key(aws: Issuer, issuer: Issuer) -> None:
    assert {key["kid"] for key in aws.jwks()["keys"]}.isdisjoint(key["kid"] for key in issuer.jwks()["keys"])
    assert issuer.url == f"{BASE}/{TENANT}/v2.0"
    assert issuer.discovery()["jwks_uri"] == f"{BASE}/{TENANT}/discovery/v2.0/keys"


def test_the_table_follows_the_ring_and_is_public(store: Store, aws: Issuer, clock: Clock) -> None:
    with store.begin() as connection:
        record_keys(connection, aws.ring)
        clock.advance(2 * DAY)
        aws.ring.rotate()
        record_keys(connection, aws.ring)
        rows = connection.execute(select(signing_keys)).mappings().all()
        assert {row["kid"]: row["state"] for row in rows} == {record.kid: record.state for record in aws.ring.records()}
        assert all(set(json.loads(row["public_jwk"])) == {"kty", "n", "e", "kid", "use", "alg"} for row in rows)
        aws.ring.replace_all()
        record_keys(connection, aws.ring)
        assert len(connection.execute(select(signing_keys)).all()) == 2


def test_other_keys_than_the_database_knows_are_refused(store: Store, aws: Issuer, tmp_path: Path, clock: Clock) -> None:
    stranger = KeyRing(tmp_path / "other", "aws", clock=clock)
    with store.begin() as connection:
        require_known(connection, stranger)
        record_keys(connection, aws.ring)
        require_known(connection, aws.ring)
        with pytest.raises(ArmError, match="ISTHMUS_KEYS_FOLDER") as caught:
            require_known(connection, stranger)
    assert (caught.value.code, caught.value.status) == ("SigningKeysDiffer", 409)


def test_a_copy_is_behind_when_its_key_was_retired_elsewhere(store: Store, aws: Issuer, tmp_path: Path, clock: Clock) -> None:
    shutil.copytree(aws.ring.folder.parent, tmp_path / "copy")
    copy = KeyRing(tmp_path / "copy", "aws", clock=clock)
    clock.advance(2 * DAY)
    with store.begin() as connection:
        assert not is_behind(connection, copy), "nobody has recorded anything yet"
        record_keys(connection, aws.ring)
        assert not is_behind(connection, copy)
        aws.ring.rotate()
        assert not is_behind(connection, aws.ring), "rotated, not recorded yet"
        record_keys(connection, aws.ring)
        assert (is_behind(connection, aws.ring), is_behind(connection, copy)) == (False, True)
        require_known(connection, copy)
    clock.advance(3 * DAY)
    with store.begin() as connection:
        record_keys(connection, aws.ring)
        assert is_behind(connection, copy), "its key is not even published any more"
