"""People in the console and on machines of the lab, and that neither outlives their access."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from isthmus.access import grants, leaving, revocations
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.cli.aws.console import login_address
from isthmus.cli.aws.shells import find_plugin, open_shell, run
from isthmus.cli.aws.ssh import pushed_key
from isthmus.cli.aws.targets import Target
from tests.access.estate import ADMIN, Estate
from tests.access.reaching import REGION, boot, taken

pytestmark = pytest.mark.e2e

SHELL_ROLES = ("Shell", "Wide")
"""A role of shells alone, and one that else would allow everything of Systems Manager, EC2 and EC2 Instance Connect."""
PLUGIN = """#!/bin/sh
[ "$1" = --version ] && { echo VERSION; exit 0; }
printf '%s\\n' "$@" >"$OUT/arguments"
printf '%s' "$AWS_SSM_START_SESSION_RESPONSE" >"$OUT/response"
printf '%s' "$AWS_ACCESS_KEY_ID" >"$OUT/key"
exit 3
"""


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def offboard(people: Estate, person: Actor) -> revocations.Revocation:
    with people.engine.store.begin() as connection:
        id = leaving.offboard(connection, people.engine, person.id, ADMIN, "left")
    assert people.run_jobs() == 1
    with people.engine.store.read() as connection:
        found = revocations.find(connection, id)
    assert found is not None
    return found


def public_key() -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def test_the_console_shows_who_is_signed_in_until_they_leave(people: Estate) -> None:
    alice, bob = people.sign_in("alice", "g-dev"), people.sign_in("bob", "g-dev")
    browsers = {}
    environ = {"AWS_ENDPOINT_URL": people.lab.url}
    for person in (alice, bob):
        browser = httpx.Client(base_url=people.lab.url, follow_redirects=True, trust_env=False)
        issued = people.issue(person, use="console")
        address = login_address(taken(issued), "https://isthmus.test", "/ec2/home?region=eu-west-1", environ)
        assert issued.credentials.secret_key not in address
        shown = browser.get(address)
        assert (shown.status_code, shown.json()["allowed"], shown.json()["sourceIdentity"]) == (200, True, person.id)
        assert shown.json()["destination"] == "https://console.aws.amazon.com/ec2/home?region=eu-west-1"
        browsers[person.id] = browser
    offboard(people, alice)
    after = browsers[alice.id].get("/_console")
    assert (after.status_code, after.json()["allowed"], after.json()["sourceIdentity"]) == (403, False, alice.id)
    assert browsers[bob.id].get("/_console").json()["allowed"] is True, "a bystander notices nothing"
    for browser in browsers.values():
        browser.close()


def test_shells_end_with_their_person_in_every_region_and_others_live(people: Estate) -> None:
    alice, bob = people.sign_in("alice", "g-dev"), people.sign_in("bob", "g-dev")
    places = {region: boot(people, region=region) for region in (REGION, "us-east-1")}
    opened = {}
    for person in (alice, bob):
        for region, machine in places.items():
            issued = people.issue(person, "Shell", use=f"shell:{region}")
            made = people.client(issued, "ssm", region).start_session(Target=machine, Reason=issued.grant)
            opened[person.id, region] = made["SessionId"]
    found = offboard(people, alice)
    for region in places:
        active = people.root("ssm", region).describe_sessions(State="Active")["Sessions"]
        assert [one["SessionId"] for one in active] == [opened[bob.id, region]], "a bystander's shell lives"
        assert active[0]["Reason"].startswith("G-")
    assert [one.shells for one in found.denials] == [len(places)]


def test_ending_one_grant_spares_only_shells_of_another_one_that_the_person_holds(people: Estate) -> None:
    """Who opens a shell writes its reason."""
    alice, machine = people.sign_in("alice", "g-dev"), boot(people)
    issued = people.issue(alice, "Shell", use=f"shell:{REGION}")
    ssm, reasons = people.client(issued, "ssm", REGION), (issued.grant, "G-OTHER: disk", "G-INVENTED: disk", "tea")
    opened = {reason: ssm.start_session(Target=machine, Reason=reason)["SessionId"] for reason in reasons}
    with people.engine.store.begin() as connection:
        held = grants.find(connection, issued.grant)
        assert held is not None
        grants.add(connection, replace(held, id="G-OTHER", because="request:1"))
        revocations.end_grants(connection, people.engine, [held], ADMIN, "over")
    assert people.run_jobs() == 1
    active = people.root("ssm", REGION).describe_sessions(State="Active")["Sessions"]
    assert [one["SessionId"] for one in active] == [opened["G-OTHER: disk"]]


@pytest.mark.parametrize("role", SHELL_ROLES)
def test_shells_are_opened_only_where_the_record_says_so(people: Estate, role: str) -> None:
    """Otherwise nobody would look for them there."""
    alice, machine = people.sign_in("alice", "g-dev"), boot(people)
    for use in ("credentials", "console", "shell:us-east-1"):
        ssm = people.client(people.issue(alice, role, use=use), "ssm", REGION)
        assert code(ssm.start_session, Target=machine) == "AccessDeniedException", use
    ssm = people.client(people.issue(alice, role, use=f"shell:{REGION}"), "ssm", REGION)
    made = ssm.start_session(Target=machine)
    assert ssm.terminate_session(SessionId=made["SessionId"])["SessionId"] == made["SessionId"], "one's own can be ended"
    assert ssm.start_session(Target=machine, DocumentName="AWS-StartSSHSession")["SessionId"]
    assert code(ssm.start_session, Target=machine, DocumentName="AWS-StartPortForwardingSession") == "AccessDeniedException"
    assert code(ssm.start_session, Target=boot(people, tag="blue")) == "AccessDeniedException"


def test_nobody_widens_their_shells_by_what_else_their_role_allows(people: Estate) -> None:
    alice, bob, machine, other = people.sign_in("alice", "g-dev"), people.sign_in("bob", "g-dev"), boot(people), boot(people, tag="blue")
    issued, theirs = (people.issue(one, "Wide", use=f"shell:{REGION}") for one in (alice, bob))
    ssm, ec2 = people.client(issued, "ssm", REGION), people.client(issued, "ec2", REGION)
    script = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["id"]}}
    assert code(ssm.send_command, InstanceIds=[machine], **script) == "AccessDeniedException", "it would run as root"
    assert code(ssm.start_automation_execution, DocumentName="AWS-StopEC2Instance") == "AccessDeniedException"
    red = [{"Key": "team", "Value": "red"}]
    assert code(ec2.create_tags, Resources=[other], Tags=red) == "UnauthorizedOperation"
    assert code(ec2.delete_tags, Resources=[machine], Tags=red) == "UnauthorizedOperation"
    ec2.create_tags(Resources=[other], Tags=[{"Key": "owner", "Value": "alice"}])
    opened = people.client(theirs, "ssm", REGION).start_session(Target=machine)["SessionId"]
    assert code(ssm.resume_session, SessionId=opened) == "AccessDeniedException", "it is the shell of somebody else"


@pytest.mark.parametrize("role", SHELL_ROLES)
def test_a_key_is_pushed_for_oneself_alone_and_to_tagged_machines_alone(people: Estate, role: str) -> None:
    alice, machine, other = people.sign_in("alice", "g-dev"), boot(people), boot(people, tag="blue")
    connect = people.client(people.issue(alice, role, use=f"shell:{REGION}"), "ec2-instance-connect", REGION)
    key = public_key()
    assert connect.send_ssh_public_key(InstanceId=machine, InstanceOSUser="alice", SSHPublicKey=key)["Success"] is True
    for target, user in ((machine, "bob"), (machine, "root"), (other, "alice")):
        assert code(connect.send_ssh_public_key, InstanceId=target, InstanceOSUser=user, SSHPublicKey=key) == "AccessDeniedException"
    [pushed] = people.lab.admin("GET", f"/_lab/machines/{machine}")["sshKeys"]
    assert (pushed["user"], pushed["key"]) == ("alice", key)
    offboard(people, alice)
    assert code(connect.send_ssh_public_key, InstanceId=machine, InstanceOSUser="alice", SSHPublicKey=key) == "AccessDeniedException"


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str = "1.2.536.0") -> None:
    """A program in the plugin's place, found before everything else."""
    path = folder / "session-manager-plugin"
    path.write_text(PLUGIN.replace("VERSION", version))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("OUT", str(folder))


