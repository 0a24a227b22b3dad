"""People who hold roles of accounts, written into the store of a served portal as the broker would leave it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import update

from isthmus.access import grants, revocations
from isthmus.access.grants import Grant
from isthmus.identity import people
from isthmus.identity.people import Person
from isthmus.store.tables import access_revocations
from tests.portal import stock
from tests.portal.conftest import Site

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
ALLOW = {"Effect": "Allow", "Action": ["ec2:Describe*"], "Resource": ["*"]}
HOSTILE = "<script>alert(1)</script>'\"{{ 7 * 7 }}"


@dataclass
class Holders:
    """The seeds of one site. Keys of sessions and ids of grants are counted."""

    site: Site
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def connector(self, name: str, account: str) -> str:
        """A connector with the solution for people's access."""
        id = stock.connector(self.site, name, account)
        path = f"{id}/providers/Microsoft.HybridConnectivity/solutionConfigurations/access"
        self.site.client.put(path, {"properties": {"solutionType": "Isthmus.Access"}})
        return id

    def mapping(self, connector: str, name: str = "Reader", **more: Any) -> str:
        """A mapping of the group g-dev."""
        id = f"{connector}/providers/Isthmus.Access/roleMappings/{name}"
        self.site.client.put(id, {"properties": {"groups": ["g-dev"], "managedPolicyArns": [READ_ONLY], **more}})
        return id

    def person(self, name: str) -> str:
        """Somebody who has signed in; their object id."""
        id, engine = str(uuid.uuid4()), self.site.server.app.engine
        person = Person(object_id=id, name=name, mail=f"{id[:8]}@example.test", issuer="https://idp.test", subject=id)
        with engine.store.begin() as connection:
            people.remember(connection, person, engine.clock)
        return id

    def holds(
        self, mapping: str, person: str, name: str = "Somebody", *, minutes_ago: int = 1, live: bool = True, use: str = "credentials"
    ) -> str:
        """A grant with one session; the id of the grant."""
        engine, number = self.site.server.app.engine, next(self._numbers)
        began = engine.now() - minutes_ago * 60_000
        grant = Grant(
            id=f"G-{number:08d}",
            mapping=mapping.lower(),
            connector=mapping.lower().partition("/providers/isthmus.access/")[0],
            person=person,
            name=name,
            because="group:g-dev",
            began_at=began,
            ends_at=engine.now() + 3_600_000,
            checked_at=began,
        )
        session = {
            "id": f"ASIA{number:016d}",
            "grant": grant.id,
            "mapping": grant.mapping,
            "person": person,
            "sign_in": "s",
            "account": "123456789012",
            "role_arn": "arn:aws:iam::123456789012:role/r",
            "use": use,
            "issued_at": began,
            "lease_until": engine.now() + 240_000 if live else began + 300,
        }
        with engine.store.begin() as connection:
            grants.add(connection, grant)
            grants.note_session(connection, session)
        return grant.id

    def deny(self, revocation: str, connector: str, seconds: float) -> None:
        """The account of a connector denies, so many seconds after the revocation; no job asks it again."""
        engine = self.site.server.app.engine
        with engine.store.begin() as connection:
            found = revocations.find(connection, revocation)
            assert found is not None
            chosen = access_revocations.c.id == revocation
            connection.execute(update(access_revocations).where(chosen).values(until=engine.now()))
            at = found.at + int(seconds * 1000)
            revocations.note(
                connection,
                revocation,
                connector.lower(),
                state="Denied",
                attached_at=at - 500,
                denied_at=at,
                shells=2,
                detail="Seen denied.",
            )
