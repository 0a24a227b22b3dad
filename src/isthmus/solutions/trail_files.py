"""Files that a trail writes to its bucket: read from where the last reading ended, each once, and checked against the digests of AWS.

What is missing or does not fit is a row of `trail_files` with its reason. Events of a file that a digest contradicts stay, as evidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.exc import DataError

from isthmus.access.trail import Taken
from isthmus.audit.events import Event, UnreadableEvent, read_event
from isthmus.clouds.aws.digests import Digest, NoDigestFile, read_digest, signature_fault
from isthmus.clouds.aws.trail import LARGEST_OBJECT, NoTrailFile, inflate, records_of
from isthmus.clouds.contract import ScanTarget, StoredFile, StoredObject, TrailFileCloud
from isthmus.engine import Engine
from isthmus.solutions.loop import Loop
from isthmus.store import dialect
from isthmus.store.tables import trail_files

TAKEN, REFUSED, MISSING = "Taken", "Refused", "Missing"
MOST: Final = 1_000
"""Files of a region that one reading takes; the next one goes on."""
UNFIT: Final = (UnreadableEvent, ValueError, LookupError, TypeError, AttributeError, RecursionError, DataError)
"""What contents cause that nobody foresaw. Nothing that a later reading could get over is among them."""
LATE: Final = timedelta(hours=1)
"""By how much a file may come later than one with a later name."""
_DAY = 86_400
_log = structlog.get_logger("isthmus.trail")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the files of an account and region lie. `home` is the bucket's region."""

    target: ScanTarget
    region: str
    bucket: str
    prefix: str
    home: str

    def folder(self, kind: str, day: date) -> str:
        """The prefix of a day's files; `kind` is CloudTrail or CloudTrail-Digest."""
        start = f"{self.prefix}/" if self.prefix else ""
        return f"{start}AWSLogs/{self.target.account}/{kind}/{self.region}/{day:%Y/%m/%d}/"


