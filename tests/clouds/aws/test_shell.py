"""Run Command through a small fake account whose answers have AWS' shapes; botocore's models judge every parameter."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import botocore.session
import pytest
from botocore.validate import validate_parameters

from isthmus.clouds.aws.shell import AwsShell, DocumentUnusable
from isthmus.clouds.aws.template.document import document, document_hash, document_text
from isthmus.clouds.aws.wire import AwsError
from isthmus.clouds.contract import InvalidInstances, Invocation, ScanTarget, Shell

TARGET = ScanTarget(account="123456789012", guid="3f2504e0-4f89-41d3-9a0c-0305e82c3301", solution="Microsoft.HybridCompute.Onboard")
REGION = "eu-west-1"
NAME = "Isthmus-Onboarding-3f2504e0"
IDS = ["i-0123456789abcdef0", "i-0123456789abcdef1"]
GENKEY = {"action": "genkey", "endpoint": "https://127.0.0.1:8443", "generation": "1"}
SESSION = botocore.session.get_session()


def refusal(operation: str, code: str, message: str = "") -> AwsError:
    return AwsError(code=code, message=message, status=400, operation=operation, region=REGION)


class FakeCalls:
    """Answers by operation: a dict, an exception, or a list of either, of which each call takes one and pages takes all."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"DescribeDocument": {"Document": {"Hash": document_hash(), "DocumentVersion": "1"}}} | answers
        self.made: list[tuple[str, str, dict[str, Any]]] = []

    def record(self, operation: str, params: Mapping[str, Any], region: str) -> Any:
        service, name = operation.split(":")
        validate_parameters(params, SESSION.get_service_model(service).operation_model(name).input_shape)
        self.made.append((operation, region, dict(params)))
        return self.answers[name]

    async def call(self, target: ScanTarget, operation: str, params: Mapping[str, Any], *, region: str) -> dict[str, Any]:
        assert target is TARGET
        answer = self.record(operation, params, region)
        answer = answer.pop(0) if isinstance(answer, list) else answer
        if isinstance(answer, Exception):
            raise answer
        found: dict[str, Any] = answer
        return found

    async def pages(self, target: ScanTarget, operation: str, params: Mapping[str, Any], *, region: str) -> AsyncIterator[dict[str, Any]]:
        assert target is TARGET
        for page in self.record(operation, params, region):
            yield page

    def params(self, operation: str) -> list[dict[str, Any]]:
        return [params for made, _, params in self.made if made == f"ssm:{operation}"]


def shell_of(calls: FakeCalls) -> Shell:
    return AwsShell(calls)


def send(calls: FakeCalls, shell: Shell | None = None, ids: list[str] = IDS, **parameters: str) -> str:
    used = shell or shell_of(calls)
    return asyncio.run(used.send(TARGET, REGION, ids, GENKEY | parameters, comment="isthmus:batch-1", timeout=120))


SENT = {"Command": {"CommandId": "c" * 36}}


def test_a_command_pins_the_document_and_lets_no_machine_stop_another() -> None:
    calls = FakeCalls(SendCommand=SENT)
    assert send(calls) == "c" * 36
    assert calls.params("SendCommand") == [
        {
            "InstanceIds": IDS,
            "DocumentName": NAME,
            "DocumentHash": document_hash(),
            "DocumentHashType": "Sha256",
            "Parameters": {"action": ["genkey"], "endpoint": ["https://127.0.0.1:8443"], "generation": ["1"]},
            "Comment": "isthmus:batch-1",
            "TimeoutSeconds": 120,
            "MaxConcurrency": "100%",
            "MaxErrors": "100%",
        }
    ]


def test_the_document_is_asked_for_once_per_region() -> None:
    calls = FakeCalls(SendCommand=SENT)
    shell = shell_of(calls)
    send(calls, shell)
    send(calls, shell)
    assert [operation for operation, _, _ in calls.made] == ["ssm:DescribeDocument", "ssm:SendCommand", "ssm:SendCommand"]


def test_aws_hash_is_pinned_when_the_content_behind_it_is_ours() -> None:
    text = json.dumps(document(), indent=2, sort_keys=True)
    calls = FakeCalls(
        SendCommand=SENT, GetDocument={"Content": text}, DescribeDocument={"Document": {"Hash": "f" * 64, "DocumentVersion": "3"}}
    )
    send(calls)
    assert calls.params("GetDocument") == [{"Name": NAME, "DocumentVersion": "3", "DocumentFormat": "JSON"}]
    assert calls.params("SendCommand")[0]["DocumentHash"] == "f" * 64


