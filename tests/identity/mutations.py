"""Damage for tokens: of text, header, payload and signature, by who holds no key and by an issuer that writes oddly."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hmac import HMAC
from hypothesis import strategies as st

from tests.identity.parties import TestKey

_PADDING = padding.PKCS1v15()
_ODD_CHARACTERS = st.sampled_from(list("AZaz09-_+/=. \t\r\n\0\u200b\uff21é\ud800%\"'\\")) | st.characters()
DEEP = 40_000


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True, kw_only=True)
class Made:
    """A token in parts that can be damaged one by one; header and payload are JSON texts as bytes, the signature is what signs them."""

    header: bytes
    payload: bytes
    sign: Callable[[bytes], bytes]

    @property
    def token(self) -> str:
        signed = f"{b64(self.header)}.{b64(self.payload)}"
        return f"{signed}.{b64(self.sign(signed.encode()))}"


def by_key(key: TestKey) -> Callable[[bytes], bytes]:
    """As RS256 signs."""
    return lambda data: key.private.sign(data, _PADDING, hashes.SHA256())


def by_secret(secret: bytes) -> Callable[[bytes], bytes]:
    """As HS256 signs: with a public key as the secret, this is the oldest of attacks."""

    def sign(data: bytes) -> bytes:
        mac = HMAC(secret, hashes.SHA256())
        mac.update(data)
        return mac.finalize()

    return sign


def forgeries(key: TestKey, evil: TestKey) -> st.SearchStrategy[Callable[[bytes], bytes]]:
    """Signatures of who does not hold `key`."""
    secrets = (key.pem.encode(), key.pem.strip().encode(), json.dumps(key.jwk).encode(), key.jwk["n"].encode(), b"")
    fixed = st.sampled_from([by_key(evil), *map(by_secret, secrets), lambda _: b"", lambda _: b"\0" * 256, lambda _: b"\xff" * 256])
    return fixed | st.binary(max_size=600).map(lambda made: lambda _: made)


_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.text(max_size=20)
    | st.floats(allow_nan=False)
    | st.sampled_from([0, -1, 2**63, 10**400, -(10**400), 1e308, "", "none", "us", "\ud800", "\0", "\u202e"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_ALGORITHMS = st.sampled_from(
    [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "HS256",
        "HS384",
        "HS512",
        "RS384",
        "RS512",
        "PS256",
        "ES256",
        "ES256K",
        "EdDSA",
        "rs256",
        "RS256 ",
    ]
)
_KIDS = st.sampled_from(
    ["", "other", "good ", "Good", "good\0", "../good", "/dev/null", "' or 1=1 --", "\u202egood", "go\u00adod", "\ud800"]
)


def headers(typ: str, evil: TestKey) -> st.SearchStrategy[bytes]:
    """Headers of who wants to choose the key, the algorithm or the rules; sometimes it is a good one."""
    plain = {"alg": "RS256", "typ": typ, "kid": "good"}
    more: list[Mapping[str, Any]] = [
        {"jwk": evil.jwk},
        {"jwk": evil.jwk, "kid": evil.kid},
        {"jku": "https://evil.test/keys"},
        {"x5u": "https://evil.test/certificate"},
        {"x5c": ["AAAA"]},
        {"crit": []},
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"enc": "A128GCM"},
        {"x5t": "AAAA"},
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"typ": typ.upper()},
    ]
    changed = (
        st.sampled_from(more).map(lambda one: {**plain, **one})
        | _ALGORITHMS.map(lambda alg: {**plain, "alg": alg})
        | _KIDS.map(lambda kid: {**plain, "kid": kid})
        | st.tuples(st.sampled_from(["alg", "typ", "kid", "x", "exp"]), _JUNK).map(lambda pair: {**plain, pair[0]: pair[1]})
        | st.sampled_from(["alg", "typ", "kid"]).map(lambda gone: {name: plain[name] for name in plain if name != gone})
    )
    return texts(st.just(plain) | changed)


def texts(values: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[bytes]:
    """JSON texts of objects: most as anybody writes them, some written so that readers differ in what they read."""
    return st.tuples(values, st.sampled_from(_WRITERS), st.integers(0, 2**16)).map(lambda made: made[1](made[0], made[2]))


def claims(good: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Good claims with up to three changes."""
    times = st.sampled_from([-1, 0, 1.5, 1e10, 1e11, 1e308, 2**53, 10**400, -(10**400), "1767225600", True, None, [1], {}])
    one = st.one_of(
        st.tuples(st.sampled_from(sorted(good)), _JUNK),
        st.tuples(st.sampled_from(["exp", "iat", "nbf"]), times),
        st.tuples(st.sampled_from(sorted(good)), st.sampled_from(sorted(good)).map(good.get)),
        st.tuples(st.sampled_from(["admin", "exp ", "ſub", "Sub", "\0sub", "__proto__", "groups", "oid", "tid", "azp", "at_hash"]), _JUNK),
    )
    gone = st.lists(st.sampled_from(sorted(good)), max_size=1)
    return st.tuples(st.lists(one, max_size=3), gone).map(
        lambda made: {name: value for name, value in {**good, **dict(made[0])}.items() if name not in made[1]}
    )


