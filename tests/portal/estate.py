"""An estate to look at: very many projections at once, and a few whose every text is hostile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import insert

from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId, group_id
from isthmus.solutions.places import AWS_CONNECTOR, MACHINES
from isthmus.solutions.stock import BETWEEN
from isthmus.store.tables import projections, resources
from tests.contract.server import Server

ACCOUNT = "123456789012"
REGIONS = ("eu-central-1", "eu-west-1", "us-east-1", "ap-south-1")
KINDS = ("ec2Volumes", "ec2VPCs", "s3Buckets", "sqsQueues", "lambdaFunctions")
_MADE = 1_790_000_000_000
_BATCH = 10_000
_DOCUMENT = '{"tags":{},"extra":{},"properties":{"arn":"%s"},"system":["isthmus","Application","isthmus","Application"]}'
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></table><svg onload=alert(1)>",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    '<hx-partial hx-target="#main"><b>gone</b></hx-partial>',
    "\u202egnp.exe\u202c ﷽ 👩‍👩‍👧",
    "=HYPERLINK(1)",
)


def fill(server: Server, count: int) -> None:
    """So many projections as scans would have left them, written past the engine: it is the reading of many that is looked at."""
    for start in range(0, count, _BATCH):
        made = list(_made(server.subscription, start, min(start + _BATCH, count)))
        with server.app.engine.store.begin() as connection:
            connection.execute(insert(resources), [one for one, _ in made])
            connection.execute(insert(projections), [one for _, one in made])


def _made(subscription: str, start: int, end: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Numbered through accounts and types, as scans come: so that the database appends more than it searches."""
    for number in range(start, end):
        account, region, kind = f"{200_000_000_000 + number // 15_000}", REGIONS[number % 4], KINDS[number // 3_000 % 5]
        name = f"res-{number:06d}"
        id = f"/subscriptions/{subscription}/resourceGroups/aws_{account}/providers/{AWS_CONNECTOR}/{kind}/{name}"
        shared = {
            "subscription": subscription.lower(),
            "resource_group": f"aws_{account}",
            "name": name,
            "changed_at": _MADE + number * 1000,
        }
        arn = f"arn:aws:test:{region}:{account}:{name}"
        row = {
            "key": id.lower(),
            "id": id,
            "type": f"{AWS_CONNECTOR}/{kind}".lower(),
            "parent": "",
            "location": "eastus",
            "etag": name,
            "created_at": _MADE,
            "document": _DOCUMENT % arn,
        }
        index = {
            "key": id.lower(),
            "account": account,
            "region": region,
            "type": kind,
            "aws_id": name,
            "words": f"{name}\n{arn}",
            "tags": f"\nteam{BETWEEN}{'red' if number % 10 == 0 else 'blue'}\n",
        }
        yield row | shared, index | shared


def projection(
    server: Server, name: str, *, kind: str = "ec2VPCs", called: str = "", account: str = ACCOUNT, aws: Any = None, **more: Any
) -> Resource:
    """A projection as a sync writes it, in the group of its account. `aws` are its properties, `more` further ones of the envelope."""
    id = group_id(server.subscription, f"aws_{account}").extension(f"{AWS_CONNECTOR}/{kind}", name)
    return _projection(id, called or name, account, aws, **more)


def instance(server: Server, name: str, *, account: str = ACCOUNT) -> tuple[Resource, Resource]:
    """A machine and the projection that extends it."""
    machine = group_id(server.subscription, f"aws_{account}").extension(MACHINES, name)
    properties = {"provisioningState": "Succeeded", "displayName": name, "status": "Connected"}
    aws = {"InstanceId": name, "VpcId": "vpc-0000000000000000a"}
    return (
        Resource(id=machine, location="westeurope", properties=properties),
        _projection(machine.extension(f"{AWS_CONNECTOR}/ec2Instances", "default"), name, account, aws, aws_name=name),
    )


def _projection(
    id: ResourceId, called: str, account: str, aws: Any, *, aws_name: str = "", tags: Any = None, aws_tags: Any = None
) -> Resource:
    short = id.type.rpartition("/")[2].removeprefix("ec2").lower().rstrip("s")
    properties = {
        "arn": f"arn:aws:ec2:eu-central-1:{account}:{short}/{aws_name or id.name}",
        "awsAccountId": account,
        "awsProperties": aws if aws is not None else {"CidrBlock": "10.0.0.0/16"},
        "awsRegion": "eu-central-1",
        "awsSourceSchema": "AWS::EC2::VPC",
        "awsTags": aws_tags if aws_tags is not None else {"Name": called},
        "publicCloudResourceName": called,
        "provisioningState": "Succeeded",
    }
    return Resource(id=id, location="westeurope", tags=tags or {}, properties=properties, source=f"{account}/eu-central-1/{id.types[-1]}")
