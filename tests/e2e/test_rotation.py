"""Keys rotate while people sign in and take credentials: nobody fails, and what retired keys have signed is refused afterwards."""

from __future__ import annotations

import hashlib
import json
import secrets
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from isthmus.clouds.aws import names
from isthmus.identity.configured import PATIENCE
from isthmus.identity.issuer import AccountTokens, aws_issuer
from isthmus.identity.jws import parse
from isthmus.keys import KeyRing
from tests.cli.conftest import Cli
from tests.cli.people import Person
from tests.e2e.people import READER, people_estate
from tests.e2e.stack import Stack, clean_environ, until
from tests.identity.mutations import b64
from tests.support.openid import OpenIdProvider

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

THREADS = 4
USERS: dict[str, dict[str, Any]] = {
    f"person{number}": {"name": f"Person {number}", "groups": ["g-dev"], "amr": ["pwd", "mfa"]} for number in range(THREADS)
}
REDIRECT = "http://127.0.0.1:5555/callback"
VERSION = {"api-version": "2026-11-01"}


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory, openid_provider: OpenIdProvider) -> Iterator[Stack]:
    with people_estate(tmp_path_factory.mktemp("rotation"), openid_provider, USERS, {"Reader": READER}) as stack:
        yield stack


def trust(stack: Stack) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=stack.ca)


@dataclass
class Busy:
    """Somebody who signs in again and again, each time takes the role, and calls AWS with it."""

    stack: Stack
    provider: OpenIdProvider
    name: str
    done: int = 0
    failures: list[str] = field(default_factory=list)
    kids: set[str] = field(default_factory=set)

    def token(self) -> str:
        """A whole sign-in, as the command line makes it: authorization code and PKCE."""
        person = Person(self.stack.url, self.stack.ca, self.provider, self.name)
        verifier = secrets.token_urlsafe(48)
        asked = {
            "client_id": "isthmus-cli",
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "state": secrets.token_urlsafe(16),
            "code_challenge": b64(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        page = person.visit(f"{self.stack.url}/common/oauth2/v2.0/authorize?{httpx.QueryParams(asked)}")
        answer = person.press(page, decision="allow")
        assert answer.status_code == 303, f"{answer.status_code}: {page.text[-400:]}"
        code = httpx.URL(answer.headers["location"]).params["code"]
        form = {"grant_type": "authorization_code", "client_id": "isthmus-cli", "code": code, "redirect_uri": REDIRECT}
        given = person.http.post(f"{self.stack.url}/common/oauth2/v2.0/token", data={**form, "code_verifier": verifier})
        assert given.status_code == 200, given.text
        person.http.close()
        token = str(given.json()["access_token"])
        self.kids.add(str(parse(token).header["kid"]))
        return token

    def take(self, token: str) -> dict[str, str]:
        """Credentials of the role."""
        path = f"{self.stack.url}/providers/Isthmus.Access/roles/{self.stack.account}.Reader/credentials"
        with httpx.Client(verify=trust(self.stack), trust_env=False, timeout=60) as http:
            given = http.post(path, params=VERSION, json={}, headers={"Authorization": f"Bearer {token}"})
        assert given.status_code == 200, given.text
        return dict(given.json())

    def call(self, made: dict[str, str]) -> None:
        boto3.client(
            "ec2",
            aws_access_key_id=made["accessKeyId"],
            aws_secret_access_key=made["secretAccessKey"],
            aws_session_token=made["sessionToken"],
            endpoint_url=self.stack.lab.url,
            region_name="us-east-1",
        ).describe_regions()

    def work(self, until_set: threading.Event) -> None:
        while not until_set.is_set():
            try:
                token = self.token()
                for _ in range(2):
                    self.call(self.take(token))
                self.done += 1
            except (AssertionError, httpx.HTTPError, ClientError, KeyError) as error:
                self.failures.append(repr(error)[:2000])


def status(stack: Stack, token: str) -> int:
    """What the API answers to a token."""
    answer = httpx.get(
        f"{stack.url}/providers/Isthmus.Identity/me",
        params=VERSION,
        headers={"Authorization": f"Bearer {token}"},
        verify=trust(stack),
        trust_env=False,
    )
    return answer.status_code


def refusal(stack: Stack, token: str, connector: dict[str, Any]) -> str:
    """What STS answers to a token of ours; empty when it takes it."""
    guid = connector["properties"]["connectorPrimaryIdentifier"]
    role = names.role_arn(stack.account, names.role_for(names.ACCESS, guid))
    sts = boto3.client("sts", **stack.lab.client_arguments(stack.account, "us-east-1"))
    try:
        sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName=names.session_name(guid), WebIdentityToken=token)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def drill(stack: Stack, home: Path, *options: str) -> Any:
    """The command, and what it told. In a process of its own: in ours it would change variables that other threads read."""
    command = [sys.executable, "-m", "isthmus", "issuer", "drill", *options, "--output", "json"]
    variables = {**clean_environ(home), "ISTHMUS_DATA": str(stack.data)}
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=PATIENCE * 10, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_nobody_fails_while_every_key_rotates(estate: Stack, openid_provider: OpenIdProvider, tmp_path: Path) -> None:
    people = [Busy(estate, openid_provider, name) for name in USERS]
    stop, keys = threading.Event(), estate.data / "keys"
    api = KeyRing(keys, "api", clock=time.time, lead=0)

    def rounds() -> int:
        return min(one.done for one in people)

    def went_past(before: int, not_before: float) -> bool:
        """All signed in once more, the server signs with the new key, and a provider that was asked for a key may be asked again."""
        is_taken_up = any(api.current in one.kids for one in people)
        return any(one.failures for one in people) or (time.monotonic() > not_before and is_taken_up and rounds() > before)

    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(one.work, stop) for one in people]
        try:
            patient = 0.0
            for number in range(3):
                told = drill(estate, tmp_path, "--shorten", "--yes")
                assert told["ok"] is True, told
                assert [step["ok"] for step in told["steps"]] == [True] * 7
                # Another process changes the ring that the server signs with.
                api.rotate()
                if number != 1:
                    openid_provider.rotate(keep=True)
                # The round that runs has begun before it, perhaps with keys of before.
                before = rounds() + 1
                until(partial(went_past, before, patient), 90, what="everybody went on")
                patient = time.monotonic() + PATIENCE + 1
        finally:
            stop.set()
        for one in running:
            one.result()
    assert [one.failures for one in people] == [[]] * THREADS
    assert sum(one.done for one in people) >= 3 * THREADS
    records = estate.client.list("/providers/Isthmus.Audit/records")
    assert sum(one["properties"]["action"] == "Isthmus.Identity/issuers/rotate" for one in records) == 3


