"""The whole way without a stored secret: our token, the template's role, its document, a real machine, and the key it made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from isthmus.clouds.aws.pacing import Pacer
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.shell import AwsShell
from isthmus.clouds.aws.template import OnboardingAsk, TemplateRequest, authentication_template, template_text
from isthmus.clouds.aws.wire import AwsError, Wire
from isthmus.clouds.contract import Invocation, ScanTarget
from isthmus.machines.publickey import parse_public_key
from isthmus_lab.process import LabProcess
from tests.lab.issuer import FakeIssuer
from tests.support.waiting import LOADED, STACK

pytestmark = pytest.mark.e2e

TARGET = ScanTarget(account="700000000009", guid="aa5f1c9e-4f89-41d3-9a0c-0305e82c3301", solution="Microsoft.HybridCompute.Onboard")
REGION = "eu-west-1"
GENKEY = {"action": "genkey", "endpoint": "https://127.0.0.1:1", "generation": "1"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer("shell.isthmus.test") as fake:
        yield fake


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer) -> Iterator[LabProcess]:
    """A lab whose account has the template's stack, deployed in another region than the instance's."""
    with LabProcess(tmp_path_factory.mktemp("lab"), port=0) as process:
        process.admin("POST", "/_lab/issuers", issuer.told)
        wanted = TemplateRequest(
            account=TARGET.account,
            guid=TARGET.guid,
            issuer_url=issuer.url,
            onboarding=OnboardingAsk(regions=(REGION,), filter_tag="arc:yes"),
        )
        ec2 = boto3.client("ec2", **process.client_arguments(TARGET.account, REGION))
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "arc", "Value": "yes"}]}]
        ec2.run_instances(ImageId="ami-0c2023a1b2c3d4e5f", MinCount=2, MaxCount=2, TagSpecifications=tags)
        cloudformation = boto3.client("cloudformation", **process.client_arguments(TARGET.account, "us-east-1"))
        text = template_text(authentication_template(wanted))
        cloudformation.create_stack(StackName="isthmus", TemplateBody=text, Capabilities=["CAPABILITY_NAMED_IAM"])
        cloudformation.get_waiter("stack_create_complete").wait(StackName="isthmus", WaiterConfig=STACK)
        yield process


class Tokens:
    """A TokenSource over the fake issuer."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.issuer = issuer

    def mint(self, *, audience: str, subject: str) -> str:
        return self.issuer.token(aud=audience, sub=subject)


def with_shell(lab: LabProcess, issuer: FakeIssuer, work: Callable[[AwsShell, Sessions], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        wire = Wire(environ={"AWS_ENDPOINT_URL": lab.url}, clock=time.time)
        try:
            sessions = Sessions(wire, Tokens(issuer), Pacer(time.monotonic), time.time)
            await work(AwsShell(sessions), sessions)
        finally:
            await wire.close()

    asyncio.run(run())


async def ended(shell: AwsShell, command: str, machines: int) -> dict[str, Invocation]:
    deadline = time.monotonic() + 30 * LOADED
    while True:
        found = {one.instance_id: one for one in await shell.invocations(TARGET, REGION, command)}
        if len(found) == machines and all(one.status not in ("Pending", "InProgress", "Delayed") for one in found.values()):
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)


def test_machines_make_keys_through_the_one_document(lab: LabProcess, issuer: FakeIssuer) -> None:
    async def work(shell: AwsShell, sessions: Sessions) -> None:
        assert REGION in await shell.regions(TARGET, None)
        ids = sorted(instance.id for instance in await shell.instances(TARGET, REGION))
        assert len(ids) == 2
        deadline = time.monotonic() + 30 * LOADED
        while set(await shell.nodes(TARGET, REGION)) != set(ids):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
        first = await shell.send(TARGET, REGION, ids, GENKEY, comment="isthmus:1", timeout=60)
        assert await shell.recent(TARGET, REGION, since) == {"isthmus:1": first}
        found = await ended(shell, first, 2)
        assert {(one.status, one.exit_code) for one in found.values()} == {("Success", 0)}, found
        keys = {id_: parse_public_key(one.output).base64 for id_, one in found.items()}
        assert len(set(keys.values())) == 2
        again = await ended(shell, await shell.send(TARGET, REGION, ids, GENKEY, comment="isthmus:2", timeout=60), 2)
        assert {id_: parse_public_key(one.output).base64 for id_, one in again.items()} == keys, "one generation, one key"

    with_shell(lab, issuer, work)


def test_the_role_runs_nothing_but_the_document(lab: LabProcess, issuer: FakeIssuer) -> None:
    async def work(shell: AwsShell, sessions: Sessions) -> None:
        (instance, *_) = await shell.instances(TARGET, REGION)
        command = {"DocumentName": "AWS-RunShellScript", "InstanceIds": [instance.id], "Parameters": {"commands": ["id"]}}
        with pytest.raises(AwsError, match="AccessDenied"):
            await sessions.call(TARGET, "ssm:SendCommand", command, region=REGION)
        with pytest.raises(AwsError, match=r"AccessDenied|UnauthorizedOperation"):
            await sessions.call(TARGET, "ec2:DescribeVpcs", {}, region=REGION)

    with_shell(lab, issuer, work)


def test_another_connector_or_solution_of_the_same_issuer_is_refused(lab: LabProcess, issuer: FakeIssuer) -> None:
    async def work(shell: AwsShell, sessions: Sessions) -> None:
        other = replace(TARGET, guid="aa5f1c9e-0000-41d3-9a0c-0305e82c3301")
        with pytest.raises(AwsError, match="AccessDenied"):
            await sessions.check(other)
        await sessions.check(TARGET)

    with_shell(lab, issuer, work)


def test_a_document_changed_in_the_account_is_not_run(lab: LabProcess, issuer: FakeIssuer) -> None:
    ssm = boto3.client("ssm", **lab.client_arguments(TARGET.account, REGION))
    name = "Isthmus-Onboarding-aa5f1c9e"
    ours = ssm.get_document(Name=name)["Content"]
    made = ssm.update_document(Name=name, Content=ours.replace("umask 077", "umask 000"), DocumentVersion="$LATEST")
    ssm.update_document_default_version(Name=name, DocumentVersion=made["DocumentDescription"]["DocumentVersion"])

    async def work(shell: AwsShell, sessions: Sessions) -> None:
        (instance, *_) = await shell.instances(TARGET, REGION)
        with pytest.raises(PermissionError, match="Update the stack"):
            await shell.send(TARGET, REGION, [instance.id], GENKEY, comment="isthmus:3", timeout=60)

    try:
        with_shell(lab, issuer, work)
    finally:
        made = ssm.update_document(Name=name, Content=ours, DocumentVersion="$LATEST")
        ssm.update_document_default_version(Name=name, DocumentVersion=made["DocumentDescription"]["DocumentVersion"])
