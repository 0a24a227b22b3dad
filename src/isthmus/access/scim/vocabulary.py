"""What we speak: the schemas of RFC 7643 as we serve them, what we announce, and how far a request may stray from the letter.

Passwords have no place here, so the attribute is not served and what comes under its name is dropped unread.
"""

from __future__ import annotations

from functools import cache

from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ETag,
    External,
    Filter,
    Pagination,
    Patch,
    Reference,
    Schema,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)
from scim2_server.utils import load_default_resource_types, load_default_schemas

MAX_RESULTS = 200
CORE = "urn:ietf:params:scim:schemas:core:2.0"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
# `groups` of a user can be asked as a filter over groups; keeping it true in every answer would cost each of them a walk upwards.
_NOT_SERVED = frozenset({"password", "groups"})


@cache
def vocabulary() -> ScimProvider:
    """Users (with the enterprise extension) and groups, whose names are unique as user names are. Nobody changes it, and its models
    take a while to make, so a process makes them once."""
    schemas = load_default_schemas()
    _drop(schemas[f"{CORE}:User"], _NOT_SERVED)
    group = schemas[f"{CORE}:Group"]
    for attribute in group.attributes or []:
        if attribute.name == "displayName":
            attribute.uniqueness = Uniqueness.server
        if attribute.name == "members":
            # Names of members are those of their own entries, which change without the group.
            attribute.sub_attributes = [one for one in attribute.sub_attributes or [] if one.name != "display"]
    return ScimProvider.from_discovery(schemas.values(), load_default_resource_types().values(), config=_announced(), policy=_TOLERANCE)


def _drop(schema: Schema, names: frozenset[str]) -> None:
    schema.attributes = [attribute for attribute in schema.attributes or [] if attribute.name not in names]


def _announced() -> ServiceProviderConfig:
    bearer = AuthenticationScheme(
        type=AuthenticationScheme.Type.oauthbearertoken,
        name="Bearer token",
        description="A client's secret as <client id>.<secret>, or an access token of this installation.",
        spec_uri=Reference[External]("https://datatracker.ietf.org/doc/html/rfc6750"),
        primary=True,
    )
    return ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MAX_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=True),
        pagination=Pagination(cursor=False, index=True, default_page_size=100, max_page_size=MAX_RESULTS),
        authentication_schemes=[bearer],
    )


_TOLERANCE = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
"""What directories send that we do not know is left alone; the rest is how Entra writes PATCH."""
