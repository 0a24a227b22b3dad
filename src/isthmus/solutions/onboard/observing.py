"""Looking at a region: instances and managed nodes become observations in rows, judged by the solution's filter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from isthmus.arm.ids import group_id
from isthmus.clouds.contract import Instance, ManagedNode, ScanTarget, Shell
from isthmus.solutions import places
from isthmus.solutions.contract import REGION_LIST, words
from isthmus.solutions.onboard.rows import InstanceRow, Seen, key_of
from isthmus.solutions.subject import Subject


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """`arcOnboardEc2FilterTag`: the tag that instances must carry, compared without case. An empty key accepts every instance."""

    key: str
    value: str

    @property
    def text(self) -> str:
        """The filter as people wrote it."""
        return f"{self.key}:{self.value}" if self.key else ""

    def accepts(self, tags: Mapping[str, str]) -> bool:
        """Whether an instance with these tags is wanted."""
        if not self.key:
            return True
        return any(name.casefold() == self.key.casefold() and value.casefold() == self.value.casefold() for name, value in tags.items())


def filter_of(text: str) -> Filter:
    """The filter of a setting; empty means every instance. ValueError says what is wrong with it."""
    text = text.strip()
    if not text:
        return Filter(key="", value="")
    key, separator, value = (part.strip() for part in text.partition(":"))
    if not separator or not key or not value:
        raise ValueError(f"'{text[:64]}' is not a tag filter. Write one tag as key:value, for example env:production, or leave it empty.")
    if len(key) > 128 or len(value) > 256:
        raise ValueError("a tag's key has at most 128 characters and its value at most 256.")
    return Filter(key=key, value=value)


def regions_wanted(settings: Mapping[str, str]) -> tuple[str, ...] | None:
    """Regions that the settings select; None for all that the account has. A list other than the default wins over `scanAllAWSRegions`."""
    chosen = tuple(word.lower() for word in words(settings["cloudProviderRegions"]))
    return None if settings["scanAllAWSRegions"] == "true" and chosen == words(REGION_LIST.default) else chosen


async def look(shell: Shell, target: ScanTarget, region: str) -> tuple[list[Instance], Mapping[str, ManagedNode]]:
    """What the cloud knows of a region, both lists at once."""
    instances, nodes = await asyncio.gather(shell.instances(target, region), shell.nodes(target, region))
    return list(instances), nodes


def machine_key(subject: Subject, instance_id: str) -> str:
    """The key of the machine resource of an instance."""
    group = group_id(subject.connector.id.subscription, places.group_name(subject.target.account))
    return group.extension(places.MACHINES, instance_id).key


def observed_rows(
    subject: Subject,
    region: str,
    found: Iterable[Instance],
    nodes: Mapping[str, ManagedNode],
    known: Iterable[InstanceRow],
    now: int,
) -> list[InstanceRow]:
    """A row per instance that is listed or was known, with what was seen now. Known ones that are not listed any more are gone."""
    selected = regions_wanted(subject.settings)
    if selected is not None and region not in selected:
        return unselected(known, now)
    wanted = filter_of(subject.settings["arcOnboardEc2FilterTag"])
    rows: dict[str, InstanceRow] = {}
    for instance in found:
        key = key_of(instance.account, region, instance.id)
        rows[key] = InstanceRow(
            key=key,
            account=instance.account,
            region=region,
            instance_id=instance.id,
            solution=subject.solution.id.key,
            machine=machine_key(subject, instance.id),
            seen=_seen(instance, nodes.get(instance.id), wanted),
            launch_time=instance.launch_time[:40],
            since=now,
            next_at=now,
            seen_at=now,
        )
    for row in known:
        if row.key in rows:
            fresh = rows[row.key]
            rows[row.key] = replace(row, seen=fresh.seen, launch_time=fresh.launch_time, seen_at=now, solution=fresh.solution)
        else:
            rows[row.key] = replace(row, seen=Seen(state="gone"), seen_at=now)
    return list(rows.values())


def unselected(known: Iterable[InstanceRow], now: int) -> list[InstanceRow]:
    """Rows of a region that the solution does not look at any more."""
    return [replace(row, seen=replace(row.seen, exclusion="FILTERED_REGION"), seen_at=now) for row in known]


def _seen(instance: Instance, node: ManagedNode | None, wanted: Filter) -> Seen:
    accepted = wanted.accepts(instance.tags)
    return Seen(
        state=instance.state,
        ping=node.ping if node else "",
        last_ping=node.last_ping if node else "",
        profile=instance.profile_arn,
        imds=instance.imds_enabled,
        platform=instance.platform,
        exclusion="" if accepted else "FILTERED_TAG",
        rule="" if accepted else wanted.text,
    )
