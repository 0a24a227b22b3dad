"""The attack table: every kind of token, every way to forge or misuse it, refused with a reason that names no value of the token."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hmac import HMAC
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from isthmus.arm.errors import ArmError
from isthmus.identity import trust
from isthmus.identity.bearer import BearerVerifier
from isthmus.identity.issuer import Issuer
from isthmus.identity.jws import VerificationKey, key_of_pem, keys_of_jwks
from isthmus.identity.trust import TRUST, Context, TokenKind, verify
from tests.identity.kinds import KINDS, NOW, RESOURCE, Spent, claims_of, context_of, typ_of
from tests.identity.parties import BASE, TENANT, TestKey
from tests.support.clock import Clock
from tests.support.examples import examples

_PADDING = padding.PKCS1v15()


@pytest.fixture
def good(key_of: Callable[[str], TestKey]) -> TestKey:
    return key_of("good")


@pytest.fixture
def known(good: TestKey) -> VerificationKey:
    return VerificationKey(kid="good", alg="RS256", key=key_of_pem(good.pem).key)


def refused(kind: str, token: str, context: Context, reason: str) -> None:
    with pytest.raises(ArmError, match=reason) as caught:
        verify(kind, token, context)
    assert (caught.value.code, caught.value.status) == ("InvalidAuthenticationToken", 401)
    assert token not in caught.value.message


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_token_is_accepted(kind: str, good: TestKey, known: VerificationKey) -> None:
    claims = claims_of(kind)
    assert verify(kind, good.sign(claims, typ=typ_of(kind)), context_of(kind, known)) == claims


CHANGES: list[tuple[str, dict[str, Any], str]] = [
    ("expired", {"iat": NOW - 361, "exp": NOW - 61}, "expired"),
    ("not yet", {"iat": NOW + 61, "exp": NOW + 200}, "not valid yet"),
    ("an hour ahead", {"iat": NOW + 3600, "exp": NOW + 3700}, "not valid yet"),
    ("not before", {"nbf": NOW + 61}, "not valid yet|does not have"),
    ("foreign issuer", {"iss": "https://evil.test"}, "expected issuer"),
    ("issuer prefix", {"iss": "https://foreign.test.evil"}, "expected issuer"),
    ("wrong audience", {"aud": "them"}, "another audience"),
    ("two audiences", {"aud": ["us", "them"]}, "another audience"),
    ("no audience in the list", {"aud": []}, "another audience"),
    ("lives too long", {"exp": NOW + 90_000}, "lifetime"),
    ("ends before it begins", {"iat": NOW + 30, "exp": NOW + 20}, "ends before"),
    ("time as text", {"exp": str(NOW + 300)}, "expired"),
    ("time as truth", {"exp": True}, "expired"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("change", "reason"), [(row[1], row[2]) for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_wrong_claims_are_refused(kind: str, change: dict[str, Any], reason: str, good: TestKey, known: VerificationKey) -> None:
    refused(kind, good.sign({**claims_of(kind), **change}, typ=typ_of(kind)), context_of(kind, known), reason)


@pytest.mark.parametrize(("kind", "claim"), [(kind, claim) for kind in KINDS for claim in sorted(TRUST[kind].required)])
def test_every_required_claim_is_required(kind: str, claim: str, good: TestKey, known: VerificationKey) -> None:
    claims = claims_of(kind)
    del claims[claim]
    refused(kind, good.sign(claims, typ=typ_of(kind)), context_of(kind, known), f"'{claim}' is missing")


@pytest.mark.parametrize(
    ("kind", "claim"),
    [
        (trust.API_TOKEN, "tid"),
        (trust.MACHINE_TOKEN, "tid"),
        (trust.MACHINE_ENROLMENT, "tenantId"),
        (trust.MACHINE_ENROLMENT, "nonce"),
        (trust.MACHINE_ENROLMENT, "resourceId"),
        (trust.CLIENT_ASSERTION, "sub"),
        (trust.FEDERATED_TOKEN, "sub"),
        (trust.API_TOKEN, "idtyp"),
        (trust.API_TOKEN, "ver"),
    ],
)
@pytest.mark.parametrize("value", ["other", "", None, 7, ["x"], {"x": 1}])
def test_bound_claims_must_match(kind: str, claim: str, value: Any, good: TestKey, known: VerificationKey) -> None:
    token = good.sign({**claims_of(kind), claim: value}, typ=typ_of(kind))
    refused(kind, token, context_of(kind, known), "expected|tenant|challenge|resource|not acceptable")


@pytest.mark.parametrize("expectation", ["issuer", "subject", "tenant", "nonce", "resource"])
def test_what_the_verifier_does_not_expect_is_not_accepted_as_empty(expectation: str, good: TestKey, known: VerificationKey) -> None:
    kind = trust.MACHINE_ENROLMENT
    empty = {"issuer": "iss", "subject": "sub", "tenant": "tenantId", "nonce": "nonce", "resource": "resourceId"}[expectation]
    token = good.sign({**claims_of(kind), empty: ""}, typ=typ_of(kind))
    refused(kind, token, context_of(kind, known, **{expectation: ""}), "expected|tenant|challenge|resource")


@pytest.mark.parametrize("kind", KINDS)
def test_signatures_that_do_not_count(kind: str, good: TestKey, known: VerificationKey, key_of: Callable[[str], TestKey]) -> None:
    claims, typ = claims_of(kind), typ_of(kind)
    evil = key_of("evil")
    context = context_of(kind, known)
    refused(kind, evil.sign(claims, typ=typ, kid="good"), context, "does not verify")
    refused(kind, evil.sign(claims, typ=typ), context, "unknown key|does not verify")
    refused(kind, good.sign(claims, typ=typ), context_of(kind), "unknown key|does not verify")
    head, _, tail = good.sign(claims, typ=typ).split(".")
    refused(kind, f"{head}.{_encoded({**claims, 'jti': '2'})}.{tail}", context, "does not verify")
    refused(kind, _unsigned({"alg": "none", "typ": typ, "kid": "good"}, claims), context, "algorithm")
    refused(kind, _unsigned({"alg": "RS256", "typ": typ, "kid": "good"}, claims), context, "does not verify")
    refused(kind, _hmac({"alg": "HS256", "typ": typ, "kid": "good"}, claims, good.pem.encode()), context, "algorithm")
    refused(kind, _hmac({"alg": "RS256", "typ": typ, "kid": "good"}, claims, good.pem.encode()), context, "does not verify")
    refused(kind, good.sign(claims, typ=typ, alg="RS512"), context, "algorithm")
    refused(kind, good.sign(claims, typ=typ, alg="PS256"), context, "algorithm")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if TRUST[kind].key_by_id])
@pytest.mark.parametrize("kid", ["other", "", None])
def test_the_key_id_must_be_known(kind: str, kid: str | None, good: TestKey, known: VerificationKey) -> None:
    refused(kind, good.sign(claims_of(kind), typ=typ_of(kind), kid=kid), context_of(kind, known), "unknown key")


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": {"kty": "RSA"}},
        {"jku": "https://evil.test/keys"},
        {"x5u": "https://evil.test/cert"},
        {"x5c": ["AAAA"]},
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"zip": "DEF"},
        {"kid": ["good"]},
        {"typ": 1},
    ],
)
def test_headers_that_choose_keys_or_rules_are_refused(header: dict[str, Any], good: TestKey, known: VerificationKey) -> None:
    kind = trust.CLIENT_ASSERTION
    token = _signed_by_hand(good, {"alg": "RS256", "typ": "JWT", "kid": "good", **header}, json.dumps(claims_of(kind)))
    refused(kind, token, context_of(kind, known), "header")


@pytest.mark.parametrize(
    "payload",
    [
        '{"sub":"app","sub":"app"}',
        '{"iss":"app","x":{"a":1,"a":2}}',
    ],
)
def test_duplicate_members_are_refused_at_any_depth(payload: str, good: TestKey, known: VerificationKey) -> None:
    token = _signed_by_hand(good, {"alg": "RS256", "typ": "JWT", "kid": "good"}, payload)
    refused(trust.CLIENT_ASSERTION, token, context_of(trust.CLIENT_ASSERTION, known), "twice")
    head, body = _b64(b'{"alg":"none","alg":"RS256","kid":"good"}'), token.split(".")[1]
    refused(trust.CLIENT_ASSERTION, f"{head}.{body}.AAAA", context_of(trust.CLIENT_ASSERTION, known), "twice")


@pytest.mark.parametrize("payload", ["[]", "1", '"x"', "null", "{", '{"exp":NaN}', '{"exp":1e999}', "[" * 5000])
def test_payloads_that_are_no_objects_are_refused(payload: str, good: TestKey, known: VerificationKey) -> None:
    token = _signed_by_hand(good, {"alg": "RS256", "typ": "JWT", "kid": "good"}, payload)
    refused(trust.CLIENT_ASSERTION, token, context_of(trust.CLIENT_ASSERTION, known), "JSON objects|missing")


@pytest.mark.parametrize(
    "change", [lambda t: t + "A" * 17_000, lambda t: t + "\n", lambda t: " " + t, lambda t: t + ".x", lambda t: t.replace(".", "", 1)]
)
def test_malformed_and_oversized_tokens_are_refused(change: Callable[[str], str], good: TestKey, known: VerificationKey) -> None:
    token = change(good.sign(claims_of(trust.CLIENT_ASSERTION)))
    refused(trust.CLIENT_ASSERTION, token, context_of(trust.CLIENT_ASSERTION, known), "too large|compact form")


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}", fullmatch=True))
@settings(max_examples=examples(200))
def test_no_text_does_anything_but_be_refused(text: str) -> None:
    with pytest.raises(ArmError, match="InvalidAuthenticationToken"):
        verify(trust.CLIENT_ASSERTION, text, context_of(trust.CLIENT_ASSERTION))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if TRUST[kind].single_use])
def test_a_single_use_token_is_used_once(kind: str, good: TestKey, known: VerificationKey) -> None:
    token = good.sign(claims_of(kind), typ=typ_of(kind))
    context = context_of(kind, known)
    verify(kind, token, context)
    refused(kind, token, context, "used before")
    refused(kind, good.sign({**claims_of(kind), "exp": NOW + 200}, typ=typ_of(kind)), context, "used before")
    refused(kind, token, context_of(kind, known, spend=None), "nothing records")


def test_a_refused_token_is_not_spent(good: TestKey, known: VerificationKey) -> None:
    spent = Spent()
    token = good.sign({**claims_of(trust.CLIENT_ASSERTION), "aud": "them"})
    refused(trust.CLIENT_ASSERTION, token, context_of(trust.CLIENT_ASSERTION, known, spend=spent), "audience")
    assert not spent.ids


@pytest.mark.parametrize(("kind", "other"), [(kind, other) for kind in KINDS for other in KINDS if kind != other])
def test_a_token_of_one_kind_is_not_one_of_another(kind: str, other: str, good: TestKey, known: VerificationKey) -> None:
    """Even with the same key, audience, issuer and subject; assertions of clients and machines differ by whose keys are looked up."""
    same = {"iss": "same", "sub": "same"}
    token = good.sign({**claims_of(kind), **same}, typ=typ_of(kind))
    context = context_of(other, known, issuer="same", subject="same")
    alike = {trust.CLIENT_ASSERTION, trust.MACHINE_ASSERTION}
    lenient = other == trust.FEDERATED_TOKEN and typ_of(kind).lower() in TRUST[other].types
    if {kind, other} == alike or lenient or (kind == trust.FEDERATED_TOKEN and other in alike):
        assert verify(other, token, context)
        return
    refused(other, token, context, "another kind|not acceptable|does not have|missing")


def test_a_claim_that_the_row_does_not_name_is_refused(good: TestKey, known: VerificationKey) -> None:
    for kind in KINDS:
        token = good.sign({**claims_of(kind), "admin": True}, typ=typ_of(kind))
        if TRUST[kind].other_claims:
            verify(kind, token, context_of(kind, known))
        else:
            refused(kind, token, context_of(kind, known), "does not have")


def test_an_empty_table_trusts_nothing(good: TestKey, known: VerificationKey) -> None:
    token = good.sign(claims_of(trust.CLIENT_ASSERTION))
    context = context_of(trust.CLIENT_ASSERTION, known)
    empty = TokenKind(name="x", types=frozenset({"jwt"}), lifetime=600, required={})
    no_algorithm = TokenKind(
        name="x", types=frozenset({"jwt"}), lifetime=600, required=TRUST[trust.CLIENT_ASSERTION].required, algorithms=frozenset()
    )
    for table in ({}, {"x": empty}, {"x": no_algorithm}):
        with pytest.raises(ArmError, match="no rule"):
            verify("x", token, context, table=table)
    refused("no such kind", token, context, "no rule")


def test_every_row_binds_issuer_subject_audience_and_end() -> None:
    for row in TRUST.values():
        # An event does not end and is about whom it names in its own way: its id and its age stand for that.
        bound = {"iss", "aud", "iat", "jti"} if row.name == trust.SECURITY_EVENT else {"iss", "sub", "aud", "exp"}
        assert bound <= set(row.required), row.name
        assert row.lifetime <= 86_400
        assert "none" not in row.algorithms
        assert not any(algorithm.startswith("HS") for algorithm in row.algorithms)
        assert not row.single_use or "jti" in row.required


def test_federated_tokens_may_use_p256_and_a_list_of_one_audience() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key = ECKey.import_key(pem)
    keys = keys_of_jwks({"keys": [{**key.as_dict(private=False), "kid": "e"}]})
    claims = {**claims_of(trust.FEDERATED_TOKEN), "aud": ["us"], "kubernetes.io": {"namespace": "a"}}
    del claims["iat"]
    token = jwt.encode({"alg": "ES256", "kid": "e"}, claims, key)
    assert verify(trust.FEDERATED_TOKEN, token, context_of(trust.FEDERATED_TOKEN, *keys)) == claims
    refused(trust.FEDERATED_TOKEN, token[:-4] + "AAAA", context_of(trust.FEDERATED_TOKEN, *keys), "does not verify")
    refused(
        trust.FEDERATED_TOKEN,
        jwt.encode({"alg": "ES256", "kid": "e"}, {**claims, "exp": NOW + 86_461}, key),
        context_of(trust.FEDERATED_TOKEN, *keys),
        "lifetime",
    )
    refused(trust.CLIENT_ASSERTION, token, context_of(trust.CLIENT_ASSERTION, *keys), "algorithm")


def test_weak_and_foreign_keys_of_a_set_are_passed_over(good: TestKey) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key().public_numbers()
    entry = {"kty": "RSA", "kid": "w", "n": _b64(weak.n.to_bytes(128, "big")), "e": "AQAB"}
    odd = [
        entry,
        {"kty": "oct", "kid": "o", "k": "AAAA"},
        {**good.jwk, "use": "enc"},
        {**good.jwk, "alg": "PS256"},
        {"kid": 1},
        7,
        {**good.jwk, "kid": ""},
    ]
    assert [key.kid for key in keys_of_jwks({"keys": [*odd, good.jwk]})] == ["good"]
    with pytest.raises(ValueError, match="JWK Set"):
        keys_of_jwks({"keys": {}})


def test_fractions_of_seconds_are_accepted_as_msal_sends_them(good: TestKey, known: VerificationKey) -> None:
    claims = {**claims_of(trust.CLIENT_ASSERTION), "iat": NOW + 0.25, "exp": NOW + 600.25}
    assert verify(trust.CLIENT_ASSERTION, good.sign(claims), context_of(trust.CLIENT_ASSERTION, known))


def test_our_tokens_open_exactly_one_door(issuer: Issuer, clock: Clock) -> None:
    doors = BearerVerifier(issuer, tenant=TENANT, audience=BASE, clock=clock)
    shared = {"aud": BASE, "sub": "o", "oid": "o", "tid": TENANT, "azp": "c", "appid": "c", "ver": "2.0"}
    api = issuer.mint({**shared, "idtyp": "app"}, 3600, typ="at+jwt")
    machine = issuer.mint({**shared, "idtyp": "machine", "xms_mirid": RESOURCE}, 3600, typ="at+jwt")
    assert (doors.caller(api).kind, doors.caller(api).object_id) == ("application", "o")
    assert (doors.machine(machine).kind, doors.machine(machine).resource_id) == ("machine", RESOURCE)
    for door, token in ((doors.caller, machine), (doors.machine, api)):
        with pytest.raises(ArmError, match="InvalidAuthenticationToken"):
            door(token)
    clock.advance(3600 + trust.SKEW)
    with pytest.raises(ArmError, match="expired"):
        doors.caller(api)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _encoded(value: dict[str, Any]) -> str:
    return _b64(json.dumps(value).encode())


def _unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{_encoded(header)}.{_encoded(claims)}."


def _hmac(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    signed = f"{_encoded(header)}.{_encoded(claims)}"
    mac = HMAC(secret, hashes.SHA256())
    mac.update(signed.encode())
    return f"{signed}.{_b64(mac.finalize())}"


def _signed_by_hand(key: TestKey, header: dict[str, Any], payload: str) -> str:
    signed = f"{_encoded(header)}.{_b64(payload.encode())}"
    return f"{signed}.{_b64(key.private.sign(signed.encode(), _PADDING, hashes.SHA256()))}"


@pytest.mark.parametrize(("age", "is_good"), [(0, True), (86_400, True), (86_401, False)])
def test_an_event_without_an_end_is_good_for_a_day(age: int, is_good: bool, good: TestKey, known: VerificationKey) -> None:
    kind = trust.SECURITY_EVENT
    claims = {name: value for name, value in claims_of(kind).items() if name != "exp"} | {"iat": NOW - age}
    token = good.sign(claims, typ=typ_of(kind))
    if is_good:
        assert verify(kind, token, context_of(kind, known)) == claims
    else:
        refused(kind, token, context_of(kind, known), "older than")
