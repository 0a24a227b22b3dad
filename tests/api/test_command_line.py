"""The command line signs people in: a whole walk with a third party's provider, and what is refused on the way."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from isthmus.access import leaving
from isthmus.app import build
from isthmus.identity import evidence
from isthmus.identity.jws import parse
from isthmus.settings import Settings
from isthmus.store.tables import refresh_tokens, sign_in_codes, sign_ins
from tests.access.estate import ADMIN
from tests.api.conftest import PORT, Api
from tests.api.line import ASKED, CHALLENGE, DEVICE_GRANT, OURS, STATE, VERIFIER, Line, answer_of, refused
from tests.portal.test_frame import found_token
from tests.support.openid import OpenIdProvider


@pytest.fixture
def line(api: Api) -> Line:
    """Somebody who came by a link, and a command line."""
    made = Line(api)
    made.browser.sign_in()
    return made


@pytest.fixture
def with_provider(database_url: str, tmp_path: Path, made_keys: Path, openid_provider: OpenIdProvider) -> Iterator[Callable[..., Line]]:
    """Somebody who came through a third party's provider, as its claims tell."""
    shutil.copytree(made_keys, tmp_path / "data" / "keys")
    client = {
        "client_id": "isthmus",
        "redirect_uris": [f"https://localhost:{PORT}/sign-in/callback"],
        "response_types": ["code"],
        "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": "none",
    }
    given = {"oidc_issuer": openid_provider.issuer, "oidc_client_id": "isthmus", "oidc_ca_file": openid_provider.ca}
    app = build(Settings(data=tmp_path / "data", database_url=database_url, **given), port=PORT, environ={})  # type: ignore[arg-type]

    def signed_in(**claims: Any) -> Line:
        openid_provider.set(clients=[client], users={"ann": {"name": "Ann B.", **claims}}, thin=False)
        made = Line(Api(app, tmp_path / "data"))
        to_door = made.browser.send("GET", made.authorize().headers["location"])
        door = made.browser.send("GET", to_door.headers["location"])
        way = re.search(r'href="(/portal/sign-in/provider[^"]+)"', door.text)
        assert way is not None
        there = made.browser.send("GET", way[1].replace("&amp;", "&")).headers["location"]
        back = openid_provider.sign_in(there, "ann")
        inside = made.browser.send("GET", f"/sign-in/callback?{httpx.QueryParams(back)}")
        assert inside.headers["location"].startswith("/portal/consent?"), "one returns to what the command line asked"
        return made

    yield signed_in
    app.close()


def test_a_whole_sign_in_with_a_provider(with_provider: Callable[..., Line]) -> None:
    line = with_provider(uti="u-1", sid="s-1", amr=["pwd", "mfa"], groups=["g-dev"])
    answer = answer_of(line.consent())
    assert answer["state"] == STATE
    assert answer["iss"] == line.api.http.get("/common/v2.0/.well-known/openid-configuration").json()["issuer"]
    tokens = line.redeem(answer["code"]).json()
    claims = parse(tokens["access_token"]).claims
    with line.api.app.engine.store.read() as connection:
        [id] = connection.execute(select(sign_ins.c.id)).scalars()
        found = evidence.find(connection, id)
    assert found is not None
    assert (claims["sid"], claims["oid"], claims["appid"]) == (id, found.object_id, "isthmus-cli")
    assert (found.token_id, found.session_id, found.methods, found.groups) == ("u-1", "s-1", ("pwd", "mfa"), ("g-dev",))
    assert tokens["expires_in"] == 3600
    assert 12 * 3600 - 60 < tokens["refresh_token_expires_in"] <= 12 * 3600
    again = line.refresh(tokens["refresh_token"]).json()
    assert parse(again["access_token"]).claims["sid"] == id
    assert [record.actor for record in line.records("Isthmus.Identity/consent")] == [found.object_id]
    assert [id in record.detail for record in line.records("Isthmus.Identity/signIn")] == [True, True], "the person, then the command line"
    kept = line.kept()
    for secret in (answer["code"], tokens["refresh_token"], again["refresh_token"], tokens["access_token"], VERIFIER):
        assert secret not in kept


