"""Where an AWS resource is shown: its resource group, its location, its name."""

from __future__ import annotations

import hashlib
import re

from isthmus.arm.ids import ResourceId, group_id
from isthmus.clouds.contract import Cell, Item

AWS_CONNECTOR = "Microsoft.AwsConnector"
MACHINES = "Microsoft.HybridCompute/machines"
CLUSTERS = "Microsoft.Kubernetes/connectedClusters"

_LOCATION_OF = {
    "us-east-1": "eastus",
    "us-east-2": "eastus",
    "us-west-1": "eastus",
    "us-west-2": "eastus",
    "ca-central-1": "eastus",
    "ap-southeast-1": "southeastasia",
    "ap-northeast-1": "southeastasia",
    "ap-northeast-3": "southeastasia",
    "ap-south-1": "southeastasia",
    "ap-southeast-2": "australiaeast",
    "eu-west-1": "westeurope",
    "eu-central-1": "westeurope",
    "eu-north-1": "westeurope",
    "eu-west-2": "uksouth",
    "sa-east-1": "brazilsouth",
}
_UNSAFE = re.compile(r"[^A-Za-z0-9._:()@+=,-]+")
# A peering between two regions is listed by both, under one id and each in its own words.
_UNIQUE = re.compile(r"^(arn:.+|(?!pcx-)[a-z]+-[0-9a-f]{17})$")
_MAX_NAME = 200


def location_of(region: str, default: str) -> str:
    """The location of a projection: the documented map, `default` (the connector's location) for regions it does not name."""
    return _LOCATION_OF.get(region, default)


def group_name(account: str) -> str:
    """Name of the resource group that holds an account's projections."""
    return f"aws_{account}"


def projection_name(item: Item) -> str:
    """The projection's name: the AWS id made safe for ARM, stable while the resource lives, and different for different resources.

    Ids that AWS makes unique (ARNs, `vpc-` and 17 digits) stand alone. Others carry their region, the short ids of old resources too: drawn
    per region from few, one may stand for two resources. What had to be changed or cut carries a hash.
    """
    tail = item.id.split(":", 5)[-1] if item.id.startswith("arn:") else item.id
    name = _UNSAFE.sub("-", tail).strip(".-") or "unnamed"
    if not _UNIQUE.match(item.id) and item.region:
        name = f"{name}_{item.region}"
    if name != tail or len(name) > _MAX_NAME or item.id.startswith("arn:"):
        mark = hashlib.sha256(item.id.encode()).hexdigest()[:8]
        name = f"{name[:_MAX_NAME]}-{mark}" if _UNIQUE.match(item.id) or len(name) > _MAX_NAME or _UNSAFE.search(tail) else name
    return name


def hosted_on(item: Item, subscription: str) -> ResourceId | None:
    """The resource that an item extends instead of standing alone: the machine of an instance, the cluster of an EKS cluster."""
    group = group_id(subscription, group_name(item.cell.account))
    if item.cell.type == "ec2Instances":
        return group.extension(MACHINES, item.id)
    if item.cell.type == "eksClusters":
        return group.extension(CLUSTERS, _UNSAFE.sub("-", f"{item.name}_{item.region}"))
    return None


def projection_id(item: Item, subscription: str) -> ResourceId:
    """The id of an item's projection."""
    host = hosted_on(item, subscription)
    kind = f"{AWS_CONNECTOR}/{item.cell.type}"
    if host is not None:
        return host.extension(kind, "default")
    return group_id(subscription, group_name(item.cell.account)).extension(kind, projection_name(item))


def source_of(account: str, region: str, kind: str) -> str:
    """The cell that lists a projection, as stored beside it. It names no connector: one that is made anew finds what is there."""
    return f"{account}/{region}/{kind}"


def cell_of(source: str) -> Cell:
    """The cell that `source_of` named."""
    account, region, kind = source.split("/")
    return Cell(account=account, region=region, type=kind)
