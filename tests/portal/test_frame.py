"""What every page keeps: whose it is, where forms come from, what caches and frames may do with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import httpx
import pytest

from isthmus.app import build
from isthmus.identity.people import Person
from isthmus.portal.session import is_token, mask
from isthmus.settings import Settings
from isthmus.store.tables import sessions
from tests.api.conftest import PORT, Api
from tests.support.databases import Databases

SAFE = {"Origin": "https://localhost:8443", "Sec-Fetch-Site": "same-origin"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Browser:
    """A browser without scripts: one cookie jar, and headers as browsers send them."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.cookies: dict[str, str] = {}

    def send(
        self, method: str, path: str, *, data: Mapping[str, str | list[str]] | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """One request; cookies are kept."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {
            "Accept": "text/html",
            "Accept-Encoding": "identity",
            **({"Cookie": cookie} if cookie else {}),
            **(SAFE if method == "POST" else {}),
            **(headers or {}),
        }
        answer = self.api.http.request(method, path, data=data, headers={name: value for name, value in sent.items() if value})
        self.api.http.cookies.clear()
        for header in answer.headers.get_list("set-cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            if "max-age=0" in header.lower() or not value.strip('"'):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def sign_in(self) -> str:
        """Sign in by a link, as the administrator; the session's secret."""
        link = self.api.call("POST", "/providers/Isthmus.Identity/signInLinks", version="2026-11-01").json()["url"]
        answer = self.send("POST", "/portal/sign-in", data={"code": link})
        assert answer.status_code == 303, answer.text
        return self.cookies["__Host-isthmus"]

    def token(self, path: str = "/portal/kit") -> str:
        """The token that a page's forms carry."""
        return found_token(self.send("GET", path).text)


def found_token(page: str) -> str:
    """The token in a page."""
    match = re.search(r'name="_token" value="([^"]+)"', page)
    assert match is not None, page
    return match[1]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Api]:
    """One application for the whole file."""
    folder = tmp_path_factory.mktemp("frame")
    data = folder / "data"
    app = build(Settings(data=data, database_url=databases.fresh_sqlite(folder / "isthmus.db")), port=PORT, environ={})
    yield Api(app, data)
    app.close()


@pytest.fixture
def browser(api: Api) -> Browser:
    """A browser that is not signed in."""
    return Browser(api)


def test_a_link_opens_a_session_once(browser: Browser) -> None:
    link = browser.api.call("POST", "/providers/Isthmus.Identity/signInLinks", version="2026-11-01").json()["url"]
    code = link.partition("#")[2]
    first = browser.send("POST", "/portal/sign-in", data={"code": code, "return": "/portal/kit"})
    assert (first.status_code, first.headers["location"]) == (303, "/portal/kit")
    cookie = first.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("__host-isthmus=", "secure", "httponly", "samesite=lax", "path=/"))
    assert "domain" not in cookie
    assert browser.send("GET", "/portal/kit").status_code == 200
    again = Browser(browser.api).send("POST", "/portal/sign-in", data={"code": code})
    assert again.status_code == 422
    assert "was used before" in again.text


def test_the_secret_is_stored_as_a_hash_only(browser: Browser) -> None:
    secret = browser.sign_in()
    with browser.api.app.engine.store.read() as connection:
        rows = [str(row) for row in connection.execute(sessions.select())]
    assert rows
    assert not [row for row in rows if secret in row]


def test_a_session_that_was_there_before_does_not_survive_a_sign_in(browser: Browser) -> None:
    """Whoever plants a session in a browser does not share the one that its user opens."""
    planted = browser.sign_in()
    own = browser.sign_in()
    assert own != planted
    assert browser.api.app.sign_in.sessions.find(planted) is None
    browser.cookies["__Host-isthmus"] = "f" * 64
    assert browser.send("GET", "/portal/kit").status_code == 303


