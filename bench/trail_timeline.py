"""A million events of 2,000 people: how fast they are taken in and joined, and how soon the first page of a timeline, and the reason
for a role, are there."""

from __future__ import annotations

import json
import os
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from bench.reasons import why_rows
from bench.rows import row
from isthmus.access.timeline import Asked, page
from isthmus.access.trail import BATCH, ingest
from isthmus.audit import Checkpoints
from isthmus.audit.events import parse, read_event
from isthmus.keys.signer import RsaSigner, make_signer
from isthmus.store import Store

EVENTS = int(os.environ.get("ISTHMUS_BENCH_EVENTS", "1000000"))
PEOPLE, CALLS = 2_000, 100
ACCOUNT, ISSUER = "123456789012", "https://issuer.isthmus.test"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.isthmus.test"
ASKED = 200
RATE_BUDGET, PAGE_BUDGET, HELD_BUDGET = 5_000.0, 50.0, 0.5
_BEGIN = 1_767_225_600


def measure() -> list[dict[str, Any]]:
    """Rates in events per second of wall time, pages of 100 in milliseconds."""
    chance = random.Random(11)  # noqa: S311 - the same million each time
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as folder:
        store = Store(f"sqlite:///{Path(folder) / 'trail.db'}")
        store.migrate()
        wall, cpu, joined = _fill(store, chance)
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / EVENTS
        people = [_person(chance.randrange(PEOPLE)) for _ in range(ASKED)]
        machines = [_machine(chance.randrange(5_000)) for _ in range(ASKED)]
        sessions = [f"ASIA{chance.randrange(EVENTS // (CALLS + 1)):016d}" for _ in range(ASKED)]
        grants = [f"G-{chance.randrange(PEOPLE)}-{chance.randrange(3)}" for _ in range(ASKED)]
        figures = {
            "person": _pages(store, [Asked(person=one) for one in people]),
            "machine": _pages(store, [Asked(machine=one) for one in machines]),
            "grant": _pages(store, [Asked(grant=one) for one in grants]),
            "session": _pages(store, [Asked(session=one) for one in sessions]),
            "everybody": _pages(store, [Asked()] * ASKED),
            "everybody and Isthmus": _pages(store, [Asked(own=True)] * ASKED),
        }
        why = why_rows(store, [_person(number) for number in range(PEOPLE)], EVENTS // (CALLS + 1), chance)
        sealed, longest = _seal(store)
        store.close()
    share = f"{joined / EVENTS:.1%} joined; {cpu / EVENTS * 1e6:.0f} µs of CPU and {size:.0f} bytes per event"
    rows = [
        row("trail", f"events taken in, {EVENTS:,} in a row", EVENTS / wall, "events/s", budget=RATE_BUDGET, against=share, better="higher")
    ]
    for name, (middle, worst) in figures.items():
        against = f"median {middle:.2f} ms, over {ASKED} at random"
        rows.append(row("trail", f"first page by {name}, p99", worst, "ms", budget=PAGE_BUDGET, against=against))
    rows += why
    rows.append(row("trail", f"first checkpoints over {EVENTS:,} events", sealed, "s", budget=None, against="later ones cost what is new"))
    held = "what an API write may have to wait for"
    rows.append(row("trail", "the longest write transaction of these", longest, "s", budget=HELD_BUDGET, against=held))
    return rows


class _Timed:
    """A store that knows its longest write transaction, and a ring of one key."""

    def __init__(self, store: Store) -> None:
        self._store, self._key, self.longest, self.read = store, make_signer(), 0.0, store.read

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        with self._store.begin() as connection:
            began = time.perf_counter()
            yield connection
        self.longest = max(self.longest, time.perf_counter() - began)

    def signer(self) -> RsaSigner:
        return self._key


def _seal(store: Store) -> tuple[float, float]:
    """Seconds of the first checkpoints, and of the longest write transaction among theirs."""
    timed = _Timed(store)
    began = time.perf_counter()
    Checkpoints(store=timed, ring=timed, anchor=None, clock=time.time).run(datetime.now(UTC))  # type: ignore[arg-type]
    return time.perf_counter() - began, timed.longest


def _fill(store: Store, chance: random.Random) -> tuple[float, float, int]:
    """Seconds of wall and of CPU that ingestion took, JSON included, making the events left out; how many were joined."""
    wall = cpu = 0.0
    joined = 0
    for texts in _batches(chance):
        began, spent = time.perf_counter(), time.process_time()
        events = [read_event(parse(text)) for text in texts]
        with store.begin() as connection:
            joined += ingest(connection, events, ISSUER).joined
        wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - spent
    return wall, cpu, joined


def _batches(chance: random.Random) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in _events(chance):
        batch.append(text)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _events(chance: random.Random) -> Iterator[str]:
    """Sessions one after the other, each with its calls; every tenth session is nobody's of ours."""
    number = 0
    while number < EVENTS:
        session = number // (CALLS + 1)
        who, at = chance.randrange(PEOPLE), _BEGIN + session * 30
        key, person = f"ASIA{session:016d}", _person(who)
        name = f"person{who}@example.com"
        if session % 10:
            yield _text(_entered(key, person, who, name, at, chance))
            number += 1
        for call in range(min(CALLS, EVENTS - number)):
            yield _text(_called(key, person if session % 10 else "", name, at, call, chance))
            number += 1


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _person(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


def _machine(number: int) -> str:
    return f"i-{number:017x}"


def _instant(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _frame(name: str, source: str, at: int, chance: random.Random) -> dict[str, Any]:
    return {
        "eventVersion": "1.11",
        "eventTime": _instant(at),
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": f"192.0.2.{chance.randrange(256)}",
        "userAgent": "Boto3/1.40.11 md/Botocore#1.40.11 ua/2.1 os/linux#6.8 md/arch#x86_64 lang/python#3.12.3 cfg/retry-mode#legacy",
        "requestID": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "eventID": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": f"{source}.us-east-1.amazonaws.com",
        },
    }


def _entered(key: str, person: str, who: int, name: str, at: int, chance: random.Random) -> dict[str, Any]:
    subject = f"user:{person}"
    tags = {"grant": f"G-{who}-{chance.randrange(3)}", "signin": str(uuid.UUID(int=chance.getrandbits(128), version=4))}
    asked = {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/IsthmusPerson-Reader-aa5f1c9e", "roleSessionName": name, "sourceIdentity": person}
    return _frame("AssumeRoleWithWebIdentity", "sts", at, chance) | {
        "userIdentity": {
            "type": "WebIdentityUser",
            "principalId": f"{PROVIDER}:x:{subject}",
            "userName": subject,
            "identityProvider": PROVIDER,
        },
        "requestParameters": {**asked, "durationSeconds": 900, "principalTags": tags, "transitiveTagKeys": ["grant", "signin"]},
        "responseElements": {
            "credentials": {"accessKeyId": key, "expiration": "Jan 1, 2026, 1:00:00 AM"},
            "sourceIdentity": person,
            "assumedRoleUser": {"assumedRoleId": f"AROAREADER:{name}", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/r/{name}"},
        },
    }


def _called(key: str, person: str, name: str, at: int, call: int, chance: random.Random) -> dict[str, Any]:
    operation, source = chance.choice((("DescribeInstances", "ec2"), ("GetRole", "iam"), ("StopInstances", "ec2"), ("ListBuckets", "s3")))
    identity = {"sourceIdentity": person} if person else {}
    made = _frame(operation, source, at + call * 8, chance)
    if operation == "StopInstances":
        made["requestParameters"] = {"instancesSet": {"items": [{"instanceId": _machine(chance.randrange(5_000))}]}}
    made["userIdentity"] = {
        "type": "AssumedRole",
        "principalId": f"AROAREADER:{name}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/IsthmusPerson-Reader-aa5f1c9e/{name}",
        "accountId": ACCOUNT,
        "accessKeyId": key,
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "principalId": "AROAREADER", "arn": f"arn:aws:iam::{ACCOUNT}:role/x", "accountId": ACCOUNT},
            "webIdFederationData": {"federatedProvider": PROVIDER, "attributes": {}},
            "attributes": {"creationDate": _instant(at), "mfaAuthenticated": "false"},
            **identity,
        },
    }
    return made


def _pages(store: Store, asked: list[Asked]) -> tuple[float, float]:
    """Median and 99th percentile in milliseconds."""
    times = sorted(_timed(lambda one=one: _page(store, one)) for one in asked)  # type: ignore[misc]
    return statistics.median(times), times[min(len(times) - 1, len(times) * 99 // 100)]


def _page(store: Store, asked: Asked) -> None:
    with store.read() as connection:
        page(connection, asked, limit=100)


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
