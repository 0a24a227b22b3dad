"""Access (`Isthmus.Access`): people reach the account by their directory identity, and lose it the moment they leave.

The sync only looks whether the account's revocation policy is what it has to be: sessions are given on demand, and taken away by jobs of
their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from isthmus.access import grants, request_rows, revocations
from isthmus.access.broker import BROKER
from isthmus.access.deciding import claim_reasons
from isthmus.access.denials import keys_of, revocation_policy
from isthmus.access.federation import (
    ACCESS,
    AUDIENCE,
    CLIENT,
    FEDERATION,
    ISSUER,
    METADATA,
    MODES,
    directory_at,
    directory_of,
    shared_client,
    unfit,
)
from isthmus.access.former import trusted_at
from isthmus.access.mappings import BROKER as BY_BROKER
from isthmus.access.mappings import ROLE_MAPPINGS, access_target
from isthmus.arm.change import Change
from isthmus.arm.envelope import Resource
from isthmus.arm.errors import ArmError, all_of, unavailable
from isthmus.clouds.aws.metadata import distilled, read_metadata
from isthmus.clouds.aws.template import PersonRole
from isthmus.clouds.aws.template.access import protection_of
from isthmus.clouds.aws.template.directories import SAML, Directory
from isthmus.clouds.contract import AccessCloud, SigningCertificate
from isthmus.engine import Arrival, Engine, Lookup, Removal
from isthmus.identity import evidence
from isthmus.solutions import subject
from isthmus.solutions.certificates import concerns, standing
from isthmus.solutions.contract import PERIOD, PERIODIC_SYNC, Setting, SolutionType
from isthmus.solutions.loop import Loop
from isthmus.work import Arguments, Job

TYPE = ACCESS
SYNC = "access.sync"
CLIENT_ID = re.compile(r"[A-Za-z0-9._~:/-]{1,255}")
_LONGEST = 1_024


def _check_issuer(value: str) -> None:
    if len(value) > _LONGEST or not value.isprintable() or " " in value:
        raise ValueError(f"An issuer is an address of at most {_LONGEST} characters without blanks.")


def _check_client(value: str) -> None:
    if value and not CLIENT_ID.fullmatch(value):
        raise ValueError("A client id has 1 to 255 letters, digits and -._~:/ characters.")


def _check_metadata(value: str) -> None:
    if value:
        read_metadata(value)


FEDERATIONS = (
    Setting(
        name=FEDERATION,
        display="Federation",
        kind="string",
        description="Whom the account trusts about people: broker (tokens of Isthmus), oidc or saml (your directory alone), claims (your "
        "directory, whose tokens Isthmus completes).",
        allowed=MODES,
        default=BY_BROKER,
    ),
    Setting(
        name=ISSUER,
        display="Issuer of the directory",
        kind="string",
        description="For oidc and claims: the issuer URL that tokens name, to the last slash. For saml: the entityID, empty to take the "
        "metadata's.",
        default="",
        check=_check_issuer,
    ),
    Setting(
        name=CLIENT,
        display="Application of the directory",
        kind="string",
        description="For claims: client id of the one application by which people come. In oidc each role mapping has its own (clientId).",
        default="",
        check=_check_client,
    ),
    Setting(
        name=AUDIENCE,
        display="Audience of the directory's calls",
        kind="string",
        description="For claims: what the tokens are made for with which the directory calls Isthmus (the extension's application).",
        default="",
        check=_check_client,
    ),
    Setting(
        name=METADATA,
        display="SAML metadata",
        kind="string",
        description="For saml: the federation metadata XML of the directory's application. What AWS does not read of it is left out.",
        default="",
        check=_check_metadata,
        tidy=distilled,
    ),
)

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.'()/-]{1,200}")


def _check_bucket(value: str) -> None:
    if value and (not _BUCKET.fullmatch(value) or ".." in value):
        raise ValueError("This is no name of an S3 bucket.")


def _check_prefix(value: str) -> None:
    if value and (not _PREFIX.fullmatch(value) or value.startswith("/") or value.endswith("/")):
        raise ValueError("A prefix has letters, digits and !-_.'()/, and neither begins nor ends with '/'.")


TRAIL_BUCKET = Setting(
    name="trailBucket",
    display="Trail bucket",
    kind="string",
    description="S3 bucket to which a trail writes this account's events; empty: they are looked up at CloudTrail alone. Set it where an "
    "account has more than some 20 events a second in a region.",
    default="",
    check=_check_bucket,
)
TRAIL_PREFIX = Setting(
    name="trailPrefix",
    display="Trail prefix",
    kind="string",
    description="What stands before AWSLogs/ in the keys of that trail; empty: nothing.",
    default="",
    check=_check_prefix,
)

SOLUTION = SolutionType(
    id=TYPE,
    description="Let people reach the account by their directory identity, with short-lived credentials that end when they leave.",
    settings=(PERIODIC_SYNC, PERIOD, *FEDERATIONS, TRAIL_BUCKET, TRAIL_PREFIX),
    agree=directory_of,
    locations=("canadacentral", "eastus", "westcentralus", "westeurope"),
    sync_job=SYNC,
)


def person_roles(lookup: Lookup, connector: Resource, *, is_direct: bool = False) -> tuple[PersonRole, ...]:
    """The roles that the connector's mappings ask the template for. Direct ones keep addresses by themselves: no session policy does."""
    found = []
    for mapping in lookup.all(types=[ROLE_MAPPINGS], parent=connector.id.key):
        given = mapping.properties
        found.append(
            PersonRole(
                name=mapping.id.name,
                managed_policies=tuple(given.get("managedPolicyArns") or ()),
                statements=tuple(given.get("statements") or ()),
                requires_mfa=given.get("requiresMfa", True),
                machine_tag=given.get("machineTag", ""),
                groups=tuple(given.get("groups") or ()),
                client_id=given.get("clientId", ""),
                addresses=tuple(given.get("allowedAddresses") or ()) if is_direct else (),
            )
        )
    return tuple(found)


