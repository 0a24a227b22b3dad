"""The broker: a person's sign-in becomes a session of a role in an account. Decided, recorded, minted, exchanged, in this order.

What the cloud trusts is our own token, which names the person, the role and the grant, is made for this one exchange and never leaves the
process. Credentials are handed out once and kept nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from isthmus.access import grants
from isthmus.access.deciding import SIGN_IN, Decision, Known, Step, decide
from isthmus.access.federation import directory_at
from isthmus.access.groups import AskedOnce, GroupSource, GroupsUnknown, Membership, TokenGroups
from isthmus.access.holding import hold_mapping
from isthmus.access.leases import fits_lease, lease_policy
from isthmus.access.mappings import APPLY, OFF, RoleMapping, mapping_of
from isthmus.access.mappings import BROKER as BY_BROKER
from isthmus.access.revocations import end_grants, hold_person, is_revoked
from isthmus.access.running_as import RunAs, unix_user
from isthmus.access.shrinking import DAYS, EVERYTHING, UsedActions, narrow
from isthmus.access.tokens import AWS_SECONDS, Stamp, person_claims
from isthmus.arm.change import Change
from isthmus.arm.errors import ArmError, unavailable
from isthmus.arm.types import Actor
from isthmus.clouds.aws import names
from isthmus.clouds.contract import AccessCloud, PersonCredentials
from isthmus.engine import Engine, Lookup
from isthmus.identity import evidence, people
from isthmus.identity.evidence import SignedIn
from isthmus.identity.issuer import Issuer

T = TypeVar("T")
ACTION = "Isthmus.Access/roles/credentials"
STS_SECONDS = 900
"""The shortest session that STS gives; the lease ends it sooner."""
CREDENTIALS, CONSOLE, SHELL = "credentials", "console", "shell"
"""What a session may be used for. The use of a shell carries its region (`shell:eu-west-1`), since shells are found by region."""
BROKER = Actor(id="isthmus:access", kind="Application", name="Isthmus access")
REVOKED = Step(name="revocation", holds=False, told="Your access was taken away. Ask whoever runs access here.", code="AccessRevoked")
ENDED = Step(name="grant", holds=False, told="The grant was ended just now. See what you may take: isthmus aws roles", code="GrantEnded")
OVER = Step(name="sign-in", holds=False, told=SIGN_IN, code="SignInNeeded")
_STATUS = {"SignInNeeded": 401, "GroupsUnknown": 503}


class Run(Protocol):
    """Runs a coroutine of the cloud and waits for it."""

    def __call__(self, work: Coroutine[Any, Any, T], /) -> T:
        """Its result or error."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Issued:
    """Credentials with what they were given for. `until` is the end of the lease (ms)."""

    mapping: RoleMapping
    grant: str
    until: int
    credentials: PersonCredentials = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Broker:
    """Gives sessions. `new_id` makes ids of grants; `used` knows what people did, where trails are read; `machines` says whose
    addresses name Unix users."""

    engine: Engine
    lookup: Lookup
    cloud: AccessCloud
    run: Run
    groups: GroupSource
    issuer: Issuer
    new_id: Callable[[], str]
    used: UsedActions | None = None
    machines: RunAs = field(default_factory=RunAs)

    def mapping(self, id: str) -> RoleMapping:
        """A stored mapping. ArmError 404 `RoleNotFound`."""
        found = self.lookup.find(id)
        above = found.id.parent if found else None
        connector = self.lookup.find(above) if above else None
        if found is None or connector is None:
            raise ArmError("RoleNotFound", f"There is no role '{id[:200]}'. List yours: isthmus aws roles.", status=404, target=id[:200])
        with self.engine.store.read() as read:
            directory = directory_at(read, connector.id.key)
        return mapping_of(found, connector, federation=directory.mode if directory else BY_BROKER)

    def require_sign_in(self, actor: Actor) -> None:
        """ArmError 401 `SignInNeeded` unless the actor comes by a living sign-in of a directory."""
        with self.engine.store.read() as connection:
            person = evidence.find(connection, actor.sign_in)
        if person is None or person.ends_at <= self.engine.now() or person.object_id.lower() != actor.id.lower():
            raise ArmError("SignInNeeded", SIGN_IN, status=401)

    def know(self, mapping: RoleMapping, actor: Actor, *, asks_directory: bool = True) -> Known:
        """Everything that a decision about the actor looks at; groups are asked for outside of any transaction.

        Without `asks_directory`, for when it may be down, and once the glass is broken, the groups are those of the sign-in.
        """
        source = self.groups if asks_directory else TokenGroups()
        return next(self._know((mapping,), actor, source))

    def know_each(self, mappings: Collection[RoleMapping], actor: Actor) -> Iterator[Known]:
        """`know` for a list of mappings: everything is asked once, the directory too."""
        return self._know(mappings, actor, AskedOnce(self.groups, frozenset[str]().union(*(one.groups for one in mappings))))

    def _know(self, mappings: Collection[RoleMapping], actor: Actor, groups: GroupSource) -> Iterator[Known]:
        now, only = self.engine.now(), next(iter(mappings)).key if len(mappings) == 1 else ""
        with self.engine.store.read() as connection:
            person = evidence.find(connection, actor.sign_in)
            approved = grants.approved(connection, actor.id, now, only)
            revoked = is_revoked(connection, actor.id)
        if person is not None and person.object_id.lower() != actor.id.lower():
            person = None
        for mapping in mappings:
            held = approved.get(mapping.key, ())
            source = TokenGroups() if any(one.is_break_glass for one in held) else groups
            matters = person is not None and person.ends_at > now and not revoked and bool(mapping.groups or source.is_live)
            membership, unknown = _ask(source, person, mapping) if person and matters else (None, "")
            yield Known(
                mapping=mapping,
                person=person,
                membership=membership,
                unknown=unknown,
                is_live=source.is_live,
                approved=held,
                is_revoked=revoked,
                now=now,
            )

    def issue(self, mapping: RoleMapping, actor: Actor, *, use: str = CREDENTIALS) -> Issued:
        """A session for the actor, which opens shells only where `use` says so.

        ArmError: 401 `SignInNeeded`, 403 with the code of the step that refused, 503 `GroupsUnknown`,
        404 `RoleNotFound` and 409 `RoleChanged` when the mapping is not what was decided upon any more, 409 `RoleNotReady` when the account
        refuses us, 503 when it does not answer. Standing grants whose reason is gone end."""
        known = self.know(mapping, actor)
        decision = decide(known)
        refusal = decision.refusal
        if refusal is not None:
            if refusal.code in ("NotAMember", "PersonDisabled") and known.person is not None:
                self._end_standing(mapping, known.person, refusal)
            error = refused(refusal, mapping)
            if error.status >= 500:
                # The API keeps refusals of callers. That a directory does not tell is none to it, but nobody got a role for that reason.
                self.engine.refuse(actor, ACTION, mapping.id, error)
            raise error
        assert known.person is not None
        run_as = self._run_as(mapping, known.person, use)
        grant = self._record(mapping, known.person, decision, actor, use)
        return self._mint(mapping, known.person, grant, decision.until, use, run_as)

    def _run_as(self, mapping: RoleMapping, person: SignedIn, use: str) -> str:
        """The Unix user of the session's shells; empty where it opens none."""
        if not mapping.machine_tag:
            return ""
        with self.engine.store.read() as connection:
            user, why = unix_user(connection, person, self.machines)
        if why and use.startswith(SHELL):
            raise ArmError("NoUnixUser", f"No shell by {mapping.label}. {why}", status=403, target=mapping.id)
        return user

    def _record(self, mapping: RoleMapping, person: SignedIn, decision: Decision, actor: Actor, use: str) -> str:
        """No record, no token: the decision is in the chain before anything is signed."""
        now = self.engine.now()
        with self.engine.store.begin() as connection:
            # The directory may have taken its time, and the mapping may be another one by now, or the sign-in ended.
            hold_mapping(connection, mapping)
            if is_revoked(connection, person.object_id):
                raise refused(REVOKED, mapping)
            if not evidence.lives(connection, person.id, person.object_id, now):
                raise refused(OVER, mapping)
            grant = decision.grant or grants.standing(connection, mapping, person, decision.because, now, self.new_id()).id
            detail = {"grant": grant, "because": decision.because, "signIn": person.id, "until": decision.until, "use": use}
            self.engine.apply_within(connection, Change(detail=detail), actor, ACTION, mapping.id)
        return grant

    def _end_standing(self, mapping: RoleMapping, person: SignedIn, refusal: Step) -> None:
        """The live check found that the reason is gone: what stands on it ends, and the account is told to deny it."""
        with self.engine.store.begin() as connection:
            lost = grants.living(connection, person.object_id, self.engine.now(), mapping=mapping.key, standing_only=True)
            if lost:
                end_grants(connection, self.engine, lost, BROKER, refusal.told)

    def suggested(self, mapping: RoleMapping, person: str, until: int) -> tuple[str, ...]:
        """The narrowest actions that cover what a person (object id) used by a mapping and fit a lease; everything where nobody knows."""
        if self.used is None or mapping.least_privilege == OFF:
            return EVERYTHING
        used = self.used.used_actions(person, mapping.key, DAYS)
        return narrow(used, lambda chosen: fits_lease(until / 1000, chosen, addresses=mapping.addresses))

    def _mint(self, mapping: RoleMapping, person: SignedIn, grant: str, until: int, use: str, run_as: str) -> Issued:
        mail = self._mail(person)
        stamp = Stamp(grant=grant, sign_in=person.id, run_as=run_as)
        issued_at = self.engine.now()
        actions = self._applied(mapping, person, grant, until)
        shells_in = use.partition(":")[2]
        try:
            made = self.run(
                self.cloud.exchange(
                    mapping.target,
                    mapping.role,
                    token=self.issuer.mint(person_claims(mapping, person, stamp), AWS_SECONDS),
                    session_name=names.person_session_name(mail or person.name, person.object_id),
                    policy=lease_policy(until / 1000, addresses=mapping.addresses, actions=actions, shells_in=shells_in),
                    seconds=STS_SECONDS,
                )
            )
        except PermissionError as error:
            raise ArmError("RoleNotReady", str(error), status=409, target=mapping.id) from error
        except ConnectionError as error:
            raise unavailable(str(error)) from error
        row = session_row(mapping, person.object_id, made.access_key, grant=grant, sign_in=person.id, use=use)
        with self.engine.store.begin() as connection:
            # Whoever ends a grant waits for this session, or this session sees the end.
            hold_person(connection, person.object_id)
            grants.note_session(connection, {**row, "issued_at": issued_at, "lease_until": until, "is_narrowed": actions != EVERYTHING})
            gone = is_revoked(connection, person.object_id)
            held = grants.find(connection, grant)
        # Taken away while STS answered: the session is known, and its credentials are handed to nobody.
        if gone:
            raise refused(REVOKED, mapping)
        if held is None or held.ended_at is not None:
            raise refused(ENDED, mapping)
        return Issued(mapping=mapping, grant=grant, until=until, credentials=made)

    def _applied(self, mapping: RoleMapping, person: SignedIn, grant: str, until: int) -> tuple[str, ...]:
        """What a session allows of the role. Who breaks the glass needs what nobody needed before."""
        if mapping.least_privilege != APPLY:
            return EVERYTHING
        with self.engine.store.read() as connection:
            held = grants.find(connection, grant)
        return EVERYTHING if held is not None and held.is_break_glass else self.suggested(mapping, person.object_id, until)

    def _mail(self, person: SignedIn) -> str:
        with self.engine.store.read() as connection:
            visitor = people.find_person(connection, person.object_id)
        return visitor.person.mail if visitor else ""


def _ask(source: GroupSource, person: SignedIn, mapping: RoleMapping) -> tuple[Membership | None, str]:
    try:
        return source.ask(person, mapping.groups), ""
    except GroupsUnknown as error:
        return None, str(error)


def session_row(mapping: RoleMapping, person: str, access_key: str, *, grant: str, sign_in: str, use: str) -> dict[str, Any]:
    """What is kept of a session besides its times."""
    return {
        "id": access_key,
        "grant": grant,
        "mapping": mapping.key,
        "person": person,
        "sign_in": sign_in,
        "account": mapping.target.account,
        "role_arn": mapping.role_arn,
        "use": use,
    }


def refused(step: Step, mapping: RoleMapping) -> ArmError:
    """The refusal of a step, as people read it."""
    return ArmError(step.code, step.told, status=_STATUS.get(step.code, 403), target=mapping.id)
