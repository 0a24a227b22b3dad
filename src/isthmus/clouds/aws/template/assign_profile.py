"""The auto-assignment function, as it runs in AWS Lambda: lets Systems Manager reach the instances that a connector wants onboarded.

The template embeds this file without its comments (`lambda_source`); nothing in Isthmus imports it, hence boto3, which Lambda brings along.
For each enabled region that the connector names it copies the onboarding document there (documents are regional, a stack is not), then
gives one row per instance: action, profile before and after, and a code of the failure catalogue where something is in the way.
Default host management comes first: where it is on, no profile is touched. Only `associate` and `replace` with our own profile ever
change an instance; a foreign role gets a proposal, and the managed policy only if the account's owner said so.

Event: `dryRun` gives the same rows without a write; `cursor` and `hop` continue a run that met the time limit. With `ResponseURL` it is
a custom resource: Create and Update run, Delete removes the copies of the document and touches no instance.
"""

from __future__ import annotations

import json
import logging
import os
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

HOST_MANAGEMENT = "/ssm/managed-instance/default-ec2-instance-management-role"
HOST_MANAGEMENT_AGENT = (3, 2, 582)
AGENT_BACKOFF = 65 * 60
TIME_LEFT_MS = 60_000
HOPS = 10
ROWS_RETURNED = 2_000
DENIALS = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
THROTTLES = ("Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException")

log = logging.getLogger()
log.setLevel(logging.INFO)


class OutOfTime(Exception):
    """The invocation must end soon; the run continues from its cursor."""


def client(service: str, region: str) -> Any:
    """A boto3 client with the credentials of the function's role; the SDK retries what passes."""
    return boto3.client(service, region_name=region, config=Config(retries={"mode": "standard", "max_attempts": 6}))


def code_of(error: Exception) -> str:
    """A code of the catalogue where there is one, else AWS' own."""
    if not isinstance(error, ClientError):
        return type(error).__name__
    code = str(error.response.get("Error", {}).get("Code", "Unknown"))
    if code in DENIALS:
        return "ACCESS_DENIED"
    return "SSM_THROTTLED" if code in THROTTLES else code


