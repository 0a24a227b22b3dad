"""Sessions for people: how many a second, how long one takes, what a decision costs, and how soon two hundred people are denied and their
shells and consoles end."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from bench.rows import row, times
from isthmus.access import leaving, revocations
from isthmus.access.deciding import Known, decide
from isthmus.access.groups import GraphGroups, Membership, ProvisionedGroups
from isthmus.access.leases import lease_policy
from isthmus.cli.aws.console import login_address
from isthmus.clouds.aws.pacing import CEILING, DEFAULT
from isthmus.identity import evidence
from isthmus.identity.evidence import SignedIn
from isthmus.store import Store
from isthmus_lab.process import LabProcess
from tests.access.estate import ADMIN, Estate, claims_of_a_stranger, estate, mapping_id
from tests.access.reaching import REGION, boot, call, taken
from tests.fakes.entra import guid
from tests.fakes.graph_client import reached
from tests.lab.issuer import FakeIssuer
from tests.support.databases import migrate

PEOPLE, THREADS, DECISIONS = 200, 8, 20_000
P95_SECONDS = 10.0
LIVE = 400
GROUP = guid("dev")
MEMBER = SignedIn(id="s", object_id=guid("member"), issuer="https://idp.test", subject="m", name="M", groups=None, at=0, ends_at=1)


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
                return [*_sessions(people, actors), *_decision(people, actors[0]), *_graph(), *_offboarding(people, actors)]


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


def _graph() -> list[dict[str, Any]]:
    """A membership asked live, as for each session, against as many bare requests to the same double of Graph."""
    with reached() as there, httpx.Client(trust_env=False) as bare:
        there.server.tenant.group(GROUP, there.server.tenant.user(MEMBER.object_id))
        source, issuer = GraphGroups(there.graph, MEMBER.issuer), f"{there.server.url}/nothing"
        source.ask(MEMBER, {GROUP})
        before = len(there.server.calls)
        spent = time.process_time()
        asked = sorted(_timed(lambda: source.ask(MEMBER, {GROUP})) for _ in range(LIVE))
        spent = (time.process_time() - spent) / LIVE * 1e3
        each = (len(there.server.calls) - before) / LIVE
        plain = sorted(_timed(lambda: [bare.get(issuer) for _ in range(round(each))]) for _ in range(LIVE))
    p99 = [times[LIVE * 99 // 100 - 1] for times in (asked, plain)]
    told = f"{each:.0f} bare requests to it: {p99[1]:.1f} ms; median {asked[LIVE // 2]:.1f} ms, {spent:.1f} ms CPU with the double's"
    return [row("access", "one question to Graph (double, loopback), p99", p99[0], "ms", budget=max(25.0, p99[1] * 4), against=told)]


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _reach(people: Estate, actors: list[Any]) -> list[httpx.Client]:
    """Every second of them opens a shell, every third a console; the browsers."""
    machine = boot(people)

    def shell(actor: Any) -> None:
        issued = people.issue(actor, "Shell", use=f"shell:{REGION}")
        call(people, http, issued, "ssm", "StartSession", {"Target": machine, "Reason": issued.grant}).raise_for_status()

    def console(actor: Any) -> httpx.Client:
        browser = httpx.Client(base_url=people.lab.url, follow_redirects=True, trust_env=False, timeout=60)
        address = login_address(
            taken(people.issue(actor, use="console")), "https://isthmus.test", "/ec2/home", {"AWS_ENDPOINT_URL": people.lab.url}
        )
        browser.get(address).raise_for_status()
        return browser

    with httpx.Client(trust_env=False, timeout=60) as http, ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(shell, actors[::2]))
        return list(pool.map(console, actors[::3]))


def _offboarding(people: Estate, actors: list[Any]) -> list[dict[str, Any]]:
    """All at once, as commands come; jobs begin with the first."""
    browsers = _reach(people, actors)
    began = time.monotonic()
    with ThreadPoolExecutor(1) as worker:
        ids = []
        for actor in actors:
            with people.engine.store.begin() as connection:
                ids.append(leaving.offboard(connection, people.engine, actor.id, ADMIN, "bench"))
            if len(ids) == 1:
                running = worker.submit(people.run_jobs)
        running.result()
        people.run_jobs()
    ended = time.monotonic() - began
    with people.engine.store.read() as connection:
        found = [revocations.find(connection, id) for id in ids]
    took = sorted(((one.denials[0].denied_at or 1e15) - one.at) / 1000 for one in found if one is not None)
    pages = people.root("ssm", REGION).get_paginator("describe_sessions").paginate(State="Active")
    alive = sum(len(page["Sessions"]) for page in pages) + sum(one.get("/_console").status_code == 200 for one in browsers)
    for one in browsers:
        one.close()
    listings = max(0.0, len(actors[::2]) * 2 - DEFAULT.burst) / (DEFAULT.per_second * CEILING)
    return [
        row(
            "access",
            f"{PEOPLE} people offboarded, p95 from the command to the first AccessDenied",
            took[int(PEOPLE * 0.95) - 1],
            "s",
            budget=P95_SECONDS,
            against=f"the lease alone would take 300 s; fastest {took[0]:.2f} s, slowest {took[-1]:.2f} s",
        ),
        row(
            "access",
            f"the same people: from the first command until none of {len(actors[::2])} shells lives",
            ended,
            "s",
            budget=60,
            against=f"a listing and a call for each at the pace of calls to an account would wait {listings:.0f} s besides",
        ),
        row(
            "access",
            f"shells and {len(browsers)} consoles that outlived them",
            alive,
            "alive",
            budget=0,
            against="both would outlive a lease",
        ),
    ]
