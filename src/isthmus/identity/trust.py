"""Trust is a table: one row per kind of incoming token says which claims must, may and need not be there, and how each is checked.

An unknown kind, an empty row and a claim that a row does not name are refused. Read `TRUST` to audit what this program believes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from isthmus.arm.errors import ArmError
from isthmus.identity.jws import Parsed, Refused, VerificationKey, parse, signature_holds, with_kid

SKEW = 60
_MAX_TEXT = 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What the verifier knows: expected values, keys, the time (seconds since 1970), and how a token id is spent.

    `spend(id, expires_at)` gets a SHA-256 in hexadecimal and milliseconds, and answers whether the id was unused until now.
    """

    now: float
    keys: Collection[VerificationKey]
    issuer: str
    audiences: frozenset[str]
    subject: str = ""
    tenant: str = ""
    nonce: str = ""
    resource: str = ""
    next_key: str = ""
    access_hash: str = ""
    spend: Callable[[str, int], bool] | None = None


Check = Callable[[Any, Context], bool]
Rule = Callable[[Mapping[str, Any], Context], str]
"""Looks at several claims together; answers why they are refused, or nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenKind:
    """One row of trust. `types` are accepted `typ` headers in lower case ('' = none sent). `lifetime` in seconds; where `exp` is not
    required, a token without it is that long good from its `iat` on.

    `key_by_id`: the header's kid chooses among the known keys and must be one of them; otherwise the keys are those registered for the
    sender and the header chooses nothing. `single_use`: the jti is spent. `other_claims`: claims of foreign issuers that nobody reads.
    `together`: rules about several claims at once.
    """

    name: str
    types: frozenset[str]
    lifetime: int
    required: Mapping[str, Check]
    optional: Mapping[str, Check] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    other_claims: bool = False
    algorithms: frozenset[str] = frozenset({"RS256"})
    key_by_id: bool = False
    single_use: bool = False
    together: tuple[Rule, ...] = ()


def _issuer(value: Any, context: Context) -> bool:
    return bool(context.issuer) and value == context.issuer


def _subject(value: Any, context: Context) -> bool:
    return bool(context.subject) and value == context.subject


def _audience(value: Any, context: Context) -> bool:
    return isinstance(value, str) and value in context.audiences


def _only_audience(value: Any, context: Context) -> bool:
    """Some issuers (Kubernetes) always send a list; a list with a second audience is a token that others may hold, too."""
    return _audience(value[0] if isinstance(value, list) and len(value) == 1 else value, context)


def _for_client(value: Any, context: Context) -> bool:
    return any(_audience(one, context) for one in (value if isinstance(value, list) else [value]))


def _authorized_party(claims: Mapping[str, Any], context: Context) -> str:
    """A token for several audiences names the one it was made for (OpenID Connect Core 3.1.3.7)."""
    audiences = claims["aud"]
    several = isinstance(audiences, list) and len(audiences) != 1
    return "it was issued for another audience too, and names no party" if several and "azp" not in claims else ""


def _person(value: Any, _context: Context) -> bool:
    """At most 255 ASCII characters (OpenID Connect Core 2)."""
    return isinstance(value, str) and 0 < len(value) <= 255 and value.isascii() and value.isprintable()


def _access_hash(value: Any, context: Context) -> bool:
    return bool(context.access_hash) and value == context.access_hash


def _tenant(value: Any, context: Context) -> bool:
    return bool(context.tenant) and value == context.tenant


def _nonce(value: Any, context: Context) -> bool:
    return bool(context.nonce) and value == context.nonce


def _resource(value: Any, context: Context) -> bool:
    return bool(context.resource) and isinstance(value, str) and value.lower() == context.resource.lower()


def _next_key(value: Any, context: Context) -> bool:
    return bool(context.next_key) and value == context.next_key


def _text(value: Any, _context: Context) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT


def _alive(value: Any, context: Context) -> bool:
    return _instant(value) and value > context.now - SKEW


def _begun(value: Any, context: Context) -> bool:
    return _instant(value) and value <= context.now + SKEW


def _instant(value: Any) -> bool:
    """A NumericDate (RFC 7519 2): MSAL sends fractions. Numbers of any length can be compared; converting one may fail."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11


def _instant_claim(value: Any, _context: Context) -> bool:
    return _instant(value)


def _object(value: Any, _context: Context) -> bool:
    return isinstance(value, dict) and bool(value)


def _one_of(*values: str) -> Check:
    return lambda value, _context: isinstance(value, str) and value in values


_REASONS: Mapping[Check, str] = MappingProxyType(
    {
        _issuer: "it was not issued by the expected issuer",
        _subject: "it does not speak for the expected subject",
        _audience: "it was issued for another audience",
        _only_audience: "it was issued for another audience",
        _for_client: "it was issued for another audience",
        _access_hash: "it does not belong to the access token that came with it",
        _tenant: "it belongs to another tenant",
        _nonce: "it does not answer the challenge",
        _resource: "it names another resource",
        _next_key: "it speaks for another next key",
        _alive: "it has expired; get a new one",
        _begun: "it is not valid yet; compare the clocks",
    }
)

