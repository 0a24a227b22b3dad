"""The only module that touches ministack: every hook point of the lab, each with a contract test in tests/lab/test_adapter.py.

None of these points is a promise of ministack, so its version is pinned and checked at start. Import this module only in a process
whose environment was built by `environment.scrubbed`: ministack reads its settings when it is imported.
"""

import contextlib
import contextvars
import dataclasses
import importlib.metadata
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import ministack.app as engine
from ministack.core import iam_actions, iam_evaluator, responses, router
from ministack.services import ec2, iam, ssm, sts
from ministack.services.cloudformation import provisioners

from isthmus_lab.hooks import Handler, Headers, NewService, Query, ResourceHandlers, ResourceNamer, Wrapper
from isthmus_lab.world import Denial, Instance, Response, RoleCredentials

MINISTACK = "1.5.33"
WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

access_key_of_call: contextvars.ContextVar[str] = contextvars.ContextVar("access_key_of_call", default="")
"""Access key of the call in progress, set by the front before ministack runs."""

action_of_call: contextvars.ContextVar[str] = contextvars.ContextVar("action_of_call", default="")
"""IAM action name of the call in progress (`DescribeVpcs`), set by the front."""

SESSION_KEYS = "IsthmusConditionKeys"
"""Our member of ministack's session records: condition keys that every later call of the session carries."""


class AdapterError(RuntimeError):
    """ministack is not the one this adapter was written against."""