def test_everything_dies_with_the_sign_in(with_provider: Callable[..., Line]) -> None:
    line = with_provider()
    code = line.code()
    tokens = line.redeem(code).json()
    waiting = line.code()
    with line.api.app.engine.store.begin() as connection:
        assert evidence.end_all(connection, parse(tokens["access_token"]).claims["oid"], line.api.app.engine.now()) == 1
    refused(line.refresh(tokens["refresh_token"]), "invalid_grant")
    refused(line.redeem(waiting), "invalid_grant")


def test_a_token_speaks_only_while_its_sign_in_stands(with_provider: Callable[..., Line]) -> None:
    line = with_provider()
    token = line.redeem(line.code()).json()["access_token"]
    me = "/providers/Isthmus.Identity/me"
    assert line.api.call("GET", me, version="2026-11-01", token=token).status_code == 200
    app, person = line.api.app, parse(token).claims["oid"]
    with app.engine.store.begin() as connection:
        evidence.end_all(connection, person, app.engine.now())
    answer = line.api.call("GET", me, version="2026-11-01", token=token)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "SignInNeeded")
    assert "isthmus login" in answer.json()["error"]["message"]
    assert "WWW-Authenticate" in answer.headers
    with app.engine.store.begin() as connection:
        leaving.offboard(connection, app.engine, person, ADMIN, "left")
    gone = line.api.call("GET", me, version="2026-11-01", token=token)
    assert (gone.status_code, gone.json()["error"]["code"]) == (403, "AccessRevoked")
    assert "isthmus login" not in gone.json()["error"]["message"], "it would be refused"


def test_a_device_is_signed_in(line: Line) -> None:
    device = line.begin_device()
    assert (device["interval"], device["expires_in"]) == (5, 600)
    assert re.fullmatch("[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", device["user_code"])
    assert device["verification_uri_complete"] == f"{device['verification_uri']}?code={device['user_code']}"
    refused(line.poll(device), "authorization_pending")
    refused(line.poll(device), "slow_down")
    page = line.device(device["user_code"].lower().replace("-", " "))
    assert "wants to act as you" in page.text
    refused(line.poll(device), "slow_down")
    done = line.device(device["user_code"], "allow")
    assert "signed in" in done.text
    tokens = line.poll(device).json()
    assert line.me(tokens["access_token"])["objectId"] == line.api.app.installation.admin
    assert line.refresh(tokens["refresh_token"]).status_code == 200
    [consent] = line.records("Isthmus.Identity/consent")
    assert '"kind":"device"' in consent.detail.replace(" ", "")
    assert not line.records("token"), "waiting is no refusal"
    for secret in (device["device_code"], device["user_code"], device["user_code"].replace("-", "")):
        assert secret not in line.kept()
    refused(line.poll(device), "invalid_grant")
    refused(line.refresh(tokens["refresh_token"]), "invalid_grant")


def test_a_denied_device_is_told(line: Line) -> None:
    device = line.begin_device()
    assert "Nothing was allowed" in line.device(device["user_code"], "deny").text
    refused(line.poll(device), "access_denied")
    assert line.device(device["user_code"], "allow").status_code == 404
    assert len(line.records("Isthmus.Identity/denyConsent")) == 1


def test_user_codes_cannot_be_guessed(line: Line) -> None:
    device = line.begin_device()
    assert [line.device(f"BCDFGHJ{letter}").status_code for letter in "BCDFG"] == [404] * 5
    late = line.device(device["user_code"], "allow")
    assert (late.status_code, "Too many codes" in late.text) == (429, True), "the right one does not count any more either"
    refused(line.poll(device), "authorization_pending")
    assert line.records("consent")[0].actor == line.api.app.installation.admin


def test_a_person_who_does_not_want_to_is_no_sign_in(line: Line) -> None:
    answer = answer_of(line.consent("deny"))
    assert (answer["error"], answer["state"]) == ("access_denied", STATE)
    assert "code" not in answer
    with line.api.app.engine.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(sign_in_codes)).scalar_one() == 0
    assert len(line.records("Isthmus.Identity/denyConsent")) == 1


