"""Whose is an event of a trail? One pure decision over exact equalities: nothing is compared by likeness or by nearness in time.

A token that we signed names person, grant and sign-in in the event of its exchange, and that event names the key of the session. Later
events carry that key, or the key of a session that was made with it. Consoles use keys of their own: there the caller, the instant at which
the session began and the source identity decide, all three together, among sessions that tokens made.

What a trail tells is believed of its own account alone, whose owner may write whatever they like into its files: a key joins events of the
account in which its session acts. A role that was taken in another account joins where both trails tell of it: that of the caller who took
it, and that of the role whom it was given to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from isthmus.audit.events import SAML, STS, WEB, Event, part, text

OUR_OWN, OTHER_PROVIDER, OTHER_FEDERATION = "OurOwn", "OtherProvider", "OtherFederation"
UNSTAMPED, NO_SOURCE_IDENTITY, AMBIGUOUS = "Unstamped", "NoSourceIdentity", "AmbiguousSession"
UNKNOWN, SERVICE, OTHER_ACCOUNT = "UnknownSession", "Service", "OtherAccount"
ROOT, USER, OTHER = "AccountRoot", "IamUser", "OtherCaller"

REASONS: Final[Mapping[str, str]] = {
    OUR_OWN: "Isthmus itself called, with a role of its own.",
    OTHER_PROVIDER: "A session by a token of another identity provider.",
    OTHER_FEDERATION: "A session by SAML, which is not given by Isthmus.",
    UNSTAMPED: "A token of our issuer that does not name grant, sign-in and person as ours do.",
    NO_SOURCE_IDENTITY: "A session without a source identity; ours cannot be without one.",
    AMBIGUOUS: "Several sessions of one person began in the same second, under different grants; which one called cannot be told.",
    UNKNOWN: "No exchange of a token of ours for this session was seen until now.",
    SERVICE: "A service of the cloud called for itself.",
    OTHER_ACCOUNT: "A caller of another account, whose own trail tells who it was.",
    ROOT: "The root user of the account.",
    USER: "An IAM user.",
    OTHER: "Another kind of caller.",
}
Place = tuple[str, ...]
_KINDS = {"AWSService": SERVICE, "AWSAccount": OTHER_ACCOUNT, "Root": ROOT, "IAMUser": USER}


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """Whose an event or a session is: a person with sign-in, grant and the key of the session at the root (None: no session came of it),
    or `foreign`, the reason why it is nobody's of ours."""

    person: str | None = None
    sign_in: str | None = None
    grant: str | None = None
    session: str | None = None
    foreign: str = ""


class Trace(Protocol):
    """What of an event decides whose it is, apart from exchanges of tokens; see `Event`."""

    @property
    def account(self) -> str:
        """The account whose trail tells of it."""
        ...

    @property
    def caller(self) -> str:
        """Account of the caller."""
        ...

    @property
    def kind(self) -> str:
        """Type of the caller."""
        ...

    @property
    def key(self) -> str:
        """Key of the caller."""
        ...

    @property
    def principal(self) -> str:
        """Role id and session name of the caller."""
        ...

    @property
    def source_identity(self) -> str:
        """Source identity of the caller's session."""
        ...

    @property
    def began_at(self) -> int:
        """When that session began (ms)."""
        ...

    @property
    def made(self) -> str:
        """Key of the session that the event made."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Console:
    """What a console session shares with the session that opened it."""

    account: str
    principal: str
    began_at: int
    source_identity: str


def console_of(trace: Trace) -> Console | None:
    """By what an event may be joined when its key explains nothing; None when it may not."""
    if trace.kind != "AssumedRole" or not trace.source_identity or not trace.began_at or trace.caller != trace.account:
        return None
    return Console(account=trace.account, principal=trace.principal, began_at=trace.began_at, source_identity=trace.source_identity)


def key_of(trace: Trace) -> str:
    """The key that an event is joined by: its caller's, or in the account of the role that a foreign caller took, the one it made."""
    return trace.made if trace.kind == "AWSAccount" else trace.key


def place_of(trace: Trace) -> Place:
    """Where the session that an event is joined by is looked up; see `places`."""
    if trace.kind == "AWSAccount":
        return trace.made, trace.caller, trace.account
    return trace.key if trace.caller == trace.account else "", trace.account


def places(key: str, account: str, home: str | None) -> Iterator[Place]:
    """Where a session is found of which an account's trail tells and that acts in `home` (None: not known): by that account's events, and
    where it acts elsewhere by the event of that account that tells of its beginning."""
    yield key, account
    if home not in (None, account):
        yield key, account, str(home)


def loose_of(trace: Trace, *, is_known: bool) -> str | None:
    """By which principal an event may still be joined to a console or to a session that is not known yet. Callers of other accounts are
    told by the trails of these."""
    return trace.principal if not is_known and trace.source_identity and trace.caller == trace.account else None


def exchanged(event: Event, issuer: str, given: Mapping[Place, Joined]) -> Joined:
    """Whose an exchange of a token is. `issuer` is our issuer's URL, `given` the sessions that we know to have given (key, account)."""
    if event.name == SAML:
        return Joined(foreign=OTHER_FEDERATION)
    if (event.made, event.account) in given:
        return given[event.made, event.account]
    who = part(event.document, "userIdentity")
    provider = text(who, "identityProvider", 2_048)
    if provider.partition(":oidc-provider/")[2] != issuer.removeprefix("https://") or event.account not in provider.split(":"):
        return Joined(foreign=OTHER_PROVIDER)
    person = text(who, "userName", 128)
    if person.startswith("svc:"):
        return Joined(foreign=OUR_OWN)
    tags = part(part(event.document, "requestParameters"), "principalTags")
    grant, sign_in = text(tags, "grant", 64), text(tags, "signin", 64)
    if not grant or not sign_in or person != f"user:{event.source_identity}":
        return Joined(foreign=UNSTAMPED)
    return Joined(person=event.source_identity, sign_in=sign_in, grant=grant, session=event.made or None)


def joined(trace: Trace, sessions: Mapping[Place, Joined], roots: Callable[[Console], Collection[Joined]]) -> tuple[Joined, bool]:
    """Whose any other event is, and whether its key says so. `sessions` by their `places`; `roots` are sessions that tokens made."""
    found = sessions.get(place_of(trace)) if key_of(trace) else None
    if found is not None:
        return found, True
    console = console_of(trace)
    if console is not None:
        candidates = sorted((one for one in roots(console) if not one.foreign), key=lambda one: one.session or "")
        if len({(one.person, one.sign_in, one.grant) for one in candidates}) > 1:
            return Joined(foreign=AMBIGUOUS), False
        if candidates:
            return candidates[0], False
    if trace.caller != trace.account:
        return Joined(foreign=OTHER_ACCOUNT), False
    if trace.kind == "AssumedRole":
        return Joined(foreign=UNKNOWN if trace.source_identity else NO_SOURCE_IDENTITY), False
    return Joined(foreign=_KINDS.get(trace.kind, OTHER)), False


def makes_root(event: Event) -> bool:
    """Whether the event made a session by a token or an assertion."""
    return bool(event.made) and event.source == STS and event.name in (WEB, SAML)