class Run:
    """One pass over the regions: `client(service, region)` gives boto3 clients, `time_left` milliseconds; see `result`."""

    def __init__(
        self,
        settings: Mapping[str, str],
        home: str,
        client: Callable[[str, str], Any],
        time_left: Callable[[], float] = lambda: 900_000,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        dry: bool = False,
    ) -> None:
        self.profile = settings["PROFILE"]
        self.document = settings["DOCUMENT"]
        self.wanted = [name for name in settings.get("REGIONS", "").split(",") if name]
        self.tag = settings.get("FILTER_TAG", "").lower()
        self.assigns = settings.get("ASSIGN") == "true"
        self.widens = settings.get("WIDEN") == "true"
        self.core = settings["CORE_POLICY"]
        self.home, self.client, self.time_left, self.sleep, self.clock, self.dry = home, client, time_left, sleep, clock, dry
        self.iam = client("iam", home)
        self.rows: list[dict[str, str]] = []
        self.regions: dict[str, str] = {}
        self.cursor: list[list[str]] = []
        self.verdicts: dict[tuple[str, str], tuple[str, str]] = {}
        self.text = ""

    def enabled(self) -> list[str]:
        """The regions that the account has enabled, in order of their names."""
        return sorted(region["RegionName"] for region in self.client("ec2", self.home).describe_regions()["Regions"])

    def start(self) -> list[list[str]]:
        """The regions to visit, each with an empty page token; wanted regions that are not enabled get their code."""
        enabled = self.enabled()
        for name in self.wanted:
            if name not in enabled:
                self.regions[name] = "REGION_OPT_IN"
        return [[name, ""] for name in enabled if not self.wanted or name in self.wanted]

    def visit(self, pending: list[list[str]]) -> None:
        """Every pending region; a failing one is named in `regions` and does not stop the others."""
        while pending:
            region, token = pending[0]
            try:
                if not token:
                    self.copy_document(region)
                if self.assigns:
                    self.assign(region, pending[0])
                self.regions[region] = "ok"
            except OutOfTime:
                self.cursor = pending
                return
            except (ClientError, BotoCoreError) as error:
                self.regions[region] = code_of(error)
                log.error("%s failed: %s", region, error)
            pending = pending[1:]

    def copy_document(self, region: str) -> None:
        """Make the onboarding document of a region equal to that of the home region; a dry run and home itself need nothing."""
        if region == self.home or self.dry:
            return
        if not self.text:
            self.text = self.client("ssm", self.home).get_document(Name=self.document)["Content"]
        ssm = self.client("ssm", region)
        try:
            there = ssm.get_document(Name=self.document)["Content"]
        except ClientError as error:
            if code_of(error) != "InvalidDocument":
                raise
            ssm.create_document(Name=self.document, Content=self.text, DocumentType="Command", DocumentFormat="JSON")
            return
        if json.loads(there) != json.loads(self.text):
            made = ssm.update_document(Name=self.document, Content=self.text, DocumentVersion="$LATEST", DocumentFormat="JSON")
            ssm.update_document_default_version(Name=self.document, DocumentVersion=made["DocumentDescription"]["DocumentVersion"])

    def remove_copies(self) -> None:
        """Delete the document everywhere but at home, where it belongs to the stack; what cannot be deleted stays and is logged."""
        for region in self.enabled():
            if region != self.home:
                try:
                    self.client("ssm", region).delete_document(Name=self.document)
                except (ClientError, BotoCoreError) as error:
                    log.info("%s: %s", region, error)

    def assign(self, region: str, place: list[str]) -> None:
        """One row per instance of the region; `place[1]` follows the pages, so that a later run starts where this one stopped."""
        ssm = self.client("ssm", region)
        managed = ssm.get_service_setting(SettingId=HOST_MANAGEMENT)["ServiceSetting"].get("SettingValue", "$None") != "$None"
        nodes = {node["InstanceId"]: node for node in self.nodes(ssm)} if managed else {}
        ec2 = self.client("ec2", region)
        while True:
            page = ec2.describe_instances(MaxResults=1000, **({"NextToken": place[1]} if place[1] else {}))
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    if self.time_left() < TIME_LEFT_MS:
                        raise OutOfTime
                    self.settle(ec2, region, instance, managed, nodes)
            place[1] = page.get("NextToken") or ""
            if not place[1]:
                return

    def nodes(self, ssm: Any) -> Iterator[dict[str, Any]]:
        """What Systems Manager knows of the region's machines, following the pages."""
        for page in ssm.get_paginator("describe_instance_information").paginate(PaginationConfig={"PageSize": 50}):
            yield from page["InstanceInformationList"]

    def settle(self, ec2: Any, region: str, instance: dict[str, Any], managed: bool, nodes: dict[str, Any]) -> None:
        """Judge one instance, act, and append its row. An error is this instance's alone."""
        before = instance.get("IamInstanceProfile") or {}
        row = {"region": region, "instance": instance["InstanceId"], "action": "none", "code": "", "detail": ""}
        row["before"] = row["after"] = before.get("Arn", "")
        try:
            action, row["code"], row["detail"] = self.judge(instance, before, managed, nodes)
            row["action"] = action
            if action in ("associate", "replace", "attach") and not self.dry:
                getattr(self, action)(ec2, row, before)
        except (ClientError, BotoCoreError) as error:
            row["code"], row["detail"] = code_of(error), str(error)
        self.rows.append(row)
        if row["action"] != "none" or row["code"]:
            log.info(json.dumps(row))

    def judge(self, instance: dict[str, Any], before: dict[str, str], managed: bool, nodes: dict[str, Any]) -> tuple[str, str, str]:
        """What to do with an instance: (action, code, detail)."""
        state = instance["State"]["Name"]
        if state != "running":
            return "none", "FILTERED_STATE", state
        tags = [f"{tag['Key']}:{tag['Value']}".lower() for tag in instance.get("Tags", [])]
        if self.tag and self.tag not in tags:
            return "none", "FILTERED_TAG", self.tag
        if instance.get("MetadataOptions", {}).get("HttpEndpoint") == "disabled":
            return "none", "IMDS_DISABLED", "the agent cannot get an identity"
        if managed:
            return self.judge_managed(instance, nodes.get(instance["InstanceId"]))
        if not before:
            return "associate", "", ""
        verdict, role = self.verdict(before["Arn"], before.get("Id", ""))
        if verdict == "dangling":
            return "replace", "", "the profile was deleted, replaced or holds no role"
        if verdict == "fine":
            return "none", "", ""
        if self.widens:
            return "attach", "", role
        return "propose", "PROFILE_NO_SSM", f"attach {self.core} to the role {role}"

    def judge_managed(self, instance: dict[str, Any], node: dict[str, Any] | None) -> tuple[str, str, str]:
        """As `judge`, under default host management: no profile is at fault, so what is missing is the agent, its age or its connection."""
        if node is None:
            young = self.clock() - instance["LaunchTime"].timestamp() < AGENT_BACKOFF
            return "none", "SSM_BACKOFF" if young else "SSM_NOT_INSTALLED", "default host management is on, the agent never registered"
        if node.get("PingStatus") == "Online":
            return "none", "", "default host management"
        version = str(node.get("AgentVersion", ""))
        parts = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
        if parts < HOST_MANAGEMENT_AGENT:
            return "none", "SSM_AGENT_OLD", version
        return "none", "SSM_CONNECTION_LOST", str(node.get("LastPingDateTime", ""))

    def verdict(self, arn: str, profile_id: str) -> tuple[str, str]:
        """Whether instances with this profile can register: fine, powerless or dangling, and the name of its role. Asked once per run."""
        key = (arn, profile_id)
        if key not in self.verdicts:
            self.verdicts[key] = self.inspect(arn, profile_id)
        return self.verdicts[key]

    def inspect(self, arn: str, profile_id: str) -> tuple[str, str]:
        """`verdict` without its memory: two calls to IAM."""
        try:
            profile = self.iam.get_instance_profile(InstanceProfileName=arn.rsplit("/", 1)[1])["InstanceProfile"]
        except ClientError as error:
            if code_of(error) == "NoSuchEntity":
                return "dangling", ""
            raise
        if not profile["Roles"] or (profile_id and profile["InstanceProfileId"] != profile_id):
            return "dangling", ""
        role = profile["Roles"][0]
        # Simulation sees inline and customer policies as well, not only the managed one by its ARN.
        answer = self.iam.simulate_principal_policy(PolicySourceArn=role["Arn"], ActionNames=["ssm:UpdateInstanceInformation"])
        allowed = all(result["EvalDecision"] == "allowed" for result in answer["EvaluationResults"])
        return ("fine" if allowed else "powerless"), role["RoleName"]

    def associate(self, ec2: Any, row: dict[str, str], before: dict[str, str]) -> None:
        """Give our profile to an instance that has none."""
        for attempt in range(7):
            try:
                made = ec2.associate_iam_instance_profile(IamInstanceProfile={"Name": self.profile}, InstanceId=row["instance"])
                break
            except ClientError as error:
                # EC2 learns of a profile some seconds after IAM made it.
                if attempt == 6 or "Invalid IAM Instance Profile" not in str(error):
                    raise
                self.sleep(5)
        row["after"] = made["IamInstanceProfileAssociation"]["IamInstanceProfile"]["Arn"]

    def replace(self, ec2: Any, row: dict[str, str], before: dict[str, str]) -> None:
        """In one call, so that the instance is never without a profile; what is really attached is read again before and after."""
        now = self.association(ec2, row["instance"])
        if now is None:
            return self.associate(ec2, row, before)
        if now["IamInstanceProfile"] != before:
            row.update(action="none", after=now["IamInstanceProfile"]["Arn"], detail="the profile was changed meanwhile")
            return None
        try:
            made = ec2.replace_iam_instance_profile_association(
                IamInstanceProfile={"Name": self.profile}, AssociationId=now["AssociationId"]
            )
            row["after"] = made["IamInstanceProfileAssociation"]["IamInstanceProfile"]["Arn"]
        except ClientError as error:
            row["code"], row["detail"] = code_of(error), str(error)
            left = self.association(ec2, row["instance"])
            row["after"] = left["IamInstanceProfile"]["Arn"] if left else ""
            if left is None:
                self.associate(ec2, row, before)
        return None

    def association(self, ec2: Any, instance: str) -> dict[str, Any] | None:
        """The living association of an instance with a profile, None without one."""
        found = ec2.describe_iam_instance_profile_associations(Filters=[{"Name": "instance-id", "Values": [instance]}])
        live = [one for one in found["IamInstanceProfileAssociations"] if one["State"] in ("associating", "associated")]
        return live[0] if live else None

    def attach(self, ec2: Any, row: dict[str, str], before: dict[str, str]) -> None:
        """Consent was given: add the managed policy to the role behind the profile, once per role."""
        key = (before["Arn"], before.get("Id", ""))
        try:
            self.iam.attach_role_policy(RoleName=row["detail"], PolicyArn=self.core)
        except ClientError as error:
            row["code"], row["detail"] = "PROFILE_NO_SSM", f"role {row['detail']}: {error}"
            self.verdicts[key] = ("powerless", "")
            return
        self.verdicts[key] = ("fine", row["detail"])

    def result(self) -> dict[str, Any]:
        """What the invocation answers: counts, rows (the first of them), the state of each region and where to go on."""
        counts = Counter(row["code"] or row["action"] for row in self.rows)
        failed = sorted(name for name, state in self.regions.items() if state != "ok")
        return {
            "complete": not failed and not self.cursor,
            "regions": self.regions,
            "failed": failed,
            "counts": dict(counts),
            "rows": self.rows[:ROWS_RETURNED],
            "cursor": self.cursor,
            "dryRun": self.dry,
        }