@dataclass(frozen=True, kw_only=True)
class TrailFiles:
    """Reads files. `take` keeps events."""

    engine: Engine
    cloud: TrailFileCloud
    loop: Loop
    take: Callable[[list[Event]], Taken]

    def read(self, target: ScanTarget, regions: list[str], settings: Mapping[str, str]) -> Mapping[str, int]:
        """Read what is new in every region: how many files were taken, refused, and missed. A bucket that cannot be read is said in the log
        and tried again."""
        counted = dict.fromkeys((TAKEN, REFUSED, MISSING), 0)
        try:
            home = self.loop.run(self.cloud.bucket_region(target, settings["trailBucket"]))
            for region in regions:
                place = Place(target=target, region=region, bucket=settings["trailBucket"], prefix=settings["trailPrefix"], home=home)
                for kind in ("CloudTrail", "CloudTrail-Digest"):
                    for state in self._read(place, kind):
                        counted[state] += 1
        except (PermissionError, ConnectionError) as error:
            _log.warning("trail_files_not_read", account=target.account, bucket=settings["trailBucket"], reason=str(error))
        return counted

    def _read(self, place: Place, kind: str) -> Iterator[str]:
        """States of the files that are new, in the order of their names."""
        taken = 0
        for day in self._days(place, kind):
            known = self._known(place, kind, day)
            folder = place.folder(kind, day)
            for file in self.loop.run(self.cloud.files(place.target, place.home, place.bucket, folder, _after(known, folder, place))):
                if file.key in known or not file.key.endswith(".json.gz") or "\0" in file.key:
                    continue
                try:
                    yield from self._take_digest(place, file, day) if kind == "CloudTrail-Digest" else self._take_log(place, file, day)
                except PermissionError as error:
                    # Where others could be fetched, this one is locked, by a key of its writer's: no reason to stop here.
                    if not self._has_fetched(place):
                        raise
                    self._note(place, file.key, day, state=MISSING, detail=f"It is there, and could not be fetched: {error}")
                    yield MISSING
                    continue
                taken += 1
                if taken == MOST:
                    return

    def _days(self, place: Place, kind: str) -> Iterator[date]:
        """From the last day of which a file is known, and the one before it, to today."""
        today = datetime.fromtimestamp(self.engine.now() / 1000, UTC).date()
        mine = (trail_files.c.account == place.target.account, trail_files.c.region == place.region, trail_files.c.bucket == place.bucket)
        with self.engine.store.read() as connection:
            last = connection.execute(select(func.max(trail_files.c.day)).where(*mine, trail_files.c.key.contains(f"/{kind}/"))).scalar()
        day = (date.fromisoformat(last) if last else today) - timedelta(days=1)
        while day <= today:
            yield day
            day += timedelta(days=1)

    def _known(self, place: Place, kind: str, day: date) -> set[str]:
        table = trail_files.c
        mine = (table.account == place.target.account, table.region == place.region, table.day == day.isoformat())
        with self.engine.store.read() as connection:
            keys = connection.execute(select(table.key).where(*mine, table.bucket == place.bucket, table.state != MISSING)).scalars()
            return {key for key in keys if f"/{kind}/" in key}

    def _has_fetched(self, place: Place) -> bool:
        table = trail_files.c
        mine = (table.account == place.target.account, table.region == place.region, table.bucket == place.bucket, table.sha256 != "")
        with self.engine.store.read() as connection:
            return connection.execute(select(table.key).where(*mine).limit(1)).first() is not None

    def _take_log(self, place: Place, file: StoredFile, day: date) -> Iterator[str]:
        try:
            content = self._content(place, file).content
            events = [read_event(one) for one in records_of(content)]
        except (NoTrailFile, UnreadableEvent) as error:
            self._note(place, file.key, day, state=REFUSED, detail=str(error))
            yield REFUSED
            return
        mine = [event for event in events if event.account == place.target.account]
        try:
            self.take(mine)
        except UNFIT as error:
            # Whoever may write below the prefix could else stop the reading here for ever.
            _log.exception("trail_file_not_taken", bucket=place.bucket, key=file.key)
            detail = f"An event of it could not be taken in ({type(error).__name__}); those before it may be kept."
            self._note(place, file.key, day, state=REFUSED, detail=detail)
            yield REFUSED
            return
        others = len(events) - len(mine)
        detail = f"{others} of its events are of another account, and were left out." if others else ""
        self._note(place, file.key, day, sha256=hashlib.sha256(content).hexdigest(), events=len(mine), detail=detail)
        yield TAKEN

    def _take_digest(self, place: Place, file: StoredFile, day: date) -> Iterator[str]:
        try:
            found = self._content(place, file)
            digest = read_digest(found.content, place.bucket, file.key)
        except (NoTrailFile, NoDigestFile) as error:
            self._note(place, file.key, day, state=REFUSED, detail=str(error))
            yield REFUSED
            return
        wrong = signature_fault(digest, found.metadata.get("signature", ""), self._keys(place, day))
        state = TAKEN if not wrong or "not checked" in wrong else REFUSED
        self._note(place, file.key, day, state=state, sha256=hashlib.sha256(found.content).hexdigest(), detail=wrong)
        yield state
        # Whoever can write to the bucket could name whatever they like in a digest that AWS did not sign.
        if state == TAKEN:
            yield from self._compare(place, file.key, digest, day)

    def _compare(self, place: Place, key: str, digest: Digest, day: date) -> Iterator[str]:
        """Whether the files that a digest names are there and as they were, and the digest before it too."""
        expected = dict(digest.files)
        if digest.previous is not None and self._has_digests_before(place, key):
            expected[digest.previous[0]] = digest.previous[1]
        for name, sha256 in expected.items():
            with self.engine.store.read() as connection:
                mine = (trail_files.c.bucket == place.bucket, trail_files.c.key == name)
                row = connection.execute(select(trail_files).where(*mine)).first()
            if row is None:
                self._note(place, name, day, state=MISSING, digest=key, detail="A digest names it, and it was not there.")
                yield MISSING
                continue
            wrong = "" if row.sha256 == sha256 else "Its content is not the one that the digest names: it was changed."
            changes = {"digest": key, **({"state": REFUSED, "detail": wrong} if wrong and row.state == TAKEN else {})}
            with self.engine.store.begin() as connection:
                connection.execute(update(trail_files).where(*mine).values(changes))
            if wrong and row.state == TAKEN:
                yield REFUSED

    def _has_digests_before(self, place: Place, key: str) -> bool:
        """Whether the reading had begun before this digest; the first one it meets has one before that nobody read."""
        table = trail_files.c
        mine = (table.account == place.target.account, table.region == place.region, table.bucket == place.bucket, table.key < key)
        with self.engine.store.read() as connection:
            return (
                connection.execute(select(table.key).where(*mine, table.key.contains("/CloudTrail-Digest/")).limit(1)).first() is not None
            )

    def _keys(self, place: Place, day: date) -> list[tuple[str, bytes]]:
        since = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() - _DAY
        try:
            return list(self.loop.run(self.cloud.digest_keys(place.target, place.region, since, since + 3 * _DAY)))
        except (PermissionError, ConnectionError):
            return []

    def _content(self, place: Place, file: StoredFile) -> StoredObject:
        """The file without compression. Raises NoTrailFile."""
        if file.size > LARGEST_OBJECT:
            raise NoTrailFile(f"It is larger than {LARGEST_OBJECT} bytes.")
        found = self.loop.run(self.cloud.fetch(place.target, place.home, place.bucket, file.key))
        return StoredObject(content=inflate(found.content), metadata=found.metadata)

    def _note(self, place: Place, key: str, day: date, *, state: str = TAKEN, **more: Any) -> None:
        row = {
            "bucket": place.bucket,
            "key": key[:1024],
            "account": place.target.account,
            "region": place.region,
            "day": day.isoformat(),
            "state": state,
            "at": self.engine.now(),
            "sha256": "",
            "events": 0,
            "digest": "",
            "detail": "",
            **more,
        }
        if state != TAKEN:
            _log.warning("trail_file_not_good", bucket=place.bucket, key=key[:1024], state=state, reason=row["detail"])
        with self.engine.store.begin() as connection:
            dialect.upsert(connection, trail_files, [row])


def _after(known: set[str], folder: str, place: Place) -> str:
    """From which name on a day is listed anew: CloudTrail names files by the minute, and may write one later than its neighbours."""
    last = max(known, default="")
    _, _, rest = last.rpartition(f"_{place.region}_")
    try:
        at = datetime.strptime(rest[:14], "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
    except ValueError:
        return ""
    return f"{folder}{place.target.account}_CloudTrail_{place.region}_{at - LATE:%Y%m%dT%H%MZ}" if "/CloudTrail/" in folder else ""
