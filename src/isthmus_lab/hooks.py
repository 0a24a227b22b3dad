"""What the pack hands to the adapter: handlers of requests, services to add, resource types of CloudFormation."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from isthmus_lab.world import Response

Headers = dict[str, str]
Query = dict[str, list[str]]
Handler = Callable[[str, str, Headers, bytes, Query], Awaitable[Response]]
Wrapper = Callable[[str, str, Headers, bytes, Query, Handler], Awaitable[Response]]
ResourceNamer = Callable[[str, Callable[[str], str], bytes, str, str], str | None]
"""(IAM action, reader of query parameters, body, region, account) to the ARN that the call is authorised on, None to leave it."""
Attributes = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewService:
    """A service to add: signing name (also its IAM prefix), botocore's name, XML namespace where it speaks the query protocol."""

    name: str
    botocore: str
    query_namespace: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceHandlers:
    """Handlers of a CloudFormation type. They run with the account and region of the stack and raise ValueError to fail the resource."""

    create: Callable[[str, dict[str, Any], str], tuple[str, Attributes]]
    delete: Callable[[str, dict[str, Any]], None]
    update: Callable[[str, dict[str, Any], dict[str, Any], str], tuple[str, Attributes]] | None = None
