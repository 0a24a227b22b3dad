"""What needs a person about the installation itself: certificates and secrets that end, jobs that failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import BigInteger, Connection, bindparam, func, select

from isthmus.arm.envelope import instant
from isthmus.keys import Expiry
from isthmus.solutions.insights.concern import Concern, number_of
from isthmus.solutions.insights.fleet import SOON
from isthmus.store.tables import client_secrets, clients
from isthmus.work import JobCount

CLIENT = "/providers/Isthmus.Identity/clients"
JOBS = "/providers/Isthmus.Operations/jobs"


def certificates(found: Sequence[Expiry], now: int) -> Iterator[Concern]:
    """Certificates of the local authority that have ended or end within 30 days."""
    for one in found:
        if one.ends_at > now + SOON:
            continue
        what = "The root of the local certificate authority" if one.is_root else "The server's certificate"
        more = " Then give clients and machines the new ca.pem." if one.is_root else ""
        yield Concern(
            kind="expiringCertificate",
            severity="error" if one.ends_at <= now else "warning",
            count=1,
            title=f"{what} {_ends(one.ends_at, now)}",
            detail=f"{one.file} in the folder of keys is good until {instant(one.ends_at)}.",
            remedy=f"Restart Isthmus: it replaces certificates that are near their end when it starts.{more}",
            target="/",
            subject=one.file,
            since=one.ends_at - SOON,
        )


_LAST = func.max(client_secrets.c.expires_at)
_SECRETS = (
    select(clients.c.client_id, clients.c.name, _LAST.label("ends_at"), func.count().label("number"))
    .join(client_secrets, client_secrets.c.client_id == clients.c.client_id)
    .group_by(clients.c.client_id, clients.c.name)
    .having(bindparam("soon", type_=BigInteger) >= _LAST)
)


def secrets(connection: Connection, now: int) -> Iterator[Concern]:
    """Clients whose last secret has ended or ends within 30 days; older secrets beside a newer one concern nobody."""
    for row in connection.execute(_SECRETS, {"soon": now + SOON}):
        yield Concern(
            kind="expiringSecret",
            severity="error" if row.ends_at <= now else "warning",
            count=1,
            title=f"The secret of {row.name} {_ends(row.ends_at, now)}",
            detail=f"{number_of(int(row.number), 'secret')} of client {row.client_id}, the last one good until {instant(row.ends_at)}.",
            remedy="Add a new secret and give it to the application, or remove the client. A federated credential never needs this.",
            target=f"{CLIENT}/{row.client_id}",
            since=row.ends_at - SOON,
        )


def jobs(failed: Sequence[JobCount]) -> Iterator[Concern]:
    """Failed jobs by their name."""
    for one in failed:
        yield Concern(
            kind="failedJob",
            severity="error",
            count=one.count,
            title=f"{number_of(one.count, 'job')} failed: {one.job}",
            detail="Work that was ordered was given up after several attempts.",
            remedy="Read the errors, mend their cause, then retry the jobs.",
            target=JOBS,
            subject=one.job,
            since=one.since or None,
        )


def _ends(at: int, now: int) -> str:
    days = (at - now) // 86_400_000
    return "has expired" if at <= now else f"expires in {number_of(days, 'day')}" if days else "expires today"
