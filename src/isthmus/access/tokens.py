"""Claims of the tokens that accounts take for people: who, by which grant and sign-in, for exactly one role.

AWS reads the person as source identity, which no later session can change, and grant and sign-in as session tags, which sessions that
follow keep. Sources: AWS STS, "AssumeRoleWithWebIdentity" and "Pass session tags using AssumeRoleWithWebIdentity".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from isthmus.access.mappings import RoleMapping
from isthmus.clouds.aws import names
from isthmus.clouds.aws.template.federation import PERSON_TAG
from isthmus.identity.evidence import SignedIn

AWS_SECONDS: Final = 300
"""How long a token can be exchanged."""

_TAGS = "https://aws.amazon.com/tags"
UNIX_USER: Final = re.compile(r"(?=.{1,31}\Z)[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+)*")
"""Users as directories name them on machines (useradd(8), and with dots as SSSD does)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """What a session carries. `run_as` is the Unix user of its shells: empty where none is opened. `person` is the tag that a directory
    would send: for the witness alone."""

    grant: str
    sign_in: str
    run_as: str = ""
    person: str = ""


def person_claims(mapping: RoleMapping, person: SignedIn, stamp: Stamp) -> dict[str, Any]:
    """Everything but what the issuer adds (iss, iat, nbf, exp, jti)."""
    run_as = stamp.run_as.lower()
    tags: dict[str, list[str]] = {"grant": [stamp.grant], "signin": [stamp.sign_in]}
    if UNIX_USER.fullmatch(run_as):
        tags["SSMSessionRunAs"] = [run_as]
    if stamp.person:
        tags[PERSON_TAG] = [stamp.person]
    return {
        "aud": names.people_audience(mapping.target.account),
        "sub": f"user:{person.object_id}",
        "amr": list(person.methods),
        "https://aws.amazon.com/roles": [mapping.role_arn],
        "https://aws.amazon.com/source_identity": person.object_id,
        _TAGS: _tags(tags),
    }


def _tags(tags: Mapping[str, list[str]]) -> dict[str, Any]:
    return {"principal_tags": dict(tags), "transitive_tag_keys": ["grant", "signin"]}