@pytest.mark.parametrize(
    "answers",
    [
        {
            "DescribeDocument": {"Document": {"Hash": "f" * 64, "DocumentVersion": "3"}},
            "GetDocument": {"Content": document_text().replace("umask 077", "umask 000")},
        },
        {"DescribeDocument": refusal("ssm:DescribeDocument", "InvalidDocument", "Document does not exist.")},
        {"SendCommand": refusal("ssm:SendCommand", "InvalidDocument", "hash mismatch")},
    ],
    ids=["changed", "missing", "changed meanwhile"],
)
def test_another_document_is_never_run_and_the_error_names_the_remedy(answers: dict[str, Any]) -> None:
    calls = FakeCalls(**{"SendCommand": SENT} | answers)
    with pytest.raises(DocumentUnusable, match=rf"{NAME} in {REGION} of account 123456789012 .*Update the stack"):
        send(calls)
    if "SendCommand" not in answers:
        assert calls.params("SendCommand") == []


def test_after_a_refused_document_it_is_looked_at_again() -> None:
    calls = FakeCalls(SendCommand=[refusal("ssm:SendCommand", "InvalidDocument", "hash"), SENT])
    shell = shell_of(calls)
    with pytest.raises(DocumentUnusable):
        send(calls, shell)
    assert send(calls, shell) == "c" * 36
    assert len(calls.params("DescribeDocument")) == 2


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (f"Instances [[{IDS[1]}]] not in a valid state for account 123456789012", (IDS[1],)),
        (f"Instances [[{IDS[1]}, {IDS[0]}]] not in a valid state for account 123456789012", tuple(IDS)),
        ("Instances [[i-0ffffffffffffffff]] not in a valid state", ()),
        ("", ()),
    ],
)
def test_refused_instances_are_named_where_aws_names_them(message: str, named: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInstances) as caught:
        send(FakeCalls(SendCommand=refusal("ssm:SendCommand", "InvalidInstanceId", message)))
    assert caught.value.ids == named


def test_other_errors_come_through() -> None:
    with pytest.raises(AwsError, match="ThrottlingException"):
        send(FakeCalls(SendCommand=refusal("ssm:SendCommand", "ThrottlingException")))
    with pytest.raises(AwsError, match="AccessDeniedException"):
        send(FakeCalls(DescribeDocument=refusal("ssm:DescribeDocument", "AccessDeniedException")))


def test_what_cannot_be_sent_is_refused_before_aws_is_asked() -> None:
    calls = FakeCalls(SendCommand=SENT)
    with pytest.raises(ValueError, match="1 to 50"):
        send(calls, ids=[f"i-{number:017x}" for number in range(51)])
    with pytest.raises(ValueError, match="1 to 50"):
        send(calls, ids=[IDS[0], IDS[0]])
    with pytest.raises(ValueError, match="'endpoint'"):
        send(calls, endpoint="https://x'; id; '")
    with pytest.raises(ValueError, match="comment"):
        asyncio.run(shell_of(calls).send(TARGET, REGION, IDS, GENKEY, comment="x" * 101, timeout=60))
    assert calls.made == []


def test_recent_commands_are_found_by_their_comment_and_the_first_of_two_wins() -> None:
    pages = [
        {"Commands": [{"CommandId": "third", "Comment": "b"}, {"CommandId": "second", "Comment": "a"}]},
        {"Commands": [{"CommandId": "first", "Comment": "a"}, {"CommandId": "foreign", "Comment": ""}]},
    ]
    calls = FakeCalls(ListCommands=pages)
    assert asyncio.run(shell_of(calls).recent(TARGET, REGION, "2026-11-20T10:00:00Z")) == {"a": "first", "b": "third"}
    assert calls.params("ListCommands") == [
        {"Filters": [{"key": "InvokedAfter", "value": "2026-11-20T10:00:00Z"}, {"key": "DocumentName", "value": NAME}]}
    ]


def plugin(name: str, code: int, output: str) -> dict[str, Any]:
    return {"Name": name, "ResponseCode": code, "Output": output}


SKIPPED = plugin("windows", 0, "Step execution skipped due to unsupported platform: aws:runPowerShellScript. Step name: windows")


