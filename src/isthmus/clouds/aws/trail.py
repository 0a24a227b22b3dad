"""What was called in an account: CloudTrail's LookupEvents, region by region, and the log files that trails write to S3. Fulfils
`contract.TrailCloud`. Management events only; LookupEvents gives two pages of 50 per second, account and region, and keeps 90 days."""

from __future__ import annotations

import base64
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from urllib.parse import unquote_plus

from isthmus.clouds.aws.outcomes import judge
from isthmus.clouds.aws.regions import enabled_regions
from isthmus.clouds.aws.session import HOMES, Sessions
from isthmus.clouds.aws.wire import AwsError, AwsTransportError
from isthmus.clouds.contract import ScanTarget, StoredFile, StoredObject
from isthmus.clouds.documents import read_json

LARGEST_FILE: Final = 256 << 20
"""Bytes that a log file may have when it is decompressed; CloudTrail ends files at about 50 MB."""
MOST_TIMES: Final = 200
"""How many times as large as compressed it may be, from a megabyte on. Events compress some 20 times."""
LARGEST_OBJECT: Final = 64 << 20
"""Bytes that a file may have as it lies in its bucket."""
_LOOKUP = "cloudtrail:LookupEvents"
_REMEDY = "Update the CloudFormation stack from the connector's present template."


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
        except (AwsError, AwsTransportError) as error:
            raise _told(error) from error

    async def bucket_region(self, target: ScanTarget, bucket: str) -> str:
        """See the contract."""
        try:
            home = HOMES[target.partition]
            answer = await self._sessions.call(target, "s3:GetBucketLocation", {"Bucket": bucket}, region=home)
        except (AwsError, AwsTransportError) as error:
            raise _told(error) from error
        found = str(answer.get("LocationConstraint") or home)
        return "eu-west-1" if found == "EU" else found

    async def files(self, target: ScanTarget, region: str, bucket: str, prefix: str, after: str) -> Sequence[StoredFile]:
        """See the contract."""
        asked = {"Bucket": bucket, "Prefix": prefix, "EncodingType": "url", **({"StartAfter": after} if after else {})}
        found = []
        try:
            async for page in self._sessions.pages(target, "s3:ListObjectsV2", asked, region=region):
                is_encoded = page.get("EncodingType") == "url"
                for row in page.get("Contents") or ():
                    # A name may hold characters that XML cannot: unencoded, one such object would hide all others.
                    key = unquote_plus(row["Key"]) if is_encoded else row["Key"]
                    found.append(StoredFile(key=key, size=int(row.get("Size", 0))))
        except (AwsError, AwsTransportError) as error:
            raise _told(error) from error
        return found

    async def fetch(self, target: ScanTarget, region: str, bucket: str, key: str) -> StoredObject:
        """See the contract."""
        try:
            answer = await self._sessions.call(target, "s3:GetObject", {"Bucket": bucket, "Key": key}, region=region)
        except (AwsError, AwsTransportError) as error:
            raise _told(error) from error
        return StoredObject(content=answer["Body"], metadata=answer.get("Metadata") or {})

    async def digest_keys(self, target: ScanTarget, region: str, since: float, until: float) -> Sequence[tuple[str, bytes]]:
        """See the contract."""
        try:
            asked = {"StartTime": since, "EndTime": until}
            pages = [page async for page in self._sessions.pages(target, "cloudtrail:ListPublicKeys", asked, region=region)]
        except (AwsError, AwsTransportError) as error:
            raise _told(error) from error
        rows = [row for page in pages for row in page.get("PublicKeyList") or ()]
        return [(str(row.get("Fingerprint", "")), _bytes(row.get("Value", b""))) for row in rows]


def _bytes(value: bytes | str) -> bytes:
    return base64.b64decode(value) if isinstance(value, str) else value


def _told(error: AwsError | AwsTransportError) -> Exception:
    failure = judge(error)
    if isinstance(error, AwsError) and failure.outcome in ("denied", "scp", "not-opted-in"):
        return PermissionError(f"{failure.reason} {_REMEDY}")
    return ConnectionError(failure.reason)


def open_file(content: bytes) -> list[Any]:
    """The records of a log file (gzip of `{"Records": […]}`), parsed. Raises NoTrailFile, also for what would grow beyond all measure."""
    return records_of(inflate(content))


def inflate(content: bytes) -> bytes:
    """The content of a file that is compressed by gzip. Raises NoTrailFile, also for what would grow beyond all measure."""
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
    return text


def records_of(text: bytes) -> list[Any]:
    """The records of a log file by its content. Raises NoTrailFile."""
    try:
        document = read_json(text)
    except ValueError as error:
        raise NoTrailFile("It holds no JSON.") from error
    records = document.get("Records") if isinstance(document, dict) else None
    if not isinstance(records, list):
        raise NoTrailFile("It holds no list 'Records'.")
    return records
