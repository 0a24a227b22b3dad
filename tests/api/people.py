"""People who came by their directory, as the API sees them."""

from __future__ import annotations

import uuid

from isthmus.identity import evidence, people
from isthmus.identity.people import Person
from tests.api.conftest import Api

ASSIGNMENTS = "/providers/Microsoft.Authorization/roleAssignments"


class Visitor:
    """Somebody with a sign-in of a provider: their object id and a token of the API."""

    def __init__(self, api: Api, name: str, *groups: str) -> None:
        self.api, self.name = api, name
        self.id = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
        person = Person(object_id=self.id, name=name, mail=f"{name}@example.test", issuer="https://idp.test", subject=name)
        told = {"amr": ["pwd", "mfa"], "groups": list(groups)}
        clock = api.app.engine.clock
        with api.app.engine.store.begin() as connection:
            people.remember(connection, person, clock)
            made = evidence.new_sign_in(connection, person, told, clock=clock, identifier=lambda: str(uuid.uuid4()), seconds=3600)
        answer = api.app.sign_in.sessions._mint.for_person(self.id, name, client_id="isthmus-portal", sign_in=made.id)
        self.token = str(answer["access_token"])

    def owns(self, scope: str) -> Visitor:
        """Becomes an owner."""
        body = {"properties": {"roleDefinitionId": "Owner", "principalId": self.id}}
        base = "" if scope == "/" else scope
        answer = self.api.call("PUT", f"{base}{ASSIGNMENTS}/{uuid.uuid4()}", body)
        assert answer.status_code == 201, answer.text
        return self
