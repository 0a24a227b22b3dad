"""Signing in with an OpenID provider: what is asked, what is believed, and everything that is not."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from isthmus.identity.evidence import evidence_of
from isthmus.identity.foreign import Said
from isthmus.identity.issuer import Issuer
from isthmus.identity.jws import parse
from isthmus.identity.openid import OpenId, Vouched
from tests.identity.parties import TestKey
from tests.identity.vouching import ACCESS, CLIENT, ENTRA, ENTRA_TENANT, ISSUER, REDIRECT, Vouching, encoded, refused_sign_in
from tests.identity.web import Web
from tests.support.clock import Clock


def test_the_question_has_what_the_rules_demand(openid: OpenId) -> None:
    begun, other = openid.begin("/inventory?account=1"), openid.begin("/")
    url = urlsplit(begun.url)
    assert f"https://{url.netloc}{url.path}" == f"{ISSUER}/authorize"
    asked = {name: values[0] for name, values in parse_qs(url.query, strict_parsing=True).items()}
    kept = parse(begun.cookie).claims
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": REDIRECT,
        "scope": "openid profile email",
        "state": kept["state"],
        "nonce": kept["nonce"],
        "code_challenge": encoded(hashlib.sha256(kept["verifier"].encode()).digest()),
        "code_challenge_method": "S256",
    }
    assert len(begun.cookie) < 2000, "cookies of 4096 bytes are the least that browsers keep"
    for name in ("state", "nonce", "verifier"):
        assert len(kept[name]) == 43
        assert kept[name] not in parse(other.cookie).claims.values()
    assert kept["verifier"] not in begun.url
    assert "cookie" not in repr(begun)


def test_an_endpoint_with_a_query_keeps_it(vouching: Vouching, issuer: Issuer) -> None:
    vouching.configuration["authorization_endpoint"] += "?policy=sign-in"
    vouching.publish()
    assert "/authorize?policy=sign-in&response_type=code&" in vouching.openid(issuer).begin("/").url


def test_a_whole_sign_in(vouching: Vouching, openid: OpenId, clock: Clock) -> None:
    vouching.claims |= {"email": "ann@example.test"}
    begun = openid.begin("/machines?state=x")
    found = openid.finish(begun.cookie, vouching.visit(begun))
    assert (found.person.name, found.person.mail, found.return_to) == ("Ann", "ann@example.test", "/machines?state=x")
    assert found.person.object_id == str(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, ISSUER), "ann"))
    assert (found.person.issuer, found.person.subject) == (ISSUER, "ann")
    assert found.until > clock() * 1000
    kept = parse(begun.cookie).claims
    [(method, url, form, headers)] = vouching.asked
    assert (method, url, headers) == ("POST", f"{ISSUER}/token", {"Accept": "application/json"})
    expected = {"grant_type": "authorization_code", "code": "c0de", "code_verifier": kept["verifier"]}
    assert form == {**expected, "redirect_uri": REDIRECT, "client_id": CLIENT}


@pytest.mark.parametrize("there", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_nobody_is_sent_elsewhere(vouching: Vouching, openid: OpenId, there: str) -> None:
    assert vouching.whole(openid, there).return_to == "/"


def test_each_sign_in_is_named_once(vouching: Vouching, openid: OpenId) -> None:
    begun = openid.begin("/")
    first, again = (openid.finish(begun.cookie, vouching.visit(begun)) for _ in range(2))
    assert first.once == again.once, "whoever stores it sees that it was used"
    assert vouching.whole(openid).once != first.once


def part(members: dict[str, Any]) -> str:
    return encoded(json.dumps(members).encode())


def _none(claims: dict[str, Any]) -> str:
    return f"{part({'alg': 'none'})}.{part(claims)}."


ID_TOKENS: list[tuple[str, dict[str, Any], str]] = [
    ("wrong nonce", {"nonce": "another"}, "challenge"),
    ("nonce of nobody", {"nonce": ""}, "challenge"),
    ("wrong audience", {"aud": "somebody else"}, "another audience"),
    ("no audience", {"aud": []}, "another audience"),
    ("several audiences", {"aud": [CLIENT, "somebody else"]}, "names no party"),
    ("made for another party", {"aud": [CLIENT, "somebody else"], "azp": "somebody else"}, "another audience"),
    ("another party alone", {"azp": "somebody else"}, "another audience"),
    ("wrong issuer", {"iss": "https://login.provider.test"}, "expected issuer"),
    ("issuer with a slash", {"iss": f"{ISSUER}/"}, "expected issuer"),
    ("expired", {"iat": 1_767_225_000, "exp": 1_767_225_500}, "expired"),
    ("issued tomorrow", {"iat": 1_767_312_000, "exp": 1_767_312_300}, "not valid yet"),
    ("good for a week", {"exp": 1_767_830_400}, "lifetime"),
    ("of another access token", {"at_hash": encoded(b"0" * 16)}, "access token"),
    ("empty subject", {"sub": ""}, "'sub'"),
    ("endless subject", {"sub": "a" * 256}, "'sub'"),
    ("subject with a line break", {"sub": "ann\n"}, "'sub'"),
    ("subject that is no text", {"sub": 7}, "'sub'"),
]


@pytest.mark.parametrize(("change", "reason"), [row[1:] for row in ID_TOKENS], ids=[row[0] for row in ID_TOKENS])
def test_id_tokens_that_are_not_believed(vouching: Vouching, openid: OpenId, change: dict[str, Any], reason: str) -> None:
    vouching.claims |= change
    assert refused_sign_in(lambda: vouching.whole(openid), "SignInRefused", reason).status == 401


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "exp", "iat", "nonce"])
def test_claims_that_must_be_there(vouching: Vouching, openid: OpenId, claim: str) -> None:
    vouching.without = (claim,)
    refused_sign_in(lambda: vouching.whole(openid), "SignInRefused", f"'{claim}' is missing")


def test_several_audiences_with_our_party_are_believed(vouching: Vouching, openid: OpenId) -> None:
    vouching.claims |= {"aud": ["somebody else", CLIENT], "azp": CLIENT}
    assert vouching.whole(openid).person.subject == "ann"


def test_an_access_token_hash_is_not_demanded(vouching: Vouching, openid: OpenId) -> None:
    vouching.without = ("at_hash",)
    assert vouching.whole(openid).person.subject == "ann"


def test_signatures_that_do_not_count(vouching: Vouching, openid: OpenId, key_of: Callable[[str], TestKey]) -> None:
    def with_public_key(claims: dict[str, Any]) -> str:
        signed = f"{part({'alg': 'HS256', 'kid': 'provider'})}.{part(claims)}"
        mac = HMAC(vouching.key.pem.encode(), hashes.SHA256())
        mac.update(signed.encode())
        return f"{signed}.{encoded(mac.finalize())}"

    def twice(claims: dict[str, Any]) -> str:
        head, _, _ = vouching.key.sign(claims).split(".")
        body = json.dumps(claims)[:-1] + ',"sub":"bob"}'
        return f"{head}.{encoded(body.encode())}.{encoded(b'x' * 256)}"

    thief = key_of("thief")
    thief.kid = "provider"
    attacks: list[tuple[Callable[[dict[str, Any]], str], str]] = [
        (_none, "algorithm"),
        (with_public_key, "algorithm"),
        (thief.sign, "signature"),
        (lambda claims: vouching.key.sign(claims, kid="another"), "unknown key"),
        (lambda claims: vouching.key.sign(claims, kid=None), "unknown key"),
        (lambda claims: vouching.key.sign(claims, alg="PS256"), "algorithm"),
        (lambda claims: vouching.key.sign(claims, typ="at+jwt"), "another kind"),
        (lambda claims: vouching.key.sign(claims, jwk=thief.jwk), "header"),
        (twice, "twice"),
        (lambda _claims: "no token", "compact form"),
    ]
    for token, reason in attacks:
        vouching.token = token
        refused_sign_in(lambda: vouching.whole(openid), "SignInRefused", reason)


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"state": "another"}, "SignInMismatch", "another attempt"),
        ({"state": None}, "SignInMismatch", "another attempt"),
        ({"state": "\ud800"}, "SignInMismatch", "another attempt"),
        ({"iss": "https://evil.test"}, "SignInRefused", "provider that was asked"),
        ({"iss": None}, "SignInRefused", "provider that was asked"),
        ({"error": "access_denied", "code": None}, "SignInDenied", "cancelled"),
        ({"error": "access_denied", "error_description": "AADSTS50105: ask\r\n\u202e Bob."}, "SignInDenied", "AADSTS50105: ask Bob\\.$"),
        ({"error": "access_denied", "iss": "https://evil.test"}, "SignInRefused", "provider that was asked"),
        ({"error": "server_error"}, "SignInRefused", "error instead of a code"),
        ({"code": None}, "SignInRefused", "no code"),
        ({"code": "c" * 9000}, "SignInRefused", "no code"),
    ],
)
def test_answers_that_go_no_further(vouching: Vouching, openid: OpenId, changes: dict[str, str | None], code: str, reason: str) -> None:
    refused_sign_in(lambda: vouching.whole(openid, **changes), code, reason)
    assert not vouching.asked, "the code went to nobody"


def test_a_provider_that_does_not_announce_its_name_need_not_say_it(vouching: Vouching, issuer: Issuer) -> None:
    del vouching.configuration["authorization_response_iss_parameter_supported"]
    vouching.publish()
    openid = vouching.openid(issuer)
    assert vouching.whole(openid, iss=None).person.subject == "ann"
    refused_sign_in(lambda: vouching.whole(openid, iss="https://evil.test"), "SignInRefused")


def test_what_the_browser_keeps_is_needed_ours_fresh_and_for_this_provider(
    vouching: Vouching, openid: OpenId, issuer: Issuer, clock: Clock, key_of: Callable[[str], TestKey]
) -> None:
    begun = openid.begin("/")
    query = vouching.visit(begun)
    head, body, tail = begun.cookie.split(".")
    forged = key_of("thief").sign(dict(parse(begun.cookie).claims), typ="isthmus-sign-in+jwt")
    api_token = issuer.mint({"aud": REDIRECT, "sub": ISSUER}, 600, typ="at+jwt")
    for cookie in ("", "x", f"{head}.{body}.{tail[:-4]}AAAA", forged, api_token, begun.cookie * 9):
        refused_sign_in(lambda cookie=cookie: openid.finish(cookie, query), "SignInMismatch")
    other = Vouching(vouching.web, clock, vouching.key, "https://other.test").openid(issuer)
    refused_sign_in(lambda: other.finish(begun.cookie, query), "SignInMismatch")
    refused_sign_in(lambda: openid.finish(openid.begin("/").cookie, query), "SignInMismatch", "another attempt")
    assert not vouching.asked
    clock.advance(600)
    refused_sign_in(lambda: openid.finish(begun.cookie, query), "SignInExpired", "ten minutes")
    clock.advance(600)
    refused_sign_in(lambda: openid.finish(begun.cookie, query), "SignInExpired")


def test_a_key_that_was_rotated_meanwhile_is_looked_up(
    vouching: Vouching, openid: OpenId, clock: Clock, key_of: Callable[[str], TestKey]
) -> None:
    begun = openid.begin("/")
    clock.advance(10)
    vouching.key = key_of("next")
    vouching.publish()
    assert openid.finish(begun.cookie, vouching.visit(begun)).person.subject == "ann"
    vouching.key = key_of("thief")
    vouching.key.kid = "thief"
    refused_sign_in(lambda: vouching.whole(openid), "SignInRefused", "unknown key")


REFUSAL = json.dumps({"error": "invalid_grant", "error_description": "secret words"}).encode()


@pytest.mark.parametrize(
    ("answer", "code", "reason"),
    [
        (Said(status=400, body=REFUSAL), "SignInRefused", "invalid_grant"),
        (Said(status=401, body=b'{"error":"invalid_client"}'), "SignInRefused", "client id"),
        (Said(status=400, body=b'{"error":"<script>"}'), "SignInRefused", "unknown error"),
        (Said(status=400, body=b"nonsense"), "SignInUnavailable", "answered 400"),
        (Said(status=302, body=b""), "SignInUnavailable", "answered 302"),
        (Said(status=500, body=REFUSAL), "SignInUnavailable", "answered 500"),
        (Said(status=200, body=b"[]"), "SignInUnavailable", "answered 200"),
        (Said(status=200, body=b"{}"), "SignInRefused", "no ID token"),
        (Said(status=200, body=b'{"access_token":"x"}'), "SignInRefused", "no ID token"),
        (Said(status=200, body=b'{"id_token":"x.y."}'), "SignInRefused", "no ID token"),
        (OSError("sent more than 131072 bytes"), "SignInUnavailable", "does not answer"),
        (TimeoutError(), "SignInUnavailable", "does not answer"),
    ],
)
def test_answers_to_the_code(vouching: Vouching, openid: OpenId, answer: Said | OSError, code: str, reason: str) -> None:
    vouching.answer = answer
    error = refused_sign_in(lambda: vouching.whole(openid), code, reason)
    assert "secret words" not in error.message
    assert "<" not in error.message


def test_a_provider_that_is_down_or_not_itself(vouching: Vouching, openid: OpenId, issuer: Issuer, clock: Clock) -> None:
    pages = dict(vouching.web.pages)
    vouching.web.pages.clear()
    error = refused_sign_in(lambda: openid.begin("/"), "SignInUnavailable", "does not answer.*login --link")
    assert (error.status, error.retry_after) == (503, 10)
    vouching.web.pages |= pages
    refused_sign_in(lambda: openid.begin("/"), "SignInUnavailable")
    clock.advance(10)
    begun = openid.begin("/")
    vouching.web.pages.clear()
    clock.advance(100)
    assert openid.finish(begun.cookie, vouching.visit(begun)).person.subject == "ann", "what is known is good for an hour"
    for name, value, reason in (
        ("issuer", "https://evil.test", "another issuer"),
        ("authorization_endpoint", "http://login.provider.test/", "no page"),
        ("authorization_endpoint", None, "no page"),
        ("jwks_uri", "http://login.provider.test/keys", "https"),
    ):
        vouching.configuration = {**Vouching(Web(), clock, vouching.key).configuration, name: value}
        vouching.publish()
        refused_sign_in(lambda: vouching.openid(issuer).begin("/"), "SignInUnavailable", reason)
    vouching.configuration = {**vouching.configuration, "jwks_uri": f"{ISSUER}/keys", "token_endpoint": "http://login.provider.test/"}
    vouching.publish()
    refused_sign_in(lambda: vouching.whole(vouching.openid(issuer)), "SignInUnavailable", "no token endpoint")


def test_a_slow_provider_holds_few_threads(vouching: Vouching, openid: OpenId, issuer: Issuer) -> None:
    begun = openid.begin("/")
    query = vouching.visit(begun)
    may_go, inside, send = threading.Event(), threading.Semaphore(0), vouching.send

    def slowly(*given: Any, **more: Any) -> Said:
        inside.release()
        assert may_go.wait(20)
        return send(*given, **more)

    slow = vouching.openid(issuer, send=slowly)
    found: list[Vouched] = []
    threads = [threading.Thread(target=lambda: found.append(slow.finish(begun.cookie, query))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert inside.acquire(timeout=20)
    refused_sign_in(lambda: slow.finish(begun.cookie, query), "SignInUnavailable", "too many")
    may_go.set()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert slow.finish(begun.cookie, query).person.subject == "ann"


def test_entra_people_are_known_by_their_object_id(web: Web, clock: Clock, issuer: Issuer, key_of: Callable[[str], TestKey]) -> None:
    vouching = Vouching(web, clock, key_of("provider"), ENTRA)
    openid = vouching.openid(issuer)
    oid = "ABCDEF00-0000-0000-0000-00000000000A"
    vouching.claims |= {"oid": oid, "tid": ENTRA_TENANT, "preferred_username": "ann@contoso.test"}
    person = vouching.whole(openid).person
    assert (person.object_id, person.mail) == (oid.lower(), "ann@contoso.test")
    for change in ({"oid": None}, {"oid": "ann"}, {"oid": 7}, {"tid": "0f0f0f0f-1111-2222-3333-555555555555"}, {"tid": None}):
        vouching.claims |= {"oid": oid, "tid": ENTRA_TENANT, **change}
        refused_sign_in(lambda: vouching.whole(openid), "SignInRefused", "object id")


def test_object_ids_of_others_are_not_taken_from_claims(vouching: Vouching, openid: OpenId) -> None:
    vouching.claims |= {"oid": "abcdef00-0000-0000-0000-00000000000a", "tid": ENTRA_TENANT}
    assert vouching.whole(openid).person.object_id != "abcdef00-0000-0000-0000-00000000000a"


def test_names_are_looked_up_where_the_token_has_none(vouching: Vouching, openid: OpenId) -> None:
    vouching.claims = {}
    profile = {"sub": "ann", "name": "Ann\u202e B.", "email": "ann@example.test", "iss": "https://evil.test", "oid": "x"}
    vouching.profile = Said(status=200, body=json.dumps(profile).encode())
    person = vouching.whole(openid).person
    assert (person.name, person.mail, person.issuer) == ("Ann B.", "ann@example.test", ISSUER)
    assert vouching.asked[-1] == ("GET", f"{ISSUER}/userinfo", {}, {"Authorization": f"Bearer {ACCESS}"})
    others = [Said(status=200, body=b'{"sub":"bob","name":"Bob"}'), Said(status=200, body=b"["), Said(status=401, body=b""), TimeoutError()]
    for answer in others:
        vouching.profile = answer
        assert vouching.whole(openid).person.name == "ann", "the subject, which is true"


@pytest.mark.parametrize(
    ("token", "profile", "mail", "vouched"),
    [
        ({}, {"email": "alice@corp.test", "email_verified": False}, "alice@corp.test", ""),
        ({}, {"email": "alice@corp.test", "email_verified": "false"}, "alice@corp.test", ""),
        ({}, {"email": "alice@corp.test", "email_verified": True}, "alice@corp.test", "alice@corp.test"),
        ({}, {"email": "alice@corp.test"}, "alice@corp.test", "alice@corp.test"),
        ({"email_verified": True}, {"email": "alice@corp.test", "email_verified": False}, "alice@corp.test", ""),
        ({"email_verified": False}, {"email": "alice@corp.test", "email_verified": True}, "alice@corp.test", "alice@corp.test"),
        ({"email": " ", "email_verified": False}, {"email": "alice@corp.test", "email_verified": True}, "", ""),
        ({"name": "Mallory", "email": "alice@corp.test", "email_verified": False}, {"email_verified": True}, "alice@corp.test", ""),
    ],
)
def test_who_names_an_address_says_whether_it_was_verified(
    vouching: Vouching, openid: OpenId, token: dict[str, Any], profile: dict[str, Any], mail: str, vouched: str
) -> None:
    """Of the address of the profile the profile does, of the token's the token: else anybody would have an address by typing it in."""
    vouching.claims = token
    vouching.profile = Said(status=200, body=json.dumps({"sub": "ann", "name": "Ann", **profile}).encode())
    found = vouching.whole(openid)
    kept = evidence_of(found.person, found.claims, id="s", now=0, seconds=60)
    assert (found.person.mail, kept.mail) == (mail, vouched)
