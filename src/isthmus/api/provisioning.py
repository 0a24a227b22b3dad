"""SCIM over HTTP under /scim/v2: who may provision, and what refusals leave behind. Errors have SCIM's shape (RFC 7644 3.12)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from isthmus.access.scim import MEDIA_TYPE, Asked, Scim, action_of
from isthmus.api.access import Access, actor_of
from isthmus.api.wire import Incoming, Reply, failure
from isthmus.arm.errors import ArmError
from isthmus.arm.types import Actor
from isthmus.audit import Refusals
from isthmus.engine import Engine
from isthmus.identity.presented import PresentedSecrets, is_presented
from isthmus.identity.principal import Principal

ROOT = "/scim/v2"
_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_LONGEST = 500


@dataclass(frozen=True, kw_only=True)
class Provisioning:
    """Everything that the endpoint needs; `answer` is the whole of it."""

    scim: Scim
    access: Access
    presented: PresentedSecrets
    engine: Engine
    refusals: Refusals

    def answer(self, incoming: Incoming) -> Reply:
        """Answer one request. A refused write or a refused caller leaves an audit record; strangers are counted."""
        caller = self._caller(incoming)
        actor = actor_of(caller, incoming.correlation)
        path = unquote(incoming.path).removeprefix(ROOT)
        action = action_of(incoming.method, path)
        asked = Asked(
            method=incoming.method,
            base_url=incoming.base_url + ROOT,
            path=path,
            query=incoming.query,
            headers=incoming.headers,
            body=incoming.body,
        )
        try:
            self.access.require(caller, action, "/")
            answered = self.scim.answer(asked, actor)
        except ArmError as error:
            if error.status == 403:
                self.engine.refuse(actor, action, incoming.path, error)
            raise
        if not answered.code:
            return Reply(status=answered.status, body=answered.body, headers=answered.headers)
        body = {name: _short(value) for name, value in (answered.body or {}).items()}
        if not action.endswith("/read") and answered.status < 500:
            detail = str(body.get("detail") or answered.code)
            self.engine.refuse(actor, action, incoming.path, ArmError(answered.code, detail, status=answered.status))
        return Reply(status=answered.status, body=body, headers=answered.headers)

    def _caller(self, incoming: Incoming) -> Principal:
        authorization = incoming.headers.get("authorization")
        try:
            if is_presented((authorization or "").partition(" ")[2].strip()):
                return self.access.verified(authorization, self.presented.caller)
            caller = self.access.caller(authorization)
            self.access.require_standing(caller)
            return caller
        except ArmError as error:
            if error.status < 500:
                stranger = Actor(id="anonymous", kind="Application", correlation=incoming.correlation)
                self.refusals.refuse(stranger, "scim", ROOT, error)
            raise


def refused(error: ArmError) -> Reply:
    """An error in SCIM's shape, with the headers that it would have anyway."""
    body = {"schemas": [_ERROR], "status": str(error.status), "detail": error.message}
    return Reply(status=error.status, body=body, headers={**failure(error).headers, "Content-Type": MEDIA_TYPE})


def _short(value: object) -> object:
    """Details may repeat what was sent."""
    return value[:_LONGEST] if isinstance(value, str) else value
