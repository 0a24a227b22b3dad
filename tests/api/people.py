"""People who came by their directory, as the API sees them."""

from __future__ import annotations

import uuid
from typing import Any

from isthmus.identity import evidence, people
from isthmus.identity.people import Person
from tests.api.conftest import Api

ASSIGNMENTS = "/providers/Microsoft.Authorization/roleAssignments"


class Visitor:
    """Somebody with a sign-in of a provider: their object id and a token of the API."""

    def __init__(self, api: Api, name: str, *groups: str, mail: str = "", seconds: float = 3600, **told: Any) -> None:
        self.api, self.name = api, name
        self.id = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
        person = Person(object_id=self.id, name=name, mail=mail or f"{name}@example.test", issuer="https://idp.test", subject=name)
        claims = {"amr": ["pwd", "mfa"], "groups": list(groups), **told}
        clock = api.app.engine.clock
        with api.app.engine.store.begin() as connection:
            people.remember(connection, person, clock)
            made = evidence.new_sign_in(connection, person, claims, clock=clock, identifier=lambda: str(uuid.uuid4()), seconds=seconds)
        self.sign_in = made.id
        self.token = self.token_by(made.id)

    def token_by(self, sign_in: str) -> str:
        """A token of theirs that names a sign-in."""
        answer = self.api.app.sign_in.sessions._mint.for_person(self.id, self.name, client_id="isthmus-portal", sign_in=sign_in)
        return str(answer["access_token"])

    def owns(self, scope: str) -> Visitor:
        """Becomes an owner."""
        body = {"properties": {"roleDefinitionId": "Owner", "principalId": self.id}}
        base = "" if scope == "/" else scope
        answer = self.api.call("PUT", f"{base}{ASSIGNMENTS}/{uuid.uuid4()}", body)
        assert answer.status_code == 201, answer.text
        return self
