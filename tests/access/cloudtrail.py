"""Events as CloudTrail writes them, of one account: exchanges of our tokens, calls, chains of sessions, consoles."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

ACCOUNT, OTHER = "123456789012", "999000111222"
ISSUER = "https://issuer.isthmus.test"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.isthmus.test"
BEGIN = 1_767_225_600


def id_of(name: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(name)))


def instant(at: int) -> str:
    return datetime.fromtimestamp(BEGIN + at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session of a person: `began` in seconds after BEGIN."""

    key: str
    person: str
    grant: str
    sign_in: str = "s-1"
    role: str = "AROAREADER"
    name: str = "alice"
    began: int = 0

    @property
    def principal(self) -> str:
        return f"{self.role}:{self.name}"


def event(name: str, at: int, identity: Mapping[str, Any], *, source: str = "ec2", account: str = ACCOUNT, **more: Any) -> dict[str, Any]:
    frame = {
        "eventVersion": "1.11",
        "userIdentity": dict(identity),
        "eventTime": instant(at),
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "Boto3/1.40 i-0123456789abcdef0",
        "requestParameters": None,
        "responseElements": None,
        "eventID": id_of((name, at, account, identity, more)),
        "readOnly": not name.startswith(("Run", "Create", "Terminate", "Start")),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }
    return frame | more


def entered(session: Session, *, provider: str = PROVIDER, subject: str = "", **parameters: Any) -> dict[str, Any]:
    """The exchange of a token for a session."""
    subject = subject or f"user:{session.person}"
    asked = {
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/IsthmusPerson-Reader-aa5f1c9e",
        "roleSessionName": session.name,
        "sourceIdentity": session.person,
        "durationSeconds": 900,
        "principalTags": {"grant": session.grant, "signin": session.sign_in},
        "transitiveTagKeys": ["grant", "signin"],
    }
    who = {
        "type": "WebIdentityUser",
        "principalId": f"{provider}:isthmus:people:{ACCOUNT}:{subject}",
        "userName": subject,
        "identityProvider": provider,
    }
    answer = {
        "credentials": {"accessKeyId": session.key, "expiration": "x"},
        "subjectFromWebIdentityToken": subject,
        "sourceIdentity": session.person,
        "assumedRoleUser": {
            "assumedRoleId": session.principal,
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/IsthmusPerson-Reader-aa5f1c9e/{session.name}",
        },
        "provider": provider,
        "audience": f"isthmus:people:{ACCOUNT}",
    }
    told = asked | parameters
    return event("AssumeRoleWithWebIdentity", session.began, who, source="sts", requestParameters=told, responseElements=answer)


def caller(session: Session, *, key: str | None = None, account: str = ACCOUNT) -> dict[str, Any]:
    """How later events name who called; `key` is the one of a console, `account` the caller's."""
    return {
        "type": "AssumedRole",
        "principalId": session.principal,
        "arn": f"arn:aws:sts::{account}:assumed-role/x/{session.name}",
        "accountId": account,
        "accessKeyId": session.key if key is None else key,
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "principalId": session.role, "accountId": ACCOUNT},
            "webIdFederationData": {"federatedProvider": PROVIDER, "attributes": {}},
            "attributes": {"creationDate": instant(session.began), "mfaAuthenticated": "false"},
            "sourceIdentity": session.person,
        },
    }


def called(
    session: Session, name: str, at: int, *, key: str | None = None, account: str = ACCOUNT, told: str = "", **more: Any
) -> dict[str, Any]:
    """A call of a session of an account, as the trail of `told` has it: its own, where nothing else is said."""
    return event(name, at, caller(session, key=key, account=account), account=told or account, **more)


def chained(session: Session, into: Session, at: int, *, key: str | None = None, home: str = ACCOUNT) -> dict[str, Any]:
    """A session takes another role, of the account `home`."""
    answer = {
        "credentials": {"accessKeyId": into.key},
        "sourceIdentity": session.person,
        "assumedRoleUser": {"assumedRoleId": into.principal, "arn": f"arn:aws:sts::{home}:assumed-role/y/z"},
    }
    return event("AssumeRole", at, caller(session, key=key), source="sts", requestParameters={"roleArn": "r"}, responseElements=answer)


def twin(made: Mapping[str, Any]) -> dict[str, Any]:
    """The record that the account of the taken role gets."""
    who = {"type": "AWSAccount", "principalId": made["userIdentity"]["principalId"], "accountId": ACCOUNT}
    shared = {"sharedEventID": id_of(("shared", made["eventID"]))}
    return {**made, "userIdentity": who, "recipientAccountId": OTHER, "eventID": id_of(("twin", made["eventID"])), **shared}
