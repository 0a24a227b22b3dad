"""A kept sign-in is renewed when it is near its end, by one at a time, and never by what others could have written."""

from __future__ import annotations

import fcntl
import json
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest

from isthmus.arm.errors import ArmError
from isthmus.client import Place, choose_token, kept_until, sign_out
from isthmus.client.kept import Kept, KeptTokens
from isthmus.client.people import PersonSignIn
from tests.support.clock import Clock

BASE = "https://arm.test"
PLACE = Place(url=BASE)


class Tokens:
    """A token endpoint: each refresh token is good once; `down` lets it not answer, `refusing` refuses."""

    def __init__(self) -> None:
        self.good, self.made = "r0", 0
        self.is_down = self.is_refusing = False
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.answers: list[httpx.Response] = []
        self.look: Callable[[], None] = lambda: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = {name: value for name, [value] in parse_qs(request.content.decode()).items()}
        self.asked.append((request.url.path, form))
        self.look()
        if self.is_down:
            raise httpx.ConnectError("down")
        if self.answers:
            return self.answers.pop(0)
        if request.url.path.endswith("revoke"):
            return httpx.Response(200, json={})
        if self.is_refusing or form["refresh_token"] != self.good:
            return httpx.Response(400, json={"error": "invalid_grant", "error_description": "ended"})
        self.made += 1
        self.good = f"r{self.made}"
        return httpx.Response(200, json=answer(f"t{self.made}", self.good))


def answer(token: str, refresh: str) -> dict[str, object]:
    return {"access_token": token, "expires_in": 3600, "refresh_token": refresh, "refresh_token_expires_in": 40_000}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path)}


@pytest.fixture
def kept(env: dict[str, str], clock: Clock) -> Kept:
    """Signed in a moment ago."""
    made = Kept(env, BASE)
    made.write(KeptTokens(token="t0", until=clock() + 3600, refresh="r0", refresh_until=clock() + 40_000, began=7.0))
    return made


def test_a_token_is_renewed_five_minutes_before_its_end(kept: Kept, env: dict[str, str], clock: Clock) -> None:
    server = Tokens()
    source = choose_token(PLACE, env, clock, transport=httpx.MockTransport(server))
    clock.advance(3299)
    assert (source(), server.asked) == ("t0", [])
    clock.advance(1)
    assert [source(), source()] == ["t1", "t1"]
    assert server.asked == [
        ("/common/oauth2/v2.0/token", {"grant_type": "refresh_token", "client_id": "isthmus-cli", "refresh_token": "r0"})
    ]
    found = kept.read()
    assert found == KeptTokens(token="t1", until=clock() + 3600, refresh="r1", refresh_until=clock() + 40_000, began=7.0)
    assert "t1" not in repr(found) + repr(source)
    assert kept_until(PLACE, env, clock) == clock() + 40_000


def test_of_many_at_once_one_renews(kept: Kept, env: dict[str, str], clock: Clock, tmp_path: Path) -> None:
    (lock,) = (tmp_path / "isthmus" / file.with_suffix(".lock").name for file in (tmp_path / "isthmus").glob("*.json"))

    def require_locked() -> None:
        """While one renews, others would have to wait."""
        with lock.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    server = Tokens()
    server.look = require_locked
    clock.advance(3500)
    sources = [choose_token(PLACE, env, clock, transport=httpx.MockTransport(server)) for _ in range(6)]
    found: list[str] = []
    threads = [threading.Thread(target=lambda source=source: found.append(source())) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, len(server.asked)) == (["t1"] * 6, 1)


def test_a_server_that_is_away_does_not_end_a_token_that_is_good(kept: Kept, env: dict[str, str], clock: Clock) -> None:
    server = Tokens()
    server.is_down = True
    source = choose_token(PLACE, env, clock, transport=httpx.MockTransport(server))
    clock.advance(3500)
    assert source() == "t0"
    clock.advance(100)
    with pytest.raises(ArmError) as caught:
        source()
    assert caught.value.code == "ServerNotReachable"
    server.is_down = False
    assert source() == "t1"