class Adapter:
    """ministack as the lab sees it; implements `world.World`. One per process, as ministack keeps its state in modules."""

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
        self._self_authorised: frozenset[str] = frozenset()
        self._extract_iam_action = iam_actions.extract_iam_action
        iam_actions.extract_iam_action = self._action_to_check
        principal_keys = iam_evaluator._principal_keys

        def with_session_keys(credential: Any) -> dict[str, Any]:
            session = sts._sessions.get(credential.access_key_id) or {}
            return {**principal_keys(credential), **session.get(SESSION_KEYS, {})}

        iam_evaluator._principal_keys = sts._principal_keys = with_session_keys

    # ── the request path ──

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ministack's ASGI application."""
        await engine.app(scope, receive, send)

    def wrap(self, service: str, wrapper: Wrapper) -> None:
        """Put `wrapper` in front of a service; its last argument is the handler that answered until now."""
        inner: Handler = engine.SERVICE_HANDLERS[service]

        async def wrapped(method: str, path: str, headers: Headers, body: bytes, query: Query) -> Response:
            return await wrapper(method, path, headers, body, query, inner)

        engine.SERVICE_HANDLERS[service] = wrapped

    def add_service(self, service: NewService, handler: Handler) -> None:
        """Add a service that ministack lacks, under its signing name; ministack signs and authorises for it."""
        name = service.name
        if name in engine.SERVICE_HANDLERS:
            raise AdapterError(f"ministack has a service {name} of its own now: the pack need not add it.")
        engine.SERVICE_HANDLERS[name] = handler
        # Without an entry ministack reads every model of botocore, on the event loop, to find out whether the name is a service.
        router.SERVICE_PATTERNS[name] = {"target_prefixes": [], "host_patterns": []}
        iam_actions.SERVICE_TO_IAM_NAMESPACE[name] = name
        iam_actions._BOTOCORE_SERVICE_MAP[name] = [service.botocore]
        if service.query_namespace:
            iam_actions._SERVICE_PROTOCOL[name] = "query-xml"
            iam_actions._QUERY_XML_NS[name] = service.query_namespace

    def authorise_later(self, actions: frozenset[str]) -> None:
        """For these actions (`ssm:SendCommand` …) ministack only authenticates; their handler authorises with `denial`."""
        self._self_authorised |= actions

    def _action_to_check(self, service: str, method: str, path: str, headers: Headers, body: bytes, query: Any) -> str | None:
        action: str | None = self._extract_iam_action(service, method, path, headers, body, query)
        return None if action in self._self_authorised else action

    def name_resources(self, namer: ResourceNamer) -> None:
        """Ask `namer` which resource a call is authorised on, before ministack, which says `*` for many."""
        plain = iam_actions.extract_resource_arn

        def named(
            service: str, method: str, path: str, headers: Headers, body: bytes, query: Mapping[str, Any], region: str, account: str
        ) -> str:
            action = self._extract_iam_action(service, method, path, headers, body, query) or ""
            found = namer(action, lambda name: str(iam_actions._query_param(query, name) or ""), body, region, account)
            return found or str(plain(service, method, path, headers, body, query, region, account))

        iam_actions.extract_resource_arn = named

    def identify(self, method: str, path: str, headers: Headers, body: bytes, query: Query) -> tuple[str, str, str, str]:
        """(service, IAM action name, region, access key) of a request; the action is empty when it cannot be told."""
        parameters = engine._routing_params(method, path, headers, body, query)
        service = router.detect_service(method, path, headers, parameters)
        action = self._extract_iam_action(service, method, path, headers, body, parameters) or ""
        return service, action.partition(":")[2], router.extract_region(headers, query), router.extract_access_key_id(headers, query)

    def account_of_key(self, access_key: str) -> str:
        """The account that a request with this access key acts in."""
        return str(responses._account_from_sts_session(access_key) or engine._request_account_scope(access_key))

    def error(self, service: str, code: str, message: str, status: int, headers: Mapping[str, str]) -> Response:
        """An error in the protocol of the service, as its SDK parses it; codes of failed authentication take each service's own spelling
        and status (EC2 `AuthFailure`, JSON `UnrecognizedClientException`, query `InvalidClientTokenId`)."""
        own, names, body = iam_actions.access_denied_response(
            service, "", "", str(uuid.uuid4()), error_code=code, message=message, headers=dict(headers)
        )
        return own if code in iam_actions._AUTH_FAILURES else status, names, body

    async def reset(self) -> None:
        """Forget every resource of every account."""
        async with engine._get_reset_lock():
            engine._reset_all_state()

    # ── the call in progress ──

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
        identity = iam_evaluator.resolve_caller_identity(access_key_of_call.get())
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
        denied = iam_evaluator.enforce(access_key_of_call.get(), action, service, self.region(), resource, dict(context or {}))
        if denied is None:
            return None
        if isinstance(denied, iam_evaluator.AuthError):
            return Denial(action=action, resource=resource, message=denied.message, explicit=False)
        explicit = denied.decision == "Deny"
        message = iam_actions.identity_denial_message(action, denied.principal_arn, resource, explicit)
        return Denial(action=action, resource=resource, message=message, explicit=explicit)

    # ── EC2 ──

    def instances(self, account: str, region: str) -> list[Instance]:
        """See `World`."""
        return [_instance(account, region, record) for record in ec2._instances.values_scoped(account, region) if _lives(record)]

    def instance(self, account: str, region: str, instance_id: str) -> Instance | None:
        """See `World`."""
        record = ec2._instances.get_scoped(account, region, instance_id)
        return _instance(account, region, record) if record else None

    def every_instance(self) -> list[Instance]:
        """See `World`."""
        return [_instance(account, region, record) for (account, region, _), record in ec2._instances.all_items() if _lives(record)]

    def instance_ids(self) -> list[str]:
        """Ids of all instances of the calling account and region in the order in which they are listed, terminated ones too."""
        return list(ec2._instances)

    def instance_record(self, instance_id: str) -> dict[str, Any] | None:
        """ministack's own record of an instance of the calling account and region."""
        record: dict[str, Any] | None = ec2._instances.get(instance_id)
        return record

    def tag_resource(self, resource_id: str, tags: list[dict[str, str]]) -> None:
        """Set EC2 tags of a resource of the calling account and region."""
        ec2._tags[resource_id] = tags

    def resource_tags(self, resource_id: str) -> list[dict[str, str]]:
        """EC2 tags of a resource of the calling account and region."""
        return list(ec2._tags.get(resource_id, []))

    def instance_of_association(self, association_id: str) -> str | None:
        """The instance of an instance profile association of the calling account and region."""
        record = ec2._iam_instance_profile_associations.get(association_id)
        return str(record["InstanceId"]) if record else None

    def enrich_instances(self, extra: Callable[[dict[str, Any]], str]) -> None:
        """Append XML to every instance that EC2 answers; `extra` gets ministack's record."""
        plain = ec2._instance_xml

        def enriched(record: dict[str, Any]) -> str:
            text: str = plain(record)
            return text.rstrip().removesuffix("</item>") + extra(record) + "</item>"

        ec2._instance_xml = enriched

    def set_region_status(self, region: str, status: str) -> None:
        """Change the opt-in status that DescribeRegions reports."""
        ec2._AWS_REGIONS[:] = [(name, status if name == region else old) for name, old in ec2._AWS_REGIONS]

    # ── IAM and STS ──

    def role(self, account: str, name: str) -> dict[str, Any] | None:
        """ministack's record of a role: Arn, RoleId, AssumeRolePolicyDocument, MaxSessionDuration …"""
        record: dict[str, Any] | None = iam._roles.get_scoped(account, None, name)
        return record

    def profile_role(self, account: str, profile_arn_or_name: str) -> str | None:
        """Name of the role in an instance profile, None where either is missing."""
        return _role_of_profile(account, profile_arn_or_name)

    def oidc_providers(self, account: str) -> dict[str, dict[str, Any]]:
        """The account's OIDC providers by ARN: Url, ClientIDList, ThumbprintList, Arn, CreateDate, Tags."""
        return {key: record for (owner, key), record in list(iam._oidc_providers._data.items()) if owner == account}

    def put_oidc_provider(self, account: str, arn: str, record: dict[str, Any]) -> None:
        """Create or replace a provider."""
        iam._oidc_providers._data[(account, arn)] = record

    def delete_oidc_provider(self, account: str, arn: str) -> bool:
        """Delete a provider; False when there was none."""
        return iam._oidc_providers._data.pop((account, arn), None) is not None

    def now_text(self) -> str:
        """Now as IAM writes it."""
        return str(iam._now())

    def policy_problem(self, document: str, arns: list[str], account: str) -> str | None:
        """What AWS would refuse in a session's policy or policy ARNs; None when they are fine."""
        if document and (problem := iam_evaluator.validate_policy_document(document)):
            return str(problem)
        unknown = [arn for arn in arns if not iam.policy_known(arn, account)]
        return f"Unknown managed policy {unknown[0]}" if unknown else None

    def trust_allows(self, document: str, provider: str, role_arn: str, keys: Mapping[str, Any], action: str = WEB_IDENTITY) -> bool:
        """Whether a trust policy allows `action` to a federated provider; `keys` are lower-case condition keys."""
        context = iam_evaluator.EvalContext(
            principal_arn=provider,
            principal_type="WebIdentityUser",
            principal_account=role_arn.split(":")[4],
            action=WEB_IDENTITY,
            resource_arn=role_arn,
            region=self.region(),
            service_context=dict(keys),
        )
        return bool(iam_evaluator.evaluate_trust_policy({"Statement": _about(document, action)}, provider, context))

    def open_session(self, role: Mapping[str, Any], session_name: str, seconds: int, extra: Mapping[str, Any]) -> RoleCredentials:
        """Register a session of a role; `extra` members (SessionPolicies, SESSION_KEYS, SessionTags) go into ministack's record."""
        credentials = RoleCredentials(
            access_key=iam._gen_session_access_key(),
            secret_key=iam._gen_secret(),
            token=iam._gen_session_token(),
            expires_at=self.clock() + seconds,
        )
        account = role["Arn"].split(":")[4]
        record = {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{session_name}",
            "UserId": f"{role['RoleId']}:{session_name}",
            "SecretAccessKey": credentials.secret_key,
            "SessionToken": credentials.token,
            "Expiration": credentials.expires_at,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        } | dict(extra)
        sts.register_session(credentials.access_key, record)
        return credentials

    def open_secrets(self) -> list[dict[str, str]]:
        """Secret key and token of every session that is open: a search for what must be stored nowhere needs the real ones."""
        return [{"secret": str(one["SecretAccessKey"]), "token": str(one["SessionToken"])} for one in sts._sessions.values()]

    def role_credentials(self, account: str, role_name: str, session_name: str, seconds: int) -> RoleCredentials:
        """See `World`."""
        role = self.role(account, role_name)
        if role is None:
            raise LookupError(f"Account {account} has no role {role_name}.")
        return self.open_session(role, session_name, seconds, {})

    def role_allows(self, account: str, role_name: str, action: str, region: str) -> bool:
        """See `World`; a role that does not exist allows nothing."""
        if self.role(account, role_name) is None:
            return False
        arn = f"arn:aws:sts::{account}:assumed-role/{role_name}/lab"
        context = iam_evaluator.EvalContext(
            principal_arn=arn, principal_type="AssumedRole", principal_account=account, action=action, resource_arn="*", region=region
        )
        limits = iam_evaluator._permissions_boundary(iam._roles, role_name, account)
        result = iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(role_name, account), *limits)
        return bool(result.decision == "Allow")

    def default_host_management(self, account: str, region: str) -> str | None:
        """See `World`."""
        setting = ssm._service_settings.get_scoped(account, region, "/ssm/managed-instance/default-ec2-instance-management-role")
        value = str(setting["value"]) if setting else "$None"
        return None if value == "$None" else value.rpartition("/")[2]

    # ── CloudFormation ──

    def resource_type(self, name: str, handlers: ResourceHandlers) -> None:
        """Teach CloudFormation a resource type."""
        entry = {field.name: getattr(handlers, field.name) for field in dataclasses.fields(handlers)}
        provisioners._RESOURCE_HANDLERS[name] = {verb: function for verb, function in entry.items() if function is not None}

    def guard_creation(self, name: str, guard: Callable[[dict[str, Any]], None]) -> None:
        """Run `guard(properties)` before CloudFormation creates a resource of the type; a ValueError fails the resource."""
        entry = provisioners._RESOURCE_HANDLERS[name]
        create = entry["create"]

        def guarded(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
            guard(properties)
            return create(logical_id, properties, stack)

        entry["create"] = guarded


def _about(document: str, action: str) -> list[dict[str, Any]]:
    """The statements of a trust policy about an action, put as if about `WEB_IDENTITY`: ministack lets providers match for that alone."""

    def concerns(rule: Mapping[str, Any]) -> bool:
        named = rule.get("Action", rule.get("NotAction", []))
        return ("Action" in rule) is bool(iam_evaluator._action_matches(action, [named] if isinstance(named, str) else named, []))

    found = json.loads(document).get("Statement", [])
    return [{**rule, "Action": WEB_IDENTITY} for rule in (found if isinstance(found, list) else [found]) if concerns(rule)]


def _lives(record: Mapping[str, Any]) -> bool:
    return bool(record["State"]["Name"] != "terminated")


def _role_of_profile(account: str, profile_arn_or_name: str) -> str | None:
    profile = iam._instance_profiles.get_scoped(account, None, profile_arn_or_name.rpartition("/")[2])
    roles = profile.get("Roles", []) if profile else []
    name = str(roles[0]) if roles else None
    return name if name and iam._roles.get_scoped(account, None, name) else None


def _instance(account: str, region: str, record: Mapping[str, Any]) -> Instance:
    identity = record["InstanceId"]
    profile = (record.get("IamInstanceProfile") or {}).get("Arn")
    return Instance(
        account=account,
        region=region,
        instance_id=identity,
        state=record["State"]["Name"],
        tags={tag["Key"]: tag["Value"] for tag in ec2._tags.get_scoped(account, region, identity, [])},
        image_id=record["ImageId"],
        platform=platform_of(record["ImageId"]),
        private_ip=record["PrivateIpAddress"],
        launched_at=datetime.fromisoformat(record["LaunchTime"].replace("Z", "+00:00")).timestamp(),
        profile_arn=profile,
        role_name=_role_of_profile(account, profile) if profile else None,
    )


def platform_of(image_id: str) -> str:
    """`windows` or `linux`, by ministack's built-in images."""
    return next((stub[3] for stub in ec2._STUB_AMIS if stub[0] == image_id), "") or "linux"
