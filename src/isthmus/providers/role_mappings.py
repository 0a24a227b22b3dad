"""Isthmus.Access/roleMappings: which people hold which role of a connector's account, and on what conditions."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from isthmus.access.federation import directory_of, shared_client, unfit
from isthmus.access.leases import fits_lease
from isthmus.access.mappings import ROLE_MAPPINGS, mapping_of
from isthmus.access.shrinking import EVERYTHING
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError, all_of, conflict
from isthmus.arm.types import Ask, ResourceType, Scope
from isthmus.clouds.aws.template.request import MANAGED_POLICY, PERSON_ROLE, TAG
from isthmus.engine import Lookup
from isthmus.providers.bodies import Body, read
from isthmus.providers.history import VERSIONS
from isthmus.solutions import access
from isthmus.solutions.subject import CONFIGURATIONS, CONNECTORS

MOST_STATEMENTS_SIZE = 8_000
"""Characters of a mapping's statements: IAM takes 10,240 for all inline policies of a role, and ours need some."""
_ACTION = re.compile(r"\*|[a-z0-9-]{1,40}:[A-Za-z0-9*?]{1,80}", re.ASCII)
_WORD = re.compile(r"[^\s\x00-\x1f]{1,256}")


def _word(value: str) -> str:
    if not _WORD.fullmatch(value):
        raise ValueError("A group or value has 1 to 256 characters without blanks.")
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError as error:
        raise ValueError(f"'{value[:64]}' is no address or network (203.0.113.0/24).") from error


def _managed(value: str) -> str:
    if not MANAGED_POLICY.fullmatch(value):
        raise ValueError("This is no ARN of a managed policy (arn:aws:iam::aws:policy/ReadOnlyAccess).")
    return value


def _machine_tag(value: str) -> str:
    if value and not TAG.fullmatch(value):
        raise ValueError("The tag of machines reads key:value.")
    return value


def _action(value: str) -> str:
    if not _ACTION.fullmatch(value):
        raise ValueError("An action reads service:Action, with * and ? as IAM takes them.")
    return value


def _client(value: str) -> str:
    if value and not access.CLIENT_ID.fullmatch(value):
        raise ValueError("A client id has 1 to 255 letters, digits and -._~:/ characters.")
    return value


Word = Annotated[str, AfterValidator(_word)]
_SHOWN = frozenset({"accountId", "roleName", "roleArn", "provisioningState"})
Resource_ = Annotated[str, Field(min_length=1, max_length=2048)]


class Statement(Body):
    """One IAM statement. Everything but these four is refused, for it could not be explained."""

    model_config = ConfigDict(extra="forbid", strict=True)
    Effect: Literal["Allow", "Deny"]
    Action: Annotated[list[Annotated[str, AfterValidator(_action)]], Field(min_length=1, max_length=100)]
    Resource: Annotated[list[Resource_], Field(min_length=1, max_length=100)]
    Condition: dict[str, dict[str, str | list[str]]] | None = None


class Activation(Body):
    """How a role becomes active: at once, or on request for a time. What is misspelt is refused: it would be no condition at all."""

    model_config = ConfigDict(extra="forbid", strict=True)
    mode: Literal["Standing", "Request"] = "Standing"
    approverGroups: Annotated[list[Word], Field(max_length=20)] = []
    approvals: Annotated[int, Field(ge=1, le=5)] = 1
    longestSeconds: Annotated[int, Field(ge=300, le=86_400)] = 28_800


class MappingProperties(Body):
    """`properties` of a role mapping. What is misspelt is refused: a condition that nobody reads is none. What is shown may come back."""

    model_config = ConfigDict(extra="forbid", strict=True)
    description: Annotated[str, Field(max_length=512)] = ""
    groups: Annotated[list[Word], Field(max_length=50)] = []
    claims: Annotated[dict[Word, Annotated[list[Word], Field(min_length=1, max_length=50)]], Field(max_length=10)] = {}
    requiresMfa: bool = True
    requiredContexts: Annotated[list[Word], Field(max_length=10)] = []
    allowedAddresses: Annotated[list[Annotated[str, AfterValidator(_network)]], Field(max_length=40)] = []
    leaseSeconds: Annotated[int, Field(ge=60, le=300)] = 300
    managedPolicyArns: Annotated[list[Annotated[str, AfterValidator(_managed)]], Field(max_length=9)] = []
    statements: Annotated[list[Statement], Field(max_length=20)] = []
    machineTag: Annotated[str, AfterValidator(_machine_tag)] = ""
    activation: Activation = Activation()
    leastPrivilege: Literal["Off", "Suggest", "Apply"] = "Off"
    clientId: Annotated[str, AfterValidator(_client)] = ""

    @model_validator(mode="before")
    @classmethod
    def without_shown(cls, given: Any) -> Any:
        """A body that was read may be put again: what only we say is left out."""
        return {name: value for name, value in given.items() if name not in _SHOWN} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def check(self) -> MappingProperties:
        """Somebody must be meant, and something allowed."""
        if not self.groups and not self.claims:
            raise ValueError("Name at least one group or claim: a role that nobody can hold is a mistake.")
        if not self.managedPolicyArns and not self.statements and not self.machineTag:
            raise ValueError("Name managedPolicyArns, statements or a machineTag: a role that allows nothing is a mistake.")
        if self.activation.mode == "Request" and not self.activation.approverGroups:
            raise ValueError("Nobody could approve a request: activation.approverGroups is empty.")
        if not fits_lease(0, EVERYTHING, addresses=self.allowedAddresses):
            raise ValueError("The allowedAddresses do not fit a session policy of AWS. Name fewer or wider networks.")
        if len(json.dumps([one.model_dump(exclude_none=True) for one in self.statements])) > MOST_STATEMENTS_SIZE:
            raise ValueError(f"The statements are longer than {MOST_STATEMENTS_SIZE} characters. Use a managed policy.")
        return self


