"""Where a directory asks for claims while it issues a token: bearer verified, body read strictly, answer in Entra's shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from isthmus.access.claims import Asked, ClaimsProvider
from isthmus.api.wire import Incoming, Reply
from isthmus.arm.errors import ArmError, invalid
from isthmus.arm.types import Actor
from isthmus.audit import Refusals

PATH = "/identity/claims/{guid}"
_BEARER = "Bearer "
_GUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_MOST = 65_536


class _Part(BaseModel):
    """What Entra adds later is not read."""

    model_config = ConfigDict(extra="ignore", strict=True, populate_by_name=True)


class _User(_Part):
    id: Annotated[str, Field(pattern=_GUID)]
    userPrincipalName: Annotated[str, Field(max_length=1024)] = ""


class _Application(_Part):
    appId: Annotated[str, Field(min_length=1, max_length=255)]


class _Context(_Part):
    correlationId: Annotated[str, Field(max_length=128)] = ""
    clientServicePrincipal: _Application
    user: _User


class _Data(_Part):
    odata: Annotated[Literal["microsoft.graph.onTokenIssuanceStartCalloutData"], Field(alias="@odata.type")]
    tenantId: Annotated[str, Field(min_length=1, max_length=255)]
    authenticationContext: _Context


class _Call(_Part):
    type: Literal["microsoft.graph.authenticationEvent.tokenIssuanceStart"]
    data: _Data


@dataclass(frozen=True, kw_only=True)
class Claims:
    """The endpoint. Strangers are counted; refusals of people are records."""

    provider: ClaimsProvider
    refusals: Refusals

    def answer(self, incoming: Incoming) -> Reply:
        """Claims for one token. ArmError 400, 401, 403, 404 or 503: the directory then issues none."""
        try:
            token = _bearer(incoming)
            place = self.provider.place(incoming.path.rpartition("/")[2])
            self.provider.verify(place, token)
        except ArmError as error:
            if error.status < 500:
                stranger = Actor(id="anonymous", kind="Application", correlation=incoming.correlation)
                self.refusals.refuse(stranger, "claims", "/identity/claims", error)
            raise
        claims = self.provider.provide(place, _asked(incoming), incoming.correlation)
        action = {"@odata.type": "microsoft.graph.tokenIssuanceStart.provideClaimsForToken", "claims": dict(claims)}
        return Reply(body={"data": {"@odata.type": "microsoft.graph.onTokenIssuanceStartResponseData", "actions": [action]}})


def _bearer(incoming: Incoming) -> str:
    given = incoming.headers.get("authorization", "")
    if not given.lower().startswith(_BEARER.lower()):
        raise ArmError("AuthenticationFailed", "The call has no bearer token of the directory.", status=401)
    return given[len(_BEARER) :].strip()


def _asked(incoming: Incoming) -> Asked:
    if len(incoming.body) > _MOST:
        raise invalid(f"The call has more than {_MOST} bytes.")
    try:
        call = _Call.model_validate(incoming.object())
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise invalid(f"The call is no tokenIssuanceStart of Entra: {where} is wrong or missing.", target=where) from error
    context = call.data.authenticationContext
    return Asked(
        tenant=call.data.tenantId.lower(),
        client_id=context.clientServicePrincipal.appId,
        person=context.user.id.lower(),
        name=context.user.userPrincipalName,
    )