def test_signing_out_ends_the_session_on_the_server(browser: Browser) -> None:
    secret = browser.sign_in()
    answer = browser.send("POST", "/portal/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/portal/sign-in")
    browser.cookies["__Host-isthmus"] = secret
    assert browser.send("GET", "/portal/kit").headers["location"].startswith("/portal/sign-in?return=%2Fportal%2Fkit")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": ""},
        {"Origin": "null", "Sec-Fetch-Site": ""},
        {"Origin": "http://localhost:8443", "Sec-Fetch-Site": ""},
        {"Origin": "https://localhost:8443.evil.example", "Sec-Fetch-Site": ""},
        {"Origin": "", "Sec-Fetch-Site": "same-site"},
        {"Origin": "", "Sec-Fetch-Site": "none"},
        {"Origin": "", "Sec-Fetch-Site": ""},
    ],
    ids=lambda headers: "|".join(headers.values()),
)
@pytest.mark.parametrize("path", ["/portal/kit", "/portal/sign-in", "/portal/sign-out", "/portal/subscription"])
def test_forms_of_other_sites_are_refused(browser: Browser, path: str, headers: dict[str, str]) -> None:
    secret = browser.sign_in()
    data = {"_token": browser.token(), "kit-name": "name", "code": "0" * 64}
    answer = browser.send("POST", path, data=data, headers=headers)
    assert answer.status_code == 403
    assert "CrossSiteRequest" in answer.text
    assert browser.api.app.sign_in.sessions.find(secret) is not None


@pytest.mark.parametrize("token", ["", "AAAA", "!" * 86, mask("00" * 32)], ids=["none", "short", "not base64", "of nobody"])
def test_a_form_without_its_token_does_nothing_and_keeps_what_was_typed(browser: Browser, token: str) -> None:
    browser.sign_in()
    answer = browser.send("POST", "/portal/kit", data={"_token": token, "kit-name": "typed"})
    assert answer.status_code == 403
    assert "Nothing was done yet" in answer.text
    assert 'name="kit-name" value="typed"' in answer.text
    again = browser.send("POST", "/portal/kit", data={"_token": found_token(answer.text.partition("<main")[2]), "kit-name": "typed"})
    assert (again.status_code, again.headers["location"]) == (303, "/portal/kit?changed=1")


def test_a_form_after_the_session_ended_is_kept_until_the_person_is_back(browser: Browser) -> None:
    secret = browser.sign_in()
    token = browser.token()
    browser.api.app.sign_in.sessions.close(secret)
    lost = browser.send("POST", "/portal/kit", data={"_token": token, "kit-name": "typed"})
    assert lost.status_code == 401
    assert "Your session has ended" in lost.text
    assert 'name="kit-name" value="typed"' in lost.text
    browser.sign_in()
    stale = browser.send("POST", "/portal/kit", data={"_token": token, "kit-name": "typed"})
    assert stale.status_code == 403
    done = browser.send("POST", "/portal/kit", data={"_token": found_token(stale.text.partition("<main")[2]), "kit-name": "typed"})
    assert done.status_code == 303


def test_tokens_look_different_each_time_and_belong_to_one_session(browser: Browser) -> None:
    browser.sign_in()
    first, second = browser.token(), browser.token()
    assert first != second
    own = browser.api.app.sign_in.sessions.csrf(browser.cookies["__Host-isthmus"])
    assert is_token(first, own)
    assert is_token(second, own)
    other = Browser(browser.api)
    other.sign_in()
    assert not is_token(first, browser.api.app.sign_in.sessions.csrf(other.cookies["__Host-isthmus"]))


@pytest.mark.parametrize("path", ["/portal/", "/portal/kit", "/portal/nothing-here", "/portal/sign-in"])
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_no_page_is_cached_framed_or_guessed(browser: Browser, path: str, accept: str) -> None:
    browser.sign_in()
    answer = browser.send("GET", path, headers={"Accept": accept})
    assert answer.headers["cache-control"] == "no-store"
    assert "Cookie" in answer.headers["vary"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy


def test_every_answer_has_a_nonce_of_its_own(browser: Browser) -> None:
    browser.sign_in()
    nonces = {browser.send("GET", "/portal/kit").headers["content-security-policy"] for _ in range(3)}
    assert len(nonces) == 3


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/%5cevil.example",
        "javascript:alert(1)",
        "/portal/../sign-out",
        "/subscriptions",
    ],
)
def test_signing_in_never_leads_away(browser: Browser, back: str) -> None:
    link = browser.api.call("POST", "/providers/Isthmus.Identity/signInLinks", version="2026-11-01").json()["url"]
    answer = browser.send("POST", "/portal/sign-in", data={"code": link, "return": back})
    assert answer.headers["location"] == "/portal/"


