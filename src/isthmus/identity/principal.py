"""Who speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["user", "application", "machine", "system"]
_KINDS: Mapping[str, Kind] = {"app": "application", "user": "user", "machine": "machine"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """A caller. `object_id` is what role assignments name; `client_id` is empty for people; `resource_id` is set for machines only;
    `sign_in` names the sign-in that a person's token came from, where a provider vouched for it."""

    object_id: str
    kind: Kind
    name: str
    tenant: str
    client_id: str = ""
    resource_id: str = ""
    sign_in: str = ""


def principal_of(claims: Mapping[str, Any]) -> Principal:
    """The caller from verified claims of an access token."""
    client_id = str(claims["appid"])
    return Principal(
        object_id=str(claims["oid"]),
        kind=_KINDS[claims["idtyp"]],
        name=str(claims.get("preferred_username") or claims.get("app_displayname") or client_id),
        tenant=str(claims["tid"]),
        client_id=client_id,
        resource_id=str(claims.get("xms_mirid", "")),
        sign_in=str(claims.get("sid", "")),
    )


def system(tenant: str) -> Principal:
    """The program itself, for what it does by timetable."""
    return Principal(object_id="00000000-0000-0000-0000-000000000000", kind="system", name="isthmus", tenant=tenant)