def test_invocations_show_the_step_that_ran() -> None:
    pages = [
        {
            "CommandInvocations": [
                {
                    "InstanceId": "i-1",
                    "Status": "Success",
                    "StatusDetails": "Success",
                    "CommandPlugins": [plugin("linux", 0, "key"), SKIPPED],
                },
                {
                    "InstanceId": "i-2",
                    "Status": "Failed",
                    "StatusDetails": "Failed",
                    "CommandPlugins": [SKIPPED, plugin("linux", 201, "no")],
                },
            ]
        },
        {
            "CommandInvocations": [
                {"InstanceId": "i-3", "Status": "TimedOut", "StatusDetails": "Delivery Timed Out", "CommandPlugins": []},
                {"InstanceId": "i-4", "Status": "InProgress", "StatusDetails": "InProgress", "CommandPlugins": [plugin("linux", -1, "")]},
            ]
        },
    ]
    calls = FakeCalls(ListCommandInvocations=pages)
    assert asyncio.run(shell_of(calls).invocations(TARGET, REGION, "c" * 36)) == [
        Invocation(instance_id="i-1", status="Success", detail="Success", exit_code=0, output="key"),
        Invocation(instance_id="i-2", status="Failed", detail="Failed", exit_code=201, output="no"),
        Invocation(instance_id="i-3", status="TimedOut", detail="DeliveryTimedOut", exit_code=-1, output=""),
        Invocation(instance_id="i-4", status="InProgress", detail="InProgress", exit_code=-1, output=""),
    ]
    assert calls.params("ListCommandInvocations") == [{"CommandId": "c" * 36, "Details": True}]


def test_cancel() -> None:
    calls = FakeCalls(CancelCommand={})
    asyncio.run(shell_of(calls).cancel(TARGET, REGION, "c" * 36))
    assert calls.params("CancelCommand") == [{"CommandId": "c" * 36}]


def test_regions_are_asked_for_at_home_and_restricted() -> None:
    calls = FakeCalls(DescribeRegions={"Regions": [{"RegionName": "us-east-1"}, {"RegionName": "eu-west-1"}]})
    assert asyncio.run(shell_of(calls).regions(TARGET, None)) == ["eu-west-1", "us-east-1"]
    assert asyncio.run(shell_of(calls).regions(TARGET, ["us-east-1", "ap-south-2"])) == ["us-east-1"]
    assert calls.made[0][1] == "us-east-1"


def test_instances_and_nodes() -> None:
    full = {
        "InstanceId": IDS[0],
        "State": {"Name": "running"},
        "LaunchTime": "2026-11-20T10:00:00Z",
        "Tags": [{"Key": "Name", "Value": "web"}],
        "Platform": "windows",
        "Architecture": "x86_64",
        "ImageId": "ami-1",
        "IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/p"},
        "MetadataOptions": {"HttpEndpoint": "disabled"},
    }
    node = {"InstanceId": IDS[0], "PingStatus": "Online", "AgentVersion": "3.3.1", "PlatformType": "Linux", "LastPingDateTime": "2026"}
    calls = FakeCalls(
        DescribeInstances=[{"Reservations": [{"Instances": [full]}]}, {"Reservations": [{"Instances": [{"InstanceId": IDS[1]}]}]}],
        DescribeInstanceInformation=[{"InstanceInformationList": [node, {"InstanceId": "mi-0123456789abcdef0"}]}, {}],
    )
    windows, bare = asyncio.run(shell_of(calls).instances(TARGET, REGION))
    assert (windows.id, windows.state, windows.platform, windows.tags) == (IDS[0], "running", "windows", {"Name": "web"})
    assert (windows.profile_arn, windows.imds_enabled) == ("arn:aws:iam::123456789012:instance-profile/p", False)
    assert (windows.launch_time, windows.region, windows.account) == ("2026-11-20T10:00:00Z", REGION, "123456789012")
    assert (bare.platform, bare.profile_arn, bare.imds_enabled, bare.tags) == ("linux", "", True, {})
    nodes = asyncio.run(shell_of(calls).nodes(TARGET, REGION))
    assert set(nodes) == {IDS[0]}
    assert (nodes[IDS[0]].ping, nodes[IDS[0]].agent_version, nodes[IDS[0]].platform_type) == ("Online", "3.3.1", "Linux")
