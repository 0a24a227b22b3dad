"""Doors: each way by which a federated principal comes into a role, with everything that has to hold for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from isthmus.clouds.aws.trustlint.documents import SAML, WEB_IDENTITY, Bond, Condition, Statement, binding, bond, demands, on, statements
from isthmus.clouds.aws.trustlint.estate import Estate, Role
from isthmus.clouds.aws.trustlint.issuers import Issuer, known

_OIDC = ":oidc-provider/"
_SAML = ":saml-provider/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Door:
    """One Allow statement and one provider. `provider` is what the policy names: an ARN, or the bare name of a provider that AWS knows."""

    role: Role
    provider: str
    conditions: tuple[Condition, ...]
    every: tuple[Statement, ...]

    @property
    def issuer(self) -> str:
        """The issuer as condition keys begin: without `https://`."""
        return self.provider.partition(_OIDC)[2] or self.provider

    @property
    def known(self) -> Issuer | None:
        """What everybody knows of the issuer."""
        return known(self.issuer)

    @property
    def is_private(self) -> bool:
        """Whether nobody knows the issuer: it is somebody's own."""
        return self.known is None

    @property
    def is_shared(self) -> bool:
        """Whether strangers get tokens of this issuer."""
        return self.known is not None and self.known.is_shared

    def key(self, claim: str) -> str:
        """The condition key of a claim."""
        return f"{self.issuer}:{claim}".lower()

    def bond(self, claim: str) -> Bond:
        """How a claim is bound."""
        return bond(self.conditions, self.key(claim))

    def values(self, claim: str) -> tuple[str, ...]:
        """Everything that the conditions which can fail name for a claim."""
        return tuple(value for one in binding(self.conditions, self.key(claim)) for value in one.values)

    @property
    def is_for_people(self) -> bool:
        """Whether people come in here: a directory, subjects that begin with user, or a private issuer whose subjects are left open."""
        issuer = self.known
        if issuer is not None and not issuer.is_for_people:
            return False
        bound = binding(self.conditions, self.key("sub"))
        names = [value for one in bound for value in one.values if not one.matches_everything]
        if names and all(value.lower().startswith("user") for value in names):
            return True
        if issuer is None:
            return not names or bool(on(self.conditions, self.key("amr")))
        return not names or any("*" in value for value in names)

    def allows(self, action: str) -> bool:
        """Whether any statement lets the same provider do something else, such as tag its sessions."""
        return any(one.effect == "Allow" and one.covers(action) and one.means("Federated", self.provider) for one in self.every)


def oidc_doors(estate: Estate) -> Iterator[Door]:
    """Doors of OIDC providers in roles that the account's people write."""
    yield from (door for door in _doors(estate.roles, WEB_IDENTITY) if _SAML not in door.provider)


def saml_doors(estate: Estate) -> Iterator[Door]:
    """Doors of SAML providers in roles that the account's people write."""
    yield from (door for door in _doors(estate.roles, SAML) if _SAML in door.provider)


def _doors(roles: Sequence[Role], action: str) -> Iterator[Door]:
    for role in roles:
        if role.is_aws_owned:
            continue
        every = statements(role.trust)
        for one in every:
            if one.effect != "Allow" or one.excepted or not one.covers(action):
                continue
            for kind, value in one.principals:
                if kind == "Federated":
                    yield Door(role=role, provider=value, conditions=demands(every, one, kind, value, action), every=every)