def test_a_provider_that_forgets_its_old_key_at_once_locks_nobody_out(estate: Stack, openid_provider: OpenIdProvider) -> None:
    """The set of keys that the server holds is seconds old, and none of it is good any more."""
    busy = Busy(estate, openid_provider, "person1")
    openid_provider.rotate()

    def signs_in() -> bool:
        try:
            return status(estate, busy.token()) == 200
        except AssertionError:
            return False

    until(signs_in, PATIENCE + 10, what="the new key is found")


def test_the_plan_changes_nothing_and_a_key_that_is_not_seen_does_not_sign(estate: Stack, tmp_path: Path) -> None:
    cli = Cli(data=estate.data, home=tmp_path, runs=[])
    ring = KeyRing(estate.data / "keys", "aws", clock=time.time)
    before = ring.records()
    told = drill(estate, tmp_path, "--plan")
    assert (told["published"]["showsCurrent"], told["published"]["showsNext"], told["nextIsReady"]) == (True, True, False)
    assert [one["taken"] for one in told["accounts"]] == [True]
    shown = cli("issuer", "drill", "--plan")
    assert shown.code == 0
    assert "may sign from" in shown.err
    assert ring.turn().following.kid in shown.out
    early = cli("issuer", "drill", "--yes", "--output", "json")
    assert early.code != 0
    assert "NextKeyTooYoung" in early.err
    assert cli("issuer", "drill", input="n\n").code == 1
    assert ring.records() == before
    refused = [one["properties"] for one in estate.client.list("/providers/Isthmus.Audit/records")]
    assert any(one["outcome"] == "refused" and "issuers" in one["target"] and one["detail"]["code"] == "NextKeyTooYoung" for one in refused)


def test_what_retired_keys_signed_is_refused(estate: Stack, openid_provider: OpenIdProvider) -> None:
    """The last test here: the client of the whole stack holds such a token, too."""
    keys, busy = estate.data / "keys", Busy(estate, openid_provider, "person0")
    connector = estate.client.get(estate.connector)
    api, aws = (KeyRing(keys, purpose, clock=time.time, lead=0, keep=20) for purpose in ("api", "aws"))
    source = AccountTokens(aws_issuer("https://issuer.isthmus.test", aws, time.time))
    guid = connector["properties"]["connectorPrimaryIdentifier"]

    def mint() -> str:
        return source.mint(audience=names.audience(estate.account), subject=names.subject(names.ACCESS, guid))

    person, ours = busy.token(), mint()
    kid = parse(ours).header["kid"]
    assert (status(estate, person), refusal(estate, ours, connector)) == (200, "")
    for ring in (api, aws):
        ring.rotate()
    assert (status(estate, person), refusal(estate, ours, connector)) == (200, ""), "the old key is published for a while"
    until(lambda: status(estate, person) == 401, 30, what="the old key of our API retired")
    until(lambda: all(record.kid != kid for record in aws.records()), 30, what="the old key for AWS retired")
    # STS remembers keys for some time, as its double does; a key that it does not know makes it look again. Whenever it looked last, it
    # does not know this one: it was made just now.
    aws.rotate()
    aws.rotate()
    until(lambda: refusal(estate, mint(), connector) == "", 10, what="STS looks again")
    assert refusal(estate, ours, connector) == "InvalidIdentityToken"
    assert (status(estate, busy.token()), refusal(estate, mint(), connector)) == (200, "")
