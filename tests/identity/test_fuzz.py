"""Every verifier of incoming tokens against damage: what is accepted means what its signer wrote, whatever else comes is refused by a typed
error, and nothing takes long.

A few seconds of it run with all tests; `make fuzz` runs the same for minutes.
"""

from __future__ import annotations

import gc
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.arm.errors import ArmError
from isthmus.identity import evidence
from isthmus.identity.bearer import BearerVerifier
from isthmus.identity.federation import IssuerKeys, KeysUnavailable
from isthmus.identity.issuer import Issuer
from isthmus.identity.jws import VerificationKey, key_of_pem, keys_of_jwks
from isthmus.identity.oauth import OAuthError
from isthmus.identity.openid import OpenId
from isthmus.identity.people import person_of
from isthmus.identity.presented import PresentedSecrets, is_presented
from isthmus.identity.secrets import add_secret
from isthmus.identity.tokens import JWT_BEARER, TokenEndpoint
from isthmus.identity.trust import SKEW, TRUST, verify
from isthmus.store import Store
from tests.identity.kinds import ISSUERS, KINDS, NOW, claims_of, context_of, typ_of
from tests.identity.mutations import Made, b64, by_key, claims, damaged, forgeries, headers, texts
from tests.identity.parties import BASE, TENANT, TestKey
from tests.identity.vouching import Vouching
from tests.support.clock import Clock
from tests.support.examples import LONG, examples

T = TypeVar("T")
E = TypeVar("E", bound=Exception)
# Processor time of this thread, so that a busy computer does not count. An honest token takes 0.1 ms.
BOUND = 0.25
_checked = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture
def good(key_of: Callable[[str], TestKey]) -> TestKey:
    return key_of("good")


@pytest.fixture
def evil(key_of: Callable[[str], TestKey]) -> TestKey:
    return key_of("evil")


@pytest.fixture
def known(good: TestKey) -> VerificationKey:
    return VerificationKey(kid="good", alg="RS256", key=key_of_pem(good.pem).key)


_ran: Counter[str] = Counter()


@pytest.fixture(autouse=True, scope="module")
def _told(request: pytest.FixtureRequest) -> Iterator[None]:
    """How many tokens and documents that were, in a long run."""
    yield
    if settings.get_current_profile_name() == LONG:
        told = ", ".join(f"{count} {name}" for name, count in sorted(_ran.items()))
        request.config.get_terminal_writer().line(f"\n{sum(_ran.values())} tried: {told}")


def outcome(act: Callable[[], T], error: type[E]) -> tuple[T | None, E | None]:
    """What came of it, or the one kind of error that refusals are; anything else fails the test. It must not take long, twice."""
    began = time.thread_time()
    found: tuple[T | None, E | None]
    try:
        found = act(), None
    except error as caught:
        found = None, caught
    if time.thread_time() - began > BOUND:
        # A garbage collection may have fallen into it; what is slow by itself is slow again.
        gc.collect()
        began = time.thread_time()
        with suppress(error):
            act()
        took = time.thread_time() - began
        assert took < BOUND, f"it took {took:.3f} s"
    _ran["accepted" if found[1] is None else "refused"] += 1
    return found


def accepted(kind: str, token: str, known: VerificationKey) -> Mapping[str, Any] | None:
    """The claims of a token, None when it was refused as refusals are: typed, 401, and without a part of the token in the message."""
    told, error = outcome(lambda: verify(kind, token, context_of(kind, known)), ArmError)
    if error is not None:
        assert (error.code, error.status) == ("InvalidAuthenticationToken", 401)
        assert len(error.message) < 200
    return told


