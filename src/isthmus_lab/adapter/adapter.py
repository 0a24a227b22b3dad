"""ministack as the lab sees it: its parts, and the call in progress."""

import contextlib
import importlib.metadata
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import ministack.app as engine
from ministack.core import iam_actions, iam_evaluator, responses
from ministack.services import ssm

from isthmus_lab.adapter.ec2 import Ec2State
from isthmus_lab.adapter.iam import IamState
from isthmus_lab.adapter.patterns import remember_matches
from isthmus_lab.adapter.requests import AdapterError, Requests
from isthmus_lab.adapter.sessions import Sessions
from isthmus_lab.adapter.stacks import Stacks
from isthmus_lab.adapter.trails import Trails
from isthmus_lab.adapter.variables import fill_variables
from isthmus_lab.call import current
from isthmus_lab.world import Denial, Instance, Response, RoleCredentials

MINISTACK = "1.5.33"


class Adapter:
    """Implements `world.World`; the parts stand beside. One per process, as ministack keeps its state in modules."""

    def __init__(self, *, endpoint: str, state_dir: Path, clock: Callable[[], float] = time.time) -> None:
        installed = importlib.metadata.version("ministack")
        if installed != MINISTACK:
            raise AdapterError(
                f"The lab is written against ministack {MINISTACK}, but {installed} is installed. Install ministack=={MINISTACK}."
            )
        if not engine.AUTH:
            raise AdapterError("ministack was imported without AUTH=true. Start the lab with `python -m isthmus_lab`.")
        self.state_dir = state_dir
        self.clock = clock
        self._endpoint = endpoint
        self.requests = Requests()
        self.ec2 = Ec2State()
        self.iam = IamState()
        self.sessions = Sessions(clock)
        fill_variables()
        remember_matches()
        self.stacks = Stacks()
        self.trails = Trails()

    @property
    def endpoint(self) -> str:
        """See `World`."""
        return self._endpoint

    def account(self) -> str:
        """See `World`."""
        return str(responses.get_account_id())

    def region(self) -> str:
        """See `World`."""
        return str(responses.get_region())

    def caller_arn(self) -> str:
        """See `World`; empty where nobody is known by the call's key."""
        identity = iam_evaluator.resolve_caller_identity(current().key)
        return str(identity["userArn"]) if identity else ""

    @contextlib.contextmanager
    def _within(self, account: str, region: str) -> Any:
        with responses.request_scope(account, region):
            yield

    def within(self, account: str, region: str) -> AbstractContextManager[None]:
        """See `World`."""
        scope: AbstractContextManager[None] = self._within(account, region)
        return scope

    def denial(self, action: str, resource: str, context: Mapping[str, Any] | None = None) -> Denial | None:
        """See `World`; the message is the one that ministack gives for the caller's kind."""
        service = action.partition(":")[0]
        denied = iam_evaluator.enforce(current().key, action, service, self.region(), resource, dict(context or {}))
        if denied is None:
            return None
        if isinstance(denied, iam_evaluator.AuthError):
            return Denial(action=action, resource=resource, message=denied.message, explicit=False)
        explicit = denied.decision == "Deny"
        message = iam_actions.identity_denial_message(action, denied.principal_arn, resource, explicit)
        return Denial(action=action, resource=resource, message=message, explicit=explicit)

    def error(self, service: str, code: str, message: str, status: int, headers: Mapping[str, str]) -> Response:
        """See `Requests.error`."""
        return self.requests.error(service, code, message, status, headers)

    def instances(self, account: str, region: str) -> list[Instance]:
        """See `World`."""
        return self.ec2.instances(account, region)

    def instance(self, account: str, region: str, instance_id: str) -> Instance | None:
        """See `World`."""
        return self.ec2.instance(account, region, instance_id)

    def every_instance(self) -> list[Instance]:
        """See `World`."""
        return self.ec2.every_instance()

    def role_allows(self, account: str, role_name: str, action: str, region: str) -> bool:
        """See `World`."""
        return self.iam.role_allows(account, role_name, action, region)

    def role_credentials(self, account: str, role_name: str, session_name: str, seconds: int) -> RoleCredentials:
        """See `World`."""
        role = self.iam.role(account, role_name)
        if role is None:
            raise LookupError(f"Account {account} has no role {role_name}.")
        return self.sessions.open(role, session_name, seconds)

    def default_host_management(self, account: str, region: str) -> str | None:
        """See `World`."""
        setting = ssm._service_settings.get_scoped(account, region, "/ssm/managed-instance/default-ec2-instance-management-role")
        value = str(setting["value"]) if setting else "$None"
        return None if value == "$None" else value.rpartition("/")[2]
