"""Services answered by moto: reachable, per account, and under the same policies as the rest."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from isthmus_lab.process import LabProcess

pytestmark = pytest.mark.e2e

LISTS = {
    "redshift": ("describe_clusters", "Clusters"),
    "elasticbeanstalk": ("describe_applications", "Applications"),
    "guardduty": ("list_detectors", "DetectorIds"),
    "dax": ("describe_clusters", "Clusters"),
    "dms": ("describe_replication_instances", "ReplicationInstances"),
    "network-firewall": ("list_firewalls", "Firewalls"),
    "sagemaker": ("list_notebook_instances", "NotebookInstances"),
}


@pytest.mark.parametrize("service", LISTS)
def test_bridged_service_lists_nothing_in_a_new_account(service: str, client: Callable[..., Any]) -> None:
    operation, key = LISTS[service]
    assert getattr(client(service), operation)()[key] == []


def test_state_belongs_to_account_and_region_and_is_reset(lab: LabProcess, client: Callable[..., Any], account: str) -> None:
    client("guardduty", "eu-west-1").create_detector(Enable=True)
    assert len(client("guardduty", "eu-west-1").list_detectors()["DetectorIds"]) == 1
    assert client("guardduty", "eu-central-1").list_detectors()["DetectorIds"] == []
    client("redshift").create_cluster(ClusterIdentifier="c", NodeType="ra3.large", MasterUsername="u", MasterUserPassword="Passw0rd1")
    found = client("redshift").describe_clusters()["Clusters"]
    assert [row["ClusterIdentifier"] for row in found] == ["c"]


@pytest.mark.parametrize(
    ("service", "code"), [("redshift", "AccessDenied"), ("guardduty", "AccessDeniedException"), ("dax", "AccessDeniedException")]
)
def test_policies_hold_for_bridged_services(service: str, code: str, client: Callable[..., Any]) -> None:
    iam = client("iam")
    iam.create_user(UserName="nobody")
    key = {**iam.create_access_key(UserName="nobody")["AccessKey"], "SessionToken": None}
    call = getattr(client(service, credentials=key), LISTS[service][0])
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    allow = {"Effect": "Allow", "Action": f"{service}:*", "Resource": "*"}
    iam.put_user_policy(UserName="nobody", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    call()


def test_operation_that_moto_lacks_is_an_error_an_sdk_can_read(client: Callable[..., Any]) -> None:
    with pytest.raises(ClientError) as caught:
        client("sagemaker").list_projects()
    assert caught.value.response["Error"]["Code"] not in ("", "400", "500", "Unknown")
