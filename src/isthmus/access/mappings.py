"""Role mappings: which people hold which role of an account, on what conditions. Read from the stored resource; checked when it is put."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus.arm.envelope import Resource
from isthmus.clouds.aws import names
from isthmus.clouds.contract import ScanTarget

ROLE_MAPPINGS = "Isthmus.Access/roleMappings"
STANDING, REQUEST = "Standing", "Request"
BROKER = "broker"
"""The federation in which people come by tokens of Isthmus. The others are the modes of `Directory`."""
OFF, SUGGEST, APPLY = "Off", "Suggest", "Apply"
"""Whether sessions are narrowed to the actions that the person has used: no, only told (`why`), or from the next session on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RoleMapping:
    """One mapping. `claims` are other claims of the token and the values that count; groups and claims are alternatives.

    `contexts` are authentication contexts (`acrs`) that must all be met: that is how a directory vouches for devices. `activation` is
    Standing or Request; the four members from there on matter for requests alone. `lease_seconds` bounds every session from its last check.
    `client_id` is the role's own application where AWS trusts the directory; `federation` says whom AWS trusts. `role_name` is set
    where the role is not named after the mapping.
    """

    id: str
    name: str
    target: ScanTarget
    groups: frozenset[str] = frozenset()
    claims: Mapping[str, frozenset[str]] = field(default_factory=dict)
    requires_mfa: bool = True
    contexts: frozenset[str] = frozenset()
    addresses: tuple[str, ...] = ()
    lease_seconds: int = 300
    managed_policies: tuple[str, ...] = ()
    statements: tuple[Mapping[str, Any], ...] = ()
    machine_tag: str = ""
    activation: str = STANDING
    approver_groups: frozenset[str] = frozenset()
    approvals: int = 1
    longest_seconds: int = 28_800
    least_privilege: str = OFF
    client_id: str = ""
    federation: str = BROKER
    role_name: str = ""

    @property
    def key(self) -> str:
        """The key of its resource."""
        return self.id.lower()

    @property
    def connector(self) -> str:
        """The key of the connector that it extends."""
        return self.key.partition("/providers/isthmus.access/")[0]

    @property
    def role(self) -> str:
        """Name of the role in the account."""
        return self.role_name or names.person_role(self.target.guid, self.name)

    @property
    def role_arn(self) -> str:
        """Its ARN."""
        return names.role_arn(self.target.account, self.role, self.target.partition)

    @property
    def label(self) -> str:
        """How people name it: account and mapping."""
        return f"{self.target.account}.{self.name}"


def mapping_of(resource: Resource, connector: Resource, *, federation: str = BROKER) -> RoleMapping:
    """A stored mapping with its connector. `federation` is the access solution's setting."""
    given = resource.properties
    activation = given.get("activation") or {}
    return RoleMapping(
        id=str(resource.id),
        name=resource.id.name,
        target=access_target(connector),
        groups=frozenset(given.get("groups") or ()),
        claims={name: frozenset(values) for name, values in (given.get("claims") or {}).items()},
        requires_mfa=given.get("requiresMfa", True),
        contexts=frozenset(given.get("requiredContexts") or ()),
        addresses=tuple(given.get("allowedAddresses") or ()),
        lease_seconds=given.get("leaseSeconds", 300),
        managed_policies=tuple(given.get("managedPolicyArns") or ()),
        statements=tuple(given.get("statements") or ()),
        machine_tag=given.get("machineTag", ""),
        activation=activation.get("mode", STANDING),
        approver_groups=frozenset(activation.get("approverGroups") or ()),
        approvals=activation.get("approvals", 1),
        longest_seconds=activation.get("longestSeconds", 28_800),
        least_privilege=given.get("leastPrivilege", OFF),
        client_id=given.get("clientId", ""),
        federation=federation,
    )


def witness(target: ScanTarget, connector: str) -> RoleMapping:
    """The role on which an account's denials are watched in direct modes, as a mapping that nobody can make."""
    id = f"{connector}/providers/Isthmus.Access/roleMappings/.witness"
    return RoleMapping(id=id, name=".witness", target=target, role_name=names.witness_role(target.guid))


def access_target(connector: Resource) -> ScanTarget:
    """The account of a connector, as access reaches it."""
    properties = connector.properties
    return ScanTarget(
        account=properties["awsCloudProfile"]["accountId"], guid=properties["connectorPrimaryIdentifier"], solution=names.ACCESS
    )