def test_a_page_is_shown_under_our_own_name_only(browser: Browser) -> None:
    browser.sign_in()
    answer = browser.send("GET", "/portal/kit", headers={"Host": "evil.example"})
    assert answer.status_code == 421


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PUT", "/portal/kit", 405), ("DELETE", "/portal/", 405), ("POST", "/portal/", 405), ("GET", "/portal/x/y", 404)],
)
def test_what_is_not_there_is_said(browser: Browser, method: str, path: str, status: int) -> None:
    browser.sign_in()
    assert browser.send(method, path).status_code == status


def test_strangers_are_sent_to_sign_in_and_programs_are_told(browser: Browser) -> None:
    page = browser.send("GET", "/portal/kit?name=a%26b")
    assert (page.status_code, page.headers["location"]) == (303, "/portal/sign-in?return=%2Fportal%2Fkit%3Fname%3Da%2526b")
    program = browser.send("GET", "/portal/", headers={"Accept": "application/json"})
    assert (program.status_code, program.json()["error"]["code"]) == (401, "AuthenticationFailed")
    part = browser.send("GET", "/portal/kit", headers={"HX-Request": "true", "HX-Target": "div#list"})
    assert (part.status_code, part.headers["hx-retarget"]) == (401, "#notice")
    assert "What you typed is still here" in part.text


def test_a_form_is_bounded_and_must_be_a_form(browser: Browser) -> None:
    browser.sign_in()
    assert browser.send("POST", "/portal/kit", data={"kit-name": "x" * 300_000}).status_code == 413
    assert browser.send("POST", "/portal/kit", headers={"Content-Type": "application/json"}).status_code == 415
    many = {f"field{number}": "" for number in range(2_100)}
    assert browser.send("POST", "/portal/kit", data=many).status_code == 400


def test_pages_are_json_for_programs(browser: Browser) -> None:
    browser.sign_in()
    answer = browser.send("GET", "/portal/kit", headers={"Accept": "application/json"})
    assert answer.headers["content-type"].startswith("application/json")
    assert set(answer.json()) == {"name", "problems", "hostile", "changed"}


def test_titles_of_refusals_say_what_they_are(browser: Browser) -> None:
    browser.sign_in()
    assert "<title>Not found · Isthmus</title>" in browser.send("GET", "/portal/nothing-here").text
    secret = browser.api.app.sign_in.sessions.open(Person(object_id="5a0f7a3e-0000-4000-8000-000000000002", name="New"), provider="x")
    browser.cookies["__Host-isthmus"] = secret
    assert "<title>Not allowed · Isthmus</title>" in browser.send("GET", "/portal/connectors").text


def test_files_are_named_by_what_they_hold(browser: Browser) -> None:
    page = browser.send("GET", "/portal/sign-in").text
    files = re.findall(r'(?:src|href)="(/portal/static/[^"]+)"', page)
    assert len(files) >= 4
    for file in files:
        answer = browser.send("GET", file)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    assert browser.send("GET", files[0].replace("/static/", "/static/0")).status_code == 404
    assert browser.send("GET", "/portal/static/0/../site.py").status_code == 404


def test_somebody_without_a_role_sees_whose_word_is_missing(browser: Browser) -> None:
    secret = browser.api.app.sign_in.sessions.open(Person(object_id="5a0f7a3e-0000-4000-8000-000000000001", name="New <b>"), provider="x")
    browser.cookies["__Host-isthmus"] = secret
    answer = browser.send("GET", "/portal/")
    assert answer.status_code in (200, 403)
    assert "<b>" not in answer.text
    assert "5a0f7a3e-0000-4000-8000-000000000001" in answer.text
