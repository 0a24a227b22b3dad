"""The issuer that AWS trusts: can AWS find it under its URL, and does it show the very keys that sign here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from isthmus.arm.errors import ArmError
from isthmus.doctor.findings import Finding, failed, ok, unchecked, warning
from isthmus.doctor.patient import Patient
from isthmus.doctor.probes import Reply, Silence
from isthmus.keys.examination import published_keys

ADDRESS, DOCUMENT, KEYS = "issuer URL", "issuer document", "issuer keys"
# RFC 2606 and RFC 6762: names that no public server has.
_PRIVATE = (".test", ".example", ".invalid", ".localhost", ".local", ".internal")
_EXPORT = "Publish what 'isthmus issuer export' writes under that URL, with content type application/json."


def examine(patient: Patient) -> Iterator[Finding]:
    """What AWS would see, judged by public authorities alone."""
    url = patient.settings.issuer_url
    problem = _unfit(url)
    if problem:
        yield failed(ADDRESS, f"'{url}' {problem}.", "Set ISTHMUS_ISSUER_URL to https://, a public name, and perhaps a path.")
        yield from _unasked("The issuer's URL cannot be used.")
    elif patient.aws_is_emulated:
        yield unchecked(
            ADDRESS, f"AWS is played by {patient.environ.get('AWS_ENDPOINT_URL', 'another endpoint')}, which knows its own way to {url}."
        )
        yield from _unasked("Real AWS is not asked.")
    elif f".{urlsplit(url).hostname}".endswith(_PRIVATE):
        remedy = f"Set ISTHMUS_ISSUER_URL to a name that AWS can reach before you connect an account. {_EXPORT}"
        yield warning(ADDRESS, f"{url} is a private name; AWS finds nothing there.", remedy)
        yield from _unasked("The name is private.")
    elif patient.is_offline:
        yield unchecked(ADDRESS, "Asked to stay offline.")
        yield from _unasked("Asked to stay offline.")
    else:
        yield from _public(patient, url)


def _unfit(url: str) -> str:
    """Why AWS would refuse the URL for an OIDC provider; empty when it takes it."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is not None or parts.netloc.endswith(":")
    except ValueError:
        return "is no URL"
    if parts.scheme != "https" or not parts.hostname:
        return "is not an https URL"
    if has_port:
        return "has a port, which AWS does not allow"
    if parts.netloc != parts.hostname or parts.query or parts.fragment or url.endswith(("/", "?", "#")) or len(url) > 255:
        return "must be lower case, without user, query, fragment or slash at its end, and at most 255 characters long"
    return ""


def _unasked(reason: str) -> Iterator[Finding]:
    yield from (unchecked(check, reason) for check in (DOCUMENT, KEYS))


def _public(patient: Patient, url: str) -> Iterator[Finding]:
    host = urlsplit(url).hostname or ""
    addresses = patient.probes.resolve(host)
    if not addresses:
        yield failed(ADDRESS, f"The name '{host}' has no address.", "Make a DNS record for it, or set ISTHMUS_ISSUER_URL to another.")
        yield from _unasked("The issuer's name has no address.")
        return
    yield ok(ADDRESS, f"{url} ({', '.join(addresses[:2])})")
    found = _document(patient, f"{url}/.well-known/openid-configuration")
    if isinstance(found, Finding):
        yield found
        yield unchecked(KEYS, "There is no document that leads to them.")
        return
    if found.get("issuer") != url:
        told = f"The document at {url} is the one of another issuer: {str(found.get('issuer'))[:200]}."
        yield failed(DOCUMENT, told, _EXPORT)
        yield unchecked(KEYS, "The document is another issuer's.")
        return
    yield ok(DOCUMENT, "trusted by public authorities, names this issuer")
    yield _keys(patient, str(found.get("jwks_uri")))


def _document(patient: Patient, url: str) -> dict[str, Any] | Finding:
    """A JSON document, or why it is not to be had."""
    asked = patient.probes.fetch(url, by_proxy=True)
    if isinstance(asked, Silence):
        if asked.why == "certificate":
            remedy = "Give that host a certificate of a public authority; AWS accepts none of ours."
            return failed(DOCUMENT, f"The certificate at {url} is not trusted ({asked.detail}).", remedy)
        return failed(DOCUMENT, f"{url} does not answer ({asked.detail}).", _EXPORT)
    return _object(asked) or failed(DOCUMENT, f"{url} answers {asked.status} without a JSON document.", _EXPORT)


def _object(reply: Reply) -> dict[str, Any]:
    try:
        found = json.loads(reply.body) if reply.status == 200 else None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _keys(patient: Patient, url: str) -> Finding:
    if urlsplit(url).scheme != "https":
        return failed(KEYS, f"The document leads to '{url[:200]}', which is not https.", _EXPORT)
    found = _document(patient, url)
    if isinstance(found, Finding):
        return failed(KEYS, found.detail, found.remedy)
    try:
        ours = published_keys(patient.keys, "aws") if patient.keys.is_dir() else {}
    except ArmError as error:
        return failed(KEYS, error.message, "See the check 'signing keys'.")
    if patient.is_elsewhere or "current" not in ours:
        return unchecked(KEYS, "The keys that sign are not in this data folder, so there is nothing to compare with.")
    listed = found.get("keys")
    theirs = [key for key in listed if isinstance(key, dict)] if isinstance(listed, list) else []
    if not _has(theirs, ours["current"]):
        return failed(KEYS, "The key that signs now is not published there, so AWS refuses every token.", f"{_EXPORT} Then look again.")
    if "next" in ours and not _has(theirs, ours["next"]):
        told = "The key that signs next is not published there; at its turn AWS would refuse every token."
        return warning(KEYS, told, f"{_EXPORT} Repeat after every rotation.")
    return ok(KEYS, "the keys that sign now and next are published")


def _has(keys: list[dict[str, Any]], wanted: Mapping[str, str]) -> bool:
    return any(all(key.get(part) == wanted.get(part) for part in ("kid", "kty", "n", "e")) for key in keys)
