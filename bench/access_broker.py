"""Sessions for people: how many a second, how long one takes, what a decision costs, and how soon two hundred people are denied."""

from __future__ import annotations

import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.rows import row, times
from isthmus.access import leaving, revocations
from isthmus.access.deciding import Known, decide
from isthmus.access.groups import Membership, ProvisionedGroups
from isthmus.access.leases import lease_policy
from isthmus.identity import evidence
from isthmus.store import Store
from isthmus_lab.process import LabProcess
from tests.access.estate import ADMIN, Estate, claims_of_a_stranger, estate, mapping_id
from tests.lab.issuer import FakeIssuer
from tests.support.databases import migrate

PEOPLE, THREADS, DECISIONS = 200, 8, 20_000
P95_SECONDS = 10.0


def measure() -> list[dict[str, Any]]:
    """Rows about one account on the lab, on SQLite."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'access.db'}"
        migrate(url)
        with FakeIssuer("people.isthmus.test") as issuer, LabProcess(folder / "lab", port=0) as lab:
            lab.admin("POST", "/_lab/issuers", issuer.told)
            with estate(Store(url), lab, "710000000001", issuer) as people:
                actors = [people.sign_in(f"person{number}", "g-dev") for number in range(PEOPLE)]
                people.issue(actors[0])
                return [*_sessions(people, actors), *_decision(people, actors[0]), _offboarding(people, actors)]


def _sessions(people: Estate, actors: list[Any]) -> list[dict[str, Any]]:
    """Ours, and the limit: the same exchanges with tokens that are ready, without deciding, recording and signing."""
    mapping = people.broker.mapping(str(mapping_id("Reader")))
    tokens = [people.signer.mint(claims_of_a_stranger(people), 300) for _ in actors]
    policy = lease_policy(time.time() + 300)

    def bare(token: str) -> float:
        began = time.perf_counter()
        people.loop.run(people.cloud.exchange(mapping.target, mapping.role, token=token, session_name="bench", policy=policy, seconds=900))
        return time.perf_counter() - began

    def ours(actor: Any) -> float:
        began = time.perf_counter()
        people.issue(actor)
        return time.perf_counter() - began

    took: dict[str, tuple[float, list[float]]] = {}
    for what, work, items in (("bare", bare, tokens), ("ours", ours, actors)):
        began = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            each = sorted(pool.map(work, items))
        took[what] = (time.perf_counter() - began, each)
    rate = {what: PEOPLE / wall for what, (wall, _) in took.items()}
    p99 = {what: each[int(PEOPLE * 0.99) - 1] * 1000 for what, (_, each) in took.items()}
    limit = f"the lab's STS with ready tokens and the same policy: {rate['bare']:.0f}/s, p99 {p99['bare']:.0f} ms"
    return [
        row(
            "access",
            f"decide, record, mint and exchange, {THREADS} at a time",
            rate["ours"],
            "sessions/s",
            budget=rate["bare"] * 0.25,
            against=f"{limit} ({times(rate['ours'], rate['bare'])})",
            better="higher",
        ),
        row("access", f"p99 of one session, {THREADS} at a time", p99["ours"], "ms", budget=p99["bare"] * 5, against=limit),
    ]


def _decision(people: Estate, actor: Any) -> list[dict[str, Any]]:
    mapping = people.broker.mapping(str(mapping_id("Reader")))
    with people.engine.store.read() as connection:
        person = evidence.find(connection, actor.sign_in)
    assert person is not None
    known = Known(mapping=mapping, person=person, membership=Membership(groups=frozenset({"g-dev"})), now=people.engine.now())
    began = time.process_time()
    for _ in range(DECISIONS):
        decide(known)
    each = (time.process_time() - began) / DECISIONS
    source = ProvisionedGroups(people.engine.store)
    stranger = replace(person, object_id=str(uuid.uuid4()))
    began = time.process_time()
    for _ in range(500):
        source.ask(stranger, mapping.groups)
    asked = (time.process_time() - began) / 500
    return [
        row(
            "access",
            "one decision",
            each * 1e6,
            "µs CPU",
            budget=200,
            against=f"one question to the provisioned directory: {asked * 1e6:.0f} µs",
        ),
        row(
            "access", "one question to the provisioned directory", asked * 1e6, "µs CPU", budget=3000, against="two indexed reads of SQLite"
        ),
    ]


def _offboarding(people: Estate, actors: list[Any]) -> dict[str, Any]:
    """All at once, as commands come; jobs begin with the first."""
    with ThreadPoolExecutor(1) as worker:
        ids = []
        for actor in actors:
            with people.engine.store.begin() as connection:
                ids.append(leaving.offboard(connection, people.engine, actor.id, ADMIN, "bench"))
            if len(ids) == 1:
                running = worker.submit(people.run_jobs)
        running.result()
        people.run_jobs()
    with people.engine.store.read() as connection:
        found = [revocations.find(connection, id) for id in ids]
    took = sorted(((one.denials[0].denied_at or 1e15) - one.at) / 1000 for one in found if one is not None)
    return row(
        "access",
        f"{PEOPLE} people offboarded, p95 from the command to the first AccessDenied",
        took[int(PEOPLE * 0.95) - 1],
        "s",
        budget=P95_SECONDS,
        against=f"the lease alone would take 300 s; fastest {took[0]:.2f} s, slowest {took[-1]:.2f} s",
    )
