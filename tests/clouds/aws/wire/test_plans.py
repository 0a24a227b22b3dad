"""The committed plans are what the models say, and what the plans tell about shapes is true."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from isthmus.clouds.aws import catalog
from isthmus.clouds.aws.wire import enums, names, operation, service, shape
from isthmus.clouds.aws.wire.compile.__main__ import PLANS, compile_plans, main
from isthmus.clouds.aws.wire.compile.operations import operations
from isthmus.clouds.aws.wire.compile.services import plan
from tests.clouds.aws.wire import oracle


@pytest.mark.slow
def test_plans_are_fresh() -> None:
    committed = {file.name: file.read_bytes() for file in PLANS.glob("*.json")}
    assert committed == compile_plans(), "run `make models` and commit src/isthmus/clouds/aws/wire/plans"


@pytest.mark.slow
def test_compiling_removes_what_is_no_longer_listed(tmp_path: Any) -> None:
    (tmp_path / "gone.json").write_text("{}")
    main(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in PLANS.glob("*.json")}


def test_every_listed_operation_is_compiled() -> None:
    assert set(names()) == operations()


def test_every_operation_of_the_catalog_is_compiled() -> None:
    assert set(catalog.operations()) <= set(names()), "add them to wire/compile/operations.py and run `make models`"


@pytest.mark.slow
def test_operations_that_the_wire_cannot_call_are_refused_when_compiling() -> None:
    for name, operation_name, said in [
        ("logs", "StartLiveTail", "streams"),
        ("s3", "PutObject", "streams"),
        ("ec2", "RunInstances", "idempotency"),
        ("s3", "PutBucketTagging", "checksum"),
    ]:
        with pytest.raises(ValueError, match=said):
            plan(oracle.session(), name, [operation_name])


def _enums_of(found: Shape, above: tuple[str, ...] = ()) -> Any:
    """The same tree, from botocore's model."""
    if isinstance(found, ListShape):
        return _enums_of(found.member, above)
    if isinstance(found, MapShape):
        inside = _enums_of(found.value, above)
        return {"*": inside} if inside else None
    if isinstance(found, StructureShape):
        if found.name in above or found.is_document_type:
            return None
        tree = {name: inside for name, member in found.members.items() if (inside := _enums_of(member, (*above, found.name)))}
        return tree or None
    return True if getattr(found, "enum", None) else None


@pytest.mark.parametrize("name", names())
def test_enums_are_where_the_model_has_them(name: str) -> None:
    output = oracle.model(name).output_shape
    expected = _enums_of(output) if output is not None else None
    for member, told in (output.members if output is not None else {}).items():
        if "location" in told.serialization and expected:  # a header, which no scan looks at
            expected.pop(member, None)
    assert enums(name) == (expected or {})


def test_shapes_can_be_walked() -> None:
    instance = shape("ec2:DescribeInstances").members["Reservations"].item
    assert instance is not None
    inner = instance.members["Instances"].item
    assert inner is not None
    kinds = {name: inner.members[name].kind for name in ("InstanceType", "InstanceId", "LaunchTime", "EbsOptimized", "Tags", "State")}
    assert kinds == {
        "InstanceType": "enum",
        "InstanceId": "text",
        "LaunchTime": "timestamp",
        "EbsOptimized": "boolean",
        "Tags": "list",
        "State": "structure",
    }
    attributes = shape("sqs:GetQueueAttributes").members["Attributes"]
    assert attributes.kind == "map"
    assert attributes.item is not None
    assert attributes.item.kind == "text"
    assert shape("s3:GetBucketAcl").members["Grants"].item.members["Grantee"].members["Type"].kind == "enum"  # type: ignore[union-attr]


def test_services_know_regions_and_actions() -> None:
    assert service("route53domains").regions() == ("us-east-1",)
    assert "eu-west-1" in service("macie2").regions()
    assert service("macie2").regions("aws-us-gov") == ()
    assert operation("elbv2:DescribeListeners").action == "elasticloadbalancing:DescribeListeners"
    assert operation("cloudwatch:DescribeAlarms").action == "cloudwatch:DescribeAlarms"
    assert operation("resourcegroupstaggingapi:GetResources").action == "tag:GetResources"


def test_nothing_at_run_time_imports_botocore() -> None:
    code = """
import sys, isthmus.clouds.aws.wire as wire
wire.operation("ec2:DescribeVpcs")
sys.exit(any(name.startswith("boto") for name in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
