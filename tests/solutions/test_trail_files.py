"""Files of a trail: each is taken once, whatever order they come in, and what a digest contradicts or misses is a row with its reason."""

from __future__ import annotations

import gzip
import hashlib
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from sqlalchemy import select

from isthmus.access.trail import Taken
from isthmus.audit.events import Event
from isthmus.clouds.contract import ScanTarget, StoredFile, StoredObject
from isthmus.engine import Engine
from isthmus.solutions.loop import Loop
from isthmus.solutions.trail import take_in
from isthmus.solutions.trail_files import TrailFiles
from isthmus.store import Store
from isthmus.store.tables import trail_events, trail_files
from tests.access.cloudtrail import ACCOUNT, BEGIN, ISSUER, OTHER, Session, called, entered, id_of
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock

ALICE = Session(key="ASIAALICE", person=id_of("alice"), grant="G-1")
TARGET = ScanTarget(account=ACCOUNT, guid="aa5f1c9e-4f89-41d3-9a0c-0305e82c3301", solution="Isthmus.Access")
BUCKET, REGION = "logs", "us-east-1"
SETTINGS = {"trailBucket": BUCKET, "trailPrefix": "p"}
DAY = "2026/01/01"
FOLDER = f"p/AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{DAY}"
DIGESTS = f"p/AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/{DAY}"


def log_key(stamp: str, word: str = "aaaaaaaaaaaaaaaa") -> str:
    return f"{FOLDER}/{ACCOUNT}_CloudTrail_{REGION}_20260101T{stamp}Z_{word}.json.gz"


def digest_key(stamp: str) -> str:
    return f"{DIGESTS}/{ACCOUNT}_CloudTrail-Digest_{REGION}_all_{REGION}_20260101T{stamp}00Z.json.gz"


@dataclass
class FakeBucket:
    """A bucket in memory, and the key with which AWS signs digests; it notes what was fetched."""

    held: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    tells_keys: bool = True
    refuses: bool = False
    locked: set[str] = field(default_factory=set)

    async def bucket_region(self, _target: ScanTarget, _bucket: str) -> str:
        if self.refuses:
            raise PermissionError("s3:GetBucketLocation is denied.")
        return "eu-west-1"

    async def files(self, _target: ScanTarget, region: str, _bucket: str, prefix: str, after: str) -> Sequence[StoredFile]:
        assert region == "eu-west-1"
        return [
            StoredFile(key=key, size=len(content))
            for key, (content, _) in sorted(self.held.items())
            if key.startswith(prefix) and key > after
        ]

    async def fetch(self, _target: ScanTarget, _region: str, _bucket: str, key: str) -> StoredObject:
        if key in self.locked:
            raise PermissionError("s3:GetObject is denied.")
        self.fetched.append(key)
        content, metadata = self.held[key]
        return StoredObject(content=content, metadata=metadata)

    async def digest_keys(self, _target: ScanTarget, _region: str, _since: float, _until: float) -> Sequence[tuple[str, bytes]]:
        if not self.tells_keys:
            raise PermissionError("cloudtrail:ListPublicKeys is denied.")
        form = serialization.PublicFormat.PKCS1
        return [("f1", self.key.public_key().public_bytes(serialization.Encoding.DER, form))]

    def log(self, stamp: str, *documents: dict[str, Any], word: str = "aaaaaaaaaaaaaaaa") -> str:
        key = log_key(stamp, word)
        self.held[key] = gzip.compress(json.dumps({"Records": documents}).encode()), {}
        return key

    def digest(self, stamp: str, *keys: str, previous: str = "", **changed: Any) -> str:
        """A digest as AWS writes it, over files that are there (or `missing`)."""
        key = digest_key(stamp)
        files = [{"s3Bucket": BUCKET, "s3Object": one, "hashValue": self.hash(one), "hashAlgorithm": "SHA-256"} for one in keys]
        before = self.held[previous][1]["signature"] if previous else None
        document = {
            "digestEndTime": "2026-01-01T01:00:00Z",
            "digestS3Bucket": BUCKET,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": "f1",
            "previousDigestS3Object": previous or None,
            "previousDigestHashValue": self.hash(previous) if previous else None,
            "previousDigestSignature": before,
            "logFiles": files,
            **changed,
        }
        content = json.dumps(document).encode()
        signed = f"2026-01-01T01:00:00Z\n{BUCKET}/{key}\n{hashlib.sha256(content).hexdigest()}\n{before or 'null'}".encode()
        signature = self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256()).hex()
        self.held[key] = gzip.compress(content), {"signature": signature}
        return key

    def hash(self, key: str) -> str:
        return hashlib.sha256(gzip.decompress(self.held[key][0])).hexdigest() if key in self.held else "0" * 64


