"""The menu of the portal: what the API would refuse to this visitor is not offered. A page that is asked for by its address says why."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.portal.page import Visit
from isthmus.portal.principals import ME, within

_TENANT = "/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rights:
    """What a visitor may read and change, as far as pages offer it; the API decides what is done. `is_of_directory` tells whether they
    came by a sign-in of a directory, without which nobody takes roles of accounts."""

    reads_subscription: bool
    reads_tenant: bool
    owns_tenant: bool
    is_of_directory: bool


NOTHING = Rights(reads_subscription=False, reads_tenant=False, owns_tenant=False, is_of_directory=False)
"""What somebody may who is not signed in."""


def read_rights(visit: Visit) -> Rights:
    """One call."""
    (mine,) = visit.client.list(ME)
    told = mine["properties"]
    held = [(one["role"], one["scope"]) for one in told["assignments"]]
    return Rights(
        reads_subscription=any(within(visit.root, scope) for _, scope in held),
        reads_tenant=any(scope == _TENANT for _, scope in held),
        owns_tenant=("Owner", _TENANT) in held,
        is_of_directory=told["signIn"] is not None,
    )


def entries(rights: Rights) -> tuple[tuple[str, str, str], ...]:
    """Key, address and text of each entry. Who may see nothing of Isthmus itself has what concerns themselves."""
    mine = ("mine", "/portal/access/mine", "My access")
    if not rights.reads_subscription:
        return mine, ("access", "/portal/access/requests", "Requests")
    return (
        ("home", "/portal/", "Home"),
        *([mine] if rights.is_of_directory else []),
        ("connectors", "/portal/connectors", "Connectors"),
        ("machines", "/portal/machines", "Machines"),
        ("inventory", "/portal/inventory", "Inventory"),
        ("operations", "/portal/operations", "Operations"),
        *([("jobs", "/portal/jobs", "Jobs")] if rights.reads_tenant else []),
        ("access", "/portal/access", "Access"),
        ("roles", "/portal/roles", "Roles"),
        *([("kit", "/portal/kit", "Component kit")] if rights.owns_tenant else []),
    )
