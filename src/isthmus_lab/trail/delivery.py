"""Log files of trails: what was recorded since the last file, gzipped, in the bucket of each trail that logs.

Source: CloudTrail User Guide, "CloudTrail log file name format". AWS delivers about every five minutes; digest files are not made.
"""

import asyncio
import gzip
import json
import time
from collections.abc import Callable
from itertools import groupby

from isthmus_lab.adapter.trails import Trail, Trails
from isthmus_lab.trail.entry import Entry
from isthmus_lab.trail.recorder import GLOBAL_SERVICES
from isthmus_lab.trail.store import Store

_FILE_EVENTS = 5_000


class Delivery:
    """Knows for each trail how far it got. `word` gives 16 random letters and digits for a file's name."""

    def __init__(self, trails: Trails, store: Store, *, clock: Callable[[], float], word: Callable[[], str]) -> None:
        self._trails, self._store, self._clock, self._word = trails, store, clock, word
        self._reached: dict[tuple[str, str, str, float], int] = {}
        self._lock = asyncio.Lock()

    async def deliver(self) -> list[dict[str, str]]:
        """Write what is new; answers `{"trail", "key", "error"}` of each file, the error empty where it was written."""
        files = []
        async with self._lock:
            trails = self._trails.logging()
            known = {(one.account, one.region, one.name, one.started_at) for one in trails}
            self._reached = {mark: number for mark, number in self._reached.items() if mark in known}
            for trail in trails:
                files += await self._deliver(trail)
        return files

    async def _deliver(self, trail: Trail) -> list[dict[str, str]]:
        mark = (trail.account, trail.region, trail.name, trail.started_at)
        new = self._store.since(trail.account, self._reached.get(mark, 0), trail.started_at)
        if not new:
            return []
        wanted = sorted((entry for entry in new if _is_of(entry, trail)), key=lambda entry: (entry.region, entry.number))
        files = []
        for region, rows in groupby(wanted, key=lambda entry: entry.region):
            entries = list(rows)
            for start in range(0, len(entries), _FILE_EVENTS):
                part = entries[start : start + _FILE_EVENTS]
                key = self._key(trail, region)
                body = await asyncio.to_thread(_file, part)
                error = await self._trails.put_object(trail.bucket, key, body, trail.region)
                files.append({"trail": trail.name, "key": key, "error": error})
        if not any(one["error"] for one in files):
            self._reached[mark] = new[-1].number
        return files

    def _key(self, trail: Trail, region: str) -> str:
        now = time.gmtime(self._clock())
        day, stamp = time.strftime("%Y/%m/%d", now), time.strftime("%Y%m%dT%H%MZ", now)
        prefix = f"{trail.prefix}/" if trail.prefix else ""
        name = f"{trail.account}_CloudTrail_{region}_{stamp}_{self._word()}.json.gz"
        return f"{prefix}AWSLogs/{trail.account}/CloudTrail/{region}/{day}/{name}"

    def clear(self) -> None:
        """Forget how far trails got."""
        self._reached.clear()


def _is_of(entry: Entry, trail: Trail) -> bool:
    if entry.service in GLOBAL_SERVICES:
        return trail.has_global_events
    return trail.is_multi_region or entry.region == trail.region


def _file(entries: list[Entry]) -> bytes:
    return gzip.compress(json.dumps({"Records": [entry.event() for entry in entries]}).encode(), compresslevel=1, mtime=0)