def test_a_code_works_once_and_a_second_use_ends_what_came_of_it(line: Line) -> None:
    code = line.code()
    tokens = line.redeem(code).json()
    refused(line.redeem(code), "invalid_grant")
    refused(line.refresh(tokens["refresh_token"]), "invalid_grant")
    assert len(line.records("Isthmus.Identity/endSignIn")) == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": CHALLENGE}, "invalid_grant"),
        ({"code_verifier": "v"}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:49153/callback"}, "invalid_grant"),
        ({"client_id": "operator"}, "unauthorized_client"),
        ({"client_id": ""}, "unauthorized_client"),
        ({"code": "0" * 64}, "invalid_grant"),
        ({"scope": "https://graph.microsoft.com/.default"}, "invalid_resource"),
    ],
)
def test_a_code_is_nobody_elses(line: Line, changes: dict[str, str], error: str) -> None:
    refused(line.redeem(**{"code": line.code(), **changes}), error)
    with line.api.app.engine.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(refresh_tokens)).scalar_one() == 0


def test_a_code_is_used_up_by_a_wrong_verifier(line: Line) -> None:
    code = line.code()
    refused(line.redeem(code, code_verifier="w" * 43), "invalid_grant")
    refused(line.redeem(code), "invalid_grant")


def test_codes_of_one_kind_are_none_of_the_other(line: Line) -> None:
    device = line.begin_device()
    line.device(device["user_code"], "allow")
    refused(line.redeem(device["device_code"]), "invalid_grant")
    refused(line.token(grant_type=DEVICE_GRANT, device_code=line.code()), "invalid_grant")
    assert line.poll(device).status_code == 200


@pytest.mark.parametrize(
    "redirect",
    [
        None,
        "",
        "https://evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1:1@evil.example/callback",
        "http://127.0.0.1:49152@evil.example/callback",
        "http://localhost:49152/callback",
        "https://127.0.0.1:49152/callback",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:49152/callback/",
        "http://127.0.0.1:49152/callback?next=//evil.example",
        "http://127.0.0.1:49152/callback#x",
        "http://127.0.0.1:49152/callback\n",
        "http://127.0.0.1:49152\\@evil.example/callback",
        "http://[::1]:49152/callback",
        "http://127.1:49152/callback",
        "isthmus://callback",
    ],
)
def test_codes_go_to_the_loopback_and_nowhere_else(line: Line, redirect: str | None) -> None:
    answer = line.authorize(redirect_uri=redirect)
    refused(answer, "invalid_request")
    assert "location" not in answer.headers
    query = httpx.QueryParams({**ASKED, "redirect_uri": redirect or ""})
    page = line.browser.send("GET", f"/portal/consent?{query}")
    assert (page.status_code, "InvalidSignInRequest" in page.text) == (400, True)
    sent = line.consent(redirect_uri=redirect or "")
    assert (sent.status_code, "location" in sent.headers) == (400, False)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"state": None}, "invalid_request"),
        ({"state": "short"}, "invalid_request"),
        ({"state": "<script>alert(1)</script>"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": "https://graph.microsoft.com/.default"}, "invalid_resource"),
    ],
)
def test_what_is_wrong_is_told_to_the_client(line: Line, changes: dict[str, str | None], error: str) -> None:
    answer = answer_of(line.authorize(**changes))
    assert answer["error"] == error
    assert answer["error_description"]
    assert answer["iss"]
    assert "code" not in answer


def test_other_clients_and_tenants_lead_nowhere(line: Line) -> None:
    for answer in (line.authorize(client_id="operator"), line.authorize(client_id=None)):
        refused(answer, "unauthorized_client")
    query = httpx.QueryParams(ASKED)
    refused(line.browser.send("GET", f"/elsewhere/oauth2/v2.0/authorize?{query}"), "invalid_request")
    refused(line.browser.send("GET", f"/common/oauth2/v2.0/authorize?{query}&redirect_uri=https://evil.example"), "invalid_request")
    assert line.browser.send("GET", f"/portal/consent?{query}&state=another-of-them").status_code == 400


