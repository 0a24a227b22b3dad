"""The corpus of JWT attacks, case by case against every kind of token, and what has happened to other verifiers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from isthmus.arm.errors import ArmError
from isthmus.identity.jws import VerificationKey, key_of_pem
from isthmus.identity.trust import TRUST, verify
from tests.identity.kinds import KINDS, NOW, claims_of, context_of, typ_of
from tests.identity.mutations import Made, by_key, by_secret
from tests.identity.parties import TestKey


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What an attacker works with: a kind of token, the key that is trusted (its public half is known to all), and a key of their own."""

    kind: str
    good: TestKey
    evil: TestKey

    def made(
        self,
        *,
        header: dict[str, Any] | None = None,
        claims: dict[str, Any] | None = None,
        sign: Callable[[bytes], bytes] | None = None,
        payload: str = "",
    ) -> str:
        head = {"alg": "RS256", "typ": typ_of(self.kind), "kid": "good", **(header or {})}
        text = payload or json.dumps(
            {name: value for name, value in {**claims_of(self.kind), **(claims or {})}.items() if value is not None}
        )
        return Made(header=json.dumps(head).encode(), payload=text.encode(), sign=sign or by_key(self.good)).token


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, key_of: Callable[[str], TestKey]) -> Bench:
    return Bench(kind=request.param, good=key_of("good"), evil=key_of("evil"))


@pytest.fixture
def known(bench: Bench) -> VerificationKey:
    return VerificationKey(kid="good", alg="RS256", key=key_of_pem(bench.good.pem).key)


def twice(bench: Bench) -> str:
    """Readers differ in which of two they believe."""
    return json.dumps(claims_of(bench.kind))[:-1] + ',"sub":"admin"}'


CORPUS: dict[str, tuple[Callable[[Bench], str], str]] = {
    "alg none": (lambda it: it.made(header={"alg": "none"}, sign=lambda _: b""), "algorithm"),
    "HS256 with the public key": (lambda it: it.made(header={"alg": "HS256"}, sign=by_secret(it.good.pem.encode())), "algorithm"),
    "unknown crit": (lambda it: it.made(header={"crit": ["https://evil.test/rule"], "https://evil.test/rule": True}), "header"),
    "evil jwk header": (lambda it: it.made(header={"jwk": it.evil.jwk}, sign=by_key(it.evil)), "header"),
    "evil key with the same kid": (lambda it: it.made(sign=by_key(it.evil)), "does not verify"),
    "expired": (lambda it: it.made(claims={"iat": NOW - 400, "nbf": _kept(it, NOW - 400), "exp": NOW - 100}), "expired"),
    "aud list": (lambda it: it.made(claims={"aud": ["us", "them"]}), "another audience"),
    "issuer prefix": (lambda it: it.made(claims={"iss": f"{claims_of(it.kind)['iss']}.evil"}), "expected issuer"),
    "no exp": (lambda it: it.made(claims={_bound_of(it): None}), "'(exp|iat)' is missing"),
    "iat an hour ahead": (lambda it: it.made(claims={"iat": NOW + 3600, "exp": NOW + 3700}), "not valid yet"),
    "duplicate sub": (lambda it: it.made(payload=twice(it)), "twice"),
    "b64 false": (lambda it: it.made(header={"b64": False, "crit": ["b64"]}), "header"),
}
HISTORY: dict[str, tuple[Callable[[Bench], str], str]] = {
    "CVE-2025-59420 and CVE-2026-32597, crit that nobody knows": (lambda it: it.made(header={"crit": ["exp"], "exp": NOW}), "header"),
    "the same, as a text": (lambda it: it.made(header={"crit": "exp"}), "header"),
    "the same, empty": (lambda it: it.made(header={"crit": []}), "header"),
    "CVE-2026-48526, HMAC with the JWK as secret": (
        lambda it: it.made(header={"alg": "HS256"}, sign=by_secret(json.dumps(it.good.jwk).encode())),
        "algorithm",
    ),
    "HMAC under the name of RS256": (lambda it: it.made(sign=by_secret(it.good.pem.encode())), "does not verify"),
    "none in other letters": (lambda it: it.made(header={"alg": "nOnE"}, sign=lambda _: b""), "algorithm"),
    "no signature under a good name": (lambda it: it.made(sign=lambda _: b""), "does not verify"),
    "a signature of zeros": (lambda it: it.made(sign=lambda _: b"\0" * 256), "does not verify"),
    "x5c of their own": (lambda it: it.made(header={"x5c": ["AAAA"]}, sign=by_key(it.evil)), "header"),
    "jku of their own": (lambda it: it.made(header={"jku": "https://evil.test/keys"}, sign=by_key(it.evil)), "header"),
    "alg twice": (
        lambda it: Made(header=b'{"alg":"none","alg":"RS256","kid":"good"}', payload=b"{}", sign=by_key(it.good)).token,
        "twice",
    ),
    "alg twice, once in escapes": (
        lambda it: Made(header=rb'{"\u0061lg":"none","alg":"RS256","kid":"good"}', payload=b"{}", sign=by_key(it.good)).token,
        "twice",
    ),
    "another encoding": (
        lambda it: (
            Made(
                header=json.dumps({"alg": "RS256", "typ": typ_of(it.kind), "kid": "good"}).encode("utf-16"),
                payload=json.dumps(claims_of(it.kind)).encode(),
                sign=by_key(it.good),
            ).token
        ),
        "JSON objects",
    ),
    "a time that no float can hold": (lambda it: it.made(claims={"exp": 10**400}), "expired"),
    "a time that no integer of this reader can hold": (
        lambda it: it.made(payload=json.dumps(claims_of(it.kind)).replace(str(NOW + 300), "9" * 5000)),
        "JSON objects",
    ),
    "a payload deeper than the stack": (lambda it: it.made(payload='{"a":' + "[" * 9000 + "]" * 2000), "JSON objects|missing"),
}


