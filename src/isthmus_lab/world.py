"""What the parts of the lab may know of each other: the call in progress, the instances, the policies, the clock.

`World` is implemented by `adapter.adapter.Adapter`; that package alone touches ministack. The SSM service, its machines and the
pack see AWS state through this protocol alone, so they can be tested with a small fake.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Response = tuple[int, dict[str, str], bytes]
"""Status, headers, body: what a service answers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """One EC2 instance as the lab knows it now. `platform` is `linux` or `windows`; `launched_at` is epoch seconds.

    `role_name` is the role inside the attached instance profile, None when there is no profile, the profile was deleted or it
    holds no role.
    """

    account: str
    region: str
    instance_id: str
    state: str
    tags: Mapping[str, str]
    image_id: str
    platform: str
    private_ip: str
    launched_at: float
    profile_arn: str | None
    role_name: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Denial:
    """The call in progress lacks a permission; `message` reads as AWS says it."""

    action: str
    resource: str
    message: str
    explicit: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RoleCredentials:
    """Temporary credentials of a role that the lab itself handed out; `expires_at` is epoch seconds."""

    access_key: str
    secret_key: str
    token: str
    expires_at: float

    def __repr__(self) -> str:
        return f"RoleCredentials(access_key={self.access_key!r}, secrets hidden)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Who stands behind an access key. `kind` is `Root`, `User`, `AssumedRole` or `FederatedUser`; `id` is IAM's unique id. Sessions have
    `issued_at` (epoch seconds); those of roles `role_arn` and, where they have one, `source_identity` and the ARN of their `provider`."""

    kind: str
    arn: str
    id: str
    account: str
    key: str
    issued_at: float | None = None
    role_arn: str = ""
    source_identity: str = ""
    provider: str = ""


class World(Protocol):
    """AWS as the parts of the lab see it. Every method may be called from the event loop and from worker threads."""

    state_dir: Path
    clock: Callable[[], float]

    @property
    def endpoint(self) -> str:
        """Base URL of the lab, e.g. `http://127.0.0.1:4566`."""

    def account(self) -> str:
        """Account of the call in progress."""

    def region(self) -> str:
        """Region of the call in progress."""

    def caller_arn(self) -> str:
        """Principal ARN of the call in progress."""

    def within(self, account: str, region: str) -> AbstractContextManager[None]:
        """Run a block as if a call of that account and region were in progress (own threads need it)."""

    def instances(self, account: str, region: str) -> list[Instance]:
        """All instances of an account and region that are not terminated."""

    def instance(self, account: str, region: str, instance_id: str) -> Instance | None:
        """One instance in any state, or None."""

    def every_instance(self) -> list[Instance]:
        """All instances of all accounts and regions that are not terminated."""

    def role_allows(self, account: str, role_name: str, action: str, region: str) -> bool:
        """Whether the role's own policies allow the action on `*`: what an agent on a machine may do."""

    def default_host_management(self, account: str, region: str) -> str | None:
        """Role name of SSM's default host management, None when it is off (`$None`)."""

    def denial(self, action: str, resource: str, context: Mapping[str, Any] | None = None) -> Denial | None:
        """Judge the call in progress against one more action and resource; None means allowed. `context`: condition keys."""

    def role_credentials(self, account: str, role_name: str, session_name: str, seconds: int) -> RoleCredentials:
        """A session of the role as a machine's metadata service would hand out; raises LookupError without such a role."""


class Document(Protocol):
    """A stored SSM document: its name, newest version (`"1"`, `"2"` …) and Sha256 of the content."""

    @property
    def name(self) -> str:
        """Its name, unique within account and region."""

    @property
    def version(self) -> str:
        """The newest version, a number from 1 as text."""

    @property
    def hash(self) -> str:
        """Sha256 of the newest content, in hexadecimal."""


class Documents(Protocol):
    """Store of SSM documents, shared by the SSM service and CloudFormation; thread-safe.

    `put` creates the document, or a new version where it exists; equal content keeps the version. It raises ValueError with a
    message for people on content that AWS would refuse. `get` answers None for an unknown name.
    """

    def put(
        self, account: str, region: str, name: str, content: dict[str, Any] | str, document_type: str, tags: Mapping[str, str]
    ) -> Document:
        """Create, or make a new version; see above."""

    def get(self, account: str, region: str, name: str) -> Document | None:
        """The document, or None."""

    def delete(self, account: str, region: str, name: str) -> None:
        """Forget the document; an unknown name is no error."""


class Ssm(Protocol):
    """The part of SSM that the lab answers itself. Built as `isthmus_lab.ssm.service.SsmService(world)`.

    `operations` are the names (`SendCommand`, `CreateDocument` …) that `__call__` answers; for these the lab only authenticates the
    caller and `__call__` authorises each resource with `World.denial`. Calling answers None to fall through to ministack
    (parameters, service settings). `body` is JSON 1.1, the operation stands in `headers["x-amz-target"]` after the dot.
    """

    @property
    def operations(self) -> frozenset[str]:
        """Names of what `__call__` answers."""

    @property
    def documents(self) -> Documents:
        """The documents, for CloudFormation."""

    async def __call__(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Response | None: ...
    async def admin(self, method: str, path: str, body: bytes) -> Response | None:
        """Answer an admin request below `/_lab/machines`; None = no such path."""

    async def start(self) -> None:
        """The server runs: start supervising machines."""

    async def reset(self) -> None:
        """Forget documents and commands, stop the machines."""

    async def stop(self) -> None:
        """The server ends: stop every machine process."""