def read_strictly(text: bytes) -> Any:
    """An independent reading: UTF-8 alone, no member twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(set(names)) == len(names), "a member twice"
        return dict(pairs)

    return json.loads(text.decode("utf-8"), object_pairs_hook=once)


def require_sound(kind: str, told: Mapping[str, Any]) -> None:
    """What every accepted token has said, asked again without the table."""
    assert told["iss"] == ISSUERS[kind]
    assert told["aud"] in ("us", ["us"]) or ("us" in told["aud"] and told.get("azp") == "us")
    assert isinstance(told["sub"], str)
    assert math.isfinite(float(told["exp"]))
    assert told["exp"] > NOW - SKEW
    assert told["exp"] <= NOW + SKEW + TRUST[kind].lifetime
    for name in ("iat", "nbf"):
        # An ignored claim of a foreign issuer may be anything; one that counts may not.
        assert name not in told or (not isinstance(told[name], bool) and told[name] <= NOW + SKEW)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_a_text_never_passes_for_another_token(kind: str, good: TestKey, known: VerificationKey) -> None:
    token = good.sign(claims_of(kind), typ=typ_of(kind), kid="good")

    @given(damaged(token))
    @settings(_checked, max_examples=examples(25))
    def damage(text: str) -> None:
        told = accepted(kind, text, known)
        assert told is None or (text == token and told == claims_of(kind)), "one token has one spelling"

    damage()


@pytest.mark.parametrize("kind", KINDS)
def test_who_holds_no_key_gets_nothing_accepted(kind: str, good: TestKey, evil: TestKey, known: VerificationKey) -> None:
    @given(headers(typ_of(kind), evil), texts(claims(claims_of(kind))), forgeries(good, evil))
    @settings(_checked, max_examples=examples(25))
    def forge(header: bytes, payload: bytes, sign: Callable[[bytes], bytes]) -> None:
        assert accepted(kind, Made(header=header, payload=payload, sign=sign).token, known) is None

    forge()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_signer_wrote_oddly_is_read_as_written_or_refused(kind: str, good: TestKey, evil: TestKey, known: VerificationKey) -> None:
    sign = by_key(good)

    @given(headers(typ_of(kind), evil), texts(claims(claims_of(kind))))
    @settings(_checked, max_examples=examples(25))
    def write(header: bytes, payload: bytes) -> None:
        told = accepted(kind, Made(header=header, payload=payload, sign=sign).token, known)
        if told is not None:
            assert told == read_strictly(payload)
            assert read_strictly(header)["alg"] == "RS256"
            assert set(read_strictly(header)) <= {"alg", "typ", "kid", "x5t", "x5t#S256"}
            require_sound(kind, told)

    write()


def test_the_damage_is_real(good: TestKey, evil: TestKey, known: VerificationKey) -> None:
    """Of what a signer writes, some is accepted and some is not: a fuzz whose every token falls at the first gate proves nothing."""
    seen = {True: 0, False: 0}
    kind = KINDS[0]

    @given(headers(typ_of(kind), evil), texts(claims(claims_of(kind))))
    @settings(_checked, max_examples=150, derandomize=True)
    def count(header: bytes, payload: bytes) -> None:
        seen[accepted(kind, Made(header=header, payload=payload, sign=by_key(good)).token, known) is not None] += 1

    count()
    assert min(seen.values()) >= 5, seen


def test_bearers_are_recognised_or_refused(issuer: Issuer, clock: Clock, evil: TestKey) -> None:
    """People's and machines' tokens of our own issuer, at both doors."""
    doors = BearerVerifier(issuer, tenant=TENANT, audience=BASE, clock=clock)
    kid = issuer.ring.current
    base = {"aud": BASE, "sub": "o", "oid": "o", "tid": TENANT, "azp": "c", "appid": "c", "ver": "2.0", "idtyp": "user", "jti": "1"}
    now = int(clock())
    framed = {**base, "iss": issuer.url, "iat": now, "nbf": now, "exp": now + 3600}
    signer = issuer.ring.signer()

    @given(texts(claims(framed)), st.booleans())
    @settings(_checked, max_examples=examples(50))
    def ask(payload: bytes, is_signed: bool) -> None:
        header = json.dumps({"alg": "RS256", "typ": "at+jwt", "kid": kid}).encode()
        token = Made(header=header, payload=payload, sign=signer.sign if is_signed else by_key(evil)).token
        for door in (doors.caller, doors.machine):
            found, error = outcome(partial(door, token), ArmError)
            if found is None:
                assert error is not None
                assert (error.code, error.status) == ("InvalidAuthenticationToken", 401)
                continue
            assert is_signed
            assert found.tenant == TENANT
            assert found.object_id == read_strictly(payload)["oid"]

    ask()


def test_a_provider_that_answers_oddly_is_believed_as_written_or_refused(vouching: Vouching, openid: OpenId) -> None:
    """The whole second half of a sign-in, down to the evidence that is kept of it."""
    header = json.dumps({"alg": "RS256", "kid": "provider"}).encode()

    @given(st.data())
    @settings(_checked, max_examples=examples(40))
    def answer(data: st.DataObject) -> None:
        payloads: list[bytes] = []

        def odd(told: dict[str, Any]) -> str:
            payloads.append(data.draw(texts(claims(told))))
            return Made(header=header, payload=payloads[0], sign=by_key(vouching.key)).token

        vouching.token = odd
        begun = openid.begin("/")
        query = vouching.visit(begun)
        found, error = outcome(lambda: openid.finish(begun.cookie, query), ArmError)
        if found is None:
            assert error is not None
            assert (error.code, error.status) == ("SignInRefused", 401), error
            return
        told = read_strictly(payloads[0])
        assert (found.person.subject, found.person.issuer) == (told["sub"], vouching.issuer)
        assert found.person.name.isprintable()
        kept = evidence.evidence_of(found.person, found.claims, id="s", now=0, seconds=60)
        assert kept.groups is None or list(kept.groups) == ([told["groups"]] if isinstance(told["groups"], str) else told["groups"])

    answer()


def test_the_token_endpoint_answers_or_refuses_in_oauths_way(
    endpoint: TokenEndpoint, app: str, enrol: Callable[..., str], good: TestKey, evil: TestKey, clock: Clock
) -> None:
    """Assertions of clients and machines with their own keys and with others', and forms that are none."""
    machine = enrol(good)
    now = int(clock())
    odd = st.text(max_size=40) | st.sampled_from(["\0", "\ud800", "app\0", "a" * 5000, ".", "app."])

    @given(st.data(), st.sampled_from(["app", machine]), st.booleans())
    @settings(_checked, max_examples=examples(30))
    def ask(data: st.DataObject, client: str, is_signed: bool) -> None:
        told = {"iss": client, "sub": client, "aud": f"{BASE}/{TENANT}/oauth2/v2.0/token", "iat": now, "exp": now + 300}
        told["jti"] = data.draw(st.uuids()).hex
        header, payload = data.draw(headers("JWT", evil)), data.draw(texts(claims(told)))
        assertion = Made(header=header, payload=payload, sign=by_key(good if is_signed else evil)).token
        form = {"grant_type": "client_credentials", "client_id": client, "client_assertion_type": JWT_BEARER, "client_assertion": assertion}
        form |= data.draw(
            st.dictionaries(st.sampled_from(["client_id", "client_secret", "scope", "resource", "client_assertion"]), odd, max_size=1)
        )
        given_, error = outcome(lambda: endpoint.answer(form), OAuthError)
        if given_ is None:
            assert error is not None
            assert 400 <= error.status < 500
            return
        assert is_signed
        assert given_["token_type"] == "Bearer"
        assert read_strictly(payload)["iss"] == client

    ask()


