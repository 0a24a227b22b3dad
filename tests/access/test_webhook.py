"""Webhook of requests: what is sent, signed how, and what happens when nobody takes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from isthmus.access.requests import Wanted
from isthmus.access.webhook import NOTIFY, SIGNATURE, Webhook
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.identity.foreign import Said
from isthmus.identity.issuer import Issuer
from isthmus.identity.jws import parse, signature_holds
from isthmus.keys import KeyRing
from isthmus.store import Store
from tests.access.desk import Desk, desk
from tests.access.estate import mapping_id
from tests.fakes.jobs import RecordedJobs
from tests.support.clock import Clock

HOOK = "https://chat.example/services/T0/B0/a-secret"


@dataclass
class Chat:
    """A desk whose notices come in here. `answer` is what the chat says."""

    desk: Desk
    webhook: Webhook
    answer: int | OSError = 200
    came: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)

    def take(self, method: str, url: str, *, content: bytes, headers: Mapping[str, str]) -> Said:
        assert (method, headers["Content-Type"]) == ("POST", "application/json")
        if isinstance(self.answer, OSError):
            raise self.answer
        self.came.append((url, json.loads(content), headers[SIGNATURE]))
        token = parse(headers[SIGNATURE])
        assert token.claims["body_sha256"] == hashlib.sha256(content).hexdigest()
        return Said(status=self.answer, body=b"ok")

    def told(self) -> list[str]:
        """Run what was ordered; the texts that came."""
        jobs: Any = self.desk.engine.jobs
        before = len(self.came)
        orders: RecordedJobs = jobs
        for id in [id for id, (job, _, _) in orders.orders.items() if job == NOTIFY]:
            self.webhook.run(orders.orders.pop(id)[1])
        return [body["text"] for _, body, _ in self.came[before:]]


@pytest.fixture
def chat(store: Store, clock: Clock, tmp_path: Path) -> Chat:
    here = desk(store, clock)
    file = tmp_path / "hook"
    file.write_text(f"{HOOK}\n")
    issuer = Issuer("https://isthmus.test/t/v2.0", KeyRing(tmp_path / "keys", "api", clock=clock), clock)
    webhook = Webhook(engine=here.engine, file=file, issuer=issuer, portal="https://isthmus.test", mapping=here.requests.broker.mapping)
    made = Chat(desk=here, webhook=webhook)
    made.webhook = replace(webhook, send=made.take)
    here.requests = replace(here.requests, webhook=made.webhook)
    return made


def people(chat: Chat) -> tuple[Actor, Actor]:
    return chat.desk.sign_in("alice", "g-ops"), chat.desk.sign_in("lead", "g-lead")


def test_who_decides_is_told_of_a_request_and_everybody_of_the_decision(chat: Chat) -> None:
    alice, lead = people(chat)
    asked = chat.desk.ask(alice)
    link = f"https://isthmus.test/portal/access/requests/{asked.id}"
    assert chat.told() == [f"alice asks for 123456789012.Operator for 10 minutes. “INC-7” Approvers decide. {link}"]
    [(url, body, _)] = chat.came
    assert url == HOOK
    assert (body["what"], body["link"], body["request"]["state"], body["request"]["needed"]) == ("request", link, "Pending", 1)
    assert (body["request"]["reason"], body["request"]["person"]) == ("INC-7", alice.id)
    chat.desk.approve(asked, lead)
    assert chat.told() == [f"lead approved: alice holds 123456789012.Operator for 10 minutes. {link}"]


def test_each_step_is_told_as_it_was_then(chat: Chat) -> None:
    alice, lead = people(chat)
    asked = chat.desk.ask(alice, "Root")
    chat.desk.approve(asked, lead)
    chat.desk.approve(asked, chat.desk.sign_in("second", "g-lead"))
    texts = chat.told()
    assert [one.partition(". http")[0].partition(" “")[0] for one in texts] == [
        "alice asks for 123456789012.Root for 10 minutes.",
        "lead approved alice's request for 123456789012.Root: 1 of 2",
        "second approved: alice holds 123456789012.Root for 10 minutes",
    ]
    assert [body["request"]["state"] for _, body, _ in chat.came] == ["Pending", "Pending", "Approved"]


def test_broken_glass_is_loud(chat: Chat) -> None:
    alice, _ = people(chat)
    asked = chat.desk.ask(alice, glass=True)
    first, second = chat.desk.owner("o1"), chat.desk.owner("o2")
    chat.desk.approve(asked, first)
    chat.desk.approve(asked, second)
    texts = chat.told()
    assert "asks to BREAK THE GLASS" in texts[0]
    assert texts[-1].startswith("THE GLASS IS BROKEN: alice holds 123456789012.Operator")


def test_what_nobody_decides_is_told_too(chat: Chat) -> None:
    alice, lead = people(chat)
    chat.desk.requests.withdraw(chat.desk.ask(alice).id, alice)
    chat.desk.requests.deny(chat.desk.ask(alice).id, lead, chat.desk.owns(lead), "freeze")
    chat.desk.ask(alice)
    chat.desk.clock.advance(2 * 86_400)
    chat.desk.requests.expire(datetime.now(UTC))
    texts = " ".join(chat.told())
    for words in ("request for 123456789012.Operator was withdrawn.", "lead denied alice's request", "nobody decided in time"):
        assert words in texts


def test_the_signature_is_ours_for_that_receiver_and_that_body(chat: Chat) -> None:
    chat.desk.ask(people(chat)[0])
    chat.told()
    token = parse(chat.came[0][2])
    keys = chat.webhook.issuer.verification_keys()
    assert any(signature_holds(token, key) for key in keys if key.kid == token.header["kid"])
    assert (token.header["typ"], token.claims["aud"]) == ("notice+jwt", "https://chat.example")
    assert token.claims["exp"] - token.claims["iat"] == 300
    assert "a-secret" not in json.dumps(token.claims)


def test_a_reason_is_no_markup(chat: Chat) -> None:
    alice, _ = people(chat)
    mapping = chat.desk.requests.broker.mapping(str(mapping_id("Operator")))
    wanted = Wanted(reason="<!channel> & <https://evil|x>", seconds=600)
    chat.desk.requests.ask(mapping, alice, wanted, chat.desk.owns(alice))
    [text] = chat.told()
    assert "&lt;!channel&gt; &amp; &lt;https://evil|x&gt;" in text
    assert chat.came[0][1]["request"]["reason"] == "<!channel> & <https://evil|x>"


@pytest.mark.parametrize("answer", [500, 404, 302, OSError("timeout")])
def test_what_nobody_takes_is_tried_again_and_no_error_names_the_address(chat: Chat, answer: int | OSError) -> None:
    chat.desk.ask(people(chat)[0])
    chat.answer = answer
    with pytest.raises(ArmError) as caught:
        chat.told()
    assert (caught.value.status, "chat.example" in caught.value.message) == (503, True)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("content", ["", "http://chat.example/x", "not a url", "https:///x", "https://chat.example/" + "x" * 3000])
def test_a_file_without_an_https_address_sends_nothing(chat: Chat, content: str) -> None:
    chat.desk.ask(people(chat)[0])
    chat.webhook.file.write_text(content)
    with pytest.raises(ArmError) as caught:
        chat.told()
    assert caught.value.status == 503
    assert "ISTHMUS_NOTICE_URL_FILE" in caught.value.message
    assert chat.came == []


def test_orders_hold_no_reason_and_no_address(chat: Chat) -> None:
    chat.desk.ask(people(chat)[0])
    jobs: Any = chat.desk.engine.jobs
    [(job, arguments, _)] = [one for one in jobs.orders.values() if one[0] == NOTIFY]
    assert (job, set(arguments)) == (NOTIFY, {"request", "what", "by", "step", "state"})
    chat.desk.requests = replace(chat.desk.requests, webhook=None)
    jobs.orders.clear()
    chat.desk.ask(chat.desk.sign_in("bob", "g-ops"))
    assert jobs.orders == {}, "where no address is named, nothing is ordered"
