"""Streams are shared by those who hold the same roles, and by nobody else."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from isthmus.identity.roles import OWNER, READER
from tests.contract.server import give
from tests.portal import stock
from tests.portal.conftest import Site

STREAM = "/portal/live/operations"


@contextmanager
def stream(site: Site, secret: str) -> Iterator[tuple[int, Iterator[str]]]:
    """The stream of operations as a browser reads it: its status, and its lines. It is open as long as somebody holds the lines."""
    context = ssl.create_default_context(cafile=str(site.server.ca))
    headers = {"Cookie": f"__Host-isthmus={secret}", "Accept": "text/event-stream", "HX-Request": "true"}
    with httpx.Client(verify=context, trust_env=False, timeout=20) as http:
        answer = http.send(http.build_request("GET", site.url + STREAM, headers=headers), stream=True)
        yield answer.status_code, answer.iter_lines()
        answer.close()


def picture(lines: Iterator[str]) -> str:
    """What a stream shows first; all of a refusal."""
    said = ""
    for line in lines:
        said += line + "\n"
        if "event: shape" in line:
            break
    return said


def test_whoever_looks_at_another_subscription_sees_another_picture(site: Site) -> None:
    """Neither names a subscription in the address: what each may see decides which one it is."""
    other, stranger = str(uuid.uuid4()), str(uuid.uuid4())
    site.client.put(f"/subscriptions/{other}", {"properties": {"displayName": "Other"}})
    give(site.server.app, stranger, READER.id, f"/subscriptions/{other}")
    stock.operation(site, stock.connector(site, "seen-by-few", "321098765432"))
    with stream(site, site.secret) as (_, mine):
        assert "Running" in picture(mine)
        with stream(site, site.sign_in(stranger)) as (status, theirs):
            assert status == 200
            assert "hx-partial" not in picture(theirs)


def test_the_same_roles_share_one_reader_and_others_do_not(site: Site) -> None:
    hub = site.server.app.retire.__self__  # type: ignore[attr-defined]
    people = [str(uuid.uuid4()) for _ in range(3)]
    for person, role in zip(people, (READER, READER, OWNER), strict=True):
        give(site.server.app, person, role.id, site.root)
    one, two, three = (site.sign_in(person) for person in people)
    with stream(site, one) as (_, first), stream(site, two) as (_, second), stream(site, three) as (_, third):
        assert all("event: shape" in picture(lines) for lines in (first, second, third))
        mine = [subject.viewers for key, subject in hub._subjects.items() if f"{READER.id} {site.root}" in "".join(key)]
        assert [len(viewers) for viewers in mine] == [2]


def test_a_stream_without_a_session_is_refused(site: Site) -> None:
    with stream(site, "f" * 64) as (status, lines):
        assert status == 401
        assert "SessionEnded" in picture(lines)
