"""From a click in Entra to AccessDenied in AWS: by the question every few seconds, and by a notification."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from isthmus.access.entra.checking import CHECK, Checks
from isthmus.access.entra.notices import Notices, read_notices
from isthmus.access.entra.polling import Polling
from isthmus.access.entra.subscriptions import Subscriptions
from isthmus.access.entra.watching import Watching
from isthmus.access.groups import GraphGroups
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError
from isthmus.store import Store
from isthmus_lab.process import LabProcess
from tests.access.estate import ADMIN, MAPPINGS, Estate, estate, mapping_id
from tests.fakes.entra import guid
from tests.fakes.graph_client import Reached, reached
from tests.lab.issuer import FakeIssuer
from tests.support.waiting import LOADED

pytestmark = pytest.mark.e2e
DEV = guid("dev")
_ACCOUNTS = itertools.count(720_000_000_001)


@pytest.fixture
def there() -> Iterator[Reached]:
    with reached() as made:
        made.server.tenant.group(DEV)
        yield made


@pytest.fixture
def live(store: Store, lab: LabProcess, issuer: FakeIssuer, there: Reached) -> Iterator[Estate]:
    """A fresh account whose role Reader is for the group DEV, and the broker over Graph."""
    with estate(store, lab, str(next(_ACCOUNTS)), issuer) as made:
        properties = {**MAPPINGS["Reader"], "groups": [DEV]}
        made.engine.apply(Change(puts=(Resource(id=mapping_id("Reader"), properties=properties),)), ADMIN, "setup", "/")
        made.broker = replace(made.broker, groups=GraphGroups(there.graph, "https://idp.test"))
        yield made


def until_denied(live: Estate, call: Any, checks: Checks) -> tuple[str, float]:
    """Run what was ordered; the first denial, and after how many seconds."""
    began = time.monotonic()
    for id, (job, arguments, _) in list(live.jobs.orders.items()):
        if job == CHECK:
            checks.run(arguments)
        if job != "access.deny":
            del live.jobs.orders[id]
    live.run_jobs()
    while time.monotonic() - began < 30 * LOADED:
        try:
            call()
        except ClientError as error:
            return str(error.response["Error"]["Code"]), time.monotonic() - began
    raise AssertionError("still allowed")


@pytest.mark.parametrize("way", ["poll", "notification"])
def test_removal_in_entra_becomes_a_denial_in_aws(live: Estate, there: Reached, way: str) -> None:
    alice, bob = live.sign_in("alice"), live.sign_in("bob")
    for one in (alice, bob):
        there.server.tenant.join(DEV, there.server.tenant.user(one.id))
    watching = Watching(engine=live.engine, lookup=live.lookup, graph=there.graph)
    checks = Checks(engine=live.engine, graph=there.graph, issuer="https://idp.test")
    polling = Polling(engine=live.engine, graph=there.graph, watching=watching, checks=checks, seconds=10)
    there.server.validates = True
    Subscriptions(engine=live.engine, graph=there.graph, watching=watching, origin="https://here.test").keep()
    polling.poll()
    hers, his = live.client(live.issue(alice), "ec2"), live.client(live.issue(bob), "ec2")
    assert hers.describe_regions()["Regions"]
    live.jobs.orders.clear()

    there.server.tenant.leave(DEV, alice.id)
    if way == "poll":
        polling.poll()
    else:
        assert Notices(engine=live.engine, checks=checks).accept(read_notices(there.server.tenant.notices[-1][1])) == 1
    code, seconds = until_denied(live, hers.describe_regions, checks)
    assert code == "UnauthorizedOperation"
    assert seconds < 10 * LOADED, "the bound of an own command; a portal click adds the poll's interval"
    assert his.describe_regions()["Regions"], "who stayed in the group is unharmed"
    with pytest.raises(ArmError) as caught:
        live.issue(alice)
    assert caught.value.code == "NotAMember"
