"""A role mapping as pages show it: the role that it makes of an account, what that allows, to whom, and on what conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from isthmus.portal.subjects import Subject, subject_of

MAPPINGS = "Isthmus.Access/roleMappings"
_SAFE = "/:@!$()+,;=~-._"


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """What people take: the mapping's name, the connector and account it is in (empty: not known), and the mapping's page."""

    id: str
    name: str
    connector: Subject
    account: str
    to: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapped:
    """One mapping. `claims` are pairs of a claim and its values, `statements` IAM's as indented JSON, empty without any."""

    role: Role
    role_name: str
    role_arn: str
    description: str
    groups: tuple[str, ...]
    claims: tuple[tuple[str, str], ...]
    policies: tuple[str, ...]
    statements: str
    machine_tag: str
    requires_mfa: bool
    contexts: tuple[str, ...]
    addresses: tuple[str, ...]
    lease: int
    activation: str
    approvers: tuple[str, ...]
    approvals: int
    longest: int

    @property
    def on_request(self) -> bool:
        """Whether somebody has to approve it each time."""
        return self.activation == "Request"


def said(statements: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """IAM statements, a line each: `Allow ec2:Describe*, s3:Get* on *, on conditions`."""
    return tuple(_said(one) for one in statements)


def _said(one: Mapping[str, Any]) -> str:
    acts = _list(one.get("Action")) or f"everything but {_list(one.get('NotAction'))}"
    where = _list(one.get("Resource")) or f"everything but {_list(one.get('NotResource'))}"
    return f"{one.get('Effect', '?')} {acts} on {where}{', on conditions' if one.get('Condition') else ''}"


def _list(told: object) -> str:
    return ", ".join(map(str, told)) if isinstance(told, list) else str(told or "")


def mapping_path(id: str, page: str = "mapping") -> str:
    """The page of a mapping, or one of its forms: `edit`, `remove`."""
    return f"/portal/access/{page}{quote(id, safe=_SAFE)}"


def role_of(id: str, account: str = "") -> Role:
    """The role of a mapping's id. The connector is what stands before the mapping in it."""
    connector, _, name = id.rpartition("/")
    connector = connector[: connector.lower().rfind("/providers/isthmus.access/")]
    return Role(id=id, name=name, connector=subject_of(connector), account=account, to=mapping_path(id))


def mapped_of(body: Mapping[str, Any]) -> Mapped:
    """A mapping from its resource."""
    told = body["properties"]
    activation = told.get("activation") or {}
    statements = told.get("statements") or []
    return Mapped(
        role=role_of(body["id"], told.get("accountId", "")),
        role_name=told.get("roleName", ""),
        role_arn=told.get("roleArn", ""),
        description=told.get("description", ""),
        groups=tuple(told.get("groups") or ()),
        claims=tuple((name, ", ".join(values)) for name, values in sorted((told.get("claims") or {}).items())),
        policies=tuple(told.get("managedPolicyArns") or ()),
        statements=orjson.dumps(statements, option=orjson.OPT_INDENT_2).decode() if statements else "",
        machine_tag=told.get("machineTag", ""),
        requires_mfa=told.get("requiresMfa", True),
        contexts=tuple(told.get("requiredContexts") or ()),
        addresses=tuple(told.get("allowedAddresses") or ()),
        lease=told.get("leaseSeconds", 300),
        activation=activation.get("mode", "Standing"),
        approvers=tuple(activation.get("approverGroups") or ()),
        approvals=activation.get("approvals", 1),
        longest=activation.get("longestSeconds", 28_800),
    )
