"""The ARM client against a fake server: paging, long-running operations, errors rebuilt, tokens."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from isthmus.arm.errors import ArmError
from isthmus.cli.reference import table
from isthmus.client import Client, Note, Place, TokenExchange, choose_token, find_server, link_parts, remove_note, sign_in, sign_out
from isthmus.client.calls import OURS, VERSIONS, version_for
from isthmus.keys import operator_signer
from tests.support.clock import Clock

BASE = "https://arm.test"
CONNECTOR = "/subscriptions/s/resourceGroups/g/providers/Microsoft.HybridConnectivity/publicCloudConnectors/c"


class Fake:
    """A server that answers from a list, in order, and remembers what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.slept: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> Client:
        return Client(BASE, lambda: "the-token", transport=httpx.MockTransport(self), sleep=self.slept.append)


def ok(body: Any = None, status: int = 200, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=b"" if body is None else json.dumps(body).encode(), headers=named)


def test_a_request_carries_token_version_and_one_correlation_id() -> None:
    fake = Fake(ok({"name": "c"}), ok({}, ETag='"e1"'), ok({}, ETag='"e1"'))
    with fake.client() as client:
        assert client.get(CONNECTOR) == {"name": "c"}
        assert client.put(CONNECTOR, {"a": 1}, etag="e0").etag == "e1"
        assert client.fetch(CONNECTOR).etag == "e1"
    first, second, _ = fake.asked
    assert first.headers["authorization"] == "Bearer the-token"
    assert first.url.params["api-version"] == VERSIONS["microsoft.hybridconnectivity"]
    assert first.headers["x-ms-correlation-request-id"] == second.headers["x-ms-correlation-request-id"]
    assert (second.headers["if-match"], json.loads(second.content)) == ('"e0"', {"a": 1})


def test_a_list_follows_its_pages_and_no_other_host() -> None:
    more = ok({"value": [{"n": 1}], "nextLink": f"{BASE}{CONNECTOR}s?api-version=2024-12-01&$skiptoken=x"})
    fake = Fake(more, ok({"value": [{"n": 2}]}))
    assert [one["n"] for one in fake.client().list(CONNECTOR)] == [1, 2]
    assert fake.asked[1].url.params["$skiptoken"] == "x"
    assert fake.asked[1].url.params.get_list("api-version") == ["2024-12-01"]

    fake = Fake(ok({"value": [], "nextLink": "https://elsewhere.test/x"}))
    with pytest.raises(ArmError, match=r"elsewhere\.test") as caught:
        list(fake.client().list(CONNECTOR))
    assert (caught.value.code, len(fake.asked)) == ("ForeignLink", 1)


def test_an_operation_is_polled_as_the_server_says() -> None:
    url = f"{BASE}/subscriptions/s/providers/Microsoft.HybridConnectivity/locations/E/operationStatuses/1?api-version=2024-12-01"
    fake = Fake(
        ok(None, 202, Azure_AsyncOperation=url, Location=url, Retry_After="7"),
        ok({"status": "Accepted"}, 202, Retry_After="3"),
        ok({"status": "Succeeded", "properties": {"x": 1}}),
    )
    client, told = fake.client(), list[Any]()
    assert client.wait(client.post(f"{CONNECTOR}/testPermissions"), told.append) == {"x": 1}
    assert (fake.slept, [one["status"] for one in told]) == ([7, 3], ["Accepted", "Succeeded"])


def test_a_location_is_polled_until_it_answers() -> None:
    url = f"{BASE}/subscriptions/s/operationresults/1?api-version=2024-11-01"
    fake = Fake(ok(None, 202, Location=url), ok(None, 202), httpx.ConnectError("restarting"), ok())
    client = fake.client()
    assert client.wait(client.delete("/subscriptions/s/resourceGroups/g")) is None
    assert len(fake.asked) == 4


def test_a_failed_operation_raises_its_error() -> None:
    url = f"{BASE}/subscriptions/s/providers/Microsoft.HybridConnectivity/locations/E/operationStatuses/1?api-version=2024-12-01"
    error = {
        "code": "AuthorizationPending",
        "message": "Not yet.",
        "target": "t",
        "details": [{"code": "D", "message": "d", "target": "x"}],
    }
    fake = Fake(ok(None, 202, Azure_AsyncOperation=url), ok({"status": "Failed", "error": error}))
    client = fake.client()
    with pytest.raises(ArmError) as caught:
        client.wait(client.post(f"{CONNECTOR}/testPermissions"))
    assert caught.value.body() == error


def test_the_servers_error_is_rebuilt() -> None:
    error = {"code": "InvalidRequestContent", "message": "m", "target": "a.b", "details": [{"code": "InvalidParameter", "message": "n"}]}
    with pytest.raises(ArmError) as caught:
        Fake(ok({"error": error}, 400)).client().get(CONNECTOR)
    assert (caught.value.body(), caught.value.status) == (error, 400)
    with pytest.raises(ArmError, match="502"):
        Fake(httpx.Response(502, text="<html>")).client().get(CONNECTOR)


