"""What a cloud promises to the rest of the product: the records it yields and the protocols it fulfils.

A cloud imports nothing of ours but this module and its siblings; token sources are injected.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Outcome = Literal["denied", "scp", "not-opted-in", "unsupported", "throttled", "error"]
Severity = Literal["Error", "Warning", "Note"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One unit of a scan: a type in a region of an account. `region` is empty for types that AWS lists once per account."""

    account: str
    region: str
    type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One AWS resource as read.

    `id` is unique within its cell and never changes while the resource lives. `region` is where the resource lies, which differs from the
    cell's for types that are listed once for all regions (S3 buckets); empty for truly global ones.
    `properties` has the shape of `awsProperties` (camelCase; see the catalog). `digest` covers everything except the type's volatile
    fields, so equal digests mean that nothing worth storing changed. It never holds secret material.
    `partial` says that a call for its details failed: what is known of it from earlier scans is worth keeping.
    """

    cell: Cell
    id: str
    arn: str
    name: str
    region: str
    tags: Mapping[str, str]
    properties: Mapping[str, Any]
    digest: str
    partial: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """A cell that could not be listed. It never deletes anything. `action` names the missing IAM action of a denial, else is empty."""

    cell: Cell
    outcome: Outcome
    reason: str
    action: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A cell that was listed to its end: what it did not yield does not exist any more.

    `shortfalls` are reasons why details of some of its items are missing; empty when nothing is.
    """

    cell: Cell
    rows: int
    shortfalls: tuple[str, ...] = ()


Reading = Item | Gap | Listed


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanTarget:
    """Whom a solution acts for, and where. `guid` is the connector's primary identifier, `solution` the solution type id."""

    account: str
    guid: str
    solution: str
    partition: str = "aws"


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What to scan: service keys and regions; None means all of them, discovered where the cloud can tell."""

    services: Collection[str] | None = None
    regions: Collection[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether an action is allowed: None where only acting would tell. `message` says why, or how it was judged; empty when allowed."""

    action: str
    allowed: bool | None
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployedRole:
    """The role of a solution as it stands in the account: its trust, its inline policies by name, the ARNs of its managed policies, and
    the ARN of its permissions boundary (empty: none)."""

    name: str
    trust: Mapping[str, Any]
    policies: Mapping[str, Mapping[str, Any]]
    managed: Collection[str]
    boundary: str = ""


class Unreadable(Exception):
    """The role can be assumed and may not look at itself; `action` is what it lacks, empty where that is not the reason."""

    def __init__(self, action: str, message: str) -> None:
        super().__init__(message)
        self.action = action


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """A virtual machine as the cloud describes it. `state` is EC2's name (running, stopped, ...); `launch_time` ISO 8601 text."""

    id: str
    account: str
    region: str
    state: str
    launch_time: str
    tags: Mapping[str, str]
    platform: str
    architecture: str
    image_id: str
    profile_arn: str
    imds_enabled: bool
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagedNode:
    """An instance that the cloud's command channel (AWS Systems Manager) knows. `ping` is Online, ConnectionLost or Inactive."""

    id: str
    ping: str
    agent_version: str
    platform_type: str
    platform_name: str
    platform_version: str
    last_ping: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Invocation:
    """One machine's part of a command: the cloud's words (`detail` without blanks) and at most 2,500 characters of output."""

    instance_id: str
    status: str
    detail: str
    exit_code: int
    output: str


class TokenSource(Protocol):
    """Mints our own OIDC token for one account; the cloud exchanges it for credentials."""

    def mint(self, *, audience: str, subject: str) -> str:
        """A signed JWT, valid for minutes."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonCredentials:
    """Credentials of one session of a person. They exist in memory alone; `expires_at` in seconds since 1970."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A weakness of an account's trust: the rule that it breaks, the ARN, what was seen, and what to change."""

    rule: str
    severity: Severity
    resource: str
    told: str
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Blind:
    """A part of an account's trust that could not be read, so that nothing was judged there. `action` as in `Gap`."""

    part: str
    reason: str
    action: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrustReport:
    """What a look at an account's trust found; `looked_at` counts what was judged, by part."""

    findings: Sequence[Finding]
    blind: Sequence[Blind]
    looked_at: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShellOwner:
    """Whose shells are meant: a source identity, and where a single grant ended, of which role (by name) and grant: all but those whose
    reason names one of `spared`, other grants of that role which the person holds. Whoever opens a shell writes its reason."""

    source: str
    role: str = ""
    grant: str = ""
    spared: frozenset[str] = frozenset()


class TrustCloud(Protocol):
    """Judges whom an account trusts."""

    async def lint(self, target: ScanTarget) -> TrustReport:
        """Read the account's trust and judge it. Raises what `AccessCloud.exchange` raises when the account cannot be reached at all."""

    async def trusts(self, target: ScanTarget) -> Mapping[str, Mapping[str, Any]]:
        """The trust policies of all roles, by role name. Raises what `lint` raises, also when they may not be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningCertificate:
    """A certificate with which a directory signs: SHA-256 in hexadecimal, whose it is, and its end (seconds since 1970)."""

    fingerprint: str
    subject: str
    expires_at: float


class AccessCloud(Protocol):
    """Gives people sessions in an account, and takes them away."""

    async def exchange(
        self, target: ScanTarget, role: str, *, token: str, session_name: str, policy: str, seconds: int
    ) -> PersonCredentials:
        """A token for a person becomes a session of the role (by name), narrowed by a session policy. Raises PermissionError with a remedy
        when the account refuses it, ConnectionError when it cannot be reached."""

    async def probe(self, target: ScanTarget, credentials: PersonCredentials) -> bool:
        """Whether one harmless call is still allowed to a session. Raises ConnectionError when there is no answer."""

    async def denies(self, target: ScanTarget, document: str) -> bool:
        """Whether the account's revocation policy is this document. Raises what `exchange` raises."""

    async def deny(self, target: ScanTarget, document: str) -> None:
        """Make the account's revocation policy this document. Raises what `exchange` raises."""

    async def end_shells(self, target: ScanTarget, region: str, owners: Collection[ShellOwner]) -> Mapping[ShellOwner, int]:
        """End the open shells of these owners in a region, all at once; how many of each. Raises what `exchange` raises, after all."""

    async def certificates(self, target: ScanTarget) -> Sequence[SigningCertificate]:
        """Those that the account's provider of the directory (SAML) holds. Raises what `exchange` raises."""


