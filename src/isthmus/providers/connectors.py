"""A public cloud connector: how it is put, patched and shown, and what is wrong with one that cannot be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from isthmus.arm.change import Change, JobOrder, OperationOrder
from isthmus.arm.envelope import Resource, location_of, tags_of
from isthmus.arm.errors import ArmError, all_of, conflict, invalid
from isthmus.arm.ids import ResourceId
from isthmus.arm.types import Act, Answer, Ask
from isthmus.providers.bodies import Body, read
from isthmus.solutions.access import TYPE as ACCESS
from isthmus.solutions.connectors import TEST
from isthmus.solutions.drift import COMPARE
from isthmus.solutions.linting import LINT
from isthmus.solutions.subject import CONNECTORS

WITH_KIND = "2025-12-01"
NAME = re.compile(r"^[a-zA-Z0-9-]{3,63}$")
NAME_TOLD = "It has 3 to 63 letters, digits and hyphens."


def _twelve_digits(value: str) -> str:
    if not re.fullmatch(r"[0-9]{12}", value):
        raise ValueError(f"an AWS account id has 12 digits; '{value[:32]}' has not.")
    return value


Account = Annotated[str, AfterValidator(_twelve_digits)]


class AwsCloudProfile(Body):
    """`awsCloudProfile` of a connector."""

    accountId: Account
    excludedAccounts: list[Account] | None = None
    isOrganizationalAccount: bool = False


class ConnectorProperties(Body):
    """`properties` of a connector."""

    hostType: Literal["AWS", "GCP"]
    awsCloudProfile: AwsCloudProfile | None = None


class Connector(Body):
    """A connector as it is put."""

    properties: ConnectorProperties


def put_connector(old: Resource | None, ask: Ask) -> Change:
    """Create or replace a connector; account and host type never change. Raises everything that is wrong at once."""
    guid = old.properties["connectorPrimaryIdentifier"] if old else ask.new_guid()
    return Change(puts=(connector(old, old.id if old else ask.id, ask.body, guid),))


def connector(old: Resource | None, id: ResourceId, body: Mapping[str, Any], guid: str) -> Resource:
    """The connector that a body asks for. Raises ArmError 400: one problem, or the first with all as details."""
    problems = judge_connector(old, body)
    if problems:
        raise all_of(problems)
    profile = read(Connector, body).properties.awsCloudProfile
    assert profile is not None
    excluded = {} if profile.excludedAccounts is None else {"excludedAccounts": profile.excludedAccounts}
    return Resource(
        id=id,
        location=location_of(body.get("location")),
        tags=tags_of(body.get("tags")),
        properties={
            "hostType": "AWS",
            "awsCloudProfile": {"accountId": profile.accountId, "isOrganizationalAccount": False, **excluded},
            "connectorPrimaryIdentifier": guid,
            "provisioningState": "Succeeded",
        },
        unique=unique_of(profile.accountId),
    )


def unique_of(account: str) -> str:
    """An account has one connector in the tenant: what the store holds unique."""
    return f"connector:{account}"


def judge_connector(old: Resource | None, body: Mapping[str, Any]) -> tuple[ArmError, ...]:
    """Everything that is wrong with a connector as it is put, in the order of reading. `old` is what stands there already."""
    problems: list[ArmError] = []
    try:
        problems += _judge_properties(old, read(Connector, body).properties)
    except ArmError as error:
        problems.append(error)
    try:
        location = location_of(body.get("location"))
        if old is not None and old.location != location:
            problems.append(immutable("location", old.location, location))
    except ArmError as error:
        problems.append(error)
    try:
        tags_of(body.get("tags"))
    except ArmError as error:
        problems.append(error)
    return tuple(problems)


def _judge_properties(old: Resource | None, asked: ConnectorProperties) -> list[ArmError]:
    profile = asked.awsCloudProfile
    if asked.hostType != "AWS":
        text = "Isthmus connects AWS accounts; GCP is not offered yet."
        return [invalid(text, target="properties.hostType", code="HostTypeNotSupported")]
    if profile is None:
        return [invalid("properties.awsCloudProfile is required for hostType AWS.", target="properties.awsCloudProfile")]
    problems = []
    if profile.isOrganizationalAccount:
        problems.append(
            invalid(
                "Organization connectors are not offered yet; connect single accounts (isOrganizationalAccount false).",
                target="properties.awsCloudProfile.isOrganizationalAccount",
                code="OrganizationConnectorNotSupported",
            )
        )
    before = profile.accountId if old is None else old.properties["awsCloudProfile"]["accountId"]
    if before != profile.accountId:
        problems.append(immutable("properties.awsCloudProfile.accountId", before, profile.accountId))
    return problems


_PATCHABLE = "tags and properties.awsCloudProfile.excludedAccounts"


def patch_connector(old: Resource | None, ask: Ask) -> Change:
    """Change tags and excluded accounts; anything else that differs is refused."""
    assert old is not None
    properties = _object(ask.body, "properties", "properties")
    profile = _object(properties, "awsCloudProfile", "properties.awsCloudProfile")
    for path, given, stored in (
        ("properties.hostType", properties.get("hostType"), old.properties["hostType"]),
        ("properties.awsCloudProfile.accountId", profile.get("accountId"), old.properties["awsCloudProfile"]["accountId"]),
        ("properties.awsCloudProfile.isOrganizationalAccount", profile.get("isOrganizationalAccount"), False),
        ("location", ask.body.get("location"), old.location),
    ):
        if given is not None and given != stored:
            raise immutable(path, stored, given)
    stored_profile = dict(old.properties["awsCloudProfile"])
    if profile.get("excludedAccounts") is not None:
        checked = read(AwsCloudProfile, {**stored_profile, "excludedAccounts": profile["excludedAccounts"]})
        stored_profile["excludedAccounts"] = checked.excludedAccounts
    tags = tags_of(ask.body["tags"]) if "tags" in ask.body else old.tags
    return Change(puts=(replace(old, tags=tags, properties={**old.properties, "awsCloudProfile": stored_profile}),))


def _object(body: Mapping[str, Any], name: str, path: str) -> Mapping[str, Any]:
    found = body.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise invalid(f"{path} must be an object.", target=path)
    return found


def immutable(path: str, stored: object, given: object) -> ArmError:
    """400: a property that cannot change was sent with another value."""
    return invalid(
        f"{path} is '{stored}' and cannot be changed to '{str(given)[:100]}'. Delete the resource and create it anew, or leave it; "
        f"a connector's PATCH changes {_PATCHABLE} alone.",
        target=path,
        code="PropertyChangeNotAllowed",
    )


def show_connector(resource: Resource, version: str) -> Mapping[str, Any]:
    """`kind` exists from 2025-12-01-preview on."""
    body = resource.body(type_name=CONNECTORS.lower(), tracked=True)
    return body | {"kind": "AWS"} if version >= WITH_KIND else body


def account_job(job: str, kind: str) -> Act:
    """An action that lets a job look at the connector's account and answers the operation that it ends."""

    def act(resource: Resource | None, ask: Ask) -> Answer:
        assert resource is not None
        operation = ask.new_guid()
        opened = OperationOrder(id=operation, resource=resource.id, kind=kind, location=resource.location)
        order = JobOrder(job=job, id=f"{job}:{operation}", arguments={"connector": str(resource.id), "operation": operation})
        return Answer(change=Change(operation=opened, jobs=(order,)), style="both")

    return act


def lint_trust(resource: Resource | None, ask: Ask) -> Answer:
    """Opens the operation that judges whom the account trusts. ArmError 409 `AccessNotConfigured` at a solution of another type."""
    assert resource is not None
    if resource.properties["solutionType"] != ACCESS:
        text = f"'{resource.id.name}' is a solution of the type {resource.properties['solutionType']}; trust is linted by {ACCESS}."
        raise conflict(text, code="AccessNotConfigured", target=str(resource.id))
    operation = ask.new_guid()
    opened = OperationOrder(id=operation, resource=resource.id, kind="lint", location=ask.parent.location if ask.parent else "global")
    order = JobOrder(job=LINT, id=f"{LINT}:{operation}", arguments={"solution": str(resource.id), "operation": operation})
    return Answer(change=Change(operation=opened, jobs=(order,)), style="both")


test_permissions = account_job(TEST, "test-permissions")
"""Opens the operation that tries every action of every configured solution."""
compare_template = account_job(COMPARE, "compare-template")
"""Opens the operation that compares the deployed roles with the template of now."""