def check_mappings(lookup: Lookup, connector: Resource, settings: Mapping[str, str]) -> None:
    """Whether every mapping of a connector can be kept under settings. ArmError 400, with every problem in `details`."""
    directory = directory_of(settings)
    mappings = {one.id.name: one.properties for one in lookup.all(types=[ROLE_MAPPINGS], parent=connector.id.key)}
    problems = [
        ArmError(one.code, f"Role mapping '{name}': {one.message}", status=one.status, target=f"{name}.{one.target}")
        for name, properties in mappings.items()
        for one in unfit(directory, properties)
    ]
    problems += [error for name, properties in mappings.items() if (error := shared_client(directory, name, properties, mappings))]
    if problems:
        raise all_of(problems)


@dataclass(frozen=True, kw_only=True)
class AccessSolution:
    """The job of this solution, and what follows when its mappings change."""

    engine: Engine
    lookup: Lookup
    cloud: AccessCloud
    loop: Loop
    issuer_url: str

    def job(self) -> Job:
        """The sync: arguments `solution`, `scan`, and optionally `operation`."""
        return Job(name=SYNC, queue="scans", run=self.sync, failed=self.failed, attempts=4, interval_seconds=5)

    @property
    def arrivals(self) -> Mapping[str, Arrival]:
        """What follows a changed mapping: grants whose reason it names no more end."""
        return {ROLE_MAPPINGS.lower(): self._narrow}

    @property
    def removals(self) -> Mapping[str, Removal]:
        """What ends with a mapping: every grant of it, and every request that waits for it."""
        return {ROLE_MAPPINGS.lower(): self._end}

    def sync(self, arguments: Arguments) -> Mapping[str, Any] | None:
        """Reach the account, and order that its revocation policy be brought in line where it is not; the result says how many roles people
        have there. The job that denies is the only one that writes the policy: it takes turns, and what it reads is never older than what
        stands."""
        found = subject.load(self.lookup, arguments["solution"])
        if found is None:
            gone = ArmError("SolutionConfigurationNotFound", f"'{arguments['solution']}' was deleted in the meantime.", status=404)
            self._finish(arguments, error=gone)
            return None
        target, now = access_target(found.connector), self.engine.now()
        with self.engine.store.read() as connection:
            denied = revocations.denied_now(connection, found.connector.id.key, now)
            directory = directory_at(connection, found.connector.id.key)
            trusted = trusted_at(connection, found.connector.id.key, now)
        try:
            stands = self.loop.run(
                self.cloud.denies(target, revocation_policy(denied, protection_of(target, self.issuer_url), keys_of(trusted)))
            )
        except PermissionError as error:
            subject.report(self.engine, str(found.solution.id), BROKER, subject.PENDING, str(error))
            self._finish(arguments, error=ArmError("AuthorizationPending", str(error), status=409, target=str(found.connector.id)))
            return {"status": subject.PENDING}
        except ConnectionError as error:
            raise unavailable(str(error)) from error
        if not stands:
            order = revocations.deny_order(found.connector.id.key, f"sync:{arguments['scan']}", settle=True)
            self.engine.apply(Change(jobs=(order,)), BROKER, "Isthmus.Access/revocations/resume", str(found.connector.id))
        number = len(person_roles(self.lookup, found.connector))
        shown = self._standing(found, directory)
        policy = "stands" if stands else "is brought in line now"
        text = f"{number} role{'' if number == 1 else 's'} for people; the revocation policy {policy}."
        text = " ".join((text, *(sentence for _, sentence in concerns(shown, now))))
        told = {"federation": shown}
        subject.report(self.engine, str(found.solution.id), BROKER, subject.COMPLETED, text, synced=True, shown=told)
        result = {"scan": arguments["scan"], "status": subject.COMPLETED, "details": text}
        self._finish(arguments, result=result)
        return result

    def _standing(self, found: subject.Subject, directory: Directory | None) -> dict[str, Any] | None:
        """What is shown of the federation, as the account has it now: a provider that is not there yet holds nothing."""
        held: Sequence[SigningCertificate] = ()
        if directory is not None and directory.mode == SAML:
            try:
                held = self.loop.run(self.cloud.certificates(access_target(found.connector)))
            except PermissionError:
                held = ()
            except ConnectionError as error:
                raise unavailable(str(error)) from error
        return standing(found.settings, held, self.engine.now())

    def failed(self, arguments: Arguments, error: ArmError) -> None:
        """Said on the solution and to whoever waits."""
        subject.report(self.engine, arguments["solution"], BROKER, subject.FAILED, error.message)
        self._finish(arguments, error=error)

    def _narrow(self, connection: Connection, came: Sequence[Resource]) -> None:
        now, mapped = self.engine.now(), {one.id.key: one.properties for one in came}
        reasons = {
            key: {f"group:{group}" for group in given.get("groups") or ()} | claim_reasons(given.get("claims") or {})
            for key, given in mapped.items()
        }

        def stands(grant: grants.Grant) -> bool:
            if grant.because.startswith("request:") or grant.because in reasons[grant.mapping]:
                return True
            # Grants from before reasons named values: whether the sign-in still has one that counts.
            name = grant.because.removeprefix("claim:")
            person = evidence.latest(connection, grant.person, now) if name != grant.because else None
            counts = (mapped[grant.mapping].get("claims") or {}).get(name, ())
            return person is not None and bool(set(person.claims.get(name, ())) & set(counts))

        lost = [grant for grant in grants.of_mappings(connection, list(reasons), now) if not stands(grant)]
        revocations.end_grants(connection, self.engine, lost, BROKER, "The role mapping does not name this reason any more.")

    def _end(self, connection: Connection, keys: Sequence[str]) -> None:
        held = grants.of_mappings(connection, keys, self.engine.now())
        revocations.end_grants(connection, self.engine, held, BROKER, "The role mapping was deleted.")
        request_rows.lapse(connection, keys)

    def _finish(self, arguments: Arguments, *, result: Mapping[str, Any] | None = None, error: ArmError | None = None) -> None:
        if arguments.get("operation"):
            self.engine.finish(arguments["operation"], result=result, error=error)
