"""Fills an account of the lab with what a middle-sized firm would have in AWS."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from isthmus_lab.estate import compute, data, identity, network, platform, rest
from isthmus_lab.estate.builder import Builder

REGIONS = ("eu-central-1", "us-east-1", "eu-west-1", "ap-southeast-2")
"""Home region first. Machines stand in the first three; the last has messages, logs and a network only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What was made. `made` counts by (inventory type, region or `global`), without what every new account has; `fixtures` are
    the types among them whose answers are fixtures (see docs/lab.md); `seconds` is wall time."""

    account: str
    regions: tuple[str, ...]
    machines: tuple[compute.Machine, ...]
    made: Mapping[tuple[str, str], int]
    fixtures: tuple[str, ...]
    seconds: float = field(compare=False)

    @property
    def types(self) -> list[str]:
        """Inventory types with at least one resource."""
        return sorted({name for name, _ in self.made})

    @property
    def resources(self) -> int:
        """Number of resources."""
        return sum(self.made.values())

    def onboardable(self, tag: tuple[str, str] | None = ("arc", "yes")) -> list[compute.Machine]:
        """Running Linux machines that the tag selects and that have no profile of their own that keeps Systems Manager out."""
        chosen = [one for one in self.machines if tag is None or one.tags.get(tag[0]) == tag[1]]
        return [one for one in chosen if one.state == "running" and one.platform == "linux" and one.profile != identity.FOREIGN_PROFILE]


def seed(endpoint: str, account: str, machines: int = 24, *, regions: tuple[str, ...] = REGIONS) -> Summary:
    """Fill the account through the lab's API as its root: `machines` that can be onboarded, and `compute.OTHERS`. Fails on an account that
    was filled before."""
    began = time.perf_counter()
    builder = Builder(endpoint, account)
    home, plans = regions[0], compute.plan_machines(machines)
    machine_regions = regions[:3]
    shares = {region: plans[number :: len(machine_regions)] for number, region in enumerate(machine_regions)}
    with ThreadPoolExecutor(max_workers=8) as pool:
        nets = dict(zip(regions, pool.map(lambda pair: network.make_network(builder, pair[1], pair[0]), enumerate(regions)), strict=True))
        identity.make_profiles(builder)
        jobs: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
            (identity.make_people, (builder,)),
            (rest.put_rest, (builder, home)),
            (network.make_edges, (builder, home)),
            (data.make_buckets, (builder, regions)),
            (data.make_files, (builder, home, nets[home].subnets[0])),
            (compute.make_groups, (builder, nets[home])),
            (network.make_peering, (builder, nets[home], nets[regions[1]])),
        ]
        jobs += [(make, (builder, home)) for make in platform.HOME_ONLY]
        jobs += [(make, (builder, home)) for make in (data.make_databases, compute.make_containers, data.make_warehouse)]
        for region in regions[:2]:
            jobs += [(make, (builder, region)) for make in (data.make_tables, data.make_secrets, compute.make_functions)]
        for region in regions:
            jobs += [(make, (builder, region)) for make in platform.EVERYWHERE]
        started = [pool.submit(_make_region, builder, nets[region], shares[region], region == home) for region in machine_regions]
        others = [pool.submit(make, *arguments) for make, arguments in jobs]
        made = [machine for one in started for machine in one.result()]
        for other in others:
            other.result()
    return Summary(
        account=account,
        regions=regions,
        machines=tuple(made),
        made=dict(builder.made),
        fixtures=tuple(sorted(builder.fixtures)),
        seconds=time.perf_counter() - began,
    )


def _make_region(builder: Builder, place: network.Network, plans: list[compute.Plan], is_home: bool) -> list[compute.Machine]:
    machines = compute.make_machines(builder, place, plans)
    compute.make_disks(builder, place, machines)
    if is_home:
        network.make_balancer(builder, place, [machine.instance_id for machine in machines if machine.tags["team"] == "shop"])
    return machines
