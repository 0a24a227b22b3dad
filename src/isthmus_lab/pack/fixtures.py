"""Operations that no emulator has: answers that were put there, in the form of botocore's models.

They show that Isthmus reads such an answer, not that AWS gives it. An account without a fixture gets the empty answer.
"""

import asyncio
import functools
import importlib
import threading
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.call import current
from isthmus_lab.hooks import Handler, Headers, NewService, Query
from isthmus_lab.world import Response

NEW = (
    NewService(name="access-analyzer", botocore="accessanalyzer"),
    NewService(name="lightsail", botocore="lightsail"),
    NewService(name="macie2", botocore="macie2"),
)
"""Services that consist of fixtures alone."""

OPERATIONS: Mapping[str, tuple[str, frozenset[str]]] = {
    "access-analyzer": ("accessanalyzer", frozenset({"ListAnalyzers", "ListArchiveRules"})),
    "lightsail": ("lightsail", frozenset({"GetInstances", "GetBuckets"})),
    "macie2": ("macie2", frozenset({"ListAllowLists", "GetAllowList", "ListClassificationJobs"})),
    "codebuild": ("codebuild", frozenset({"ListSourceCredentials"})),
    "ec2": ("ec2", frozenset({"DescribeIpams"})),
    "ssm": ("ssm", frozenset({"ListResourceComplianceSummaries"})),
    "iam": ("iam", frozenset({"ListServerCertificates", "GetServerCertificate"})),
    "rds": ("rds", frozenset({"DescribeEventSubscriptions", "DescribeDBSnapshotAttributes"})),
    "wafv2": ("wafv2", frozenset({"ListLoggingConfigurations"})),
    "network-firewall": (
        "network-firewall",
        frozenset({"ListRuleGroups", "DescribeRuleGroup", "ListFirewallPolicies", "DescribeFirewallPolicy"}),
    ),
    "sagemaker": ("sagemaker", frozenset({"ListApps", "DescribeApp", "ListDevices", "ListImages"})),
    "elasticbeanstalk": ("elasticbeanstalk", frozenset({"DescribeConfigurationSettings"})),
    "route53domains": ("route53domains", frozenset({"ListDomains"})),
}
"""Per signing name: botocore's name and the operations that are answered here."""

_CONTENT = {"json": "application/x-amz-json-1.1", "rest-json": "application/json"}


class Fixture(BaseModel):
    """What an operation answers in one account and region, as boto3 would return it."""

    model_config = ConfigDict(extra="forbid")

    account: Annotated[str, Field(pattern=r"^\d{12}$")]
    region: str
    service: str
    action: str
    answer: dict[str, Any]


class Fixtures:
    """The fixtures of all accounts. Thread-safe."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, str, str, str], dict[str, Any]] = {}

    def install(self) -> None:
        """Add the services and put the operations in front of the others."""
        for service in NEW:
            self._adapter.requests.add_service(service, functools.partial(self._unknown, service.name))
        for name in OPERATIONS:
            self._adapter.requests.wrap(name, functools.partial(self._answer, name))

    def put(self, fixture: Fixture) -> None:
        """Set an answer, whether or not the operation is listed in OPERATIONS; replaces an earlier one."""
        with self._lock:
            self._answers[fixture.account, fixture.region, fixture.service, fixture.action] = fixture.answer

    def clear(self) -> None:
        """Forget all answers."""
        with self._lock:
            self._answers.clear()

    async def _answer(self, name: str, method: str, path: str, headers: Headers, body: bytes, query: Query, inner: Handler) -> Response:
        action = current().action
        botocore_name, operations = OPERATIONS[name]
        with self._lock:
            answer = self._answers.get((self._adapter.account(), self._adapter.region(), name, action))
        if answer is None and action not in operations:
            return await inner(method, path, headers, body, query)
        return await asyncio.to_thread(write_answer, botocore_name, action, answer)  # the first one loads moto

    async def _unknown(self, name: str, method: str, path: str, headers: Headers, body: bytes, query: Query) -> Response:
        message = "The lab has only a few answers of this service, and none for this operation."
        return self._adapter.error(name, "InvalidAction", message, 400, headers)


def write_answer(botocore_name: str, action: str, answer: Mapping[str, Any] | None) -> Response:
    """An answer on the wire; None writes the empty one, with empty lists where the model has lists."""
    model = _model(botocore_name)
    operation = model.operation_model(action)
    if answer is None:
        members = operation.output_shape.members if operation.output_shape is not None else {}
        answer = {name: [] for name, shape in members.items() if shape.type_name == "list"}
    protocol = model.metadata["protocol"]
    written = importlib.import_module("moto.core.serialize").SERIALIZERS[protocol](operation_model=operation).serialize(answer)
    text = written["body"]
    headers = {"Content-Type": _CONTENT.get(protocol, "text/xml")}
    return written["status_code"], headers, text if isinstance(text, bytes) else text.encode()


@functools.cache
def _model(name: str) -> Any:
    # moto's serializers want moto's own reading of botocore's models.
    return importlib.import_module("moto.core.utils").get_service_model(name)
