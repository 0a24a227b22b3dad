"""Where Graph posts: handshake, notifications, forgeries; and from there through the running program to the end of a person's access."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from isthmus.access import revocations
from isthmus.access.entra.subscriptions import Subscriptions
from isthmus.access.entra.watching import Watching
from isthmus.app import build
from isthmus.arm.errors import ArmError
from isthmus.clouds.azure.graph import SUBJECT
from isthmus.engine import Lookup
from isthmus.identity import evidence, people
from isthmus.identity.people import Person
from isthmus.settings import Settings
from isthmus.store.tables import audit_records
from tests.api.conftest import PORT, Api
from tests.fakes.entra import CLIENT, TENANT, guid
from tests.fakes.graph import Credential
from tests.fakes.graph_client import Reached, reached

ALICE, PATH = guid("alice"), "/graph/notifications"


@pytest.fixture
def there() -> Iterator[Reached]:
    with reached() as made:
        made.server.tenant.user(ALICE)
        yield made


@pytest.fixture
def graph_api(database_url: str, tmp_path: Path, made_keys: Path, there: Reached) -> Iterator[Api]:
    """The application, which asks the double and is posted to by it."""
    shutil.copytree(made_keys, tmp_path / "data" / "keys")
    url = there.server.url
    told = {"graph_tenant_id": TENANT, "graph_client_id": CLIENT, "graph_url": url, "graph_login_url": url}
    settings = Settings(data=tmp_path / "data", database_url=database_url, graph_notification_url="https://here.test", **told)
    app = build(settings, port=PORT, environ={})
    caller = Api(app, tmp_path / "data")
    yield caller
    caller.http.close()
    app.close()


def subscribe(api: Api, there: Reached) -> None:
    """Have the double post here; its handshake goes through the endpoint."""

    def deliver(url: str) -> tuple[int, str, str]:
        answer = api.http.post(url.replace("https://here.test", api.app.public_url))
        return answer.status_code, answer.headers["content-type"], answer.text

    there.server.deliver = deliver
    engine = api.app.engine
    watching = Watching(engine=engine, lookup=Lookup(engine.store), graph=there.graph)
    Subscriptions(engine=engine, graph=there.graph, watching=watching, origin="https://here.test").keep()
    assert [held["resource"] for held in there.server.tenant.subscriptions.values()] == ["/users"]


def sign_in(api: Api, issuer: str) -> None:
    who = Person(object_id=ALICE, name="Alice", issuer=issuer, subject="alice")
    with api.app.engine.store.begin() as connection:
        people.remember(connection, who, time.time)
        evidence.new_sign_in(connection, who, {}, clock=time.time, identifier=lambda: str(uuid.uuid4()), seconds=3600)


def posted(there: Reached) -> dict[str, Any]:
    return there.server.tenant.notices[-1][1]


def test_the_handshake_is_answered_as_plain_text_and_nothing_else(graph_api: Api) -> None:
    answer = graph_api.http.post(PATH, params={"validationToken": "<script>alert(1)</script> Ä &+"})
    assert (answer.status_code, answer.text) == (200, "<script>alert(1)</script> Ä &+")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for bad in ("", "a\nb", "x" * 1025):
        assert graph_api.http.post(PATH, params={"validationToken": bad}).status_code == 400


def test_whom_graph_tells_of_is_checked_and_departs(graph_api: Api, there: Reached) -> None:
    keys = graph_api.http.get("/.well-known/jwks.json").json()
    issuer = "https://issuer.isthmus.test"
    subscribe(graph_api, there)
    # From here on the program proves itself by its own issuer.
    there.server.credential = Credential(issuer=issuer, subject=SUBJECT, jwks=lambda: keys)
    sign_in(graph_api, f"{there.server.url}/{TENANT}/v2.0")
    there.server.tenant.disable(ALICE)
    answer = graph_api.http.post(PATH, json=posted(there))
    assert (answer.status_code, answer.content) == (202, b"")
    run_until_out(graph_api)
    metrics = graph_api.http.get("/metrics").text
    assert 'isthmus_graph_calls_total{call="user",outcome="200"}' in metrics


@pytest.mark.e2e
def test_the_program_asks_by_itself_where_nobody_tells(graph_api: Api, there: Reached) -> None:
    keys = graph_api.http.get("/.well-known/jwks.json").json()
    there.server.credential = Credential(issuer="https://issuer.isthmus.test", subject=SUBJECT, jwks=lambda: keys)
    sign_in(graph_api, f"{there.server.url}/{TENANT}/v2.0")
    there.server.tenant.disable(ALICE)
    run_until_out(graph_api)
    assert "GET /v1.0/users/delta" in there.server.calls


def run_until_out(api: Api) -> None:
    """Let the program work until Alice is out."""
    api.app.work.launch()
    until = time.monotonic() + 60
    try:
        while not is_out(api):
            assert time.monotonic() < until, "nobody checked"
            time.sleep(0.05)
    finally:
        api.app.work.stop()


def is_out(api: Api) -> bool:
    with api.app.engine.store.read() as connection:
        return revocations.is_revoked(connection, ALICE)


def test_forgeries_are_refused_and_counted(graph_api: Api, there: Reached) -> None:
    subscribe(graph_api, there)
    there.server.tenant.disable(ALICE)
    forged = {"value": [{**posted(there)["value"][0], "clientState": "guessed"}]}
    for _ in range(2):
        answer = graph_api.http.post(PATH, json=forged)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "UnknownSubscription")
    assert graph_api.http.post(PATH, json={"value": []}).status_code == 403
    mixed = {"value": [*forged["value"], *posted(there)["value"]]}
    assert graph_api.http.post(PATH, json=mixed).status_code == 202, "the others are not held up"
    assert graph_api.http.post(PATH, content=b"{").status_code == 400
    with graph_api.app.engine.store.read() as connection:
        told = connection.execute(select(audit_records.c.outcome).where(audit_records.c.action == "graph-notification")).scalars().all()
    assert set(told) == {"refused"}


def test_without_graph_nobody_may_post(api: Api) -> None:
    assert api.http.post(PATH, params={"validationToken": "x"}).status_code == 404


@pytest.mark.parametrize("more", [{"graph_tenant_id": TENANT}, {"graph_client_id": CLIENT}, {"group_source": "graph"}])
def test_settings_that_do_not_fit_together_stop_the_start(tmp_path: Path, made_keys: Path, more: dict[str, Any]) -> None:
    shutil.copytree(made_keys, tmp_path / "data" / "keys")
    with pytest.raises(ArmError) as caught:
        build(Settings(data=tmp_path / "data", **more), port=PORT, environ={})
    assert caught.value.code == "InvalidGraphSettings"
