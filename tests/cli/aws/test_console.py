"""The address that signs a browser in: where it is asked for, what it carries, and that it never stands in a program's arguments."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from isthmus.arm.errors import ArmError
from isthmus.cli.aws.cache import Credentials
from isthmus.cli.aws.console import checked_path, console, federation_endpoint, login_address
from isthmus.cli.aws.redirect import Redirect
from isthmus.cli.aws.taking import Taken
from isthmus.cli.session import Session
from isthmus.client import Client, Place

TAKEN = Taken(
    credentials=Credentials(access_key="ASIA1", secret_key="very secret", session_token="token", expiration="", until=0),
    role_arn="arn:aws-us-gov:iam::123456789012:role/x",
    grant="G-1",
)


class Federation:
    """An endpoint that takes forms or not, or refuses; `asked` are methods and parameters."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.takes, self.refuses = {"POST", "GET"}, False
        made = self

        class Answers(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                made.asked.append((self.command, parse_qs(form or urlsplit(self.path).query)))
                good = self.command in made.takes and not made.refuses
                body = b'{"SigninToken": "t-1"}' if good else b"<html>no</html>"
                self.send_response(200 if good else 400)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)

    @property
    def environ(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server.server_port}"}


@pytest.fixture
def federation() -> Iterator[Federation]:
    made = Federation()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def query(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def test_credentials_are_sent_as_a_form_and_no_duration_with_them(federation: Federation) -> None:
    address = login_address(TAKEN, "https://isthmus.test", "/ec2/home", federation.environ)
    [(method, sent)] = federation.asked
    assert method == "POST"
    assert json.loads(sent["Session"][0]) == {"sessionId": "ASIA1", "sessionKey": "very secret", "sessionToken": "token"}
    assert sent["Action"] == ["getSigninToken"]
    assert "SessionDuration" not in sent
    assert query(address) == {
        "Action": "login",
        "Issuer": "https://isthmus.test",
        "Destination": "https://console.amazonaws-us-gov.com/ec2/home",
        "SigninToken": "t-1",
    }


def test_an_endpoint_that_takes_no_form_is_asked_as_documented(federation: Federation) -> None:
    federation.takes = {"GET"}
    assert query(login_address(TAKEN, "https://isthmus.test", "/", federation.environ))["SigninToken"] == "t-1"
    assert [method for method, _ in federation.asked] == ["POST", "GET"]


def test_refusals_show_no_credentials(federation: Federation) -> None:
    federation.refuses = True
    with pytest.raises(ArmError) as refused:
        login_address(TAKEN, "https://isthmus.test", "/", federation.environ)
    with pytest.raises(ArmError) as unreached:
        login_address(TAKEN, "https://isthmus.test", "/", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert (refused.value.code, unreached.value.code) == ("ConsoleRefused", "ServiceUnavailable")
    for caught in (refused, unreached):
        assert "secret" not in caught.value.message
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "https://signin.aws.amazon.com/federation"),
        ({"AWS_ENDPOINT_URL": "http://localhost:4000/"}, "http://localhost:4000/federation"),
        ({"AWS_ENDPOINT_URL": "http://[::1]:4000"}, "http://[::1]:4000/federation"),
        ({"AWS_ENDPOINT_URL": "https://proxy.example.com"}, "https://signin.aws.amazon.com/federation"),
        ({"AWS_ENDPOINT_URL": "http://localhost.example.com"}, "https://signin.aws.amazon.com/federation"),
        (
            {"AWS_ENDPOINT_URL": "http://localhost:4000", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "https://signin.aws.amazon.com/federation",
        ),
    ],
)
def test_only_an_endpoint_on_this_computer_takes_the_place_of_aws(environ: dict[str, str], expected: str) -> None:
    assert federation_endpoint("aws.amazon.com", environ) == expected


@pytest.mark.parametrize("path", ["", "ec2/home", "//evil.example", "/\\evil.example", "https://evil.example", "/a b", "/a\n"])
def test_pages_elsewhere_are_no_destination(path: str) -> None:
    with pytest.raises(ArmError) as caught:
        checked_path(path)
    assert caught.value.code == "InvalidDestination"


def test_a_browser_is_led_once_and_nobody_else_is() -> None:
    with Redirect("https://signin.test/?SigninToken=t-1") as page, httpx.Client(trust_env=False) as browser:
        assert "t-1" not in page.url
        base = page.url.rpartition("/")[0]

        def visit(address: str, **headers: str) -> Any:
            answer = browser.get(address, headers=headers)
            return answer.status_code, answer.headers.get("location")

        assert visit(f"{base}/guess") == (404, None)
        assert visit(page.url, Host="evil.example") == (404, None)
        assert not page.wait(0)
        assert visit(page.url) == (302, "https://signin.test/?SigninToken=t-1")
        assert page.wait(5)
        assert visit(page.url) == (404, None), "once"


def test_without_a_browser_the_whole_command_is_told(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("AWS_ENDPOINT_URL", federation.environ["AWS_ENDPOINT_URL"])
    made = {"accessKeyId": "ASIA1", "secretAccessKey": "very secret", "sessionToken": "t", "expiration": "2026-01-01T00:00:00Z"}
    given = {**made, "roleArn": TAKEN.role_arn, "grant": "G-1"}
    session = Session()
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=given))
    with Client("https://arm.test", lambda: "token", verify=(), transport=transport) as client:
        vars(session).update(client=client, place=Place(url="https://arm.test"))
        with pytest.raises(ArmError) as caught:
            console(session, role="1.Reader", destination="/ec2/home?region=eu-west-1")
    assert caught.value.code == "NoBrowser"
    assert "isthmus aws console --role 1.Reader --destination '/ec2/home?region=eu-west-1' --print" in caught.value.message