@dataclass
class Ground:
    store: Store
    bucket: FakeBucket
    files: TrailFiles

    def read(self) -> dict[str, int]:
        return dict(self.files.read(TARGET, [REGION], SETTINGS))

    def rows(self) -> dict[str, Any]:
        with self.store.read() as connection:
            return {row.key: row for row in connection.execute(select(trail_files))}

    def events(self) -> list[str]:
        with self.store.read() as connection:
            return list(connection.execute(select(trail_events.c.name).order_by(trail_events.c.seq)).scalars())


@pytest.fixture
def ground(store: Store, clock: Clock) -> Iterator[Ground]:
    clock.now = BEGIN + 7_200
    loop, bucket = Loop(), FakeBucket()
    engine = Engine(store, RecordedJobs(), clock=clock, new_guid=lambda: str(uuid.uuid4()))

    def take(events: list[Event]) -> Taken:
        return take_in(engine, events, ISSUER)

    yield Ground(store, bucket, TrailFiles(engine=engine, cloud=bucket, loop=loop, take=take))
    loop.close()


def test_each_file_is_read_once_and_late_ones_are_found(ground: Ground) -> None:
    ground.bucket.log("0000", entered(ALICE))
    ground.bucket.log("0110", called(ALICE, "DescribeVpcs", 10))
    assert ground.read() == {"Taken": 2, "Refused": 0, "Missing": 0}
    assert ground.read() == {"Taken": 0, "Refused": 0, "Missing": 0}
    late = ground.bucket.log("0030", called(ALICE, "DescribeSubnets", 20), entered(ALICE))
    assert ground.read()["Taken"] == 1
    assert (len(ground.bucket.fetched), ground.bucket.fetched[-1]) == (3, late)
    assert ground.events() == ["AssumeRoleWithWebIdentity", "DescribeVpcs", "DescribeSubnets"], "the exchange came twice"


def test_what_is_no_log_file_is_a_row_and_holds_nothing_up(ground: Ground) -> None:
    bomb, good = log_key("0000"), ground.bucket.log("0100", called(ALICE, "DescribeVpcs", 10))
    ground.bucket.held[bomb] = gzip.compress(b" " * 300_000_000), {}
    ground.bucket.held[log_key("0010")] = b"no gzip", {}
    ground.bucket.held[f"{FOLDER}/readme.txt"] = b"x", {}
    assert ground.read() == {"Taken": 1, "Refused": 2, "Missing": 0}
    rows = ground.rows()
    assert "larger" in rows[bomb].detail
    assert (rows[good].state, rows[good].events, rows[good].detail) == ("Taken", 1, "")
    assert ground.read() == {"Taken": 0, "Refused": 0, "Missing": 0}


@pytest.mark.parametrize(
    "odd",
    [
        {"userIdentity": None},
        {"requestParameters": {"sourceIdentity": ALICE.person, "principalTags": {"grant": "\ud800", "signin": "s"}}},
        {"requestParameters": " ".join(map(str, range(200_000)))},
    ],
    ids=["no caller", "odd texts", "large"],
)
def test_an_odd_event_keeps_no_later_file_from_being_read(ground: Ground, odd: dict[str, Any]) -> None:
    first, second = ground.bucket.log("0000", entered(ALICE)), ground.bucket.log("0010", entered(ALICE) | {"eventID": "odd"} | odd)
    third = ground.bucket.log("0100", called(ALICE, "DescribeVpcs", 10))
    ground.read()
    states = {key: row.state for key, row in ground.rows().items()}
    assert (set(states), states[first], states[third]) == ({first, second, third}, "Taken", "Taken")
    assert ground.events()[-1] == "DescribeVpcs"
    assert ground.read() == {"Taken": 0, "Refused": 0, "Missing": 0}