def damaged(token: str) -> st.SearchStrategy[str]:
    """The text itself, cut, doubled, padded, re-cased, or with odd characters in it."""
    places = st.integers(0, len(token))

    def cut(pair: tuple[int, int]) -> str:
        first, last = sorted(pair)
        return token[:first] + token[last:]

    def double(pair: tuple[int, int]) -> str:
        first, last = sorted(pair)
        return token[:last] + token[first:]

    head, body, tail = token.split(".")
    shuffled = st.permutations([head, body, tail, "", head]).map(lambda parts: ".".join(parts[:3]))
    swapped = places.map(lambda at: token[:at] + token[at : at + 1].swapcase() + token[at + 1 :])
    padded = st.sampled_from(
        [f"{head}=.{body}.{tail}", f"{token}=", f"{token}==", f"{head}.{body}=.{tail}", token.replace("_", "/"), f"{token}."]
    )
    inserted = st.tuples(places, _ODD_CHARACTERS).map(lambda pair: token[: pair[0]] + pair[1] + token[pair[0] :])
    replaced = st.tuples(places, _ODD_CHARACTERS).map(lambda pair: token[: pair[0]] + pair[1] + token[pair[0] + 1 :])
    spans = st.tuples(places, places)
    grown = st.integers(1, 40).map(lambda times: token + "A" * (1000 * times))
    return st.one_of(
        inserted, replaced, swapped, spans.map(cut), spans.map(double), shuffled, padded, places.map(lambda at: token[:at]), grown
    )


def _plainly(value: dict[str, Any], _seed: int) -> bytes:
    return json.dumps(value).encode()


def _escaped(value: dict[str, Any], seed: int) -> bytes:
    """Names in escapes, which mean the same letters."""
    text = json.dumps(value)
    for name in value:
        spelt = "".join(f"\\u{ord(one):04x}" for one in name) if name.isascii() else ""
        if spelt and seed % 3:
            text = text.replace(f'"{name}":', f'"{spelt}":', 1)
    return text.encode()


def _doubled(value: dict[str, Any], seed: int) -> bytes:
    """A member twice, plainly or in escapes, before or behind the true one."""
    names = sorted(value) or ["sub"]
    name = names[seed % len(names)]
    spelt = "".join(f"\\u{ord(one):04x}" for one in name if one.isascii()) if seed % 2 else json.dumps(name)[1:-1]
    text = json.dumps(value)
    return (f'{{"{spelt}":"evil",' + text[1:] if seed % 3 else f'{text[:-1]},"{spelt}":"evil"}}').encode()


def _doubled_within(value: dict[str, Any], seed: int) -> bytes:
    """A member twice, far below."""
    depth = 1 + seed % 20
    inner = '{"a":' * depth + '{"b":1,"b":2}' + "}" * depth
    return f'{json.dumps(value)[:-1]},"deep":{inner}}}'.encode()


def _spaced(value: dict[str, Any], seed: int) -> bytes:
    """Blanks where JSON has them, and where it has none."""
    made = json.dumps(value, indent=seed % 5)
    return (" \n\t" + made + ("\n" if seed % 2 else "\0")).encode()


def _deep(value: dict[str, Any], seed: int) -> bytes:
    opening, closing = ("[", "]") if seed % 2 else ('{"a":', "}")
    depth = min(DEEP, 1 + seed)
    return f'{json.dumps(value)[:-1]},"x":{opening * depth}1{closing * depth if seed % 3 else ""}}}'.encode()


def _huge(value: dict[str, Any], seed: int) -> bytes:
    number = ("9" * (1 + seed % 9000), "1e999", "-1e999", "NaN", "-Infinity", "1E+400", "0" * 50 + "1", "1." + "0" * 5000 + "1")[seed % 8]
    name = ("exp", "iat", "nbf", "x")[(seed // 8) % 4]
    rest = {one: value[one] for one in value if one != name}
    return f'{json.dumps(rest)[:-1]}{"," if rest else ""}"{name}":{number}}}'.encode()


def _foreign(value: dict[str, Any], seed: int) -> bytes:
    """Other encodings, marks at the beginning, things behind the end."""
    text = json.dumps(value, ensure_ascii=False)
    made = text.encode("utf-8", errors="surrogatepass")
    cuts = made[: seed % (len(made) + 1)]
    return (
        b"\xef\xbb\xbf" + made,
        text.encode("utf-16", errors="surrogatepass"),
        text.encode("utf-32", errors="surrogatepass"),
        made + b"{}",
        made + b"//",
        b"[" + made + b"]",
        json.dumps(text).encode(),
        cuts,
        made.replace(b'"', b"'"),
        b"",
    )[seed % 10]


_WRITERS = (_plainly, _plainly, _plainly, _escaped, _doubled, _doubled_within, _spaced, _deep, _huge, _foreign)
