"""Every table, by what it is about. Times are integer milliseconds since 1970 (UTC), made in Python; documents are JSON text."""

from __future__ import annotations

from isthmus.store.tables.access import access_denials, access_grants, access_requests, access_revocations, access_sessions
from isthmus.store.tables.directory import directory_groups, directory_members, directory_users
from isthmus.store.tables.grammar import metadata
from isthmus.store.tables.graph import graph_marks, graph_subscriptions
from isthmus.store.tables.identity import (
    client_secrets,
    clients,
    federated_credentials,
    people,
    refresh_tokens,
    sessions,
    sign_in_codes,
    sign_in_links,
    sign_ins,
    signing_keys,
    used_assertions,
)
from isthmus.store.tables.machines import challenges, instance_events, instances, registrations, windows
from isthmus.store.tables.scans import ordered_syncs, scans, scopes
from isthmus.store.tables.state import (
    audit_records,
    installation,
    operations,
    projections,
    resource_changes,
    resource_references,
    resource_tags,
    resources,
)
from isthmus.store.tables.trail import (
    audit_checkpoints,
    sign_in_logs,
    trail_events,
    trail_files,
    trail_machines,
    trail_marks,
    trail_sessions,
    trail_use,
)

__all__ = [
    "access_denials",
    "access_grants",
    "access_requests",
    "access_revocations",
    "access_sessions",
    "audit_checkpoints",
    "audit_records",
    "challenges",
    "client_secrets",
    "clients",
    "directory_groups",
    "directory_members",
    "directory_users",
    "federated_credentials",
    "graph_marks",
    "graph_subscriptions",
    "installation",
    "instance_events",
    "instances",
    "metadata",
    "operations",
    "ordered_syncs",
    "people",
    "projections",
    "refresh_tokens",
    "registrations",
    "resource_changes",
    "resource_references",
    "resource_tags",
    "resources",
    "scans",
    "scopes",
    "sessions",
    "sign_in_codes",
    "sign_in_links",
    "sign_in_logs",
    "sign_ins",
    "signing_keys",
    "trail_events",
    "trail_files",
    "trail_machines",
    "trail_marks",
    "trail_sessions",
    "trail_use",
    "used_assertions",
    "windows",
]