def test_a_file_whose_taking_in_fails_is_refused_with_the_reason(ground: Ground) -> None:
    bad, good = ground.bucket.log("0000", called(ALICE, "Unforeseen", 1)), ground.bucket.log("0100", called(ALICE, "DescribeVpcs", 10))
    take = ground.files.take

    def fail(events: list[Event]) -> Taken:
        if events[0].name == "Unforeseen":
            raise KeyError("userIdentity")
        return take(events)

    assert dict(replace(ground.files, take=fail).read(TARGET, [REGION], SETTINGS)) == {"Taken": 1, "Refused": 1, "Missing": 0}
    rows = ground.rows()
    assert (rows[bad].state, rows[good].state) == ("Refused", "Taken")
    assert "could not be taken in (KeyError)" in rows[bad].detail


def test_numbers_that_are_none_are_no_json(ground: Ground) -> None:
    for stamp, text in (("0000", '{"Records": [NaN]}'), ("0010", '{"Records": [1e999]}')):
        ground.bucket.held[log_key(stamp)] = gzip.compress(text.encode()), {}
    assert ground.read() == {"Taken": 0, "Refused": 2, "Missing": 0}
    assert {row.detail for row in ground.rows().values()} == {"It holds no JSON."}


@pytest.mark.parametrize("name", ["a\0b", "half \ud800", "x" * 1_025, ["x"]], ids=["nul", "half", "long", "list"])
def test_a_digest_that_names_what_is_no_key_is_refused_and_holds_nothing_up(ground: Ground, name: object) -> None:
    entry = {"s3Bucket": BUCKET, "s3Object": name, "hashValue": "0" * 64, "hashAlgorithm": "SHA-256"}
    odd, before = ground.bucket.digest("0030", logFiles=[entry]), ground.bucket.digest("0040", previousDigestS3Object=name)
    good = ground.bucket.digest("0100")
    assert ground.read() == {"Taken": 1, "Refused": 2, "Missing": 0}
    assert {key: row.state for key, row in ground.rows().items()} == {odd: "Refused", before: "Refused", good: "Taken"}


def test_events_of_another_account_are_left_out_and_told(ground: Ground) -> None:
    key = ground.bucket.log("0000", called(ALICE, "DescribeVpcs", 1), called(ALICE, "ListRoles", 2, account=OTHER))
    assert ground.read()["Taken"] == 1
    assert (ground.events(), ground.rows()[key].detail.partition(" ")[0]) == (["DescribeVpcs"], "1")


def test_files_that_a_signed_digest_names_are_marked_with_it(ground: Ground) -> None:
    first, second = ground.bucket.log("0000", entered(ALICE)), ground.bucket.log("0005", called(ALICE, "DescribeVpcs", 1))
    one = ground.bucket.digest("0100", first, previous="")
    two = ground.bucket.digest("0200", second, previous=one)
    assert ground.read() == {"Taken": 4, "Refused": 0, "Missing": 0}
    rows = ground.rows()
    assert [rows[key].digest for key in (first, second, one)] == [one, two, two]
    assert [rows[key].detail for key in (first, second, one, two)] == [""] * 4


def test_a_changed_log_file_is_found_by_its_digest_and_its_events_stay(ground: Ground) -> None:
    key = ground.bucket.log("0000", called(ALICE, "DescribeVpcs", 1))
    ground.bucket.digest("0100", key)
    ground.bucket.log("0000", called(ALICE, "DescribeSubnets", 1))
    assert ground.read() == {"Taken": 2, "Refused": 1, "Missing": 0}
    assert "was changed" in ground.rows()[key].detail
    assert ground.events() == ["DescribeSubnets"]


def test_a_removed_log_file_and_a_removed_digest_are_missed(ground: Ground) -> None:
    first = ground.bucket.digest("0030")
    second = ground.bucket.digest("0100", log_key("0000"), previous=first)
    third = ground.bucket.digest("0200", previous=second)
    del ground.bucket.held[second]
    ground.bucket.digest("0300", log_key("0010"), previous=third)
    assert ground.read() == {"Taken": 3, "Refused": 0, "Missing": 2}
    assert {key for key, row in ground.rows().items() if row.state == "Missing"} == {second, log_key("0010")}


