"""Endpoints of one service as templates: what botocore's endpoint rules answer for each region, folded into a default and exceptions."""

from __future__ import annotations

from typing import Any

from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import Loader
from botocore.session import Session

# A region that no partition lists but whose name each pattern matches: what the rules answer for it is the rule for regions yet to open.
PARTITIONS = {"aws": "us-isthmus-9", "aws-cn": "cn-isthmus-9", "aws-us-gov": "us-gov-isthmus-9"}
ACCOUNT = "123456789012"


def endpoints(session: Session, service: str, signing_name: str) -> dict[str, Any]:
    """Per partition: `url` (with `{region}`), `signs` (the region to sign for, null = the called one), `only` (region to
    [url, signs] for exceptions) and `regions` (where the service is known to exist, empty = not said)."""
    loader: Loader = session.get_component("data_loader")
    partitions = loader.load_data("partitions")
    rules = EndpointProvider(loader.load_service_model(service, "endpoint-rule-set-1"), partitions)
    extra: dict[str, Any] = {"RequiresAccountId": True, "AccountId": ACCOUNT} if service == "s3control" else {}
    names = {row["id"]: list(row["regions"]) for row in partitions["partitions"]}

    def resolve(region: str) -> list[Any]:
        found = rules.resolve_endpoint(Region=region, UseFIPS=False, UseDualStack=False, **extra)
        schemes = [row for row in found.properties.get("authSchemes", []) if row["name"] == "sigv4"]
        scheme = schemes[0] if schemes else {}
        if scheme.get("signingName", signing_name) != signing_name:
            raise ValueError(f"{service} signs as {scheme['signingName']} in {region}, not as {signing_name}")
        url = found.url.replace(f"{ACCOUNT}.", "").replace(region, "{region}")
        signs = scheme.get("signingRegion", region)
        return [url, None if signs == region else signs]

    answer: dict[str, Any] = {}
    for partition, unknown in PARTITIONS.items():
        default = resolve(unknown)
        only = {}
        for region in names[partition]:
            row = resolve(region)
            if not region.endswith("-global") and _applied(row, region) != _applied(default, region):
                only[region] = row
        entry: dict[str, Any] = {"url": default[0], "signs": default[1]}
        if only:
            entry["only"] = only
        entry["regions"] = session.get_available_regions(service, partition_name=partition)
        answer[partition] = entry
    return answer


def _applied(row: list[Any], region: str) -> tuple[str, str]:
    return row[0].replace("{region}", region), row[1] or region
