"""An account where people come in with tokens that carry a source identity and tags, and roles that they can chain to."""

import json
from collections.abc import Callable
from typing import Any

from botocore import UNSIGNED

from tests.lab.issuer import FakeIssuer

AUDIENCE = "isthmus:aws:1"
PERSON = "svc:Test:1"
IDENTITY = "https://aws.amazon.com/source_identity"
TAGS = "https://aws.amazon.com/tags"
STAMPS = ["sts:TagSession", "sts:SetSourceIdentity"]
GRANT = {TAGS: {"principal_tags": {"grant": ["G-1"], "team": ["red"]}, "transitive_tag_keys": ["grant"]}}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}


def deny(*actions: str, **condition: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": list(actions), "Resource": "*", **({"Condition": condition} if condition else {})}


class People:
    """The role `Door` trusts the issuer; every role may do everything, so only what a test denies is denied."""

    def __init__(self, client: Callable[..., Any], account: str, issuer: FakeIssuer) -> None:
        self.client, self.account, self.issuer = client, account, issuer
        self.iam = client("iam")
        self.provider = self.iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=[AUDIENCE])["OpenIDConnectProviderArn"]
        trusted = {"Effect": "Allow", "Principal": {"Federated": self.provider}}
        self.door = self.role("Door", {**trusted, "Action": ["sts:AssumeRoleWithWebIdentity", *STAMPS]})

    def role(self, name: str, *trust: dict[str, Any], **settings: Any) -> str:
        """Make a role that may do everything; answers its ARN."""
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(*trust), **settings)["Role"]["Arn"]
        self.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document(allow("*")))
        return str(made)

    def inner(self, name: str = "Inner", *actions: str, **more: Any) -> str:
        """Make a role that `Door` may chain to; `actions` beside AssumeRole default to both stamps."""
        allowed = ["sts:AssumeRole", *(actions or STAMPS)]
        return self.role(name, {"Effect": "Allow", "Principal": {"AWS": self.door}, "Action": allowed, **more})

    def enter(self, person: str = "alice", *, role: str = "", claims: dict[str, Any] | None = None, **parameters: Any) -> dict[str, Any]:
        """Credentials of a person who came in by a token."""
        raw = json.dumps(self.issuer.claims(**{IDENTITY: person, **(GRANT if claims is None else claims)}))
        sts = self.client("sts", signature_version=UNSIGNED)
        wanted = {"RoleArn": role or self.door, "RoleSessionName": f"session-{person}", "WebIdentityToken": self.issuer.token(raw=raw)}
        found: dict[str, Any] = sts.assume_role_with_web_identity(**wanted, **parameters)["Credentials"]
        return found

    def chain(self, session: dict[str, Any], role: str, **parameters: Any) -> dict[str, Any]:
        """The answer of AssumeRole called by a session."""
        wanted = {"RoleArn": role, "RoleSessionName": "chained", **parameters}
        found: dict[str, Any] = self.client("sts", credentials=session).assume_role(**wanted)
        return found