@pytest.mark.parametrize(
    ("change", "state", "told"),
    [
        ("signature", "Refused", "does not hold"),
        ("content", "Refused", "does not hold"),
        ("place", "Refused", "another place"),
        ("no keys", "Taken", "not checked"),
        ("odd signature", "Refused", "cannot be read"),
        ("odd hash", "Refused", "SHA-256"),
    ],
)
def test_a_digest_that_aws_did_not_sign_so_is_refused(ground: Ground, change: str, state: str, told: str) -> None:
    key = ground.bucket.digest("0100")
    content, metadata = ground.bucket.held[key]
    if change == "no keys":
        ground.bucket.tells_keys = False
    elif change == "content":
        ground.bucket.held[key] = gzip.compress(gzip.decompress(content) + b" "), metadata
    elif change == "place":
        ground.bucket.held[key] = ground.bucket.held[ground.bucket.digest("0200")]
        del ground.bucket.held[digest_key("0200")]
    elif change == "odd hash":
        file = {"s3Bucket": BUCKET, "s3Object": "k", "hashValue": "x", "hashAlgorithm": "SHA-256"}
        ground.bucket.digest("0100", logFiles=[file])
    else:
        signature = "zz" if change == "odd signature" else "00" * 256
        ground.bucket.held[key] = content, {"signature": signature}
    ground.read()
    assert ground.rows()[key].state == state
    assert told in ground.rows()[key].detail


def test_a_digest_that_aws_did_not_sign_says_nothing_of_other_files(ground: Ground) -> None:
    real = ground.bucket.log("0000", entered(ALICE))
    invented = log_key("0005", "bbbbbbbbbbbbbbbb")
    files = [{"s3Bucket": BUCKET, "s3Object": one, "hashValue": "0" * 64, "hashAlgorithm": "SHA-256"} for one in (real, invented)]
    forged = ground.bucket.digest("0100", logFiles=files)
    ground.bucket.held[forged] = ground.bucket.held[forged][0], {"signature": "00" * 256}
    assert ground.read() == {"Taken": 1, "Refused": 1, "Missing": 0}
    rows = ground.rows()
    assert set(rows) == {real, forged}
    assert (rows[real].state, rows[real].digest) == ("Taken", "")


def test_a_bucket_that_refuses_is_tried_again(ground: Ground) -> None:
    ground.bucket.log("0000", entered(ALICE))
    ground.bucket.refuses = True
    assert ground.read() == {"Taken": 0, "Refused": 0, "Missing": 0}
    ground.bucket.refuses = False
    assert ground.read()["Taken"] == 1


def test_a_file_that_is_locked_keeps_no_later_one_from_being_read_and_is_tried_again(ground: Ground) -> None:
    ground.bucket.log("0000", entered(ALICE))
    locked = ground.bucket.log("0010", called(ALICE, "DescribeVpcs", 10))
    ground.bucket.log("0100", called(ALICE, "DescribeSubnets", 20))
    ground.bucket.locked = {locked}
    assert ground.read() == {"Taken": 2, "Refused": 0, "Missing": 1}
    assert (ground.rows()[locked].state, "s3:GetObject is denied" in ground.rows()[locked].detail) == ("Missing", True)
    ground.bucket.locked.clear()
    assert ground.read() == {"Taken": 1, "Refused": 0, "Missing": 0}
    assert ground.rows()[locked].state == "Taken"


def test_where_no_file_may_be_fetched_the_reading_stops_at_the_first(ground: Ground) -> None:
    ground.bucket.locked = {ground.bucket.log("0000", entered(ALICE)), ground.bucket.log("0010", called(ALICE, "DescribeVpcs", 10))}
    assert ground.read() == {"Taken": 0, "Refused": 0, "Missing": 0}
    assert ground.rows() == {}
    ground.bucket.locked.clear()
    assert ground.read()["Taken"] == 2
