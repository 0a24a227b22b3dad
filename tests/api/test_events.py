"""Pushes over HTTP (RFC 8935): what is answered, and that nobody pushes where no transmitter is trusted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from isthmus.api.events import PATH, Events
from isthmus.api.wire import Incoming, Reply
from isthmus.app import build
from isthmus.arm.errors import ArmError
from isthmus.audit import Refusals
from isthmus.settings import Settings
from isthmus.store import Store
from isthmus.store.tables import audit_records
from tests.access.security_events.conftest import AUDIENCE, ISSUER, JWKS, Signals, signals
from tests.api.conftest import PORT, Api

__all__ = ["signals"]
TYPE = "application/secevent+jwt"


@pytest.fixture
def events(store: Store, signals: Signals) -> Events:
    return Events(receiver=signals.receiver, refusals=Refusals(store, signals.clock))


def push(events: Events, body: str, kind: str = TYPE) -> Reply:
    given: dict[str, Any] = {"method": "POST", "path": PATH, "query": {}, "base_url": AUDIENCE, "correlation": "c"}
    return events.answer(Incoming(**given, headers={"content-type": kind}, body=body.encode()))


def test_what_was_taken_in_is_answered_with_nothing(events: Events, signals: Signals) -> None:
    token = signals.token()
    for _ in range(2):
        reply = push(events, token, f"{TYPE}; charset=us-ascii")
        assert (reply.status, reply.content()) == (202, b"")
    assert signals.state() == (False, 0, False)


def test_what_was_not_is_answered_with_a_code_and_counted(store: Store, events: Events, signals: Signals) -> None:
    reply = push(events, signals.token(aud="https://else.test"))
    assert (reply.status, reply.body["err"], reply.headers) == (400, "invalid_audience", {"Content-Language": "en"})
    assert push(events, signals.token(), "application/json").body["err"] == "invalid_request"
    assert push(events, "ä").body["err"] == "invalid_request"
    with store.read() as connection:
        told = connection.execute(select(audit_records.c.detail).where(audit_records.c.action == "security-event")).scalars().all()
    assert len(told) == 2, "one record for each code"


def test_without_a_transmitter_there_is_nothing_to_push_to(api: Api) -> None:
    assert api.http.post(PATH, content=b"x", headers={"Content-Type": TYPE}).status_code == 404


def test_the_program_trusts_the_transmitter_of_its_settings(tmp_path: Path, made_keys: Path, signals: Signals) -> None:
    shutil.copytree(made_keys, tmp_path / "data" / "keys")
    settings = Settings(data=tmp_path / "data", ssf_issuer=ISSUER, ssf_jwks_url=JWKS, ssf_audience=AUDIENCE)
    app = build(settings, port=PORT, environ={})
    caller = Api(app, tmp_path / "data")
    try:
        push = lambda token: caller.http.post(PATH, content=token.encode(), headers={"Content-Type": TYPE})  # noqa: E731
        assert push(signals.token(iss="https://evil.test")).json()["err"] == "invalid_issuer"
        answer = push(signals.token())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30"), "its keys are not to be had in a test"
    finally:
        caller.http.close()
        app.close()


def test_half_a_transmitter_stops_the_start(tmp_path: Path, made_keys: Path) -> None:
    shutil.copytree(made_keys, tmp_path / "data" / "keys")
    with pytest.raises(ArmError) as caught:
        build(Settings(data=tmp_path / "data", ssf_issuer=ISSUER), port=PORT, environ={})
    assert caught.value.code == "InvalidTransmitter"
