"""The auto-assignment function against a small account: each defect of its predecessor has a test that would catch it."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from isthmus.clouds.aws.template import assign_profile, reasons
from isthmus.clouds.aws.template.assign_profile import Run
from tests.clouds.aws.template.fake_aws import OURS, FakeAws, Region, refusal
from tests.clouds.aws.template.requests import COMBINATIONS
from tests.clouds.aws.template.small_account import CONTEXT, CORE, DOCUMENT, HOME, SETTINGS, go, rows, small_account, writes


@pytest.fixture
def aws() -> FakeAws:
    return small_account()


def test_an_instance_without_profile_gets_ours(aws: FakeAws) -> None:
    aws.add(HOME, "i-1")
    result = go(aws)
    assert rows(result)["i-1"] == {
        "region": HOME, "instance": "i-1", "action": "associate", "code": "", "detail": "", "before": "", "after": OURS,
    }  # fmt: skip
    assert result["complete"] is True
    assert aws.instance(HOME, "i-1")["IamInstanceProfile"]["Arn"] == OURS


def test_tag_filter_regions_and_state_are_honoured(aws: FakeAws) -> None:
    aws.add(HOME, "i-match", Env="PROD")
    aws.add(HOME, "i-other", Env="dev")
    aws.add(HOME, "i-none")
    aws.add(HOME, "i-stopped", state="stopped", Env="prod")
    aws.add("eu-west-1", "i-elsewhere", Env="prod")
    result = go(aws, FILTER_TAG="env:Prod", REGIONS=f"{HOME},ap-south-2")
    assert {id_: (row["action"], row["code"]) for id_, row in rows(result).items()} == {
        "i-match": ("associate", ""),
        "i-other": ("none", "FILTERED_TAG"),
        "i-none": ("none", "FILTERED_TAG"),
        "i-stopped": ("none", "FILTERED_STATE"),
    }
    assert result["regions"] == {HOME: "ok", "ap-south-2": "REGION_OPT_IN"}
    assert writes(aws) == ["ec2:AssociateIamInstanceProfile"]
    assert not any(region == "eu-west-1" for region, _, _ in aws.calls)


def test_a_tag_value_may_hold_colons(aws: FakeAws) -> None:
    aws.add(HOME, "i-1", **{"team:unit": "a:b"})
    assert rows(go(aws, FILTER_TAG="Team:unit:A:b"))["i-1"]["action"] == "associate"


def test_an_instance_that_ends_meanwhile_does_not_stop_the_region(aws: FakeAws) -> None:
    aws.add(HOME, "i-gone", state="terminated")
    aws.add(HOME, "i-going")
    aws.add(HOME, "i-stays")
    aws.failures[(HOME, "ec2:AssociateIamInstanceProfile")] = lambda params: (
        refusal("IncorrectInstanceState") if params["InstanceId"] == "i-going" else None
    )
    found = rows(go(aws))
    assert (found["i-gone"]["action"], found["i-gone"]["code"]) == ("none", "FILTERED_STATE")
    assert (found["i-going"]["code"], found["i-going"]["after"]) == ("IncorrectInstanceState", "")
    assert found["i-stays"]["after"] == OURS


def test_more_than_a_page_of_instances_with_one_look_at_their_role(aws: FakeAws) -> None:
    for number in range(2_300):
        aws.add(HOME, f"i-{number}", profile="ready")
    result = go(aws)
    assert result["counts"] == {"none": 2_300}
    assert aws.count("ec2:DescribeInstances") == 3
    assert aws.count("iam:GetInstanceProfile") == 1
    assert aws.count("iam:SimulatePrincipalPolicy") == 1
    assert len(aws.calls) < 10


def test_a_failed_call_is_never_logged_as_done(aws: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    aws.add(HOME, "i-1")
    aws.failures[(HOME, "ec2:AssociateIamInstanceProfile")] = refusal("UnauthorizedOperation")
    with caplog.at_level(logging.INFO):
        row = rows(go(aws))["i-1"]
    assert (row["code"], row["after"]) == ("ACCESS_DENIED", "")
    (line,) = [json.loads(record.message) for record in caplog.records if record.message.startswith("{")]
    assert line == row


def test_a_failing_region_is_named_rightly_and_does_not_stop_the_others(aws: FakeAws) -> None:
    for region in ("ap-southeast-2", "eu-west-1", HOME):
        aws.add(region, f"i-{region}")
    aws.failures[("eu-west-1", "ec2:DescribeInstances")] = refusal("UnauthorizedOperation")
    result = go(aws)
    assert result["regions"] == {"ap-southeast-2": "ok", "eu-west-1": "ACCESS_DENIED", HOME: "ok"}
    assert result["failed"] == ["eu-west-1"]
    assert result["complete"] is False
    assert set(rows(result)) == {"i-ap-southeast-2", f"i-{HOME}"}


def test_regions_that_cannot_be_listed_are_a_failure_of_the_whole_run(aws: FakeAws) -> None:
    aws.failures[(HOME, "ec2:DescribeRegions")] = refusal("RequestLimitExceeded")
    assert go(aws)["regions"] == {"*": "SSM_THROTTLED"}


def test_an_unreadable_host_management_setting_is_not_taken_for_on(aws: FakeAws) -> None:
    aws.add(HOME, "i-1")
    aws.failures[(HOME, "ssm:GetServiceSetting")] = refusal("AccessDeniedException")
    result = go(aws)
    assert result["regions"] == {HOME: "ACCESS_DENIED"}
    assert result["complete"] is False
    assert writes(aws) == []


def test_under_host_management_nothing_is_touched_and_what_it_does_not_reach_is_named(aws: FakeAws) -> None:
    aws.add(HOME, "i-well")
    aws.add(HOME, "i-old")
    aws.add(HOME, "i-lost")
    aws.add(HOME, "i-silent")
    aws.add(HOME, "i-mute", imds="disabled")
    aws.regions[HOME].host_management = "AWSSystemsManagerDefaultEC2InstanceManagementRole"
    aws.regions[HOME].nodes = {
        "i-well": {"PingStatus": "Online", "AgentVersion": "3.3.100.0"},
        "i-old": {"PingStatus": "ConnectionLost", "AgentVersion": "3.1.90.0"},
        "i-lost": {"PingStatus": "ConnectionLost", "AgentVersion": "3.3.100.0"},
    }
    assert {id_: row["code"] for id_, row in rows(go(aws)).items()} == {
        "i-well": "", "i-old": "SSM_AGENT_OLD", "i-lost": "SSM_CONNECTION_LOST", "i-silent": "SSM_NOT_INSTALLED", "i-mute": "IMDS_DISABLED",
    }  # fmt: skip
    assert writes(aws) == []


@pytest.mark.parametrize("dead", ["hollow", "deleted"])
def test_a_dead_profile_is_replaced_in_one_call(aws: FakeAws, dead: str) -> None:
    aws.add(HOME, "i-1", profile=dead)
    row = rows(go(aws))["i-1"]
    assert (row["action"], row["before"].rsplit("/", 1)[1], row["after"]) == ("replace", dead, OURS)
    assert writes(aws) == ["ec2:ReplaceIamInstanceProfileAssociation"]


def test_a_profile_made_again_under_its_old_name_is_dead(aws: FakeAws) -> None:
    aws.add(HOME, "i-1", profile="ready")
    aws.profiles["ready"] = ("AIPA-NEW", "ReadyRole")
    assert rows(go(aws))["i-1"]["action"] == "replace"


def test_a_failed_replacement_leaves_the_old_profile_and_says_so(aws: FakeAws) -> None:
    aws.add(HOME, "i-1", profile="hollow")
    aws.failures[(HOME, "ec2:ReplaceIamInstanceProfileAssociation")] = refusal("InternalError")
    row = rows(go(aws))["i-1"]
    assert row["code"] == "InternalError"
    assert row["after"] == row["before"] != ""


def test_an_instance_that_lost_its_profile_in_a_failed_replacement_gets_ours(aws: FakeAws) -> None:
    aws.add(HOME, "i-1", profile="hollow")

    def lose(params: dict[str, Any]) -> Any:
        del aws.instance(HOME, "i-1")["IamInstanceProfile"]
        return refusal("InternalError")

    aws.failures[(HOME, "ec2:ReplaceIamInstanceProfileAssociation")] = lose
    assert rows(go(aws))["i-1"]["after"] == OURS


def test_a_profile_that_changed_after_the_listing_is_left_alone(aws: FakeAws) -> None:
    aws.add(HOME, "i-1", profile="hollow")

    def change(params: dict[str, Any]) -> None:
        aws.instance(HOME, "i-1")["IamInstanceProfile"] = {"Arn": "arn:aws:iam::123456789012:instance-profile/new", "Id": "AIPA-N"}

    aws.failures[(HOME, "ec2:DescribeIamInstanceProfileAssociations")] = change
    row = rows(go(aws))["i-1"]
    assert (row["action"], row["after"]) == ("none", "arn:aws:iam::123456789012:instance-profile/new")
    assert writes(aws) == []


def test_a_foreign_role_gets_a_proposal_and_no_write(aws: FakeAws) -> None:
    aws.add(HOME, "i-1", profile="shop")
    row = rows(go(aws))["i-1"]
    assert (row["action"], row["code"]) == ("propose", "PROFILE_NO_SSM")
    assert row["detail"] == f"attach {CORE} to the role ShopRole"
    assert writes(aws) == []


def test_with_consent_a_foreign_role_is_widened_once(aws: FakeAws) -> None:
    for number in range(3):
        aws.add(HOME, f"i-{number}", profile="shop")
    result = go(aws, WIDEN="true")
    assert aws.attached == [("ShopRole", CORE)]
    assert [row["action"] for row in result["rows"]] == ["attach", "none", "none"]


def test_a_role_with_ten_policies_is_reported(aws: FakeAws) -> None:
    aws.add(HOME, "i-1", profile="shop")
    aws.failures[(HOME, "iam:AttachRolePolicy")] = refusal("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10")
    row = rows(go(aws, WIDEN="true"))["i-1"]
    assert row["code"] == "PROFILE_NO_SSM"
    assert "PoliciesPerRole: 10" in row["detail"]


def test_an_equivalent_inline_policy_is_enough(aws: FakeAws) -> None:
    aws.add(HOME, "i-1", profile="ready")
    assert rows(go(aws, WIDEN="true"))["i-1"]["action"] == "none"
    assert writes(aws) == []


def test_a_new_profile_that_ec2_does_not_know_yet_is_tried_again(aws: FakeAws) -> None:
    aws.add(HOME, "i-1")
    left = [
        refusal("InvalidParameterValue", "Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name")
    ]
    aws.failures[(HOME, "ec2:AssociateIamInstanceProfile")] = lambda params: left.pop() if left else None
    assert rows(go(aws))["i-1"]["after"] == OURS


def test_a_dry_run_gives_the_same_rows_and_writes_nothing(aws: FakeAws) -> None:
    aws.regions["eu-west-1"] = Region()
    aws.add(HOME, "i-1")
    aws.add(HOME, "i-2", profile="hollow")
    aws.add(HOME, "i-3", profile="shop")
    planned = go(aws, {"dryRun": True})
    assert planned["dryRun"] is True
    assert writes(aws) == []
    done = go(aws)
    assert [(row["instance"], row["action"], row["before"]) for row in planned["rows"]] == [
        (row["instance"], row["action"], row["before"]) for row in done["rows"]
    ]


def test_a_run_out_of_time_continues_from_its_cursor_in_a_new_invocation(aws: FakeAws) -> None:
    for number in range(1_500):
        aws.add(HOME, f"i-{number}", profile="ready")
    aws.add("us-west-2", "i-west")
    left = iter([900_000.0] * 1_200)
    first = go(aws, time_left=lambda: next(left, 0.0))
    assert first["cursor"] == [[HOME, "1000"], ["us-west-2", ""]]
    assert first["complete"] is False
    (invoked,) = [params for _, operation, params in aws.calls if operation == "lambda:Invoke"]
    assert (invoked["FunctionName"], invoked["InvocationType"]) == (CONTEXT.invoked_function_arn, "Event")
    again = go(aws, json.loads(invoked["Payload"]))
    assert again["cursor"] == []
    assert {row["instance"] for row in first["rows"]} | {row["instance"] for row in again["rows"]} == {
        *(f"i-{number}" for number in range(1_500)),
        "i-west",
    }


def test_a_run_that_never_ends_stops_invoking_itself(aws: FakeAws) -> None:
    aws.add(HOME, "i-1")
    go(aws, {"hop": assign_profile.HOPS}, time_left=lambda: 0.0)
    assert aws.count("lambda:Invoke") == 0


def test_the_document_is_copied_to_the_regions_and_kept_current(aws: FakeAws) -> None:
    aws.regions |= {"eu-west-1": Region(), "eu-north-1": Region(documents={DOCUMENT: '{"old": true}'})}
    aws.regions["eu-central-1"] = Region(documents={DOCUMENT: '{ "a":1 }'})
    go(aws, ASSIGN="false")
    assert {name: region.documents[DOCUMENT] for name, region in aws.regions.items()} == {
        HOME: '{"a": 1}', "eu-west-1": '{"a": 1}', "eu-north-1": '{"a": 1}', "eu-central-1": '{ "a":1 }',
    }  # fmt: skip
    assert writes(aws) == ["ssm:UpdateDocument", "ssm:UpdateDocumentDefaultVersion", "ssm:CreateDocument"]


def test_without_auto_assignment_no_instance_is_looked_at(aws: FakeAws) -> None:
    aws.add(HOME, "i-1")
    assert go(aws, ASSIGN="false")["rows"] == []
    assert aws.count("ec2:DescribeInstances") == 0


def test_every_call_is_one_that_the_role_may_make(aws: FakeAws) -> None:
    aws.regions |= {"eu-west-1": Region(), "eu-north-1": Region(documents={DOCUMENT: "{}"})}
    aws.add(HOME, "i-1")
    aws.add(HOME, "i-2", profile="hollow")
    aws.add(HOME, "i-3", profile="shop")
    aws.regions["eu-west-1"].host_management = "Role"
    go(aws, WIDEN="true")
    go(aws, time_left=lambda: 0.0)
    Run(SETTINGS, HOME, client=aws.client).remove_copies()
    made = {operation.replace("lambda:Invoke", "lambda:InvokeFunction") for _, operation, _ in aws.calls}
    rows = reasons(COMBINATIONS["onboarding-everywhere"])
    assert made | {"iam:PassRole", "logs:CreateLogStream", "logs:PutLogEvents"} == {
        action for statement in rows if statement.role == "AssignmentRole" for action in statement.actions
    }