def test_presented_secrets_open_for_themselves_alone(store: Store, app: str, clock: Clock) -> None:
    """What SCIM clients send."""
    with store.begin() as connection:
        secret = add_secret(connection, "app", clock=clock, lifetime=86_400).text
    doors = PresentedSecrets(store, tenant=TENANT, clock=clock)
    whole = f"app.{secret}"

    @given(damaged(f"{whole}.x").map(lambda text: text.removesuffix(".x")) | st.text(max_size=60))
    @settings(_checked, max_examples=examples(12))
    def ask(token: str) -> None:
        is_presented(token)
        found, error = outcome(lambda: doors.caller(token), ArmError)
        if found is None:
            assert error is not None
            assert (error.code, error.status) == ("AuthenticationFailed", 401)
            return
        assert token == whole
        assert found.object_id == app

    assert doors.caller(whole).object_id == app
    ask()


_ENTRIES = st.recursive(
    st.none()
    | st.integers()
    | st.text(max_size=20)
    | st.binary(max_size=600).map(b64)
    | st.sampled_from(["RSA", "EC", "oct", "P-256", "AQAB"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["kty", "kid", "n", "e", "x", "y", "crv", "use", "alg"]), inner)
    ),
    max_leaves=20,
)


@given(_ENTRIES | st.lists(_ENTRIES, max_size=4).map(lambda keys: {"keys": keys}))
@settings(_checked, max_examples=examples(50))
def test_key_sets_of_others_are_read_or_refused(document: Any) -> None:
    def fetch(url: str) -> bytes:
        configuration = {"issuer": "https://i.test", "jwks_uri": "https://i.test/keys"}
        return json.dumps(configuration if url.endswith("configuration") else document).encode()

    keys, _ = outcome(lambda: IssuerKeys(fetch, Clock()).keys("https://i.test", "k"), KeysUnavailable)
    if keys is None:
        return
    assert all(key.kid and key.alg in ("RS256", "ES256") for key in keys)
    assert keys == () or keys_of_jwks(document)


@given(
    st.dictionaries(
        st.sampled_from(["name", "email", "preferred_username", "groups", "amr", "acrs", "uti", "sid", "_claim_names", "x"]), _ENTRIES
    )
)
@settings(_checked, max_examples=examples(50))
def test_any_verified_claims_become_a_person_and_evidence(told: dict[str, Any]) -> None:
    whole = {**told, "iss": "https://i.test", "sub": "ann"}
    person = person_of(whole)
    assert person.name.isprintable()
    kept = evidence.evidence_of(person, whole, id="s", now=0, seconds=60)
    assert evidence.has_overage(whole) <= (kept.groups is None), "an overage is never 'no groups'"
