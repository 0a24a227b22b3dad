"""People sign in with a real third-party OpenID provider, with links, and see what they may do."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from isthmus.access import leaving, revocations
from isthmus.api.entries import Finished, ProviderEntry
from isthmus.app import Application, build
from isthmus.arm.errors import ArmError
from isthmus.identity import evidence
from isthmus.identity.jws import parse
from isthmus.settings import Settings
from isthmus.store.tables import audit_records, people, sign_ins
from tests.access.estate import ADMIN
from tests.api.conftest import PORT, Api
from tests.support.openid import OpenIdProvider

OURS = "2026-11-01"
REDIRECT = f"https://localhost:{PORT}/sign-in/callback"
SECRET = "a secret of some length: 0123456789 + &%"
USERS = {"ann": {"name": "Ann B.", "email": "team@example.test"}, "bob": {"name": "Bob", "email": "team@example.test"}}
Configured = Callable[..., Application]


def registered(auth: str, **more: Any) -> dict[str, Any]:
    """Our registration at the provider."""
    client = {"client_id": "isthmus", "redirect_uris": [REDIRECT], "response_types": ["code"], "grant_types": ["authorization_code"]}
    return {**client, "token_endpoint_auth_method": auth, **more}


@pytest.fixture
def configured(database_url: str, tmp_path: Path, made_keys: Path, openid_provider: OpenIdProvider) -> Iterator[Configured]:
    """Builds the application with the provider; the provider knows our client as told and Ann and Bob."""
    shutil.copytree(made_keys, tmp_path / "data" / "keys")
    apps: list[Application] = []

    def configure(client: dict[str, Any] | None = None, **settings: Any) -> Application:
        for app in apps:
            app.close()
        apps.clear()
        openid_provider.set(clients=[client or registered("none")], users=USERS, thin=False)
        named = {"oidc_issuer": openid_provider.issuer, "oidc_client_id": "isthmus", "oidc_ca_file": openid_provider.ca}
        given = {"data": tmp_path / "data", "database_url": database_url, **named, **settings}
        apps.append(build(Settings(**given), port=PORT, environ={}))
        return apps[0]

    yield configure
    for app in apps:
        app.close()


def entry(app: Application) -> ProviderEntry:
    assert app.sign_in.provider is not None
    return app.sign_in.provider


def sign_in(app: Application, provider: OpenIdProvider, name: str, return_to: str = "/") -> Finished:
    """A whole sign-in, as a browser makes it."""
    begun = entry(app).begin(return_to)
    return entry(app).finish(begun.cookie, provider.sign_in(begun.url, name))


def refused(act: Callable[[], object], code: str) -> ArmError:
    with pytest.raises(ArmError) as caught:
        act()
    assert caught.value.code == code, caught.value
    return caught.value


def count(app: Application, table: Any, *where: Any) -> int:
    with app.engine.store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())


@pytest.mark.parametrize("auth", ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_people_sign_in_by_every_proof_of_ours(configured: Configured, openid_provider: OpenIdProvider, tmp_path: Path, auth: str) -> None:
    settings: dict[str, Any] = {}
    more: dict[str, Any] = {}
    if auth.startswith("client_secret"):
        (tmp_path / "secret").write_text(f"{SECRET}\n")
        settings = {"oidc_client_auth": "client_secret", "oidc_client_secret_file": tmp_path / "secret"}
        more = {"client_secret": SECRET}
    if auth == "private_key_jwt":
        published = Api(configured(), tmp_path / "data").http.get("/common/discovery/v2.0/keys").json()
        settings = {"oidc_client_auth": "private_key_jwt"}
        more = {"jwks": published}
    app = configured(registered(auth, **more), **settings)
    finished = sign_in(app, openid_provider, "ann", "/inventory?account=1")
    assert (finished.person.name, finished.person.mail, finished.return_to) == ("Ann B.", "team@example.test", "/inventory?account=1")
    secret = app.sign_in.sessions.open(finished.person, provider=entry(app).issuer)
    session = app.sign_in.sessions.find(secret)
    assert session is not None
    assert session.provider == openid_provider.issuer
    api = Api(app, tmp_path / "data")
    [me] = api.call("GET", "/providers/Isthmus.Identity/me", version=OURS, token=app.sign_in.sessions.token(session)).json()["value"]
    expected = {"objectId": finished.person.object_id, "name": "Ann B.", "kind": "User", "assignments": [], "signIn": None}
    assert me["properties"] == expected


def test_a_wrong_proof_is_refused(configured: Configured, openid_provider: OpenIdProvider, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("another secret")
    settings = {"oidc_client_auth": "client_secret", "oidc_client_secret_file": tmp_path / "secret"}
    app = configured(registered("client_secret_basic", client_secret=SECRET), **settings)
    error = refused(lambda: sign_in(app, openid_provider, "ann"), "SignInRefused")
    assert "invalid_client" in error.message
    assert "another secret" not in error.message
    with_other_keys = configured(registered("private_key_jwt", jwks={"keys": []}), oidc_client_auth="private_key_jwt")
    refused(lambda: sign_in(with_other_keys, openid_provider, "ann"), "SignInRefused")


def test_signing_in_gives_nobody_a_role(configured: Configured, openid_provider: OpenIdProvider, tmp_path: Path) -> None:
    app = configured()
    api = Api(app, tmp_path / "data")
    person = sign_in(app, openid_provider, "ann").person
    session = app.sign_in.sessions.find(app.sign_in.sessions.open(person, provider=entry(app).issuer))
    assert session is not None
    token = app.sign_in.sessions.token(session)
    assert api.call("GET", "/subscriptions", token=token).json()["value"] == []
    assert api.call("GET", "/providers/Isthmus.Identity/people", version=OURS, token=token).status_code == 403
    subscription = f"/subscriptions/{api.subscription}"
    body = {"properties": {"roleDefinitionId": "Reader", "principalId": person.object_id, "principalType": "User"}}
    assert api.call("PUT", f"{subscription}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}", body).status_code == 201
    assert len(api.call("GET", "/subscriptions", token=token).json()["value"]) == 1, "a role counts at once"
    [me] = api.call("GET", "/providers/Isthmus.Identity/me", version=OURS, token=token).json()["value"]
    [assignment] = me["properties"]["assignments"]
    assert (assignment["role"], assignment["scope"]) == ("Reader", subscription)


def test_people_are_listed_to_readers_of_the_tenant(configured: Configured, openid_provider: OpenIdProvider, tmp_path: Path) -> None:
    app = configured()
    api = Api(app, tmp_path / "data")
    for name in ("ann", "bob", "ann"):
        sign_in(app, openid_provider, name)
    path = "/providers/Isthmus.Identity/people"
    listed = api.call("GET", path, version=OURS, token=api.client("Reader")).json()["value"]
    assert {one["properties"]["name"]: one["properties"]["mail"] for one in listed} == {
        name["name"]: name["email"] for name in USERS.values()
    }
    assert len({one["name"] for one in listed}) == 2, "one mail address is not one person"
    for one in listed:
        properties = one["properties"]
        assert properties["issuer"] == openid_provider.issuer
        assert properties["firstSignIn"] <= properties["lastSignIn"]
        assert api.call("GET", one["id"], version=OURS).json() == one
    assert api.call("GET", f"{path}/{uuid.uuid4()}", version=OURS).status_code == 404


def test_an_owner_signs_others_out(configured: Configured, openid_provider: OpenIdProvider, tmp_path: Path) -> None:
    app = configured()
    api = Api(app, tmp_path / "data")
    person = sign_in(app, openid_provider, "ann").person
    secrets = [app.sign_in.sessions.open(person, provider=entry(app).issuer) for _ in range(2)]
    action = f"/providers/Isthmus.Identity/people/{person.object_id}/endSessions"
    assert api.call("POST", action, version=OURS, token=api.client("Contributor")).status_code == 403
    assert all(app.sign_in.sessions.find(secret) for secret in secrets)
    assert api.call("POST", action, version=OURS).json() == {"ended": 2}
    assert [app.sign_in.sessions.find(secret) for secret in secrets] == [None, None]


def test_a_sign_in_leaves_one_record_and_refusals_are_counted(configured: Configured, openid_provider: OpenIdProvider) -> None:
    app = configured()
    accepted = (audit_records.c.action == "Isthmus.Identity/signIn", audit_records.c.outcome == "accepted")
    begun = entry(app).begin("/")
    query = openid_provider.sign_in(begun.url, "ann")
    for _ in range(20):
        refused(lambda: entry(app).finish(begun.cookie, {**query, "state": "x"}), "SignInMismatch")
        refused(lambda: entry(app).finish("", query), "SignInMismatch")
    assert count(app, people) == 0
    assert count(app, audit_records, *accepted) == 0
    assert count(app, audit_records, audit_records.c.action == "sign-in") <= 2, "one at once, and one more when a minute ended meanwhile"
    person = entry(app).finish(begun.cookie, query).person
    with app.engine.store.read() as connection:
        record = connection.execute(select(audit_records).where(*accepted)).one()
    assert (record.actor, record.target) == (person.object_id, "/sign-in/callback")
    assert openid_provider.issuer in record.detail
    assert query["code"] not in str(record)


CLAIMS = {"uti": "u-1", "sid": "s-1", "amr": ["pwd", "mfa"], "acrs": ["c1"]}


@pytest.mark.parametrize(
    ("told", "groups"),
    [
        ({"groups": ["g-dev", "g-ops"]}, ("g-dev", "g-ops")),
        ({"groups": []}, ()),
        ({}, None),
        ({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.test/x"}}}, None),
    ],
    ids=["told", "none", "not told", "overage"],
)
def test_a_sign_in_leaves_evidence_equal_to_the_claims(
    configured: Configured, openid_provider: OpenIdProvider, told: dict[str, Any], groups: tuple[str, ...] | None
) -> None:
    app = configured()
    openid_provider.set(users={"ann": {**USERS["ann"], **CLAIMS, **told}})
    finished = sign_in(app, openid_provider, "ann")
    session = app.sign_in.sessions.find(app.sign_in.sessions.open(finished.person, provider=entry(app).issuer, sign_in=finished.sign_in))
    assert session is not None
    with app.engine.store.read() as connection:
        found = evidence.find(connection, session.sign_in)
        record = connection.execute(select(audit_records).where(audit_records.c.action == "Isthmus.Identity/signIn")).one()
    assert found == finished.sign_in
    assert (found.object_id, found.issuer, found.subject) == (finished.person.object_id, openid_provider.issuer, "ann")
    assert (found.token_id, found.session_id, found.methods, found.contexts) == ("u-1", "s-1", ("pwd", "mfa"), ("c1",))
    assert found.groups == groups
    assert found.ends_at - found.at == 12 * 3_600_000 == session.expires_at - found.at
    assert found.id in record.detail
    assert parse(app.sign_in.sessions.token(session)).claims["sid"] == found.id


def test_no_evidence_of_what_was_refused(configured: Configured, openid_provider: OpenIdProvider) -> None:
    app = configured()
    begun = entry(app).begin("/")
    query = openid_provider.sign_in(begun.url, "ann")
    assert entry(app).finish(begun.cookie, query)
    refused(lambda: entry(app).finish(begun.cookie, query), "SignInRefused")
    assert count(app, sign_ins) == 1


def test_who_was_offboarded_cannot_sign_in_until_somebody_lets_them(configured: Configured, openid_provider: OpenIdProvider) -> None:
    app = configured()
    person = sign_in(app, openid_provider, "ann").person
    with app.engine.store.begin() as connection:
        leaving.offboard(connection, app.engine, person.object_id, ADMIN, "left")
    begun = entry(app).begin("/")
    error = refused(lambda: entry(app).finish(begun.cookie, openid_provider.sign_in(begun.url, "ann")), "AccessRevoked")
    assert person.object_id in error.message
    assert "isthmus " not in error.message, "who was shut out runs no command"
    with app.engine.store.begin() as connection:
        assert evidence.latest(connection, person.object_id, app.engine.now()) is None
        revocations.readmit(connection, app.engine, person.object_id, ADMIN)
    assert sign_in(app, openid_provider, "ann").person == person


def test_a_code_is_good_once(configured: Configured, openid_provider: OpenIdProvider) -> None:
    app = configured()
    begun = entry(app).begin("/")
    query = openid_provider.sign_in(begun.url, "ann")
    assert entry(app).finish(begun.cookie, query).person.name == "Ann B."
    refused(lambda: entry(app).finish(begun.cookie, query), "SignInRefused")
    other = entry(app).begin("/")
    refused(
        lambda: entry(app).finish(other.cookie, {**query, "state": openid_provider.sign_in(other.url, "bob")["state"]}), "SignInRefused"
    )


def test_one_attempt_is_good_once_even_with_another_code(configured: Configured, openid_provider: OpenIdProvider) -> None:
    """A provider that would answer the same question twice."""
    app = configured()
    begun = entry(app).begin("/")
    first, second = (openid_provider.sign_in(begun.url, "ann") for _ in range(2))
    assert first["code"] != second["code"]
    assert entry(app).finish(begun.cookie, first)
    assert "before" in refused(lambda: entry(app).finish(begun.cookie, second), "SignInMismatch").message


def test_the_answer_of_another_browser_does_not_count(configured: Configured, openid_provider: OpenIdProvider) -> None:
    """Login CSRF: a victim is sent the end of an attacker's sign-in."""
    app = configured()
    attackers, victims = entry(app).begin("/"), entry(app).begin("/")
    query = openid_provider.sign_in(attackers.url, "bob")
    refused(lambda: entry(app).finish(victims.cookie, query), "SignInMismatch")
    stolen = openid_provider.sign_in(victims.url, "ann")
    refused(lambda: entry(app).finish(attackers.cookie, {**stolen, "state": query["state"]}), "SignInRefused")
    assert count(app, people) == 0