class MappingBody(Body):
    """A role mapping as it is put."""

    properties: MappingProperties


def row(lookup: Lookup) -> ResourceType:
    """The row.

    Who may give roles may map them to people, nobody else: a mapping gives people rights in the account."""

    def put(old: Resource | None, ask: Ask) -> Change:
        connector = ask.parent
        if connector is None:
            raise ArmError(
                "InvalidResourceType", f"A role mapping extends a connector; '{ask.id}' names none.", status=404, target=str(ask.id)
            )
        _require_owner(ask)
        if connector.properties.get("provisioningState") == "Deleting":
            raise conflict(f"Connector '{connector.id.name}' is being removed.", code="ConnectorIsBeingRemoved", target=str(connector.id))
        found = lookup.all(types=[CONFIGURATIONS], parent=connector.id.key)
        solution = next((one for one in found if one.properties["solutionType"] == access.TYPE), None)
        if solution is None:
            raise conflict(
                f"Connector '{connector.id.name}' does not have the solution {access.TYPE}. Add it first: "
                f"isthmus solution create --connector {connector.id.name} --type access",
                code="AccessNotConfigured",
                target=str(connector.id),
            )
        properties = read(MappingBody, ask.body).properties.model_dump(exclude_none=True)
        _require_fit(lookup, connector, solution, ask, properties)
        return Change(puts=(Resource(id=old.id if old else ask.id, properties={**properties, "provisioningState": "Succeeded"}),))

    def delete(_old: Resource, ask: Ask) -> Change:
        _require_owner(ask)
        return Change(deletes=(ask.id,))

    return ResourceType(
        name=ROLE_MAPPINGS,
        scopes=frozenset({Scope.EXTENSION}),
        lists=frozenset({Scope.EXTENSION, Scope.SUBSCRIPTION}),
        extends=(CONNECTORS,),
        versions=VERSIONS,
        name_pattern=re.compile(rf"^{PERSON_ROLE.pattern}$"),
        name_told="It begins with a letter and has 2 to 32 letters and digits.",
        capabilities="SupportsExtension",
        put=put,
        delete=lambda old, ask: delete(old, ask) if old is not None else Change(),
        show=lambda resource, _version: show_mapping(lookup, resource),
    )


def show_mapping(lookup: Lookup, resource: Resource) -> Mapping[str, Any]:
    """With the role that the template makes of it."""
    body = resource.body(type_name=ROLE_MAPPINGS, tracked=False)
    connector = lookup.find(resource.id.parent) if resource.id.parent else None
    if connector is not None:
        mapping = mapping_of(resource, connector)
        body["properties"] |= {"accountId": mapping.target.account, "roleName": mapping.role, "roleArn": mapping.role_arn}
    return body


def _require_fit(lookup: Lookup, connector: Resource, solution: Resource, ask: Ask, properties: Mapping[str, Any]) -> None:
    """What AWS would not look at in the connector's federation is refused, all of it at once."""
    directory = directory_of(solution.properties["solutionSettings"])
    others = {one.id.name: one.properties for one in lookup.all(types=[ROLE_MAPPINGS], parent=connector.id.key)}
    problems = list(unfit(directory, properties))
    if taken := shared_client(directory, ask.id.name, properties, others):
        problems.append(taken)
    if problems:
        raise all_of(problems)


def _require_owner(ask: Ask) -> None:
    if not ask.permits("Microsoft.Authorization/roleAssignments/write", str(ask.id.parent or "/")):
        raise ArmError("AuthorizationFailed", "Only an owner of the connector gives people roles in its account.", status=403)