_TIMES: Mapping[str, Check] = {"iat": _begun, "exp": _alive}
_STATEMENT: Mapping[str, Check] = {"iss": _issuer, "sub": _subject, "aud": _audience, "jti": _text, **_TIMES}
_ACCESS: Mapping[str, Check] = {
    "iss": _issuer,
    "aud": _audience,
    "sub": _text,
    "oid": _text,
    "tid": _tenant,
    "azp": _text,
    "appid": _text,
    "ver": _one_of("2.0"),
    "nbf": _begun,
    "jti": _text,
    **_TIMES,
}
ENTRA_CALLER = "99045fe1-7639-4a75-9d4a-577b6ca3810f"
"""The application as which Entra ID calls custom claims providers."""


def _called_by(claims: Mapping[str, Any], _context: Context) -> str:
    """Version 2 names the caller in `azp`, version 1 in `appid`."""
    return "" if {"azp", "appid"} & set(claims) else "it does not name its caller"


_JWT = frozenset({"jwt", ""})

API_TOKEN = "api access token"  # noqa: S105 - names of kinds
MACHINE_TOKEN = "machine access token"  # noqa: S105
CLIENT_ASSERTION = "client assertion"
FEDERATED_TOKEN = "federated token"  # noqa: S105
MACHINE_ASSERTION = "machine assertion"
MACHINE_ENROLMENT = "machine enrolment statement"
MACHINE_RENEWAL = "machine renew statement"
MACHINE_REKEY = "machine renew authorization"
ID_TOKEN = "id token"  # noqa: S105
PENDING_SIGN_IN = "pending sign-in"
CLAIMS_CALL = "call for claims"
SECURITY_EVENT = "security event token"

_ROWS = (
    TokenKind(
        name=API_TOKEN,
        types=frozenset({"at+jwt"}),
        lifetime=3600,
        required={**_ACCESS, "idtyp": _one_of("app", "user")},
        optional={"app_displayname": _text, "preferred_username": _text, "sid": _text},
        key_by_id=True,
    ),
    TokenKind(
        name=MACHINE_TOKEN,
        types=frozenset({"at+jwt"}),
        lifetime=3600,
        required={**_ACCESS, "idtyp": _one_of("machine"), "xms_mirid": _text},
        key_by_id=True,
    ),
    TokenKind(name=CLIENT_ASSERTION, types=_JWT, lifetime=600, required=_STATEMENT, optional={"nbf": _begun}, single_use=True),
    TokenKind(
        name=FEDERATED_TOKEN,
        types=frozenset({"jwt", "at+jwt", ""}),
        lifetime=86_400,
        required={"iss": _issuer, "sub": _subject, "aud": _only_audience, "exp": _alive},
        optional={"iat": _begun, "nbf": _begun},
        other_claims=True,
        algorithms=frozenset({"RS256", "ES256"}),
        key_by_id=True,
    ),
    TokenKind(name=MACHINE_ASSERTION, types=_JWT, lifetime=300, required=_STATEMENT, optional={"nbf": _begun}, single_use=True),
    TokenKind(
        name=MACHINE_ENROLMENT,
        types=frozenset({"isthmus-enrol+jwt"}),
        lifetime=300,
        required={**_STATEMENT, "nonce": _nonce, "resourceId": _resource, "tenantId": _tenant},
        single_use=True,
    ),
    TokenKind(name=MACHINE_RENEWAL, types=frozenset({"isthmus-renew+jwt"}), lifetime=300, required=_STATEMENT, single_use=True),
    TokenKind(
        name=MACHINE_REKEY,
        types=frozenset({"isthmus-rekey+jwt"}),
        lifetime=300,
        required={**_STATEMENT, "spki_sha256": _next_key},
        single_use=True,
    ),
    TokenKind(
        name=ID_TOKEN,
        types=_JWT,
        lifetime=86_400,
        required={"iss": _issuer, "sub": _person, "aud": _for_client, "nonce": _nonce, **_TIMES},
        optional={"nbf": _begun, "azp": _audience, "at_hash": _access_hash},
        other_claims=True,
        algorithms=frozenset({"RS256", "ES256"}),
        key_by_id=True,
        together=(_authorized_party,),
    ),
    TokenKind(
        name=CLAIMS_CALL,
        types=_JWT,
        lifetime=86_400,
        required={"iss": _issuer, "sub": _text, "aud": _only_audience, "tid": _tenant, **_TIMES},
        optional={"nbf": _begun, "azp": _one_of(ENTRA_CALLER), "appid": _one_of(ENTRA_CALLER)},
        other_claims=True,
        key_by_id=True,
        together=(_called_by,),
    ),
    TokenKind(
        name=PENDING_SIGN_IN,
        types=frozenset({"isthmus-sign-in+jwt"}),
        lifetime=600,
        required={
            "iss": _issuer,
            "sub": _subject,
            "aud": _audience,
            "nbf": _begun,
            "jti": _text,
            "state": _text,
            "nonce": _text,
            "verifier": _text,
            "return_to": _text,
            **_TIMES,
        },
        key_by_id=True,
    ),
    # RFC 8417 and SSF 1.0: such a token says what happened and does not end; whoever takes it in remembers its jti for its lifetime.
    TokenKind(
        name=SECURITY_EVENT,
        types=frozenset({"secevent+jwt"}),
        lifetime=86_400,
        required={"iss": _issuer, "aud": _only_audience, "iat": _begun, "jti": _text, "events": _object},
        optional={"exp": _alive, "nbf": _begun, "sub_id": _object, "toe": _instant_claim},
        other_claims=True,
        algorithms=frozenset({"RS256", "ES256"}),
        key_by_id=True,
    ),
)