@pytest.mark.parametrize("token", ["", "AAAA", "of another session"])
def test_a_consent_without_its_token_is_none(line: Line, token: str) -> None:
    if token == "of another session":
        other = Line(line.api)
        other.browser.sign_in()
        token = found_token(other.browser.send("GET", "/portal/device").text)
    answer = line.consent(_token=token)
    assert (answer.status_code, "FormNotYours" in answer.text) == (403, True)
    device = line.begin_device()
    sent = line.browser.send("POST", "/portal/device", data={"_token": token, "code": device["user_code"], "decision": "allow"})
    assert sent.status_code == 403
    refused(line.poll(device), "authorization_pending")
    assert line.records("consent"), "a refusal is on record"


@pytest.mark.parametrize("path", ["/portal/consent", "/portal/device"])
def test_a_consent_of_another_site_is_none(line: Line, path: str) -> None:
    token = found_token(line.browser.send("GET", "/portal/device").text)
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = line.browser.send("POST", path, data={**ASKED, "_token": token, "code": "x", "decision": "allow"}, headers=headers)
    assert (answer.status_code, "CrossSiteRequest" in answer.text) == (403, True)


def test_a_session_that_ended_meanwhile_allows_nothing(line: Line) -> None:
    sessions = line.api.app.sign_in.sessions
    page = line.browser.send("GET", line.authorize().headers["location"])
    code, device = line.code(), line.begin_device()
    line.device(device["user_code"], "allow")
    sessions.close(line.browser.cookies["__Host-isthmus"])
    refused(line.redeem(code), "invalid_grant")
    refused(line.poll(device), "invalid_grant")
    sent = line.browser.send("POST", "/portal/consent", data={**ASKED, "_token": found_token(page.text), "decision": "allow"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/portal/sign-in?return=%2Fportal%2F")


def test_a_refresh_token_is_good_once_and_a_second_use_ends_the_family(line: Line) -> None:
    first = line.redeem(line.code()).json()["refresh_token"]
    second = line.refresh(first).json()["refresh_token"]
    third = line.refresh(second).json()["refresh_token"]
    assert len({first, second, third}) == 3
    other = line.redeem(line.code()).json()["refresh_token"]
    said = refused(line.refresh(first), "invalid_grant")
    assert "used before" in said["error_description"]
    for ended in (first, second, third):
        refused(line.refresh(ended), "invalid_grant")
    assert line.refresh(other).status_code == 200, "another sign-in is not concerned"
    [record] = line.records("Isthmus.Identity/endSignIn")
    assert record.actor == line.api.app.installation.admin


def test_signing_out_ends_the_family(line: Line) -> None:
    token = line.redeem(line.code()).json()["refresh_token"]
    revoke = f"{line.api.token_url.removesuffix('token')}revoke"
    refused(line.api.http.post(revoke, data={"client_id": "isthmus-cli"}), "invalid_request")
    refused(line.api.http.post(revoke, data={"client_id": "operator", "token": token}), "unauthorized_client")
    for given in (token, token, "unknown"):
        answer = line.api.http.post(revoke, data={"client_id": "isthmus-cli", "token": given})
        assert (answer.status_code, answer.json()) == (200, {})
    refused(line.refresh(token), "invalid_grant")
    assert len(line.records("Isthmus.Identity/signOut")) == 1


def test_signing_somebody_out_everywhere_ends_their_command_lines(line: Line) -> None:
    token = line.redeem(line.code()).json()["refresh_token"]
    admin = line.api.app.installation.admin
    assert line.api.call("POST", f"/providers/Isthmus.Identity/people/{admin}/endSessions", version=OURS).status_code == 200
    refused(line.refresh(token), "invalid_grant")


def test_strangers_are_asked_to_sign_in_first(api: Api) -> None:
    line = Line(api)
    page = line.authorize().headers["location"]
    assert line.browser.send("GET", page).headers["location"].startswith("/portal/sign-in?return=%2Fportal%2Fconsent%3F")
    assert line.browser.send("GET", "/portal/device?code=BCDF-GHJK").headers["location"].endswith("%3Fcode%3DBCDF-GHJK")
    assert (
        line.browser.send("POST", "/portal/consent", data={**ASKED, "decision": "allow"}).headers["location"].startswith("/portal/sign-in")
    )
