"""May this person hold this role now? One pure decision, which minting takes and explaining shows step by step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from isthmus.access.groups import Membership
from isthmus.access.mappings import BROKER, REQUEST, RoleMapping
from isthmus.identity.evidence import SignedIn

LONGEST_REASON = 512
"""Characters that are kept of why a grant exists."""

SIGN_IN = "Sign in with your directory first: 'isthmus login'."


@dataclass(frozen=True, kw_only=True, slots=True)
class Approved:
    """A living grant that a request brought: its id, its end (ms), whether two people broke the glass for it, and its reason."""

    grant: str
    ends_at: int
    is_break_glass: bool = False
    because: str = "request"


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """Everything that a decision looks at. `membership` is None when nobody could tell, `unknown` says why; `is_revoked` covers this
    mapping; `approved` are living grants of requests, in any order; times in milliseconds. `is_live`: the directory itself was asked, and
    nobody is eligible whom it has disabled or of whom it tells nothing, by claims of an older sign-in neither."""

    mapping: RoleMapping
    person: SignedIn | None
    membership: Membership | None
    unknown: str = ""
    is_live: bool = False
    approved: Sequence[Approved] = ()
    is_revoked: bool = False
    now: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing that was looked at: what was asked for, whether it held, and what was seen, in words."""

    name: str
    holds: bool
    told: str
    code: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """`steps` in order; the first that does not hold refuses. `because` is the reason of an allowed one (`group:…`, `claim:…`,
    `request:…`), `grant` the grant of that request, `until` the latest end of a lease (ms)."""

    steps: tuple[Step, ...]
    because: str = ""
    grant: str = ""
    until: int = 0

    @property
    def refusal(self) -> Step | None:
        """The step that refuses."""
        return next((step for step in self.steps if not step.holds), None)


def decide(known: Known) -> Decision:
    """The decision. Everything is looked at in the same order, up to what refuses."""
    steps = [_revoked(known)]
    person = known.person
    if person is None or person.ends_at <= known.now:
        steps.append(Step(name="sign-in", holds=False, told=SIGN_IN, code="SignInNeeded"))
        return Decision(steps=tuple(steps))
    steps.append(Step(name="sign-in", holds=True, told=f"{person.name} signed in by {person.issuer}.", code=""))
    steps += [_second_factor(known.mapping, person), _contexts(known.mapping, person)]
    glass = [one for one in known.approved if one.is_break_glass]
    eligible, because = (_told_by_glass(), "") if glass else _eligible(known, person)
    steps.append(eligible)
    if known.mapping.federation != BROKER:
        steps.append(_direct(known.mapping))
    if any(not step.holds for step in steps):
        return Decision(steps=tuple(steps))
    lease = min(known.now + known.mapping.lease_seconds * 1000, person.ends_at)
    if known.mapping.activation != REQUEST and not glass:
        return Decision(steps=tuple(steps), because=because, until=lease)
    longest = max(glass or known.approved, key=lambda one: (one.ends_at, one.grant), default=None)
    if longest is None:
        asking = f'isthmus access request {known.mapping.label} --reason "WHY"'
        told = f"{known.mapping.label} is held for a time, after a request. Ask for it: {asking}"
        return Decision(steps=(*steps, Step(name="request", holds=False, told=told, code="RequestNeeded")))
    steps.append(Step(name="request", holds=True, told=f"Grant {longest.grant} was approved.", code=""))
    return Decision(steps=tuple(steps), because=longest.because, grant=longest.grant, until=min(lease, longest.ends_at))


def claim_reasons(claims: Mapping[str, Collection[str]]) -> set[str]:
    """The reasons that mapped claims give: one for each value, so that a grant ends with the value that it stands on."""
    return {f"claim:{name}={value}"[:LONGEST_REASON] for name, values in claims.items() for value in values}


def _revoked(known: Known) -> Step:
    told = "Your access was taken away. Ask whoever runs access here to let you in again." if known.is_revoked else "Not taken away."
    return Step(name="revocation", holds=not known.is_revoked, told=told, code="AccessRevoked")


def _second_factor(mapping: RoleMapping, person: SignedIn) -> Step:
    has_mfa = "mfa" in person.methods
    told = f"Proven by {', '.join(person.methods) or 'nothing that the token names'}."
    if mapping.requires_mfa and not has_mfa:
        told = f"{mapping.label} needs a second factor, and the directory did not see one ({told.rstrip('.').lower()}). Sign in with one."
    return Step(name="second factor", holds=has_mfa or not mapping.requires_mfa, told=told, code="SecondFactorNeeded")


def _contexts(mapping: RoleMapping, person: SignedIn) -> Step:
    lacking = sorted(mapping.contexts - set(person.contexts))
    told = f"The sign-in must meet the authentication context {', '.join(lacking)}. Sign in again as your directory asks for it."
    return Step(name="context", holds=not lacking, told=told if lacking else "Every authentication context is met.", code="ContextNeeded")


def _direct(mapping: RoleMapping) -> Step:
    told = f"AWS takes the directory's own sign-in for {mapping.label} (federation {mapping.federation}), and nothing of Isthmus."
    return Step(name="federation", holds=False, told=f"{told} Sign in at the directory's application for it.", code="RoleHeldDirectly")


def _told_by_glass() -> Step:
    return Step(name="membership", holds=True, told="Two people broke the glass; memberships do not matter.", code="")


def _eligible(known: Known, person: SignedIn) -> tuple[Step, str]:
    """By a claim of the sign-in, else by a group, which somebody has to tell."""
    mapping = known.mapping
    if known.is_live and (refusal := _untold(known)) is not None:
        return refusal, ""
    for name, values in sorted(mapping.claims.items()):
        if counts := values & set(person.claims.get(name, ())):
            reason = min(claim_reasons({name: counts}))
            return Step(name="membership", holds=True, told=f"By the claim {name}.", code=""), reason
    if not mapping.groups:
        told = f"No claim of the sign-in is mapped to {mapping.label}."
        return Step(name="membership", holds=False, told=told, code="NotAMember"), ""
    if (refusal := _untold(known)) is not None:
        return refusal, ""
    found = sorted(mapping.groups & known.membership.groups) if known.membership else []
    if not found:
        told = f"Not in a group that is mapped to {mapping.label}. Ask the owner of one of them: {', '.join(sorted(mapping.groups))}."
        return Step(name="membership", holds=False, told=told, code="NotAMember"), ""
    return Step(name="membership", holds=True, told=f"By the group {found[0]}.", code=""), f"group:{found[0]}"


def _untold(known: Known) -> Step | None:
    """The refusal when nobody tells memberships, or the directory knows the person no more."""
    if known.membership is None:
        return Step(name="membership", holds=False, told=known.unknown, code="GroupsUnknown")
    if not known.membership.is_active:
        return Step(name="membership", holds=False, told="The directory has disabled this person.", code="PersonDisabled")
    return None