def test_a_person_whom_the_provider_does_not_know_is_told(configured: Configured, openid_provider: OpenIdProvider) -> None:
    app = configured()
    error = refused(lambda: sign_in(app, openid_provider, "mallory"), "SignInDenied")
    assert (error.status, "no such person" in error.message) == (403, True)


def test_answers_name_their_provider(configured: Configured, openid_provider: OpenIdProvider) -> None:
    app = configured()
    begun = entry(app).begin("/")
    query = openid_provider.sign_in(begun.url, "ann")
    for wrong in ({**query, "iss": "https://evil.test"}, {name: value for name, value in query.items() if name != "iss"}):
        refused(lambda wrong=wrong: entry(app).finish(begun.cookie, wrong), "SignInRefused")
    assert entry(app).finish(begun.cookie, query)


def test_a_rotated_key_is_found(configured: Configured, openid_provider: OpenIdProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    app = configured()
    assert sign_in(app, openid_provider, "ann")
    openid_provider.rotate()
    assert sign_in(app, openid_provider, "ann"), "what was fetched before the rotation is fetched again at once"
    openid_provider.rotate()
    error = refused(lambda: sign_in(app, openid_provider, "ann"), "SignInRefused")
    assert "unknown key" in error.message, "an issuer that was asked for a key is not asked for another one at once"
    again = configured()
    assert sign_in(again, openid_provider, "ann")


def test_thin_tokens_name_nobody_and_the_provider_is_asked(configured: Configured, openid_provider: OpenIdProvider) -> None:
    app = configured()
    openid_provider.set(thin=True)
    assert sign_in(app, openid_provider, "bob").person.name == "Bob"


def test_a_provider_with_an_unknown_certificate_is_not_believed(configured: Configured) -> None:
    app = configured(oidc_ca_file=None)
    assert refused(lambda: entry(app).begin("/"), "SignInUnavailable").status == 503


def test_without_a_provider_there_are_links(api: Api) -> None:
    assert api.app.sign_in.provider is None
    url = api.call("POST", "/providers/Isthmus.Identity/signInLinks", {}, version=OURS).json()["url"]
    code = url.partition("#")[2]
    sign_in = api.app.sign_in
    secret = sign_in.link.open(code, correlation="c")
    session = sign_in.sessions.find(secret)
    assert session is not None
    assert (session.object_id, session.name, session.provider) == (api.app.installation.admin, "administrator", "")
    [me] = api.call("GET", "/providers/Isthmus.Identity/me", version=OURS, token=sign_in.sessions.token(session)).json()["value"]
    assert [(one["role"], one["scope"]) for one in me["properties"]["assignments"]] == [("Owner", "/")]
    refused(lambda: sign_in.link.open(code), "InvalidSignInLink")
    assert api.http.post("/sign-in", json={"code": code}).status_code == 401, "one link, one door"
    sign_in.sessions.close(secret)
    assert sign_in.sessions.find(secret) is None


def test_everybody_may_know_what_they_may_do(api: Api) -> None:
    stranger = api.client(None)
    [me] = api.call("GET", "/providers/Isthmus.Identity/me", version=OURS, token=stranger).json()["value"]
    assert (me["properties"]["kind"], me["properties"]["name"], me["properties"]["assignments"]) == ("Application", "test", [])
    assert api.call("GET", "/providers/Isthmus.Identity/me", version=OURS, token="none").status_code == 401


def test_a_bad_configuration_stops_the_start(tmp_path: Path) -> None:
    error = refused(lambda: build(Settings(data=tmp_path, oidc_issuer="https://x.test"), port=PORT, environ={}), "InvalidSignInProvider")
    assert error.target == "oidc_client_id"
    missing = tmp_path / "missing.pem"
    given = {"data": tmp_path, "oidc_issuer": "https://x.test", "oidc_client_id": "x", "oidc_ca_file": missing}
    refused(lambda: build(Settings(**given), port=PORT, environ={}), "UnreadableCertificate")
