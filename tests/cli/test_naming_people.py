"""People named by mail address or name in a command line, against a real server whose database knows them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import insert

from isthmus.store import Store
from isthmus.store.tables import people
from tests.cli.conftest import Cli

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, kw_only=True)
class Known:
    """Somebody alone of her name, and two people of one mail address."""

    owen: str
    mail: str
    name: str
    twins: tuple[str, str]
    shared: str


@pytest.fixture
def known(cli: Cli) -> Iterator[Known]:
    mark = uuid.uuid4().hex[:8]
    made = Known(
        owen=str(uuid.uuid4()),
        mail=f"owen-{mark}@example.test",
        name=f"Owen {mark}",
        twins=(str(uuid.uuid4()), str(uuid.uuid4())),
        shared=f"twin-{mark}@example.test",
    )
    store = Store(f"sqlite:///{cli.data / 'isthmus.db'}")
    told = [(made.owen, made.name, made.mail), (made.twins[0], "Twin One", made.shared), (made.twins[1], "Twin Two", made.shared)]
    with store.begin() as connection:
        for id, name, mail in told:
            row = {"object_id": id, "issuer": "https://idp.test", "subject": id, "name": name, "mail": mail}
            connection.execute(insert(people).values(**row, first_at=1, last_at=1))
    yield made
    store.close()


@pytest.mark.parametrize("line", [("access", "offboard"), ("access", "readmit"), ("audit", "timeline", "--person"), ("access", "why")])
def test_two_of_one_address_are_listed_with_names_and_ids(cli: Cli, known: Known, line: tuple[str, ...]) -> None:
    more = ("1.Reader",) if line == ("access", "why") else ()
    ran = cli(*line, known.shared, *more)
    assert (ran.code, "PersonNotUnique" in ran.err) == (1, True), ran.err
    said = " ".join(ran.err.split())
    assert all(part in said for part in (f"Twin One: {known.twins[0]}", f"Twin Two: {known.twins[1]}"))


def test_roles_are_given_to_people_by_mail_address_and_name(cli: Cli, known: Known) -> None:
    made = cli("role", "assign", "--principal", known.mail.upper(), "--role", "Reader", "--output", "json")
    assert (made.code, made.json()["properties"]["principalId"]) == (0, known.owen), made.err
    assert f"{known.name} ({known.owen})" in made.err
    listed = cli.json("role", "list", "--principal", known.name)
    assert [one["properties"]["principalId"] for one in listed] == [known.owen]
    nobody = cli("role", "assign", "--principal", "nobody@example.test", "--role", "Reader")
    assert (nobody.code, "PrincipalNotFound" in nobody.err, "object id" in nobody.err) == (1, True, True), nobody.err
