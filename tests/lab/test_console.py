"""The double of the console's sign-in: what becomes a signed-in browser, and that a revocation shows on the next request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from isthmus_lab.process import LabProcess
from tests.lab.issuer import FakeIssuer
from tests.lab.people import People, deny, document

pytestmark = pytest.mark.e2e

HOME = "https://console.aws.amazon.com/ec2/home?region=eu-west-1"


@pytest.fixture(scope="module")
def issuer(lab: LabProcess) -> Iterator[FakeIssuer]:
    with FakeIssuer("console.isthmus.test") as fake:
        lab.admin("POST", "/_lab/issuers", fake.told)
        yield fake


@pytest.fixture
def people(client: Callable[..., Any], account: str, issuer: FakeIssuer) -> People:
    return People(client, account, issuer)


@pytest.fixture
def browser(lab: LabProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=lab.url, follow_redirects=True, trust_env=False) as made:
        yield made


def ask(browser: httpx.Client, session: dict[str, Any], **more: str) -> httpx.Response:
    """The answer of getSigninToken."""
    told = {"sessionId": session["AccessKeyId"], "sessionKey": session["SecretAccessKey"], "sessionToken": session["SessionToken"]}
    return browser.get("/federation", params={"Action": "getSigninToken", "Session": json.dumps(told), **more})


def login(browser: httpx.Client, token: str, destination: str = HOME) -> httpx.Response:
    wanted = {"Action": "login", "Issuer": "https://id.example.com", "Destination": destination, "SigninToken": token}
    return browser.get("/federation", params=wanted)


def test_a_person_is_signed_in_until_revoked(people: People, browser: httpx.Client) -> None:
    token = ask(browser, people.enter("alice")).raise_for_status().json()["SigninToken"]
    shown = login(browser, token)
    who = f"arn:aws:sts::{people.account}:assumed-role/Door/session-alice"
    assert (shown.status_code, shown.json()["signedIn"], shown.json()["sourceIdentity"]) == (200, who, "alice")
    assert (shown.json()["allowed"], shown.json()["destination"]) == (True, HOME)
    revoked = document(deny("*", StringEquals={"aws:SourceIdentity": "alice"}, DateLessThan={"aws:TokenIssueTime": "2999-01-01T00:00:00Z"}))
    people.iam.put_role_policy(RoleName="Door", PolicyName="revoked", PolicyDocument=revoked)
    after = browser.get("/_console")
    assert (after.status_code, after.json()["signedIn"], after.json()["allowed"]) == (403, who, False)
    assert "explicit deny" in after.json()["message"]
    other = login(browser, ask(browser, people.enter("bob")).json()["SigninToken"])
    assert (other.status_code, other.json()["sourceIdentity"]) == (200, "bob")


def test_the_console_shows_a_page_to_browsers_and_its_steps_in_the_trail(people: People, browser: httpx.Client) -> None:
    session = people.enter("alice")
    token = ask(browser, session).json()["SigninToken"]
    browser.headers["accept"] = "text/html"
    shown = login(browser, token, HOME + "&<script>")
    assert "assumed-role/Door/session-alice" in shown.text
    assert "<script>" not in shown.text
    rows = people.client("cloudtrail").lookup_events(LookupAttributes=[{"AttributeKey": "Username", "AttributeValue": "session-alice"}])
    events = [json.loads(row["CloudTrailEvent"]) for row in rows["Events"]][::-1]
    assert [one["eventName"] for one in events] == ["GetSigninToken", "ConsoleLogin", "DescribeRegions"]
    assert {one["userIdentity"]["sessionContext"]["sourceIdentity"] for one in events} == {"alice"}
    assert len({one["userIdentity"]["sessionContext"]["attributes"]["creationDate"] for one in events}) == 1
    keys = [one["userIdentity"]["accessKeyId"] for one in events]
    assert keys[0] == session["AccessKeyId"]
    assert keys[1] == keys[2] != keys[0]
    assert events[1]["eventType"] == "AwsConsoleSignIn"
    assert events[1]["responseElements"] == {"ConsoleLogin": "Success"}
    assert session["SecretAccessKey"] not in json.dumps(events)
    assert token not in json.dumps(events)


def test_credentials_that_get_no_token(people: People, browser: httpx.Client) -> None:
    session = people.enter()
    assert ask(browser, {**session, "SecretAccessKey": "wrong"}).status_code == 400
    assert ask(browser, {**session, "SessionToken": "wrong"}).status_code == 400
    assert ask(browser, {**session, "AccessKeyId": people.account}).status_code == 400
    assert browser.get("/federation", params={"Action": "getSigninToken", "Session": "garbage"}).status_code == 400
    for duration in ("899", "43201", "1h", "-900"):
        assert ask(browser, session, SessionDuration=duration).status_code == 400
    chained = people.chain(session, people.inner())["Credentials"]
    assert ask(browser, chained, SessionDuration="900").status_code == 400
    assert login(browser, ask(browser, chained).json()["SigninToken"]).json()["sourceIdentity"] == "alice"
    assert login(browser, ask(browser, session, SessionDuration="43200").json()["SigninToken"]).status_code == 200


def test_sign_ins_that_are_refused(people: People, browser: httpx.Client) -> None:
    token = ask(browser, people.enter()).json()["SigninToken"]
    assert login(browser, "x" * 86).status_code == 400
    for destination in ("https://evil.test/", "http://console.aws.amazon.com/", "https://console.aws.amazon.com.evil.test/", ""):
        assert login(browser, token, destination).status_code == 400
    assert browser.get("/_console").status_code == 401
    assert browser.get("/_console", headers={"cookie": "lab-console=guessed"}).json()["signedIn"] is None
    assert login(browser, token, "https://eu-west-1.console.aws.amazon.com/").status_code == 200


def test_a_bucket_may_be_called_federation(client: Callable[..., Any]) -> None:
    client("s3").create_bucket(Bucket="federation")
    assert client("s3").list_objects_v2(Bucket="federation")["KeyCount"] == 0