TRUST: Mapping[str, TokenKind] = MappingProxyType({row.name: row for row in _ROWS})


def verify(kind: str, token: str, context: Context, *, table: Mapping[str, TokenKind] = TRUST) -> Mapping[str, Any]:
    """The claims of a token that satisfies every rule of its kind.

    Otherwise ArmError 401 `InvalidAuthenticationToken` whose message names the first rule that failed, and no value of the token.
    """
    return verify_with_key(kind, token, context, table=table)[0]


def verify_with_key(
    kind: str, token: str, context: Context, *, table: Mapping[str, TokenKind] = TRUST
) -> tuple[Mapping[str, Any], VerificationKey]:
    """As `verify`; also says which of the keys had signed."""
    try:
        row = table.get(kind)
        if row is None or not row.required or not row.algorithms:
            raise Refused("no rule says that it may be trusted")
        parsed = parse(token)
        key = _check_signature(row, parsed, context)
        _check_claims(row, parsed.claims, context)
        _check_lifetime(row, parsed.claims, context)
        if row.single_use:
            _spend(row, parsed.claims, context)
    except Refused as error:
        raise ArmError("InvalidAuthenticationToken", f"The {kind} was refused: {error}.", status=401) from None
    return parsed.claims, key


def _check_signature(row: TokenKind, parsed: Parsed, context: Context) -> VerificationKey:
    if parsed.header.get("alg") not in row.algorithms:
        raise Refused("its algorithm is not accepted")
    if str(parsed.header.get("typ", "")).lower() not in row.types:
        raise Refused("it is a token of another kind")
    if row.key_by_id:
        known = with_kid(context.keys, str(parsed.header.get("kid", "")))
        if known is None:
            raise Refused("it was signed with an unknown key")
        candidates: Collection[VerificationKey] = (known,)
    else:
        candidates = context.keys
    for key in candidates:
        if key.alg in row.algorithms and signature_holds(parsed, key):
            return key
    raise Refused("its signature does not verify")


def _check_claims(row: TokenKind, claims: Mapping[str, Any], context: Context) -> None:
    for name, check in row.required.items():
        if name not in claims:
            raise Refused(f"the claim '{name}' is missing")
        if not check(claims[name], context):
            raise Refused(_REASONS.get(check, f"the claim '{name}' is not acceptable"))
    for name, value in claims.items():
        if name in row.required or name in row.ignored:
            continue
        if name in row.optional:
            if not row.optional[name](value, context):
                raise Refused(_REASONS.get(row.optional[name], f"the claim '{name}' is not acceptable"))
        elif not row.other_claims:
            raise Refused("it holds a claim that this kind of token does not have")
    for rule in row.together:
        if reason := rule(claims, context):
            raise Refused(reason)


def _check_lifetime(row: TokenKind, claims: Mapping[str, Any], context: Context) -> None:
    """`exp` is bounded from `iat`, which cannot lie ahead of our clock by more than the skew; without `iat` from our clock."""
    expires, issued = claims.get("exp"), claims.get("iat")
    if expires is None and "exp" not in row.required and issued is not None:
        if context.now - issued > row.lifetime:
            raise Refused(f"it is older than the {row.lifetime} seconds that are accepted")
        return
    length = 0.0 if expires is None else expires - (context.now if issued is None else issued)
    if expires is None or length > row.lifetime + (SKEW if issued is None else 0):
        raise Refused(f"its lifetime exceeds the {row.lifetime} seconds that are accepted")
    if issued is not None and length <= 0:
        raise Refused("it ends before it begins")


def _spend(row: TokenKind, claims: Mapping[str, Any], context: Context) -> None:
    if context.spend is None:
        raise Refused("nothing records that it was used")
    digest = hashlib.sha256("\0".join((row.name, claims["iss"], claims["jti"])).encode(errors="surrogatepass")).hexdigest()
    if not context.spend(digest, int((claims["exp"] + SKEW) * 1000) + 1):
        raise Refused("it was used before; make a new one for every request")
