"""Only our block of AWS' configuration changes."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from isthmus.arm.errors import ArmError
from isthmus.cli.aws.commands import profiles
from isthmus.cli.aws.profiles import BEGIN, END, with_profiles
from isthmus.cli.session import Session
from isthmus.client import Client

OWN = "# mine\n[default]\nregion = eu-central-1\n\n[profile work]\nsso_session = x\n"


def test_our_block_is_added_and_replaced_and_the_rest_stays() -> None:
    once = with_profiles(OWN, [("isthmus-1.Reader", {"credential_process": "isthmus aws credentials --role 1.Reader"})])
    assert once.startswith(OWN)
    assert once.count(BEGIN) == once.count(END) == 1
    twice = with_profiles(f"{once}\n[profile later]\na = b\n", [("isthmus-2.Reader", {"region": "eu-west-1"})])
    assert "1.Reader" not in twice
    assert "[profile isthmus-2.Reader]\nregion = eu-west-1\n" in twice
    assert "[profile later]\na = b\n" in twice
    assert twice.startswith("# mine\n")
    assert with_profiles(twice, [("isthmus-2.Reader", {"region": "eu-west-1"})]) == twice, "the same again changes nothing"


def test_an_empty_file_gets_the_block_alone() -> None:
    assert with_profiles("", []) == f"{BEGIN}\n{END}\n"


def test_a_profile_of_the_person_is_not_taken_over() -> None:
    with pytest.raises(ArmError) as caught:
        with_profiles(OWN, [("work", {})])
    assert caught.value.code == "ProfileExists"


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ({"1.Asked": "RequestNeeded", "2.Reader": "Available"}, "Try: aws --profile isthmus-2.Reader sts get-caller-identity"),
        ({"1.Asked": "RequestNeeded"}, 'isthmus access request 1.Asked --reason "WHY"'),
        ({"1.Shut": "SecondFactorNeeded"}, "0 profiles"),
    ],
)
def test_what_is_suggested_works(
    states: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"value": [{"name": name, "properties": {"state": state}} for name, state in states.items()]})

    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    session = Session()
    vars(session)["client"] = Client("https://arm.test", lambda: "token", verify=True, transport=httpx.MockTransport(answer))
    profiles(session)
    told = capsys.readouterr().err
    assert said in told
    assert ("Try: aws" in told) == ("Available" in states.values())
