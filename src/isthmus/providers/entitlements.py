"""Isthmus.Access/entitlements: who may take which role now, by person or by account. For readers of the tenant."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from isthmus.access.broker import Broker
from isthmus.access.entitlements import Entitlement, of_account, of_person
from isthmus.access.mappings import RoleMapping
from isthmus.arm import paging
from isthmus.arm.envelope import instant
from isthmus.arm.errors import invalid
from isthmus.arm.types import Ask, ResourceType, Scope, Window
from isthmus.providers.history import VERSIONS

ENTITLEMENTS = "Isthmus.Access/entitlements"
_ACCOUNT = re.compile(r"[0-9]{12}")
_OBJECT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def row(broker: Broker, mappings: Callable[[], Iterable[RoleMapping]]) -> ResourceType:
    """The type: a list with `person` (object id) or `account` in its query. A page looks at a hundred people, and may be empty."""

    def listed(ask: Ask) -> Window:
        person, account, after = ask.query.get("person", ""), ask.query.get("account", ""), paging.key_of(ask.query)
        if bool(person) == bool(account):
            told = "Ask for a person (their object id) or for an account (12 digits), one of the two."
            raise invalid(told, target="query", code="InvalidEntitlements")
        if person:
            return Window(items=[_body(one) for one in of_person(broker, mappings(), _object_id(person))])
        if not _ACCOUNT.fullmatch(account):
            raise invalid(f"'{account[:32]}' is not an account: those have 12 digits.", target="account", code="InvalidEntitlements")
        if after and not _OBJECT_ID.fullmatch(after):
            raise invalid("The $skiptoken is not one of this list. Start it again.", target="$skiptoken", code="InvalidSkipToken")
        found, ends = of_account(broker, [one for one in mappings() if one.target.account == account], after)
        return Window(items=[_body(one) for one in found], after=ends)

    return ResourceType(name=ENTITLEMENTS, scopes=frozenset({Scope.TENANT}), versions=VERSIONS, window=listed)


def _object_id(given: str) -> str:
    try:
        return str(UUID(given))
    except ValueError as error:
        told = f"A person is named by the object id in the directory (a UUID), not by '{given[:64]}'."
        raise invalid(told, target="person", code="InvalidEntitlements") from error


def _body(one: Entitlement) -> dict[str, Any]:
    name = hashlib.sha256(f"{one.person}|{one.mapping.key}".encode()).hexdigest()[:32]
    refusal = one.decision.refusal
    return {
        "id": f"/providers/{ENTITLEMENTS}/{name}",
        "name": name,
        "type": ENTITLEMENTS,
        "properties": {
            "person": one.person,
            "personName": one.name,
            "role": one.mapping.label,
            "accountId": one.mapping.target.account,
            "mapping": one.mapping.key,
            "activation": one.mapping.activation,
            "allowed": refusal is None,
            "because": one.decision.because or None,
            "grant": one.decision.grant or None,
            "until": instant(one.decision.until) if one.decision.until else None,
            "code": refusal.code if refusal else None,
            "details": refusal.told if refusal else None,
        },
    }
