"""The live check of a person whom something was told about. A notice is a hint and nothing more: what Graph answers now decides.

Outside of any transaction Graph is asked, inside of one is written what follows, with how many seconds it took from the notice.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import Connection, func, select

from isthmus.access import grants
from isthmus.access.entra import marks
from isthmus.access.entra.holders import concerned
from isthmus.access.former import trusted_connectors
from isthmus.access.leaving import begin_anew, depart, leave_groups
from isthmus.access.revocations import is_revoked
from isthmus.arm.change import Change, JobOrder
from isthmus.arm.errors import ArmError, unavailable
from isthmus.arm.types import Actor
from isthmus.clouds.azure.graph import Graph, GraphFault, GraphUnavailable, guid
from isthmus.engine import Engine
from isthmus.identity import people
from isthmus.store.tables import access_revocations
from isthmus.work import Arguments, Job, Queue

CHECK: Final = "access.entra.check"
QUEUE: Final = "directory"
QUEUES: Final = (Queue(name=QUEUE, worker_concurrency=4, partitioned=True, polling_seconds=1.0),)
GRAPH: Final = Actor(id="isthmus:graph", kind="Application", name="Microsoft Graph")
ACTION: Final = "Isthmus.Access/directory/check"

STRANGER, SAME, LEFT, GONE, HELD_BACK = "Stranger", "Unchanged", "LeftGroups", "Departed", "DepartureHeldBack"
_DISABLED = "Entra disabled this person."
_UNKNOWN = "Entra does not know this person any more."
_PATIENCE = 20.0
_HOUR = 3_600_000
_FEW, _SHARE = 10, 0.2


@dataclass(frozen=True, kw_only=True)
class Checks:
    """Checks people who sign in by `issuer`, which is the tenant that Graph is asked in; the job does so durably."""

    engine: Engine
    graph: Graph
    issuer: str

    def job(self) -> Job:
        """Arguments: `person`, `by` (who hinted), `noticed` (ms). While Graph is away it is tried again, and then everybody is checked."""
        return Job(name=CHECK, queue=QUEUE, run=self.run, failed=self.failed, attempts=6, interval_seconds=1)

    def order(
        self, connection: Connection, whom: Collection[str], *, by: str, noticed: int, departed: Collection[str] = frozenset()
    ) -> frozenset[str]:
        """Have those of the people checked whom it concerns, in the caller's transaction; who they are.

        `departed` are those of whom it was told that they are disabled or deleted: where accounts trust the directory themselves, they may
        be in there without ever having been here."""
        found = concerned(connection, self.engine.now(), whom)
        if departed and trusted_connectors(connection, self.engine.now()):
            found |= frozenset(departed)
        for person in sorted(found):
            order = check_order(self.engine, person, by=by, noticed=noticed)
            self.engine.jobs.enqueue(connection, order.job, order.id, order.arguments, partition=order.partition)
        return found

    def order_everybody(self, connection: Connection, *, by: str, noticed: int, departed: Collection[str] = frozenset()) -> frozenset[str]:
        """As `order`, for everybody who is signed in or holds something: what happened in between was not told."""
        whom = concerned(connection, self.engine.now())
        change = Change(detail={"by": by, "people": len(whom)})
        self.engine.apply_within(connection, change, GRAPH, "Isthmus.Access/directory/checkEverybody", "/")
        return self.order(connection, whom, by=by, noticed=noticed, departed=departed)

    def run(self, arguments: Arguments) -> dict[str, Any]:
        """See `check`. ArmError 503 while Graph cannot tell."""
        try:
            return {"outcome": self.check(arguments["person"], by=arguments["by"], noticed=int(arguments["noticed"]))}
        except GraphUnavailable as error:
            raise unavailable(str(error), retry_after=max(1, round(error.retry_after))) from error
        except GraphFault as error:
            raise unavailable(str(error)) from error

    def failed(self, arguments: Arguments, error: ArmError) -> None:
        """The hint is lost: with the next question to Graph, or the one under way, everybody is checked. That stays due until ordered."""
        _log.error("person_not_checked", person=arguments["person"], reason=error.message)
        with self.engine.store.begin() as connection:
            marks.keep_due(connection, arguments["person"], self.engine.now())

    def check(self, person: str, *, by: str, noticed: int) -> str:
        """What came of it. Raises GraphFault: then nothing was changed."""
        now, person = self.engine.now(), person.lower()
        with self.engine.store.read() as connection:
            is_concerned = bool(concerned(connection, now, [person]))
            if not self._is_asked_about(connection, person, is_concerned=is_concerned):
                return STRANGER
            held = grants.living(connection, person, now, standing_only=True)
        # Groups may have other names where sign-ins tell them; those nobody can ask for here.
        reasons = {grant.because.removeprefix("group:") for grant in held if grant.because.startswith("group:")}
        groups = {group for group in reasons if guid(group)}
        user = self.graph.user(person, patience=_PATIENCE)
        if user is not None and user.is_enabled and not is_concerned:
            return STRANGER
        found = self.graph.member_groups(person, groups, patience=_PATIENCE) if user is not None and user.is_enabled else None
        with self.engine.store.begin() as connection:
            if found is None:
                outcome = self._gone(connection, person, is_known=user is not None)
            else:
                lost = leave_groups(connection, self.engine, person, groups - found, GRAPH, "Entra took this person out of the group.")
                outcome = LEFT if lost else SAME
            seconds = round((self.engine.now() - noticed) / 1000, 3)
            change = Change(detail={"by": by, "outcome": outcome, "seconds": seconds})
            self.engine.apply_within(connection, change, GRAPH, ACTION, f"/providers/Isthmus.Access/people/{person}")
        _log.info("person_checked", person=person, by=by, outcome=outcome, seconds=seconds)
        return outcome

    def _is_asked_about(self, connection: Connection, person: str, *, is_concerned: bool) -> bool:
        """Whether Graph is asked: about people of its tenant whom it concerns, and, where accounts trust a directory themselves, about
        anybody whom no other directory vouched for and who is not out yet."""
        visitor = people.find_person(connection, person)
        if visitor is not None and visitor.person.issuer != self.issuer:
            return False
        if visitor is not None and is_concerned:
            return True
        return bool(trusted_connectors(connection, self.engine.now())) and not is_revoked(connection, person)

    def _gone(self, connection: Connection, person: str, *, is_known: bool) -> str:
        """Disabled people depart. So do unknown ones, unless suddenly many are unknown: then somebody may have named another tenant, and
        what they hold ends without barring them."""
        if is_known or not self._are_many(connection):
            depart(connection, self.engine, person, GRAPH, _DISABLED if is_known else _UNKNOWN)
            return GONE
        begin_anew(connection, self.engine, person, GRAPH, f"{_UNKNOWN} Many are unknown at once: compare ISTHMUS_GRAPH_TENANT_ID.")
        return HELD_BACK

    def _are_many(self, connection: Connection) -> bool:
        now = self.engine.now()
        recent = (access_revocations.c.actor == GRAPH.id, access_revocations.c.reason == _UNKNOWN, access_revocations.c.at > now - _HOUR)
        gone = connection.execute(select(func.count()).select_from(access_revocations).where(*recent)).scalar_one()
        return gone >= max(_FEW, _SHARE * (gone + len(concerned(connection, now))))


_log = structlog.get_logger("isthmus.access")


def check_order(engine: Engine, person: str, *, by: str, noticed: int) -> JobOrder:
    """The job that checks a person; those of one person take turns, in one of sixteen lines however many people there are."""
    arguments = {"person": person, "by": by, "noticed": noticed}
    return JobOrder(job=CHECK, id=f"{CHECK}:{engine.new_guid()}", arguments=arguments, partition=f"people:{person[-1:]}")
