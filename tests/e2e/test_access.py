"""People of a third party's directory reach AWS, each as far as their groups, and are denied everywhere once they are out."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from playwright.sync_api import expect, sync_playwright

from tests.cli.conftest import Cli, Ran
from tests.cli.people import Person, Place
from tests.e2e.chat import Chat
from tests.e2e.needles import content_of
from tests.e2e.people import READER, people_estate
from tests.e2e.stack import Stack
from tests.portal.browser import launch, looking
from tests.support.openid import OpenIdProvider
from tests.support.waiting import LOADED, until

pytestmark = pytest.mark.e2e

MFA = {"amr": ["pwd", "mfa"]}
USERS: dict[str, dict[str, Any]] = {
    "alice": {"name": "Alice", "email": "alice@example.test", "uti": "uti-alice", "sid": "sid-alice", "groups": ["g-dev"], **MFA},
    "bob": {"name": "Bob", "email": "bob@example.test", "groups": ["g-dev"], "amr": ["pwd"]},
    "carol": {"name": "Carol", "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph"}}, **MFA},
    "dave": {"name": "Dave", "groups": ["g-sales"], **MFA},
    "grace": {"name": "Grace", "email": "grace@example.test", "groups": ["g-dev", "g-shell"], **MFA},
    "heidi": {"name": "Heidi", "email": "heidi@example.test", "groups": ["g-dev"], **MFA},
    "ivan": {"name": "Ivan", "email": "ivan@example.test", "groups": ["g-dev"], **MFA},
    "judy": {"name": "Judy", "email": "judy@example.test", "groups": ["g-oncall"], **MFA},
    "lena": {"name": "Lena", "email": "lena@example.test", "groups": ["g-lead"], **MFA},
    "erin": {"name": "Erin", "email": "erin@example.test", "groups": ["g-dev"], **MFA},
}
CALLS = """
import boto3, json
from botocore.exceptions import ClientError
def tell(call):
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "allowed"
ec2 = boto3.client("ec2", region_name="us-east-1")
print(json.dumps({
    "arn": boto3.client("sts", region_name="us-east-1").get_caller_identity()["Arn"],
    "regions": tell(ec2.describe_regions),
    "instances": tell(ec2.describe_instances),
}))
"""


ON_CALL = {
    "groups": ["g-oncall"],
    "statements": [{"Effect": "Allow", "Action": ["ec2:DescribeInstances"], "Resource": ["*"]}],
    "activation": {"mode": "Request", "approverGroups": ["g-lead"]},
}


@pytest.fixture(scope="module")
def chat() -> Iterator[Chat]:
    with Chat() as chat:
        yield chat


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory, openid_provider: OpenIdProvider, chat: Chat) -> Iterator[Stack]:
    mappings = {"Reader": READER, "Shell": {"groups": ["g-shell"], "machineTag": "team:red"}, "OnCall": ON_CALL}
    folder = tmp_path_factory.mktemp("people")
    hook = folder / "hook"
    hook.write_text(chat.url)
    with people_estate(folder, openid_provider, USERS, mappings, NOTICE_URL_FILE=str(hook)) as stack:
        yield stack


class Computer:
    """A person's own computer: signed in, with an agent that ends with the test."""

    def __init__(self, stack: Stack, provider: OpenIdProvider, name: str, folder: Path) -> None:
        self.role = f"{stack.account}.Reader"
        cli = Cli(data=folder / "none", home=folder / "cache", runs=[])
        env = {
            "ISTHMUS_URL": stack.url,
            "REQUESTS_CA_BUNDLE": str(stack.ca),
            "ISTHMUS_DATA": str(folder / "none"),
            "AWS_ENDPOINT_URL": stack.lab.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": str(folder),
        }
        self.place = Place(cli=cli, url=stack.url, env=env, person=Person(stack.url, stack.ca, provider, name))
        signed = self.place.login()
        assert signed.code == 0, signed.err

    def run(self, *arguments: str) -> Ran:
        return self.place.run(*arguments)

    def calls(self) -> dict[str, str]:
        """What AWS says to a few calls under the role."""
        # The command writes to the process's own output, so it needs a process of its own.
        ran = self.place.begin("aws", "run", "--role", self.role, "--", sys.executable, "-c", CALLS).ended()
        assert ran.code == 0, ran.err
        found: dict[str, str] = json.loads(ran.out)
        return found

    def states(self) -> dict[str, str]:
        ran = self.run("aws", "roles", "--output", "json")
        assert ran.code == 0, ran.err
        return {one["name"]: one["properties"]["state"] for one in ran.json()}

    def close(self) -> None:
        self.place.person.http.close()
        for file in (self.place.cli.home / "isthmus").glob("agent-*.json"):
            with suppress(ProcessLookupError):
                os.kill(json.loads(file.read_text())["pid"], signal.SIGTERM)


