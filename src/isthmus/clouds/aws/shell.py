"""Run Command: sends our one document to instances of an account and reads what became of it.

Fulfils `contract.Shell`. Every command pins the document by its hash, so that nobody who can edit documents in the account can make
Isthmus run something else. The comment of a command is the caller's idempotency key: `recent` finds what was sent before a crash.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Protocol

from isthmus.clouds.aws import names
from isthmus.clouds.aws.template.document import MAX_MACHINES, check_parameters, document_hash, same_content
from isthmus.clouds.aws.wire import AwsError
from isthmus.clouds.contract import Instance, InvalidInstances, Invocation, ManagedNode, ScanTarget

HOME_REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""A region of each partition that cannot be switched off, for calls about the account as a whole."""

MAX_COMMENT = 100
MIN_TIMEOUT = 30

_INSTANCE_ID = re.compile(r"\bi-(?:[0-9a-f]{17}|[0-9a-f]{8})\b")
_DOCUMENT_ERRORS = ("InvalidDocument", "InvalidDocumentVersion", "InvalidDocumentContent", "DocumentVersionNotFound")
_SKIPPED = "Step execution skipped"


class Calls(Protocol):
    """Authenticated, paced calls into an account: what `session.Sessions` offers."""

    async def call(self, target: ScanTarget, operation: str, params: Mapping[str, Any], *, region: str) -> dict[str, Any]:
        """One call; AwsError for what AWS refuses."""
        ...

    def pages(self, target: ScanTarget, operation: str, params: Mapping[str, Any], *, region: str) -> AsyncIterator[dict[str, Any]]:
        """Every page of a list, at the largest page size."""
        ...


class DocumentUnusable(PermissionError):
    """The onboarding document in the account is missing or not the one that this version ships; the message names the remedy."""


class AwsShell:
    """`contract.Shell` over AWS Systems Manager. AWS' own errors come through as AwsError."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._pins: dict[tuple[str, str, str], str] = {}

    async def regions(self, target: ScanTarget, wanted: Collection[str] | None) -> Sequence[str]:
        """Enabled regions, sorted, restricted to `wanted`."""
        answer = await self._calls.call(target, "ec2:DescribeRegions", {}, region=HOME_REGIONS[target.partition])
        enabled = {str(region["RegionName"]) for region in answer.get("Regions", [])}
        return sorted(enabled if wanted is None else enabled & set(wanted))

    async def instances(self, target: ScanTarget, region: str) -> Sequence[Instance]:
        """All instances of the region, in whatever state."""
        return [
            _instance(target.account, region, found)
            async for page in self._calls.pages(target, "ec2:DescribeInstances", {}, region=region)
            for reservation in page.get("Reservations", [])
            for found in reservation.get("Instances", [])
        ]

    async def nodes(self, target: ScanTarget, region: str) -> Mapping[str, ManagedNode]:
        """EC2 instances that Systems Manager knows; machines of other kinds (`mi-…`) are left out."""
        return {
            str(node["InstanceId"]): _node(node)
            async for page in self._calls.pages(target, "ssm:DescribeInstanceInformation", {}, region=region)
            for node in page.get("InstanceInformationList", [])
            if str(node["InstanceId"]).startswith("i-")
        }

    async def send(
        self,
        target: ScanTarget,
        region: str,
        instance_ids: Sequence[str],
        parameters: Mapping[str, str],
        *,
        comment: str,
        timeout: int,  # noqa: ASYNC109  a limit that AWS keeps, not this call
    ) -> str:
        """Send the document; `timeout` is seconds for delivery, at least 30.

        Raises InvalidInstances when AWS refuses the ids (with an empty `ids` where it does not name them: bisect), DocumentUnusable when
        the account's document is not ours, ValueError for parameters that the document would refuse.
        """
        if not 1 <= len(instance_ids) <= MAX_MACHINES or len(set(instance_ids)) != len(instance_ids):
            raise ValueError(f"A command goes to 1 to {MAX_MACHINES} different instances.")
        if not 1 <= len(comment) <= MAX_COMMENT:
            raise ValueError(f"A command's comment has 1 to {MAX_COMMENT} characters.")
        check_parameters(parameters)
        command = {
            "InstanceIds": list(instance_ids),
            "DocumentName": names.onboarding_document(target.guid),
            "DocumentHash": await self._pin(target, region),
            "DocumentHashType": "Sha256",
            "Parameters": {name: [value] for name, value in parameters.items()},
            "Comment": comment,
            "TimeoutSeconds": max(timeout, MIN_TIMEOUT),
            "MaxConcurrency": "100%",
            "MaxErrors": "100%",
        }
        try:
            answer = await self._calls.call(target, "ssm:SendCommand", command, region=region)
        except AwsError as error:
            if error.code == "InvalidInstanceId":
                named = set(_INSTANCE_ID.findall(error.message))
                raise InvalidInstances([id_ for id_ in instance_ids if id_ in named], error.message) from error
            if error.code in _DOCUMENT_ERRORS:
                self._pins.pop(_place(target, region), None)
                raise _unusable(target, region, error.message) from error
            raise
        return str(answer["Command"]["CommandId"])

    async def recent(self, target: ScanTarget, region: str, since: str) -> Mapping[str, str]:
        """Commands of our document sent after `since`, by comment; where a comment occurs twice, the earlier command."""
        filters = [
            {"key": "InvokedAfter", "value": since},
            {"key": "DocumentName", "value": names.onboarding_document(target.guid)},
        ]
        # AWS lists the newest first, so an earlier command of the same comment comes later and wins.
        return {
            str(command["Comment"]): str(command["CommandId"])
            async for page in self._calls.pages(target, "ssm:ListCommands", {"Filters": filters}, region=region)
            for command in page.get("Commands", [])
            if command.get("Comment")
        }

    async def invocations(self, target: ScanTarget, region: str, command_id: str) -> Sequence[Invocation]:
        """Every machine of the command; those that AWS does not list yet are missing."""
        params = {"CommandId": command_id, "Details": True}
        return [
            _invocation(found)
            async for page in self._calls.pages(target, "ssm:ListCommandInvocations", params, region=region)
            for found in page.get("CommandInvocations", [])
        ]

    async def cancel(self, target: ScanTarget, region: str, command_id: str) -> None:
        """Ask AWS to stop the command wherever it has not ended."""
        await self._calls.call(target, "ssm:CancelCommand", {"CommandId": command_id}, region=region)

    async def _pin(self, target: ScanTarget, region: str) -> str:
        """The hash to pin, asked for once per account and region: ours, or AWS' hash of a text that says exactly what ours does."""
        place = _place(target, region)
        if place not in self._pins:
            name = {"Name": names.onboarding_document(target.guid)}
            try:
                described = (await self._calls.call(target, "ssm:DescribeDocument", name, region=region))["Document"]
                told = str(described.get("Hash", ""))
                if told != document_hash():
                    exactly = {**name, "DocumentVersion": str(described["DocumentVersion"]), "DocumentFormat": "JSON"}
                    content = await self._calls.call(target, "ssm:GetDocument", exactly, region=region)
                    if not same_content(str(content.get("Content", ""))):
                        raise _unusable(target, region, "its content is not the one that this version of Isthmus ships")
            except AwsError as error:
                if error.code in _DOCUMENT_ERRORS:
                    raise _unusable(target, region, error.message or "it does not exist") from error
                raise
            self._pins[place] = told
        return self._pins[place]


