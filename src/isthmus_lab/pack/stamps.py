"""What a federated token stamps on the session: session tags, which of them chained roles inherit, and the source identity."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus_lab.pack.refusals import StsError

CLAIM = "https://aws.amazon.com/tags"
SOURCE_IDENTITY = "https://aws.amazon.com/source_identity"
_FLAT = f"{CLAIM}/principal_tags/"
_FLAT_TRANSITIVE = f"{CLAIM}/transitive_tag_keys"
_MOST_TAGS = 50
_CODE = "InvalidIdentityToken"
_KEY = re.compile(r"[\w .:/=+\-@]{1,128}")
_VALUE = re.compile(r"[\w .:/=+\-@]{0,256}")
_IDENTITY = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamps:
    """Tags in the spelling of the token, keys of transitive ones, and the source identity (empty: none)."""

    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: tuple[str, ...] = ()
    source_identity: str = ""

    def request_keys(self) -> dict[str, Any]:
        """Lower-case condition keys of the assumption."""
        keys: dict[str, Any] = {f"aws:requesttag/{key.lower()}": value for key, value in self.tags.items()}
        if self.tags:
            keys["aws:tagkeys"] = list(self.tags)
        if self.transitive:
            keys["sts:transitivetagkeys"] = list(self.transitive)
        if self.source_identity:
            keys["sts:sourceidentity"] = self.source_identity
        return keys

    def session_keys(self) -> dict[str, Any]:
        """Lower-case condition keys of the session that they make, tags apart."""
        return {"aws:sourceidentity": self.source_identity} if self.source_identity else {}

    def inherited(self) -> dict[str, str]:
        """The tags that chained sessions inherit."""
        wanted = {key.lower() for key in self.transitive}
        return {key: value for key, value in self.tags.items() if key.lower() in wanted}

    def shown(self) -> dict[str, Any]:
        """Members of CloudTrail's `requestParameters`."""
        members = {
            "sourceIdentity": self.source_identity,
            "principalTags": dict(self.tags),
            "transitiveTagKeys": list(self.transitive),
        }
        return {name: value for name, value in members.items() if value}

    def actions(self) -> tuple[str, ...]:
        """What the trust policy must allow beside the assumption itself."""
        tagged = ("sts:TagSession",) if self.tags else ()
        return (*tagged, "sts:SetSourceIdentity") if self.source_identity else tagged


def stamps_of(claims: Mapping[str, Any]) -> Stamps:
    """The stamps of a web identity token, in either spelling of the claims; StsError where AWS's limits are broken."""
    tags, transitive = _nested(claims.get(CLAIM))
    flat = {name.removeprefix(_FLAT): claims[name] for name in claims if name.startswith(_FLAT)}
    tags = {**tags, **{key: _only(key, value) for key, value in flat.items()}}
    transitive = (*transitive, *_texts(claims.get(_FLAT_TRANSITIVE, [])))
    identity = claims.get(SOURCE_IDENTITY, "")
    if not isinstance(identity, str):
        raise StsError(_CODE, "The source identity must be a text")
    stamps = Stamps(tags=tags, transitive=transitive, source_identity=identity)
    check_stamps(stamps, _CODE, names_identity=SOURCE_IDENTITY in claims)
    return stamps


def check_stamps(stamps: Stamps, code: str, *, names_identity: bool) -> None:
    """StsError with `code` where AWS's limits of tags and source identities are broken; `names_identity`: an empty one is not allowed."""
    keys = {key.lower() for key in stamps.tags}
    if len(keys) != len(stamps.tags):
        raise StsError(code, "Duplicate session tag keys: keys differ in more than case")
    if len(stamps.tags) > _MOST_TAGS:
        raise StsError(code, f"A session has at most {_MOST_TAGS} tags")
    for key, value in stamps.tags.items():
        if not _KEY.fullmatch(key) or key.lower().startswith("aws:") or not _VALUE.fullmatch(value):
            raise StsError(code, f"Session tag '{key[:128]}' is not valid")
    if strange := [key for key in stamps.transitive if key.lower() not in keys]:
        raise StsError(code, f"Transitive tag key '{strange[0][:128]}' is not a session tag")
    if (names_identity or stamps.source_identity) and not _IDENTITY.fullmatch(stamps.source_identity):
        raise StsError(code, "The source identity must have 2 to 64 characters of [\\w+=,.@-]")


def _nested(claim: Any) -> tuple[dict[str, str], tuple[str, ...]]:
    """`{"principal_tags": {"key": ["value"]}, "transitive_tag_keys": ["key"]}`."""
    if claim is None:
        return {}, ()
    if not isinstance(claim, dict) or not isinstance(claim.get("principal_tags", {}), dict):
        raise StsError(_CODE, "Malformed session tags")
    return (
        {str(key): _only(str(key), value) for key, value in claim.get("principal_tags", {}).items()},
        _texts(claim.get("transitive_tag_keys", [])),
    )


def _only(key: str, value: Any) -> str:
    """Tags have one value, given as itself or as a list of one."""
    one = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(one, str):
        raise StsError(_CODE, f"Session tag '{key[:128]}' must have exactly one value")
    return one


def _texts(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in given):
        raise StsError(_CODE, "Transitive tag keys must be texts")
    return tuple(given)