@pytest.fixture
def computers(estate: Stack, openid_provider: OpenIdProvider, tmp_path: Path) -> Iterator[Any]:
    """Computers of people, by name."""
    made: list[Computer] = []

    def computer(name: str) -> Computer:
        folder = tmp_path / f"{name}{len(made)}"
        folder.mkdir()
        made.append(Computer(estate, openid_provider, name, folder))
        return made[-1]

    yield computer
    for one in made:
        one.close()


def test_who_decides_is_told_and_a_role_is_given_for_a_time(computers: Any, estate: Stack, chat: Chat) -> None:
    judy, lena = computers("judy"), computers("lena")
    judy.role = f"{estate.account}.OnCall"
    assert judy.states() == {judy.role: "RequestNeeded"}
    asked = judy.run("access", "request", judy.role, "--reason", "INC-7", "--seconds", "600", "--output", "json")
    assert asked.code == 0, asked.err
    number = asked.json()["name"]
    link = f"{estate.url}/portal/access/requests/{number}"
    until(lambda: chat.texts == [f"Judy asks for {judy.role} for 10 minutes. “INC-7” Approvers decide. {link}"], 30, what="it is told")
    assert judy.run("access", "approve", number).code != 0, "nobody approves their own"
    given = lena.run("access", "approve", number)
    assert given.code == 0, given.err
    until(lambda: len(chat.texts) > 1, 30, what="the decision is told")
    assert chat.texts[1:] == [f"Lena approved: Judy holds {judy.role} for 10 minutes. {link}"]
    found = judy.calls()
    assert (found["instances"], found["regions"]) == ("allowed", "UnauthorizedOperation")


