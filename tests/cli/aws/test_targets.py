"""Which role is taken for a shell, and what is no target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from isthmus.arm.errors import ArmError
from isthmus.cli.aws.shells import MAX_REASON, Shell, reason_of
from isthmus.cli.aws.ssh import chosen_address, parted, ssh_command
from isthmus.cli.aws.ssm import ssm
from isthmus.cli.aws.targets import Target, choose_role, find_target
from isthmus.cli.session import Session
from isthmus.client import Client, Place

PLACE = Target(instance="i-0123456789abcdef0", region="eu-west-1", role="1.Shell", addresses=("198.51.100.7", "10.0.0.7"))


def role(name: str, *, account: str = "1", tag: str = "team:red", state: str = "Available") -> dict[str, Any]:
    return {"name": name, "properties": {"accountId": account, "machineTag": tag, "state": state, "stateDetails": f"{state} told."}}


OFFERED = [
    role("1.Reader", tag=""),
    role("1.Shell"),
    role("1.Later", state="RequestNeeded"),
    role("2.A", account="2"),
    role("2.B", account="2"),
]


def test_the_only_role_that_opens_shells_in_the_account_is_taken() -> None:
    assert choose_role(OFFERED, "1") == "1.Shell"


def test_a_role_that_needs_a_request_is_named_with_its_state() -> None:
    with pytest.raises(ArmError, match=r"now opens shells in account 1\. 1\.Later: RequestNeeded told\.") as caught:
        choose_role([role("1.Later", state="RequestNeeded"), role("1.Reader", tag="")], "1")
    assert caught.value.code == "RoleNotClear"


def served(path: str) -> httpx.Response:
    """A server where nothing is in an inventory, and one role waits for a request."""
    if path.endswith("/roles"):
        return httpx.Response(200, json={"value": [role("1.Later", state="RequestNeeded")]})
    return httpx.Response(200, json={"value": [{"subscriptionId": "s", "displayName": "s"}] if path == "/subscriptions" else []})


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    transport = httpx.MockTransport(lambda request: served(request.url.path))
    with Client("https://arm.test", lambda: "token", verify=(), transport=transport) as client:
        vars(made)["client"] = client
        vars(made)["place"] = Place(url="https://arm.test")
        yield made


def test_an_instance_outside_of_every_inventory_is_named_with_its_region(session: Session) -> None:
    with pytest.raises(ArmError, match="--region eu-west-1"):
        find_target(session, PLACE.instance, role="", region="")
    with pytest.raises(ArmError) as caught:
        find_target(session, "web-1", role="", region="")
    assert "--region" not in caught.value.message


def test_nobody_installs_a_plugin_for_a_role_that_is_not_theirs_yet(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for given in ("", "1.Later"):
        with pytest.raises(ArmError, match="RequestNeeded told") as caught:
            ssm(session, PLACE.instance, role=given, region="eu-west-1")
        assert caught.value.code == "RoleNotClear"


@pytest.mark.parametrize(("account", "told"), [("2", "2.A, 2.B"), ("3", "No role"), ("", "1.Shell, 2.A, 2.B")])
def test_anything_else_is_asked_for(account: str, told: str) -> None:
    with pytest.raises(ArmError, match=told) as caught:
        choose_role(OFFERED, account)
    assert caught.value.code == "RoleNotClear"


def test_a_region_and_a_role_need_no_inventory() -> None:
    """The session would fail: it knows no server."""
    found = find_target(Session(url="https://127.0.0.1:9"), "i-0123456789abcdef0", role="1.Shell", region="eu-west-1")
    assert (found.instance, found.region, found.role) == ("i-0123456789abcdef0", "eu-west-1", "1.Shell")
    with pytest.raises(ArmError) as caught:
        find_target(Session(url="https://127.0.0.1:9"), "web-1", role="1.Shell", region="eu-west-1")
    assert caught.value.code == "InvalidTarget"


@pytest.mark.parametrize("destination", ["web-1", "@web-1", "alice@", "-oProxyCommand=x@web-1", "al ice@web-1"])
def test_what_names_no_user_and_target_is_refused(destination: str) -> None:
    with pytest.raises(ArmError) as caught:
        parted(destination)
    assert caught.value.code == "InvalidTarget"


def test_ssh_goes_to_an_address_and_options_cannot_be_smuggled_in() -> None:
    assert parted("alice@web-1") == ("alice", "web-1")
    assert (chosen_address(PLACE, ""), chosen_address(PLACE, "web.test")) == ("198.51.100.7", "web.test")
    with pytest.raises(ArmError):
        chosen_address(PLACE, "-oProxyCommand=x")
    command = ssh_command("/usr/bin/ssh", Path("/k"), PLACE, "alice", "10.0.0.7", ["uptime"])
    assert command[-4:] == ("alice", "--", "10.0.0.7", "uptime")
    assert "HostKeyAlias=i-0123456789abcdef0" in command


def test_the_way_through_session_manager_survives_the_shell_that_ssh_starts() -> None:
    shell = Shell(id="s", command=("/opt/a plugin", "NAME", '{"x": "100%"}'), environ={"NAME": "secret"})
    command = ssh_command("ssh", Path("/k"), PLACE, "alice", PLACE.instance, [], shell)
    assert """ProxyCommand='/opt/a plugin' NAME '{"x": "100%%"}'""" in command
    assert "secret" not in " ".join(command)
    assert "secret" not in repr(shell)


def test_the_grant_is_the_reason_and_words_follow_as_far_as_they_fit() -> None:
    assert (reason_of("G-1", ""), reason_of("G-1", "disk full")) == ("G-1", "G-1: disk full")
    assert len(reason_of("G-1", "x" * 500)) == MAX_REASON
