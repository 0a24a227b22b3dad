"""People of a directory who ask for roles and decide, at a served portal: each with a sign-in, its groups and a session of the portal."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from isthmus.client import Client
from isthmus.identity import evidence, people
from isthmus.identity.people import Person
from tests.portal.conftest import Site


@dataclass(frozen=True)
class Asker:
    """Somebody. `secret` is the session of the portal, `client` calls the API as them."""

    id: str
    name: str
    secret: str
    client: Client

    def ask(self, role: str, *, reason: str = "INC-7: the queue is stuck", seconds: int = 1_800, glass: bool = False) -> str:
        """A request; its id."""
        body = {"reason": reason, "seconds": seconds, **({"breakGlass": True} if glass else {})}
        return str(self.client.post(f"/providers/Isthmus.Access/roles/{role}/request", body).body["name"])

    def approve(self, id: str) -> None:
        """Approve a request."""
        self.client.post(f"/providers/Isthmus.Access/requests/{id}/approve")


def asker(site: Site, name: str, *groups: str) -> Asker:
    """Somebody signs in with the directory, with a second factor, and is in these groups."""
    id, engine, sessions = str(uuid.uuid4()), site.server.app.engine, site.server.app.sign_in.sessions
    person = Person(object_id=id, name=name, mail=f"{id[:8]}@example.test", issuer="https://idp.test", subject=id)
    told = {"amr": ["pwd", "mfa"], "groups": list(groups)}
    with engine.store.begin() as connection:
        people.remember(connection, person, engine.clock)
        made = evidence.evidence_of(person, told, id=str(uuid.uuid4()), now=engine.now(), seconds=36_000)
        evidence.record(connection, made)
    secret = sessions.open(person, provider="https://idp.test", sign_in=made)
    session = sessions.find(secret)
    assert session is not None
    return Asker(id=id, name=name, secret=secret, client=Client(site.url, lambda: sessions.token(session), verify=[site.server.ca]))
