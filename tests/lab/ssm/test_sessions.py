"""Session Manager: who opens, who sees, who ends a session, and what is asked permission for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab.machines.fake_world import ACCOUNT, REGION, FakeWorld, instance_id
from tests.lab.ssm.client import TEXT, Client, on_ssm, refused

OWNER = f"arn:aws:sts::{ACCOUNT}:assumed-role/IsthmusOnboarding-00000000/session"


def test_a_session_begins_shows_and_ends(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        machine = ssm.world.add(1)
        answer = await ssm.call("StartSession", Target=machine.instance_id, Reason="G-42")
        assert re.fullmatch(r"session-0[0-9a-f]{16}", answer["SessionId"])
        assert answer["StreamUrl"].startswith("wss://127.0.0.1:9/")
        [row] = (await ssm.call("DescribeSessions", State="Active"))["Sessions"]
        assert (row["Target"], row["Owner"], row["Reason"], row["Status"]) == (machine.instance_id, OWNER, "G-42", "Connected")
        assert row["DocumentName"] == "SSM-SessionManagerRunShell"
        assert "EndDate" not in row
        resumed = await ssm.call("ResumeSession", SessionId=answer["SessionId"])
        assert resumed["TokenValue"] != answer["TokenValue"]
        assert await ssm.call("TerminateSession", SessionId=answer["SessionId"]) == {"SessionId": answer["SessionId"]}
        assert (await ssm.call("DescribeSessions", State="Active"))["Sessions"] == []
        [row] = (await ssm.call("DescribeSessions", State="History"))["Sessions"]
        assert (row["Status"], row["EndDate"] >= row["StartDate"]) == ("Terminated", True)
        ended = row["EndDate"]
        await ssm.call("TerminateSession", SessionId=answer["SessionId"])
        assert (await ssm.call("DescribeSessions", State="History"))["Sessions"][0]["EndDate"] == ended
        assert await refused(ssm.call("ResumeSession", SessionId=answer["SessionId"])) == "DoesNotExistException"
        assert await ssm.call("TerminateSession", SessionId="nobody-1") == {"SessionId": "nobody-1"}
        ssm.world.offset = 31 * 86_400
        assert (await ssm.call("DescribeSessions", State="History"))["Sessions"] == []

    on_ssm(tmp_path, scenario)


def test_what_a_session_asks_permission_for(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        world, machine = ssm.world, ssm.world.add(1, tags={"Team": "red"})
        await ssm.call("StartSession", Target=machine.instance_id)
        arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{machine.instance_id}"
        [(action, resource, keys)] = world.judged
        assert (action, resource, keys["ssm:resourcetag/Team"]) == ("ssm:StartSession", arn, "red")
        world.judged.clear()
        made = await ssm.call("StartSession", Target=machine.instance_id, DocumentName="AWS-StartSSHSession")
        assert [row[1] for row in world.judged] == [f"arn:aws:ssm:{REGION}::document/AWS-StartSSHSession", arn]
        world.judged.clear()
        await ssm.call("TerminateSession", SessionId=made["SessionId"])
        assert world.judged[0][:2] == ("ssm:TerminateSession", f"arn:aws:ssm:{REGION}:{ACCOUNT}:session/{made['SessionId']}")
        world.denied["ssm:StartSession", arn] = "no"
        assert await refused(ssm.call("StartSession", Target=machine.instance_id)) == "AccessDeniedException"
        assert (await ssm.call("DescribeSessions", State="Active"))["Sessions"][0]["DocumentName"] == "SSM-SessionManagerRunShell"

    on_ssm(tmp_path, scenario)


def test_what_start_session_refuses(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        good, bare = ssm.world.add(1), ssm.world.add(2, role=None)
        await ssm.call("CreateDocument", Name="Words", Content=TEXT)
        await ssm.call("CreateDocument", Name="Shell", Content=TEXT, DocumentType="Session")
        await ssm.call("StartSession", Target=good.instance_id, DocumentName="Shell")
        assert await refused(ssm.call("StartSession", Target=bare.instance_id)) == "TargetNotConnected"
        assert await refused(ssm.call("StartSession", Target=instance_id(9))) == "TargetNotConnected"
        assert await refused(ssm.call("StartSession", Target=good.instance_id, DocumentName="Words")) == "InvalidDocument"
        assert await refused(ssm.call("StartSession", Target=good.instance_id, DocumentName="Nothing")) == "InvalidDocument"
        assert await refused(ssm.call("StartSession", Target=good.instance_id, Reason="x" * 257)) == "ValidationException"
        assert await refused(ssm.call("StartSession")) == "ValidationException"
        for machine, status in ((good, "connected"), (bare, "notconnected")):
            assert (await ssm.call("GetConnectionStatus", Target=machine.instance_id))["Status"] == status

    on_ssm(tmp_path, scenario)


def test_sessions_end_with_their_machine(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        machine = ssm.world.add(1)
        await ssm.call("StartSession", Target=machine.instance_id)
        ssm.world.change(machine, state="stopped")
        assert (await ssm.call("DescribeSessions", State="Active"))["Sessions"] == []
        assert (await ssm.call("DescribeSessions", State="History"))["Sessions"][0]["Status"] == "Terminated"

    on_ssm(tmp_path, scenario)


def test_sessions_are_filtered_and_paged_newest_first(tmp_path: Path) -> None:
    async def scenario(ssm: Client) -> None:
        machines = [ssm.world.add(number) for number in range(1, 4)]
        ids = []
        for number, machine in enumerate(machines):
            ssm.world.offset = number * 10
            ids.append((await ssm.call("StartSession", Target=machine.instance_id))["SessionId"])

        async def shown(*filters: tuple[str, str], **more: object) -> list[str]:
            rows = [{"key": key, "value": value} for key, value in filters]
            answer = await ssm.call("DescribeSessions", State="Active", Filters=rows, **more)
            return [row["SessionId"] for row in answer["Sessions"]]

        assert await shown() == ids[::-1]
        assert await shown(("Target", machines[1].instance_id)) == [ids[1]]
        assert await shown(("Owner", OWNER), ("SessionId", ids[0])) == [ids[0]]
        assert await shown(("Owner", "somebody else")) == []
        assert await shown(("Status", "Terminated")) == []
        assert await shown(("InvokedBefore", "2020-01-01T00:00:00Z")) == []
        assert await shown(("InvokedAfter", "2020-01-01T00:00:00Z")) == ids[::-1]
        first = await ssm.call("DescribeSessions", State="Active", MaxResults=2)
        rest = await ssm.call("DescribeSessions", State="Active", MaxResults=2, NextToken=first["NextToken"])
        assert [row["SessionId"] for row in (*first["Sessions"], *rest["Sessions"])] == ids[::-1]
        assert await refused(shown(("Colour", "red"))) == "InvalidFilterKey"
        assert await refused(shown(("InvokedAfter", "yesterday"))) == "ValidationException"
        assert await refused(ssm.call("DescribeSessions", State="Sleeping")) == "ValidationException"

    on_ssm(tmp_path, scenario)


@pytest.mark.parametrize("arn", [f"arn:aws:iam::{ACCOUNT}:user/team/carol", f"arn:aws:iam::{ACCOUNT}:root"])
def test_the_session_is_named_after_who_opened_it(arn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(ssm: Client) -> None:
        monkeypatch.setattr(FakeWorld, "caller_arn", lambda self: arn)
        made = await ssm.call("StartSession", Target=ssm.world.add(1).instance_id)
        assert made["SessionId"].startswith("carol-0" if "carol" in arn else "root-0")

    on_ssm(tmp_path, scenario)
