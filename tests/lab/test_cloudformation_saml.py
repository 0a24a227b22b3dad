"""SAML providers as resources of stacks: made, changed in place, refused as IAM refuses them, deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.lab.saml import Key, metadata
from tests.support.waiting import STACK

pytestmark = pytest.mark.e2e

OLD, NEW = Key(), Key()


def body(document: str, name: str = "Directory") -> str:
    properties = {"Name": name, "SamlMetadataDocument": document, "Tags": [{"Key": "a", "Value": "b"}]}
    provider = {"Type": "AWS::IAM::SAMLProvider", "Properties": properties}
    return json.dumps({"Resources": {"Provider": provider}, "Outputs": {"Arn": {"Value": {"Ref": "Provider"}}}})


def test_a_provider_lives_with_its_stack(client: Callable[..., Any], account: str) -> None:
    stacks, iam = client("cloudformation"), client("iam")
    stacks.create_stack(StackName="s", TemplateBody=body(metadata(OLD)))
    stacks.get_waiter("stack_create_complete").wait(StackName="s", WaiterConfig=STACK)
    [output] = stacks.describe_stacks(StackName="s")["Stacks"][0]["Outputs"]
    assert output["OutputValue"] == f"arn:aws:iam::{account}:saml-provider/Directory"
    assert iam.get_saml_provider(SAMLProviderArn=output["OutputValue"])["SAMLMetadataDocument"] == metadata(OLD)
    stacks.update_stack(StackName="s", TemplateBody=body(metadata(OLD, NEW)))
    stacks.get_waiter("stack_update_complete").wait(StackName="s", WaiterConfig=STACK)
    assert iam.get_saml_provider(SAMLProviderArn=output["OutputValue"])["SAMLMetadataDocument"] == metadata(OLD, NEW)
    stacks.delete_stack(StackName="s")
    stacks.get_waiter("stack_delete_complete").wait(StackName="s", WaiterConfig=STACK)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_saml_provider(SAMLProviderArn=output["OutputValue"])


def test_what_iam_refuses_fails_the_stack(client: Callable[..., Any]) -> None:
    stacks, iam = client("cloudformation"), client("iam")
    iam.create_saml_provider(Name="Taken", SAMLMetadataDocument=metadata(OLD))
    for name, text in {"short": body("<x/>"), "taken": body(metadata(OLD), "Taken")}.items():
        stacks.create_stack(StackName=name, TemplateBody=text)
        with pytest.raises(WaiterError):
            stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=STACK)
