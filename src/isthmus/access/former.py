"""Whom an account trusts besides whom the settings name now: what leaves the settings stays in the account until its stack was updated,
and sessions that began by then live on.

A former federation lies on the solution (`FORMER`) with when it was left. It counts until a look at the account's roles finds none that
trusts it any more, and as long afterwards as a session lasts; leavers are denied by what its sessions carry, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from isthmus.access.federation import ACCESS, AUDIENCE, CLIENT, CONFIGURATIONS, FEDERATION, ISSUER, METADATA, directory_of
from isthmus.arm.envelope import instant
from isthmus.clouds.aws.template.directories import CLAIMS, OIDC, SAML, Directory
from isthmus.engine.rows import from_row
from isthmus.store.tables import resources

FORMER: Final = "formerFederations"
"""The property: a list of `settings`, `since` and `until` (ms; None while the account may still trust it), the last the latest."""
LONGEST_DIRECT: Final = 3_600_000
"""Milliseconds: the longest session of people's roles."""
_NAMES: Final = (FEDERATION, ISSUER, CLIENT, AUDIENCE, METADATA)
_SIGN_IN: Final = frozenset({"sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"})


def remembered(properties: Mapping[str, Any], settings: Mapping[str, str], now: int) -> list[dict[str, Any]]:
    """The former federations of a solution (its properties until now) whose settings become these."""
    left, comes = directory_of(properties.get("solutionSettings") or {}), directory_of(settings)
    found = [dict(one) for one in properties.get(FORMER) or () if _counts(one, now)]
    if left is not None:
        kept = {name: properties["solutionSettings"].get(name, "") for name in _NAMES}
        found = [one for one in found if not _is_same(_directory(one), left)] + [{"settings": kept, "since": now, "until": None}]
    return [one for one in found if not _is_same(_directory(one), comes)]


def settled(properties: Mapping[str, Any], is_gone: Callable[[Directory], bool], now: int) -> list[dict[str, Any]]:
    """The former federations of a solution after a look at the account: those that `is_gone` count for one session more."""
    return [
        {**one, "until": now + LONGEST_DIRECT} if one["until"] is None and is_gone(_directory(one)) else dict(one)
        for one in properties.get(FORMER) or ()
        if _counts(one, now)
    ]


def shown(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The former federations of a solution as the API shows them."""
    return [
        {
            "federation": one["settings"][FEDERATION],
            "issuer": _directory(one).entity_id or _directory(one).issuer_url,
            "since": instant(one["since"]),
            "until": instant(one["until"]) if one["until"] is not None else None,
        }
        for one in properties.get(FORMER) or ()
    ]


def trusted(properties: Mapping[str, Any], now: int) -> Directory | None:
    """The directory that an account may trust, by its solution's properties: of several, one whose sessions carry nothing that we would
    know, since that asks for more. None for the broker alone."""
    if properties.get("solutionType") != ACCESS:
        return None
    present = directory_of(properties.get("solutionSettings") or {})
    found = [present, *(_directory(one) for one in properties.get(FORMER) or () if _counts(one, now))]
    return min((one for one in found if one is not None), key=lambda one: one.mode != OIDC, default=None)


def trusted_connectors(connection: Connection, now: int) -> dict[str, Directory]:
    """Connectors (by key) whose accounts trust a directory themselves, or may still do so."""
    found = connection.execute(select(resources).where(resources.c.type == CONFIGURATIONS.lower()))
    return {one.id.parent.key: known for one in map(from_row, found) if one.id.parent and (known := trusted(one.properties, now))}


def trusted_at(connection: Connection, connector: str, now: int) -> Directory | None:
    """The same of one connector (its key)."""
    rows = connection.execute(select(resources).where(resources.c.type == CONFIGURATIONS.lower(), resources.c.parent == connector.lower()))
    return next((known for row in rows if (known := trusted(from_row(row).properties, now))), None)


def trusts(document: Mapping[str, Any], directory: Directory, provider: str) -> bool:
    """Whether a role's trust policy lets people in whom a directory vouches for; `provider` is the ARN that it has in the account. In doubt
    it does."""
    return any(_lets_in(one, directory, provider) for one in _statements(document))


def _lets_in(statement: Mapping[str, Any], directory: Directory, provider: str) -> bool:
    principal = statement.get("Principal")
    federated = _texts(principal.get("Federated") if isinstance(principal, Mapping) else principal)
    if statement.get("Effect") != "Allow" or not {provider, "*"} & federated or not _SIGN_IN & _texts(statement.get("Action")):
        return False
    conditions = statement.get("Condition") or {}
    if directory.mode == SAML:
        issuers = _texts((conditions.get("StringEquals") or {}).get("SAML:iss"))
        return not issuers or directory.entity_id in issuers
    # Both modes name the same provider for an issuer; a role of the one demands what tokens of the other lack.
    return ("sts:RoleAuthorizedByIdp" in (conditions.get("Bool") or {})) == (directory.mode == CLAIMS)


def _statements(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = document.get("Statement")
    yield from (one for one in (found if isinstance(found, list) else [found]) if isinstance(one, Mapping))


def _texts(value: object) -> frozenset[str]:
    return frozenset(one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))


def _counts(one: Mapping[str, Any], now: int) -> bool:
    return one["until"] is None or int(one["until"]) > now


def _directory(one: Mapping[str, Any]) -> Directory:
    found = directory_of(one["settings"])
    assert found is not None
    return found


def _is_same(one: Directory, other: Directory | None) -> bool:
    """Whether sessions by both carry the same, from the same issuer; certificates and applications do not matter there."""
    return other is not None and (one.mode, one.entity_id, one.issuer_url) == (other.mode, other.entity_id, other.issuer_url)
