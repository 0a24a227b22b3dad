"""A visitor of the portal to measure with: signed in by a link, with a browser where one is needed; and an estate to look at."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import insert

from bench.serving import Running
from isthmus.solutions.stock import BETWEEN
from isthmus.store import Store
from isthmus.store.tables import projections, resources

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_CHUNK = 5_000
_REGIONS = ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2", "")
_TYPES = ("ec2VPCs", "ec2Subnets", "ec2SecurityGroups", "s3Buckets", "sqsQueues", "iamRoles", "lambdaFunctions", "ec2Volumes")


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Somebody who is signed in. `url` has no slash at its end."""

    url: str
    secret: str

    @property
    def cookie(self) -> str:
        """The header that says so."""
        return f"__Host-isthmus={self.secret}"


def sign_in(server: Running) -> Visitor:
    """As a person does, with a single-use link."""
    url = f"https://localhost:{server.port}"
    with server.client() as client:
        link = client.post("/providers/Isthmus.Identity/signInLinks").body["url"]
    with httpx.Client(verify=server.context(), trust_env=False) as http:
        answer = http.post(f"{url}/portal/sign-in", data={"code": link}, headers={"Origin": url, "Sec-Fetch-Site": "same-origin"})
    return Visitor(url=url, secret=answer.cookies["__Host-isthmus"])


@contextmanager
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


def window(opened: Browser, visitor: Visitor) -> Page:
    """A fresh window with nothing in its cache."""
    context = opened.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 900})
    context.add_cookies([{"name": "__Host-isthmus", "value": visitor.secret, "url": visitor.url, "secure": True}])
    return context.new_page()


def fill(server: Running, subscription: str, count: int) -> None:
    """So many projections, with their rows in the index, as syncs of several accounts leave them."""
    store = Store(f"sqlite:///{server.data / 'isthmus.db'}")
    now = int(time.time() * 1000)
    for start in range(0, count, _CHUNK):
        made = [_projection(subscription, number, now) for number in range(start, min(start + _CHUNK, count))]
        with store.begin() as connection:
            connection.execute(insert(resources), [resource for resource, _ in made])
            connection.execute(insert(projections), [entry for _, entry in made])
    store.close()


def _projection(subscription: str, number: int, now: int) -> tuple[dict[str, object], dict[str, object]]:
    """The row of a projection and its entry in the index; accounts and types follow one another as scans bring them."""
    account, region = f"{200_000_000_000 + number // 15_000}", _REGIONS[number % len(_REGIONS)]
    kind, name = _TYPES[number // 2_000 % len(_TYPES)], f"resource-{number:07d}"
    group = f"aws_{account}"
    arn = f"arn:aws:service:{region}:{account}:thing/{name}"
    id = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.AwsConnector/{kind}/{name}"
    shared = {"key": id.lower(), "subscription": subscription.lower(), "resource_group": group, "name": name, "changed_at": now - number}
    document = {"tags": {}, "extra": {}, "properties": {"arn": arn, "awsRegion": region}, "system": ["isthmus", "Application"] * 2}
    resource = {
        "id": id,
        "type": f"microsoft.awsconnector/{kind}".lower(),
        "parent": "",
        "location": "eastus",
        "etag": name,
        "created_at": now - number,
        "document": json.dumps(document),
    }
    entry = {"account": account, "region": region, "type": kind, "aws_id": name, "words": f"{name}\n{arn}", "tags": f"\nteam{BETWEEN}red\n"}
    return resource | shared, entry | shared
