"""Who principals are: people who signed in, applications, groups, and oneself; and what oneself may give to others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from isthmus.arm.errors import ArmError
from isthmus.portal.page import Visit

PEOPLE = "/providers/Isthmus.Identity/people"
CLIENTS = "/providers/Isthmus.Identity/clients"
ME = "/providers/Isthmus.Identity/me"
GROUPS = "/providers/Isthmus.Access/groups"
_MOST = {"$top": "1000"}
_MAY_WRITE = ("owner", "contributor")


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Somebody or something that may hold roles. `kind` is ARM's word: User or ServicePrincipal; `more` tells two of a name apart."""

    id: str
    name: str
    kind: str
    more: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Principals:
    """Everybody known, by object id; `owns` are the scopes at which the visitor is Owner, `me` the visitor. `has_signed_in` tells
    who came by a directory from who came by a sign-in link."""

    known: Mapping[str, Principal]
    me: Principal
    owns: tuple[str, ...]
    has_signed_in: bool = False

    @property
    def can_manage(self) -> bool:
        """Whether the visitor manages identities: owners of the tenant do."""
        return "/" in self.owns

    def may_give(self, scope: str) -> bool:
        """Whether the visitor may give and take roles at a scope."""
        return any(within(scope, owned) for owned in self.owns)

    def find(self, id: str, kind: str = "") -> Principal:
        """Who has an object id; a principal without a name when nobody is known by it."""
        return self.known.get(id.lower()) or Principal(id=id, name="", kind=kind)


def read_group_names(visit: Visit) -> Mapping[str, str]:
    """What groups are called that mappings name, by id: those of which the directory tells it, of mappings that the visitor may read.
    A page does without when that cannot be asked now."""
    try:
        told = [one["properties"] for one in visit.client.list(GROUPS, query=_MOST)]
    except ArmError:
        return {}
    return {one["groupId"]: one["displayName"] for one in told if one["displayName"]}


def within(scope: str, outer: str) -> bool:
    """Whether a scope is another, or lies in it."""
    inner, above = scope.lower().rstrip("/"), outer.lower().rstrip("/")
    return inner == above or inner.startswith(f"{above}/")


def may_change(visit: Visit, id: str) -> bool:
    """Whether the visitor's roles allow changes of a resource. It decides what is shown; the API decides what is done."""
    (mine,) = visit.client.list(ME)
    return any(one["role"].lower() in _MAY_WRITE and within(id, one["scope"]) for one in mine["properties"]["assignments"])


def reads_tenant(visit: Visit) -> bool:
    """Whether the visitor may read the whole tenant. It decides what is shown; the API decides what is told."""
    (mine,) = visit.client.list(ME)
    return any(one["scope"] == "/" for one in mine["properties"]["assignments"])


def read_me(visit: Visit) -> Principals:
    """Oneself alone, with what one owns: one call, however many people there are."""
    mine = next(iter(visit.client.list(ME)))["properties"]
    me = Principal(id=mine["objectId"], name=mine["name"], kind="User" if mine["kind"] == "User" else "ServicePrincipal")
    owns = tuple(one["scope"] for one in mine["assignments"] if one["role"] == "Owner")
    return Principals(known={me.id.lower(): me}, me=me, owns=owns, has_signed_in=mine["signIn"] is not None)


def read_principals(visit: Visit) -> Principals:
    """Read them. Who may not read the tenant knows only oneself by name."""
    mine = read_me(visit)
    known = dict(mine.known)
    try:
        people = [one["properties"] for one in visit.client.list(PEOPLE, query=_MOST)]
        clients = [one["properties"] for one in visit.client.list(CLIENTS, query=_MOST)]
    except ArmError as error:
        if error.status != 403:
            raise
        people, clients = [], []
    for one in people:
        known[one["objectId"].lower()] = Principal(id=one["objectId"], name=one["name"], kind="User", more=one["mail"])
    for one in clients:
        known[one["objectId"].lower()] = Principal(
            id=one["objectId"], name=one["displayName"], kind="ServicePrincipal", more=one["clientId"]
        )
    return replace(mine, known=known)