class TokenTrial(Protocol):
    """Tries whether the cloud takes a token, without keeping what it gives for it."""

    def claims(self, target: ScanTarget) -> Mapping[str, str]:
        """Audience and subject (`aud`, `sub`) of a token of the target's solution."""

    async def try_token(self, target: ScanTarget, token: str) -> None:
        """Exchange a token. Raises PermissionError with the cloud's words when it is refused, ConnectionError when nobody can tell."""


class TrailCloud(Protocol):
    """Reads what was called in an account."""

    async def regions(self, target: ScanTarget) -> Sequence[str]:
        """Regions that keep events of their own."""

    def events(self, target: ScanTarget, region: str, since: float, until: float) -> AsyncIterator[str]:
        """Events of a region between two instants (seconds since 1970), each as the JSON text of the cloud, the newest first. The cloud may
        tell an event some minutes late, and the same one twice. Raises PermissionError with a remedy or ConnectionError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file in a bucket: its key and its size in bytes."""

    key: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredObject:
    """A file's content, as it lies there, and what its bucket knows of it besides."""

    content: bytes
    metadata: Mapping[str, str]


class TrailFileCloud(Protocol):
    """Reads files of trails from their bucket. Everything raises PermissionError with a remedy, or ConnectionError."""

    async def bucket_region(self, target: ScanTarget, bucket: str) -> str:
        """Where a bucket lies."""
        ...

    async def files(self, target: ScanTarget, region: str, bucket: str, prefix: str, after: str) -> Sequence[StoredFile]:
        """Files below a prefix whose keys come after a text, in the order of their keys."""
        ...

    async def fetch(self, target: ScanTarget, region: str, bucket: str, key: str) -> StoredObject:
        """One file, whole."""
        ...

    async def digest_keys(self, target: ScanTarget, region: str, since: float, until: float) -> Sequence[tuple[str, bytes]]:
        """The public keys (DER) by fingerprint with which the cloud signed digests of a region between two instants."""
        ...


class Scanner(Protocol):
    """Reads an account."""

    def scan(self, target: ScanTarget, selection: Selection, done: Collection[Cell] = ()) -> AsyncIterator[Reading]:
        """Every cell of the selection except those in `done`: its items, then exactly one Listed or Gap for it."""
        ...

    async def check(self, target: ScanTarget) -> None:
        """Reach the account as the target's solution.

        Raises PermissionError with a remedy when the account does not trust us, ConnectionError when the cloud cannot be reached.
        """
        ...

    async def test(self, target: ScanTarget, selection: Selection) -> Sequence[Verdict]:
        """A verdict on every action that the target's solution needs for this selection, sorted by action. Nothing is acted upon.

        Raises what `check` raises.
        """
        ...

    async def role(self, target: ScanTarget) -> DeployedRole:
        """The target's role as it stands in the account. Raises what `check` raises, and Unreadable when it may not look at itself."""
        ...


class Shell(Protocol):
    """Runs our one document on machines of an account."""

    async def regions(self, target: ScanTarget, wanted: Collection[str] | None) -> Sequence[str]:
        """Regions that are enabled in the account, restricted to `wanted`."""
        ...

    async def instances(self, target: ScanTarget, region: str) -> Sequence[Instance]:
        """All instances of the region, terminated ones included as long as the cloud lists them."""
        ...

    async def nodes(self, target: ScanTarget, region: str) -> Mapping[str, ManagedNode]:
        """Instances that can be commanded, by id."""
        ...

    async def send(
        self,
        target: ScanTarget,
        region: str,
        instance_ids: Sequence[str],
        parameters: Mapping[str, str],
        *,
        comment: str,
        timeout: int,  # noqa: ASYNC109 - how long AWS may take to deliver, not how long we wait
    ) -> str:
        """Send the onboarding document to at most 50 instances; the command id. Ids the cloud refuses raise InvalidInstances."""
        ...

    async def recent(self, target: ScanTarget, region: str, since: str) -> Mapping[str, str]:
        """Commands sent since an instant (ISO 8601): comment to command id, so that a repeated step finds what it already sent."""
        ...

    async def invocations(self, target: ScanTarget, region: str, command_id: str) -> Sequence[Invocation]:
        """Where each machine of a command stands, with its output once it ended."""
        ...

    async def cancel(self, target: ScanTarget, region: str, command_id: str) -> None:
        """Ask the cloud to stop a command; finished machines are unaffected."""
        ...


class InvalidInstances(Exception):
    """The cloud refused a command because of these instance ids."""

    def __init__(self, ids: Sequence[str], message: str) -> None:
        super().__init__(message)
        self.ids = tuple(ids)
