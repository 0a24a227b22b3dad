"""Trails of ministack's CloudTrail, and the buckets that they log to."""

from dataclasses import dataclass

from ministack.core import responses
from ministack.services import cloudtrail, s3


@dataclass(frozen=True, kw_only=True, slots=True)
class Trail:
    """A trail that logs: events of `region`, or of every region, since `started_at` (epoch seconds), to a bucket below a prefix."""

    account: str
    region: str
    name: str
    bucket: str
    prefix: str
    is_multi_region: bool
    has_global_events: bool
    started_at: float


class Trails:
    """What logs where."""

    def logging(self) -> list[Trail]:
        """The trails of all accounts that log."""
        return [
            Trail(
                account=account,
                region=region,
                name=name,
                bucket=record["S3BucketName"],
                prefix=record["S3KeyPrefix"],
                is_multi_region=record["IsMultiRegionTrail"],
                has_global_events=record["IncludeGlobalServiceEvents"],
                started_at=float(record.get("_StartedAt") or 0),
            )
            for (account, region, name), record in list(cloudtrail._trails.all_items())
            if record["IsLogging"]
        ]

    async def put_object(self, bucket: str, key: str, body: bytes, region: str) -> str:
        """Write an object into a bucket of whichever account; empty when it is written, else the error's text."""
        owner = s3._bucket_owner_account(bucket)
        if owner is None:
            return "NoSuchBucket"
        headers = {"content-type": "application/x-gzip", "content-length": str(len(body))}
        with responses.request_scope(owner, region):
            status, _, answer = await s3.handle_request("PUT", f"/{bucket}/{key}", headers, body, {}, internal=True)
        return "" if status == 200 else answer[:200].decode("utf-8", "replace")