def test_a_refused_refresh_token_is_not_brought_again(kept: Kept, env: dict[str, str], clock: Clock) -> None:
    server = Tokens()
    server.is_refusing = True
    source = choose_token(PLACE, env, clock, transport=httpx.MockTransport(server))
    clock.advance(3500)
    assert [source(), source()] == ["t0", "t0"]
    assert len(server.asked) == 1
    clock.advance(100)
    with pytest.raises(ArmError) as caught:
        source()
    assert (caught.value.code, len(server.asked)) == ("SignInEnded", 1)
    with pytest.raises(ArmError) as caught:
        choose_token(PLACE, env, clock)
    assert caught.value.code == "NotSignedIn"


def test_signing_out_tells_the_server_and_forgets(kept: Kept, env: dict[str, str], clock: Clock) -> None:
    server = Tokens()
    assert sign_out(PLACE, env, transport=httpx.MockTransport(server))
    assert server.asked == [("/common/oauth2/v2.0/revoke", {"client_id": "isthmus-cli", "token": "r0"})]
    assert kept.read() is None
    assert not sign_out(PLACE, env, transport=httpx.MockTransport(server))
    kept.write(KeptTokens(token="t", until=0, refresh="r"))
    server.is_down = True
    with pytest.raises(ArmError):
        sign_out(PLACE, env, transport=httpx.MockTransport(server))
    assert kept.read() is None, "forgotten all the same"


def test_what_others_could_have_written_or_read_is_none(kept: Kept, tmp_path: Path) -> None:
    (file,) = (tmp_path / "isthmus").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o604)
    assert kept.read() is None
    file.unlink()
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"token": "t", "until": 1}))
    other.chmod(0o600)
    file.symlink_to(other)
    assert kept.read() is None
    for text in ("", "[]", "{}", '{"token": "t", "until": "soon"}', "null"):
        file.unlink()
        file.write_text(text)
        file.chmod(0o600)
        assert kept.read() is None, text


@pytest.mark.parametrize(
    ("answers", "pauses", "code"),
    [
        (["authorization_pending", "slow_down", "authorization_pending", None], [5, 5, 10, 10], ""),
        (["authorization_pending", "access_denied"], [5, 5], "SignInDenied"),
        (["expired_token"], [5], "ExpiredToken"),
        (["invalid_grant"], [5], "InvalidGrant"),
    ],
)
def test_a_device_waits_as_it_is_told(env: dict[str, str], clock: Clock, answers: list[str | None], pauses: list[float], code: str) -> None:
    server, slept, shown = Tokens(), [], []
    begun = {"device_code": "d", "user_code": "BCDF-GHJK", "verification_uri": f"{BASE}/portal/device", "expires_in": 600, "interval": 5}
    server.answers = [httpx.Response(200, json=begun)]
    for one in answers:
        server.answers.append(
            httpx.Response(400, json={"error": one, "error_description": "."}) if one else httpx.Response(200, json=answer("t", "r"))
        )
    person = PersonSignIn(place=PLACE, environ=env, clock=clock, transport=httpx.MockTransport(server))
    if code:
        with pytest.raises(ArmError) as caught:
            person.with_device_code(shown.append, slept.append)
        assert caught.value.code == code
        assert Kept(env, BASE).read() is None
    else:
        assert person.with_device_code(shown.append, slept.append) == clock() + 40_000
        assert choose_token(PLACE, env, clock)() == "t"
    assert (slept, [one["user_code"] for one in shown]) == (pauses, ["BCDF-GHJK"])


@pytest.mark.parametrize(
    ("brought", "code"),
    [
        ({"iss": "https://evil.test", "code": "c"}, "SignInMismatch"),
        ({"code": "c"}, "SignInMismatch"),
        ({"iss": "i", "error": "x"}, "SignInDenied"),
    ],
)
def test_the_answer_of_another_server_is_given_to_nobody(env: dict[str, str], clock: Clock, brought: dict[str, str], code: str) -> None:
    server = Tokens()
    server.answers = [httpx.Response(200, json={"issuer": "i"})]
    person = PersonSignIn(place=PLACE, environ=env, clock=clock, transport=httpx.MockTransport(server))

    def visit(address: str) -> None:
        asked = httpx.URL(address).params
        assert asked["code_challenge_method"] == "S256"
        httpx.get(asked["redirect_uri"], params={**brought, "state": asked["state"]}, trust_env=False)

    with pytest.raises(ArmError) as caught:
        person.with_browser(visit, seconds=5)
    assert caught.value.code == code
    assert len(server.asked) == 1, "the code went nowhere"
