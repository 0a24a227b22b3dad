"""What was called in an account: CloudTrail's LookupEvents, region by region, and the log files that trails write to S3. Fulfils
`contract.TrailCloud`. Management events only; LookupEvents gives two pages of 50 per second, account and region, and keeps 90 days."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from isthmus.clouds.aws.outcomes import judge
from isthmus.clouds.aws.regions import enabled_regions
from isthmus.clouds.aws.session import Sessions
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import ScanTarget

LARGEST_FILE: Final = 256 << 20
"""Bytes that a log file may have when it is decompressed; CloudTrail ends files at about 50 MB."""
MOST_TIMES: Final = 200
"""How many times as large as compressed it may be, from a megabyte on. Events compress some 20 times."""
_LOOKUP = "cloudtrail:LookupEvents"


class NoTrailFile(Exception):
    """This is no log file of CloudTrail; the text says why."""


class AwsTrail:
    """Reads trails. One per process and event loop."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def regions(self, target: ScanTarget) -> Sequence[str]:
        """See the contract."""
        return await enabled_regions(self._sessions, target, None)

    async def events(self, target: ScanTarget, region: str, since: float, until: float) -> AsyncIterator[str]:
        """See the contract."""
        try:
            async for page in self._sessions.pages(target, _LOOKUP, {"StartTime": since, "EndTime": until}, region=region):
                for row in page.get("Events") or ():
                    yield str(row.get("CloudTrailEvent", ""))
        except AwsError as error:
            failure = judge(error)
            if failure.outcome in ("denied", "scp", "not-opted-in"):
                raise PermissionError(f"{failure.reason} Update the CloudFormation stack from the connector's present template.") from error
            raise ConnectionError(failure.reason) from error
        except AwsTransportError as error:
            raise ConnectionError(judge(error).reason) from error


def open_file(content: bytes) -> list[Any]:
    """The records of a log file (gzip of `{"Records": […]}`), parsed. Raises NoTrailFile, also for what would grow beyond all measure."""
    opener = zlib.decompressobj(wbits=31)
    limit = min(LARGEST_FILE, max(1 << 20, len(content) * MOST_TIMES))
    try:
        text = opener.decompress(content, limit)
    except zlib.error as error:
        raise NoTrailFile("It is not compressed by gzip, or it is damaged.") from error
    if opener.unconsumed_tail or (len(text) == limit and not opener.eof):
        raise NoTrailFile(f"It would be larger than {limit} bytes.")
    if not opener.eof or opener.unused_data:
        raise NoTrailFile("Its end is missing, or something follows it.")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoTrailFile("It holds no JSON.") from error
    records = document.get("Records") if isinstance(document, dict) else None
    if not isinstance(records, list):
        raise NoTrailFile("It holds no list 'Records'.")
    return records