def _bound_of(bench: Bench) -> str:
    """What bounds a token in time: events have no end (RFC 8417 2.2), so their age does."""
    return "exp" if "exp" in TRUST[bench.kind].required else "iat"


def _kept(bench: Bench, value: int) -> int | None:
    """A claim only where the kind has it."""
    row = TRUST[bench.kind]
    return value if "nbf" in {*row.required, *row.optional} else None


def test_the_good_one_is_accepted(bench: Bench, known: VerificationKey) -> None:
    """The thirteenth case: without it the others would prove nothing."""
    assert len(CORPUS) + 1 == 13
    assert verify(bench.kind, bench.made(), context_of(bench.kind, known)) == claims_of(bench.kind)


@pytest.mark.parametrize("case", [*CORPUS, *HISTORY])
def test_the_others_are_refused(case: str, bench: Bench, known: VerificationKey) -> None:
    attack, reason = {**CORPUS, **HISTORY}[case]
    with pytest.raises(ArmError, match=reason) as caught:
        verify(bench.kind, attack(bench), context_of(bench.kind, known))
    assert (caught.value.code, caught.value.status) == ("InvalidAuthenticationToken", 401)


def test_without_a_key_the_headers_key_is_not_taken(bench: Bench) -> None:
    """CVE-2026-27962."""
    for header in ({"jwk": bench.evil.jwk}, {"jwk": bench.evil.jwk, "kid": None}, {"kid": bench.evil.kid}):
        token = bench.made(header=header, sign=by_key(bench.evil))
        with pytest.raises(ArmError, match=r"header|unknown key|does not verify"):
            verify(bench.kind, token, context_of(bench.kind))


def test_a_signature_has_one_spelling(bench: Bench, known: VerificationKey) -> None:
    """Bits of the last letter that stand for nothing would make two texts of one token."""
    token = bench.made()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = letters.index(token[-1])
    for more in (1, 2, 3):
        other = token[:-1] + letters[at // 4 * 4 + (at + more) % 4]
        with pytest.raises(ArmError, match=r"compact form|does not verify"):
            verify(bench.kind, other, context_of(bench.kind, known))
