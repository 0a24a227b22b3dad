"""Ids and ARNs are found wherever they stand as values, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.solutions.references import LONGEST, MOST, id_of, named_by, short

VPC = "vpc-0a1b2c3d4e5f60718"
ROLE = "arn:aws:iam::123456789012:role/admin"


@pytest.mark.parametrize(
    ("properties", "names"),
    [
        (None, []),
        ({}, []),
        ({"vpcId": VPC}, [VPC]),
        ({"vpcId": "vpc-0a1b2c3d"}, ["vpc-0a1b2c3d"]),
        ({"deep": [{"er": [VPC, {"x": "sg-00000000000000001"}]}]}, [VPC, "sg-00000000000000001"]),
        ({"a": VPC, "b": VPC}, [VPC]),
        ({"role": ROLE}, [ROLE]),
        ({"instance": "arn:aws:ec2:eu-west-1:123456789012:instance/i-0a1b2c3d4e5f60718"}, ["i-0a1b2c3d4e5f60718"]),
        ({"gov": "arn:aws-us-gov:iam::123456789012:role/x"}, ["arn:aws-us-gov:iam::123456789012:role/x"]),
        ({VPC: "a name of a member is no value"}, []),
        ({"text": f"in the middle of {VPC} a text"}, []),
        ({"policy": f'{{"Resource":"{ROLE}"}}'}, []),
        ({"short": "vpc-0a1b2c", "long": "vpc-0a1b2c3d4e5f607180", "upper": "VPC-0A1B2C3D", "region": "us-east-1"}, []),
        ({"azure": "arn:azure:x", "bare": "arn:aws:", "spaced": "arn:aws:iam::1:role/a b"}, []),
        ({"attachment": "eni-attach-0a1b2c3d4e5f60718"}, ["eni-attach-0a1b2c3d4e5f60718"]),
    ],
)
def test_names_are_found(properties: Any, names: list[str]) -> None:
    assert named_by(properties, "") == names


def test_its_own_id_is_no_reference() -> None:
    assert named_by({"vpcId": VPC, "arn": f"arn:aws:ec2:eu-west-1:123456789012:vpc/{VPC}", "dhcp": "dopt-0a1b2c3d"}, VPC) == [
        "dopt-0a1b2c3d"
    ]


def test_names_have_bounds() -> None:
    assert len(named_by({"all": [f"sg-{n:017x}" for n in range(MOST + 50)]}, "")) == MOST
    assert named_by({"long": f"arn:aws:s3:::{'x' * LONGEST}"}, "") == []


def test_a_resource_is_called_by_the_id_at_the_end_of_its_arn() -> None:
    assert short("arn:aws:ec2:eu-west-1:1:vpc/vpc-0a1b2c3d") == "vpc-0a1b2c3d"
    assert short(ROLE) == ROLE
    assert id_of("", VPC) == VPC
    assert id_of("", "my-bucket") == ""
    assert id_of(f"arn:aws:s3:::{'x' * LONGEST}", "x") == ""