def test_a_busy_server_is_asked_again_except_for_actions() -> None:
    busy = {"error": {"code": "ServiceUnavailable", "message": "m"}}
    fake = Fake(ok(busy, 503, Retry_After="2"), ok({}))
    fake.client().get(CONNECTOR)
    assert fake.slept == [2]
    fake = Fake(ok(busy, 503))
    with pytest.raises(ArmError):
        fake.client().post(f"{CONNECTOR}/testPermissions")
    assert len(fake.asked) == 1


def test_a_server_that_is_not_there_is_said_with_its_remedy() -> None:
    with pytest.raises(ArmError, match="isthmus serve") as caught:
        Client("https://127.0.0.1:9", lambda: "t").get(CONNECTOR)
    assert caught.value.code == "ServerNotReachable"
    with pytest.raises(ArmError, match="Use https"):
        Client("http://127.0.0.1:9", lambda: "t")


def test_the_default_versions_are_offered() -> None:
    for row in table().rows.values():
        if row.versions and row.namespace != "Microsoft.Kubernetes":
            assert VERSIONS.get(row.namespace.lower(), OURS) in row.versions
    assert version_for("/providers/Isthmus.Audit/records") == OURS


def exchange(fake: Fake, clock: Clock, proof: Callable[[], dict[str, str]]) -> TokenExchange:
    return TokenExchange(place=Place(url=BASE), proof=proof, clock=clock, transport=httpx.MockTransport(fake))


def test_a_token_is_kept_until_shortly_before_its_end(clock: Clock) -> None:
    fake = Fake(*(ok({"access_token": f"t{number}", "expires_in": 3600}) for number in (1, 2)))
    source = exchange(fake, clock, lambda: {"client_secret": "s3cret"})
    assert [source(), source()] == ["t1", "t1"]
    assert "t1" not in repr(source)
    clock.advance(3400)
    assert source() == "t2"
    refused = Fake(ok({"error": "invalid_client", "error_description": "No."}, 401))
    with pytest.raises(ArmError) as caught:
        exchange(refused, clock, dict)()
    assert (caught.value.code, caught.value.message) == ("InvalidClient", "No.")


def test_the_operators_key_goes_to_its_own_server_only(tmp_path: Path, clock: Clock) -> None:
    operator_signer(tmp_path / "keys")
    Note(url=BASE, pid=1, ca=str(tmp_path / "ca"), issuer="i", subscription="s").write(tmp_path)
    place = find_server(tmp_path, "", {})
    assert (place.url, place.subscription, place.keys) == (BASE, "s", tmp_path / "keys")
    fake = Fake(ok({"access_token": "t", "expires_in": 3600}))
    source = choose_token(place, {"XDG_CACHE_HOME": str(tmp_path)}, clock, transport=httpx.MockTransport(fake))
    assert source() == "t"
    assert b"client_id=operator" in fake.asked[0].content
    elsewhere = find_server(tmp_path, "https://elsewhere.test", {})
    assert elsewhere.keys is None
    with pytest.raises(ArmError, match="not signed in"):
        choose_token(elsewhere, {"XDG_CACHE_HOME": str(tmp_path)}, clock)
    remove_note(tmp_path, 2)
    assert find_server(tmp_path, "", {}).url == BASE
    remove_note(tmp_path, 1)
    with pytest.raises(ArmError, match="isthmus serve"):
        find_server(tmp_path, "", {})


def test_a_federated_token_is_read_anew_each_time(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "token"
    env = {"ISTHMUS_CLIENT_ID": "c", "ISTHMUS_FEDERATED_TOKEN_FILE": str(file)}
    fake = Fake(*(ok({"access_token": "t", "expires_in": 60}) for _ in range(2)))
    source = choose_token(Place(url=BASE), env, clock, transport=httpx.MockTransport(fake))
    for text in ("one", "two"):
        file.write_text(f"{text}\n")
        source()
    assert [b"client_assertion=one" in fake.asked[0].content, b"client_assertion=two" in fake.asked[1].content] == [True, True]


def test_a_kept_sign_in_ends_and_must_be_private(tmp_path: Path, clock: Clock) -> None:
    env, place = {"XDG_CACHE_HOME": str(tmp_path)}, Place(url=BASE)
    fake = Fake(ok({"access_token": "t", "expires_in": 7200}))
    assert sign_in(place, "code", env, clock, transport=httpx.MockTransport(fake)) == clock() + 3600
    assert choose_token(place, env, clock)() == "t"
    (file,) = (tmp_path / "isthmus").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o640)
    with pytest.raises(ArmError):
        choose_token(place, env, clock)
    file.chmod(0o600)
    clock.advance(3600)
    with pytest.raises(ArmError):
        choose_token(place, env, clock)
    assert [sign_out(place, env), sign_out(place, env)] == [True, False]


def test_sign_in_links_are_read_strictly() -> None:
    assert link_parts("https://h:1/sign-in#c0de\n") == ("https://h:1", "c0de")
    for wrong in ("http://h/sign-in#c", "https://h/sign-in", "https://h/other#c", "", "nonsense"):
        with pytest.raises(ArmError) as caught:
            link_parts(wrong)
        assert caught.value.code == "InvalidSignInLink"
