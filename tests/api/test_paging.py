"""Paging while others write: what stays is seen exactly once, nothing is seen twice, and unchanged resources keep their ETags."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.app import build
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.ids import ResourceId, parse_resource
from isthmus.arm.types import Actor
from isthmus.settings import Settings
from tests.api.conftest import PORT, Api
from tests.support.databases import Databases
from tests.support.examples import examples

ACTOR = Actor(id="test", kind="Application")
KIND = "Microsoft.AwsConnector/s3Buckets"
names = st.text(alphabet="abcXYZ019-_.()~ é", min_size=1, max_size=6).map(str.strip).filter(lambda name: name and not name.endswith("."))
pools = st.lists(names, min_size=1, max_size=14, unique_by=str.lower)


class Shelf:
    """Projections in a group of their own for each example."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.group = ""

    def empty(self) -> None:
        """Start in a new group."""
        self.group = self.api.group()

    def id(self, name: str) -> ResourceId:
        """The id of a projection."""
        return parse_resource(self.group).extension(KIND, name)

    def write(self, puts: list[str], deletes: list[str]) -> None:
        """Put and delete at once, as a sync does."""
        made = tuple(Resource(id=self.id(name), location="eastus", properties={"awsProperties": {}}) for name in puts)
        change = Change(puts=made, deletes=tuple(self.id(name) for name in deletes))
        self.api.app.engine.apply(change, ACTOR, "test/write", "/")

    def etag(self, name: str) -> str:
        """The ETag of a projection."""
        answer = self.api.call("GET", str(self.id(name)))
        assert answer.status_code == 200, answer.text
        return answer.headers["etag"]


@pytest.fixture(scope="module")
def shelf(made_keys: Path, tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Shelf]:
    """One application for all examples."""
    folder = tmp_path_factory.mktemp("paging")
    shutil.copytree(made_keys, folder / "data" / "keys")
    url = databases.fresh_sqlite(folder / "isthmus.db")
    app = build(Settings(data=folder / "data", database_url=url), port=PORT, environ={})
    yield Shelf(Api(app, folder / "data"))
    app.close()


@settings(max_examples=examples(60), deadline=None)
@given(
    pool=pools,
    top=st.integers(1, 6),
    steps=st.lists(st.tuples(st.sampled_from(["put", "delete"]), st.integers(0, 13)), max_size=8),
    listing=st.sampled_from([f"providers/{KIND}", "resources"]),
    data=st.data(),
)
def test_pages_neither_lose_nor_double(
    shelf: Shelf, pool: list[str], top: int, steps: list[tuple[str, int]], listing: str, data: st.DataObject
) -> None:
    shelf.empty()
    before = data.draw(st.sets(st.sampled_from(pool)))
    shelf.write(sorted(before), [])
    etags = {name: shelf.etag(name) for name in before}
    touched: set[str] = set()
    pending = list(steps)
    seen: list[str] = []
    path = f"{shelf.group}/{listing}?$top={top}&api-version=2024-12-01"
    while path:
        page = shelf.api.call("GET", path, version="").json()
        assert len(page["value"]) <= top
        seen += [one["id"].lower() for one in page["value"]]
        path = page.get("nextLink", "").removeprefix(shelf.api.app.public_url)
        if pending:
            verb, index = pending.pop()
            name = pool[index % len(pool)]
            touched.add(name)
            shelf.write([name] if verb == "put" else [], [name] if verb == "delete" else [])
    assert len(seen) == len(set(seen)), "a resource came twice"
    assert seen == sorted(seen), "the order is that of the ids"
    assert {shelf.id(name).key for name in before - touched} <= set(seen), "a resource that was there all the time was lost"
    assert set(seen) <= {shelf.id(name).key for name in pool}
    assert {name: shelf.etag(name) for name in before - touched} == {name: etags[name] for name in before - touched}


def test_an_etag_guards_against_a_lost_update(shelf: Shelf) -> None:
    shelf.empty()
    shelf.write(["one"], [])
    path, read = str(shelf.id("one")), shelf.etag("one")
    first = shelf.api.call("PATCH", path, {"tags": {"by": "first"}}, headers={"If-Match": read})
    assert first.status_code == 200
    second = shelf.api.call("PATCH", path, {"tags": {"by": "second"}}, headers={"If-Match": read})
    assert (second.status_code, second.json()["error"]["code"]) == (412, "PreconditionFailed")
    assert shelf.api.call("GET", path).json()["tags"] == {"by": "first"}
    assert first.headers["etag"] not in (read, "")