def answer(event: Mapping[str, Any], status: str, reason: str, data: dict[str, str]) -> None:
    """Tell CloudFormation how the custom resource fared."""
    body = {
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": "isthmus-assignment",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": data,
    }
    sent = urllib.request.Request(event["ResponseURL"], json.dumps(body).encode(), {"Content-Type": ""}, method="PUT")  # noqa: S310
    with urllib.request.urlopen(sent, timeout=30) as reply:  # noqa: S310
        reply.read()


def perform(event: Mapping[str, Any], context: Any, run: Run) -> dict[str, Any]:
    """Visit the regions, and go on in a new invocation where time ran out."""
    try:
        run.visit(event.get("cursor") or run.start())
    except (ClientError, BotoCoreError) as error:
        run.regions["*"] = code_of(error)
        log.error("regions cannot be listed: %s", error)
    result = run.result()
    hop = int(event.get("hop", 0)) + 1
    if run.cursor and hop <= HOPS:
        again = json.dumps({"cursor": run.cursor, "hop": hop, "dryRun": run.dry}).encode()
        run.client("lambda", run.home).invoke(FunctionName=context.invoked_function_arn, InvocationType="Event", Payload=again)
    return result


def lambda_handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """The entry point. Returns `Run.result`; for a custom resource it also answers CloudFormation, whatever happens."""
    home, account = context.invoked_function_arn.split(":")[3:5]
    deploys = "ResponseURL" in event
    status, reason, result = "SUCCESS", "", {}
    try:
        if account != os.environ["ACCOUNT"]:
            raise ValueError(f"This template belongs to account {os.environ['ACCOUNT']}, not {account}.")
        run = Run(os.environ, home, client, time_left=context.get_remaining_time_in_millis, dry=bool(event.get("dryRun")))
        if event.get("RequestType") == "Delete":
            run.remove_copies()
        else:
            result = perform(event, context, run)
    except Exception as error:  # the border of a request: CloudFormation waits an hour for an answer
        if not deploys:
            raise
        # CloudFormation would wait an hour for an answer; a failed clean-up must not block the deletion of the stack.
        status, reason = "SUCCESS" if event["RequestType"] == "Delete" else "FAILED", str(error)
        log.exception("run failed")
    if deploys:
        data = {"failed": ",".join(result.get("failed", [])), "counts": json.dumps(result.get("counts", {}))}
        answer(event, status, reason, data)
    return result