def test_the_plugin_is_run_for_a_session_that_ends_with_it(people: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", people.lab.url)
    alice, machine = people.sign_in("alice", "g-dev"), boot(people)
    held, root = taken(people.issue(alice, "Shell", use=f"shell:{REGION}")), people.root("ssm", REGION)
    monkeypatch.setenv("AWS_PROFILE", "somebody-else")
    place = Target(instance=machine, region=REGION, role="x")
    with open_shell(held, place, find_plugin(), reason="disk full") as shell:
        [active] = root.describe_sessions(State="Active")["Sessions"]
        assert (active["SessionId"], active["Reason"]) == (shell.id, f"{held.grant}: disk full")
        assert run(shell.command, shell.environ) == 3
    assert root.describe_sessions(State="Active")["Sessions"] == []
    response = json.loads((tmp_path / "response").read_text())
    assert response["SessionId"] == shell.id
    given = (tmp_path / "arguments").read_text()
    assert given.splitlines()[:4] == ["AWS_SSM_START_SESSION_RESPONSE", REGION, "StartSession", ""]
    assert response["TokenValue"] not in given
    assert held.credentials.secret_key not in given
    assert (tmp_path / "key").read_text() == held.credentials.access_key
    assert "AWS_PROFILE" not in shell.environ


def test_a_session_whose_plugin_does_not_run_is_ended(people: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", people.lab.url)
    alice, machine = people.sign_in("alice", "g-dev"), boot(people)
    held = taken(people.issue(alice, "Shell", use=f"shell:{REGION}"))
    place = Target(instance=machine, region=REGION, role="x")
    with pytest.raises(ArmError) as caught, open_shell(held, place, str(tmp_path / "none")) as shell:
        run(shell.command, shell.environ)
    assert caught.value.code == "CommandNotRun"
    assert people.root("ssm", REGION).describe_sessions(State="Active")["Sessions"] == []


@pytest.mark.parametrize("version", ["1.2.497.0", "1.1.61.0", "words"])
def test_plugins_that_want_the_secret_as_an_argument_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    install(tmp_path, monkeypatch, version)
    with pytest.raises(ArmError, match="too old") as caught:
        find_plugin()
    assert caught.value.code == "PluginNotFound"
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    with pytest.raises(ArmError, match="Install"):
        find_plugin()


def test_a_private_key_lives_as_long_as_the_login(people: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", people.lab.url)
    alice, machine = people.sign_in("alice", "g-dev"), boot(people)
    held = taken(people.issue(alice, "Shell", use=f"shell:{REGION}"))
    place = Target(instance=machine, region=REGION, role="x")
    with pushed_key(held, place, "alice") as key:
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
        private = serialization.load_ssh_private_key(key.read_bytes(), None)
        public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
        [pushed] = people.lab.admin("GET", f"/_lab/machines/{machine}")["sshKeys"]
        assert (pushed["user"], pushed["key"]) == ("alice", public)
    assert not key.parent.exists()
    with pytest.raises(ArmError, match="AccessDenied") as caught, pushed_key(held, place, "root"):
        raise AssertionError("nobody gets here")
    assert caught.value.code == "AwsRefused"
