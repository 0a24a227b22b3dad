"""Microsoft.AwsConnector: projections of AWS resources, one type per entry of the catalog. Syncs write them; people tag and delete them."""

from __future__ import annotations

import re
from dataclasses import replace

from isthmus.arm.change import Change, OperationOrder
from isthmus.arm.envelope import Resource, tags_of
from isthmus.arm.errors import invalid
from isthmus.arm.types import Ask, ResourceType, Scope
from isthmus.clouds.aws.catalog import TYPES
from isthmus.providers.locations import PROJECTION_LOCATIONS
from isthmus.solutions.places import AWS_CONNECTOR, CLUSTERS, MACHINES

VERSIONS = ("2024-12-01", "2024-08-01-preview", "2023-12-01-preview")
_HOSTS = {"ec2Instances": MACHINES, "eksClusters": CLUSTERS}
_NAME = re.compile(r"^(?=.{0,259}[^\s.]$)(?!.*[<>%&\\?/#])")


def rows() -> tuple[ResourceType, ...]:
    """A row per type of the catalog, and the clusters that EKS projections extend."""
    return (*(_projection(name) for name in TYPES), _clusters())


def _projection(kind: str) -> ResourceType:
    host = _HOSTS.get(kind)
    if host is not None:
        return ResourceType(
            name=f"{AWS_CONNECTOR}/{kind}",
            scopes=frozenset({Scope.EXTENSION}),
            lists=frozenset({Scope.EXTENSION, Scope.GROUP, Scope.SUBSCRIPTION}),
            extends=(host,),
            versions=VERSIONS,
            name_pattern=re.compile(r"^default$"),
            capabilities="SupportsExtension",
            delete=delete_projection,
            removal=202,
        )
    return ResourceType(
        name=f"{AWS_CONNECTOR}/{kind}",
        scopes=frozenset({Scope.GROUP}),
        lists=frozenset({Scope.GROUP, Scope.SUBSCRIPTION}),
        versions=VERSIONS,
        name_pattern=_NAME,
        tracked=True,
        capabilities="SupportsTags, SupportsLocation",
        locations=PROJECTION_LOCATIONS,
        patch=patch_tags,
        delete=delete_projection,
        removal=202,
    )


def _clusters() -> ResourceType:
    return ResourceType(
        name=CLUSTERS,
        scopes=frozenset({Scope.GROUP}),
        lists=frozenset({Scope.GROUP, Scope.SUBSCRIPTION}),
        versions=("2024-12-01-preview", "2024-07-15-preview", "2024-01-01"),
        tracked=True,
        capabilities="SupportsTags, SupportsLocation",
        patch=patch_tags,
        delete=delete_projection,
        removal=202,
    )


def patch_tags(old: Resource | None, ask: Ask) -> Change:
    """Tags are the user's own and survive rescans; everything else is AWS's to say."""
    assert old is not None
    extra = sorted(set(ask.body) - {"tags", "id", "name", "type"})
    if extra:
        raise invalid(
            f"A projection's tags can be changed and nothing else; '{extra[0]}' comes from AWS.",
            target=extra[0],
            code="PropertyChangeNotAllowed",
        )
    return Change(puts=(replace(old, tags=tags_of(ask.body["tags"]) if "tags" in ask.body else old.tags),))


def delete_projection(old: Resource | None, ask: Ask) -> Change:
    """Delete the projection (never the AWS resource); a later sync shows it again while it exists there."""
    assert old is not None
    operation = OperationOrder(id=ask.new_guid(), resource=ask.id, kind="delete", location=old.location or "global", done=True)
    return Change(deletes=(ask.id,), operation=operation)
