"""Where a request goes: AWS' regional endpoints from the plans, or the endpoints that the standard AWS settings name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from isthmus.clouds.aws.wire.models import Service

_PARTITIONS = (
    ("aws", re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+")),
    ("aws-cn", re.compile(r"cn-[a-z]+-\d+")),
    ("aws-us-gov", re.compile(r"us-gov-[a-z]+-\d+")),
)
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
_HOST_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


class Place(NamedTuple):
    """An endpoint: `host` as in the Host header, `base` a path without a slash at its end, `region` the one to sign for."""

    scheme: str
    host: str
    base: str
    region: str
    is_custom: bool


class Endpoints:
    """Finds endpoints. Reads `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_<SERVICE>` and `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`.

    Raises ValueError at once for a setting that is no URL, or is plain http to another machine: requests carry credentials.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._custom: dict[str, SplitResult] = {}
        self._found: dict[tuple[str, str], Place] = {}
        if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
            return
        for key, value in environ.items():
            if key.startswith("AWS_ENDPOINT_URL") and value:
                self._custom[key] = _checked(key, value)

    def find(self, service: Service, region: str) -> Place:
        """The endpoint of a service for a region; raises ValueError for a region of no partition that Isthmus knows."""
        place = self._found.get((service.name, region))
        if place is None:
            place = self._found[service.name, region] = self._resolve(service, region)
        return place

    def _resolve(self, service: Service, region: str) -> Place:
        row = service.endpoints[partition_of(region)]
        url, signs = row.get("only", {}).get(region, (row["url"], row["signs"]))
        custom = self._custom.get(f"AWS_ENDPOINT_URL_{service.env}") or self._custom.get("AWS_ENDPOINT_URL")
        parts = custom or urlsplit(url.replace("{region}", region))
        return Place(parts.scheme, parts.netloc, parts.path.rstrip("/"), signs or region, custom is not None)


def partition_of(region: str) -> str:
    """`aws`, `aws-cn` or `aws-us-gov`; raises ValueError for what is no region's name, so that none can smuggle in a host."""
    for name, pattern in _PARTITIONS:
        if pattern.fullmatch(region):
            return name
    raise ValueError(f"{region!r} is no region of the partitions aws, aws-cn and aws-us-gov")


def addressed(place: Place, *, prefix: str, bucket: str, path: str) -> tuple[str, str]:
    """Host and path of one request.

    Real endpoints take a host prefix, and S3 buckets by host where their names allow it (no dots: certificates cover one label).
    Custom endpoints have one name, so prefixes are dropped and buckets stand in the path.
    """
    host, base = place.host, place.base
    if bucket:
        if not _BUCKET.fullmatch(bucket):
            raise ValueError(f"{bucket!r} is no bucket name")
        if not place.is_custom and _HOST_BUCKET.fullmatch(bucket):
            host = f"{bucket}.{host}"
        else:
            base = f"{base}/{bucket}"
            path = "" if path == "/" else path
    if prefix and not place.is_custom:
        host = prefix + host
    return host, base + path


def _checked(key: str, value: str) -> SplitResult:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{key} must be an http(s) URL without credentials, query and fragment, not {value!r}")
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(parts.hostname):
        raise ValueError(f"{key} must be https: only loopback may be plain http, and {parts.hostname} is another machine")
    return parts