def _place(target: ScanTarget, region: str) -> tuple[str, str, str]:
    return target.account, region, target.guid


def _unusable(target: ScanTarget, region: str, why: str) -> DocumentUnusable:
    return DocumentUnusable(
        f"The document {names.onboarding_document(target.guid)} in {region} of account {target.account} cannot be used: {why}. "
        "Update the stack with the current authentication template."
    )


def _instance(account: str, region: str, found: Mapping[str, Any]) -> Instance:
    return Instance(
        id=str(found["InstanceId"]),
        account=account,
        region=region,
        state=str(found.get("State", {}).get("Name", "")),
        launch_time=str(found.get("LaunchTime", "")),
        tags={str(tag["Key"]): str(tag.get("Value", "")) for tag in found.get("Tags", [])},
        platform="windows" if str(found.get("Platform", "")).lower() == "windows" else "linux",
        architecture=str(found.get("Architecture", "")),
        image_id=str(found.get("ImageId", "")),
        profile_arn=str(found.get("IamInstanceProfile", {}).get("Arn", "")),
        imds_enabled=found.get("MetadataOptions", {}).get("HttpEndpoint", "enabled") != "disabled",
        properties=found,
    )


def _node(node: Mapping[str, Any]) -> ManagedNode:
    return ManagedNode(
        id=str(node["InstanceId"]),
        ping=str(node.get("PingStatus", "")),
        agent_version=str(node.get("AgentVersion", "")),
        platform_type=str(node.get("PlatformType", "")),
        platform_name=str(node.get("PlatformName", "")),
        platform_version=str(node.get("PlatformVersion", "")),
        last_ping=str(node.get("LastPingDateTime", "")),
    )


def _invocation(found: Mapping[str, Any]) -> Invocation:
    step = _step_that_ran(found.get("CommandPlugins", []))
    return Invocation(
        instance_id=str(found["InstanceId"]),
        status=str(found.get("Status", "")),
        detail=str(found.get("StatusDetails", "")).replace(" ", ""),
        exit_code=int(step.get("ResponseCode", -1)),
        output=str(step.get("Output", "")),
    )


def _step_that_ran(plugins: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The document has a step per platform, of which a machine skips all but its own and calls that a success too."""
    ran = [plugin for plugin in plugins if not str(plugin.get("Output", "")).startswith(_SKIPPED)]
    return max(ran, key=lambda plugin: (plugin.get("ResponseCode", -1) != 0, len(str(plugin.get("Output", "")))), default={})