def held(estate: Stack, ran: Ran) -> Any:
    """A client with the credentials that a command printed."""
    made = ran.json()
    return boto3.client(
        "ec2",
        aws_access_key_id=made["AccessKeyId"],
        aws_secret_access_key=made["SecretAccessKey"],
        aws_session_token=made["SessionToken"],
        endpoint_url=estate.lab.url,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_a_member_reaches_aws_through_the_agent_and_no_further(computers: Any, estate: Stack) -> None:
    alice = computers("alice")
    assert alice.states() == {alice.role: "Available"}
    found = alice.calls()
    assert ":assumed-role/IsthmusPerson-Reader-" in found["arn"]
    assert found["arn"].endswith(alice.place.me()["objectId"])
    assert (found["regions"], found["instances"]) == ("allowed", "UnauthorizedOperation")
    told = "import os; print(os.environ.get('REQUESTS_CA_BUNDLE'))"
    inside = alice.place.begin("aws", "run", "--role", alice.role, "--", sys.executable, "-c", told).ended()
    assert inside.out.strip() == "None", "a bundle of Isthmus alone would be all that AWS' tools trust"
    profiles = alice.run("aws", "profiles", "--region", "us-east-1")
    assert profiles.code == 0, profiles.err
    assert f"[profile isthmus-{alice.role}]" in (Path(alice.place.env["HOME"]) / ".aws" / "config").read_text()
    sessions = [one["properties"] for one in estate.client.list("/providers/Isthmus.Access/sessions")]
    assert {one["use"] for one in sessions} == {"credentials"}
    assert len({one["grant"] for one in sessions if one["person"] == alice.place.me()["objectId"]}) == 1


def test_credentials_are_kept_nowhere_but_in_the_memory_of_who_asked(computers: Any, estate: Stack) -> None:
    """Neither the server's folder and log nor the person's computer holds what AWS gave; nor does our token for AWS lie anywhere."""
    ivan = computers("ivan")
    made = ivan.run("aws", "credentials", "--role", ivan.role).json()
    needles = [made[name].encode() for name in ("SecretAccessKey", "SessionToken")]
    places = [estate.data, estate.server.log, ivan.place.cli.home, Path(ivan.place.env["HOME"])]
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*")) if file.is_file()]
    assert len(files) > 5
    found = [str(file) for file in files for needle in needles if needle in content_of(file)]
    assert found == []
    assert [str(file) for file in files if b'"https://aws.amazon.com/roles"' in content_of(file)] == []


@pytest.mark.parametrize(("name", "state"), [("bob", "SecondFactorNeeded"), ("carol", "GroupsUnknown"), ("dave", "")])
def test_others_get_nothing_and_are_told_why(computers: Any, name: str, state: str) -> None:
    """No second factor, groups that the token leaves out, another group."""
    person = computers(name)
    # A role of another group is told in the same way, as far as it may concern the person.
    assert person.states().get(person.role, "") == state
    assert set(person.states().values()) <= {state}
    ran = person.run("aws", "credentials", "--role", person.role, "--no-agent")
    assert (ran.code, ran.out) == (1, "")
    assert (state or "NotAMember") in ran.err


def test_who_is_offboarded_is_denied_everywhere_and_the_seconds_are_told(computers: Any, estate: Stack, tmp_path: Path) -> None:
    erin, alice = computers("erin"), computers("alice")
    assert erin.calls()["regions"] == "allowed"
    credentials = erin.run("aws", "credentials", "--role", erin.role)
    ec2 = held(estate, credentials)
    assert ec2.describe_regions()["Regions"]
    owner = Cli(data=estate.data, home=tmp_path / "owner", runs=[])
    told = owner("access", "offboard", "erin@example.test", "--reason", "left", "--yes", env={"AWS_ENDPOINT_URL": estate.lab.url})
    assert told.code == 0, told.err
    assert "s from the command to the first AccessDenied" in told.err
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.describe_regions()
    refused = erin.run("aws", "credentials", "--role", erin.role, "--no-agent")
    assert refused.code == 1
    assert "AccessRevoked" in refused.err or "SignIn" in refused.err
    assert erin.run("whoami").code in (0, 1)
    assert alice.calls()["regions"] == "allowed", "a bystander notices nothing"
    shown = owner("access", "revocations", "--output", "json").json()
    assert shown[0]["properties"]["state"] == "Denied"
    assert 0 < shown[0]["properties"]["seconds"] <= 10 * LOADED
    assert owner("access", "readmit", "erin@example.test").code == 0
    assert erin.place.login().code == 0
    again = erin.run("aws", "credentials", "--role", erin.role)
    assert again.code == 0, again.err
    assert held(estate, again).describe_regions()["Regions"], "the agent knows that she signed in anew"


def test_who_signs_out_gets_nothing_from_the_agent_any_more(computers: Any, estate: Stack) -> None:
    alice = computers("alice")
    first = alice.run("aws", "credentials", "--role", alice.role).json()
    assert alice.run("aws", "credentials", "--role", alice.role).json() == first, "the agent holds them"
    assert alice.run("logout").err == "Signed out.\n"
    refused = alice.run("aws", "credentials", "--role", alice.role)
    assert (refused.code, refused.out, "NotSignedIn" in refused.err) == (1, "", True), refused.err
    assert alice.place.login().code == 0
    again = alice.run("aws", "credentials", "--role", alice.role)
    assert again.code == 0, again.err
    assert again.json()["AccessKeyId"] != first["AccessKeyId"]


def test_the_portal_offboards_and_shows_the_measured_seconds(computers: Any, estate: Stack) -> None:
    heidi = computers("heidi")
    ec2 = held(estate, heidi.run("aws", "credentials", "--role", heidi.role))
    assert ec2.describe_regions()["Regions"]
    with sync_playwright() as playwright:
        browser = launch(playwright)
        with looking(browser, estate.url, "") as look:
            look.page.goto(estate.client.post("/providers/Isthmus.Identity/signInLinks").body["url"])
            look.page.get_by_role("button", name="Sign in").click()
            look.page.wait_for_url("**/portal/")
            page = look.open("/portal/access")
            page.get_by_role("region", name="Live sessions").get_by_role("row", name="Heidi").get_by_role("link", name="Heidi").click()
            page.get_by_role("link", name="Offboard").click()
            page.get_by_label("Reason").fill("left")
            page.get_by_role("button", name="Offboard").click()
            line = page.locator("#revocation-line")
            expect(line).to_contain_text("1 of 1 account denies, after ", timeout=60_000)
            look.check("access-revocation-on-the-lab")
            seconds = float(line.inner_text().partition("after ")[2].partition(" seconds")[0])
            page.get_by_role("link", name="Heidi").first.click()
            expect(page.get_by_role("region", name="Sessions, those that live first").locator("tbody tr").first).to_contain_text("Revoked")
        browser.close()
    assert 0 < seconds <= 10 * LOADED
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.describe_regions()


def test_who_leaves_the_group_loses_the_role_at_the_next_sign_in(computers: Any, openid_provider: OpenIdProvider) -> None:
    openid_provider.set(users={**USERS, "frank": {"name": "Frank", "groups": ["g-dev"], **MFA}})
    assert computers("frank").calls()["regions"] == "allowed"
    openid_provider.set(users={**USERS, "frank": {"name": "Frank", "groups": [], **MFA}})
    later = computers("frank")
    assert later.states() == {}
    ran = later.run("aws", "credentials", "--role", later.role, "--no-agent")
    assert (ran.code, "NotAMember" in ran.err) == (1, True)


PLUGIN = """#!/bin/sh
[ "$1" = --version ] && { echo 1.2.536.0; exit 0; }
printf '%s' "$AWS_SSM_START_SESSION_RESPONSE" >"$0.response"
exit 7
"""


def test_the_console_and_a_shell_are_reached_by_commands_and_recorded_as_such(
    computers: Any, estate: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grace = computers("grace")
    ran = grace.run("aws", "console", "--role", grace.role, "--print", "--destination", "/ec2/home")
    assert ran.code == 0, ran.err
    with httpx.Client(base_url=estate.lab.url, follow_redirects=True, trust_env=False) as browser:
        shown = browser.get(ran.out.strip()).json()
    assert (shown["allowed"], shown["sourceIdentity"]) == (True, grace.place.me()["objectId"])
    refused = grace.run("ssm", "i-0123456789abcdef0", "--region", "us-east-1")
    assert (refused.code, "PluginNotFound" in refused.err) == (1, True)
    plugin = tmp_path / "session-manager-plugin"
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    machine = boot(estate)
    ran = grace.run("ssm", machine, "--region", "us-east-1", "--reason", "disk full")
    assert ran.code == 7, ran.err
    session = json.loads(Path(f"{plugin}.response").read_text())["SessionId"]
    [ended] = estate.aws("ssm").describe_sessions(State="History")["Sessions"]
    assert (ended["SessionId"], ended["Reason"].endswith(": disk full")) == (session, True)
    mine = [one["properties"] for one in estate.client.list("/providers/Isthmus.Access/sessions")]
    person = grace.place.me()["objectId"]
    assert sorted(one["use"] for one in mine if one["person"] == person) == ["console", "shell:us-east-1"]
    records = estate.client.list("/providers/Isthmus.Audit/records")
    assert {"console", "shell:us-east-1"} <= {one["properties"]["detail"].get("use") for one in records}


def boot(estate: Stack) -> str:
    """A tagged instance that SSM reaches."""
    iam, ec2, ssm = estate.aws("iam"), estate.aws("ec2"), estate.aws("ssm")
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="Machine", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    iam.attach_role_policy(RoleName="Machine", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
    iam.create_instance_profile(InstanceProfileName="Machine")
    iam.add_role_to_instance_profile(InstanceProfileName="Machine", RoleName="Machine")
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "red"}]}]
    profile = {"Name": "Machine"}
    made = ec2.run_instances(ImageId="ami-0c2023a1b2c3d4e5f", MinCount=1, MaxCount=1, IamInstanceProfile=profile, TagSpecifications=tags)
    machine = str(made["Instances"][0]["InstanceId"])
    until(lambda: ssm.get_connection_status(Target=machine)["Status"] == "connected")
    return machine
