"""Only our block of AWS' configuration changes."""

from __future__ import annotations

import pytest

from isthmus.arm.errors import ArmError
from isthmus.cli.aws.profiles import BEGIN, END, with_profiles

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
