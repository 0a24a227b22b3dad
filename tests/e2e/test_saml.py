"""People reach AWS by a third party's SAML provider, set up as `isthmus access federation steps` says, and lose it by one command."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from isthmus.arm.errors import ArmError
from tests.access.direct import client_of, refusal
from tests.cli.conftest import Cli, Ran
from tests.e2e.people import READER, give_roles
from tests.e2e.stack import Stack
from tests.lab.saml import ISSUER, RECIPIENT, Key
from tests.support.saml import SamlProvider, running_saml_provider
from tests.support.waiting import LOADED, STACK

pytestmark = pytest.mark.e2e

KEYS = [Key(), Key()]
GROUPS = {"alice": ["g-dev"], "bob": ["g-dev"], "carol": ["g-ops"]}
IDS = {name: str(uuid.uuid5(uuid.NAMESPACE_DNS, name)) for name in GROUPS}


@dataclass
class Place:
    """The server with its account, the directory, and an administrator's command line."""

    stack: Stack
    provider: SamlProvider
    cli: Cli

    def run(self, *arguments: str) -> Ran:
        return self.cli(*arguments, env={"AWS_ENDPOINT_URL": self.stack.lab.url})

    def steps(self) -> dict[str, Any]:
        ran = self.run("access", "federation", "steps", "aws", "--output", "json")
        assert ran.code == 0, ran.err
        found: dict[str, Any] = ran.json()
        return found

    def set_up(self) -> None:
        """Do at the directory what the steps say, for everybody whom it knows."""
        steps = self.steps()
        wanted = next(step["values"] for step in steps["steps"] if step["title"] == "Set the attributes")
        roles = [(set(role["groups"]), role["samlRole"]) for role in steps["roles"]]

        def attributes(name: str) -> dict[str, str | list[str]]:
            sources: dict[str, str | list[str]] = {
                "user.objectid": IDS[name],
                "user.assignedroles": [role for groups, role in roles if groups & set(GROUPS[name])],
            }
            return {
                one["name"]: sources.get(one["value"]) or (GROUPS[name] if "group" in one["value"] else one["value"].strip('"'))
                for one in wanted
            }

        self.provider.set({name: attributes(name) for name in GROUPS})

    def sign_in(self, name: str) -> Mapping[str, Any]:
        """Take the role by an assertion, as a person's tool does: the role's ARN is in the steps."""
        [role] = self.steps()["roles"]
        arn, provider = role["samlRole"].split(",")
        place = self.stack.lab.client_arguments(self.stack.account, "us-east-1")["endpoint_url"]
        sts = boto3.client("sts", endpoint_url=place, region_name="us-east-1", config=Config(signature_version=UNSIGNED))
        made = sts.assume_role_with_saml(RoleArn=arn, PrincipalArn=provider, SAMLAssertion=self.provider.sign_in(name))
        found: Mapping[str, Any] = made["Credentials"]
        return found

    def client(self, credentials: Mapping[str, Any], service: str) -> Any:
        return client_of(credentials, service, self.stack.lab.url)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("saml")
    keys = [key.pem() for key in KEYS]
    with (
        running_saml_provider(
            folder, issuer=ISSUER, recipient=RECIPIENT, audience="urn:amazon:webservices", keys=keys, users={}
        ) as provider,
        Stack(folder / "stack", estate=False) as stack,
    ):
        settings = {"federation": "saml", "samlMetadata": provider.metadata()}
        give_roles(stack, settings, {"Reader": {**READER, "requiresMfa": False}})
        made = Place(stack, provider, Cli(data=stack.data, home=folder / "owner", runs=[]))
        made.set_up()
        yield made


def test_a_member_calls_what_the_role_allows_and_others_are_not_let_in(place: Place) -> None:
    alice = place.sign_in("alice")
    assert place.client(alice, "sts").get_caller_identity()["Arn"].endswith(f"/{IDS['alice']}")
    ec2 = place.client(alice, "ec2")
    assert ec2.describe_regions()["Regions"]
    assert refusal(ec2.describe_instances) == "UnauthorizedOperation"
    assert refusal(lambda: place.sign_in("carol")) == "AccessDenied", "another group"
    assert place.provider.refuses("mallory")


def test_a_demand_that_aws_cannot_see_by_saml_is_refused_and_changes_nothing(place: Place) -> None:
    path = f"{place.stack.connector}/providers/Isthmus.Access/roleMappings/Reader"
    before = place.stack.client.get(path)
    with pytest.raises(ArmError, match="SAML has no condition key") as caught:
        place.stack.client.put(path, {"properties": {**READER, "requiresMfa": True}})
    assert caught.value.code == "NotInThisFederation"
    assert place.stack.client.get(path) == before


def test_who_is_offboarded_is_denied_and_a_bystander_is_not(place: Place) -> None:
    alice, bob = (place.client(place.sign_in(name), "ec2") for name in ("alice", "bob"))
    assert alice.describe_regions()["Regions"]
    told = place.run("access", "offboard", IDS["alice"], "--reason", "left", "--yes")
    assert told.code == 0, told.err
    assert "s from the command to the first AccessDenied" in told.err
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        alice.describe_regions()
    again = place.client(place.sign_in("alice"), "ec2")
    assert refusal(again.describe_regions) == "UnauthorizedOperation", "what the directory still begins is denied, too"
    assert bob.describe_regions()["Regions"]
    [shown] = place.run("access", "revocations", "--output", "json").json()
    assert (shown["properties"]["state"], 0 < shown["properties"]["seconds"] <= 10 * LOADED) == ("Denied", True)


def test_a_certificate_changes_by_commands_without_a_failed_sign_in(place: Place, tmp_path: Path) -> None:
    place.provider.rotate()
    coming = tmp_path / "next.xml"
    coming.write_text(place.provider.metadata())
    assert refusal(lambda: place.sign_in("bob")) == "InvalidIdentityToken", "the account does not hold it yet"
    asked = ("access", "federation")
    [old] = [one["fingerprint"] for one in place.run(*asked, "show", "aws", "--output", "json").json()]
    added = place.run(*asked, "add-certificate", "aws", "--metadata", str(coming), "--output", "json")
    assert sorted(one["fingerprint"] != old for one in added.json()) == [False, True], added.err
    update(place)
    assert place.sign_in("bob")
    retired = place.run(*asked, "retire-certificate", "aws", old, "--output", "json")
    assert [one["fingerprint"] == old for one in retired.json()] == [False]
    update(place)
    assert place.sign_in("bob")


def update(place: Place) -> None:
    """Bring the account's stack in line with the template, as its administrator."""
    formation = place.stack.aws("cloudformation")
    template = place.stack.client.post(f"{place.stack.connector}/explainTemplate").body["text"]
    formation.update_stack(StackName="Isthmus", TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"])
    formation.get_waiter("stack_update_complete").wait(StackName="Isthmus", WaiterConfig=STACK)
