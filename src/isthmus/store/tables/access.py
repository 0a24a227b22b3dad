"""People's access to clouds: what they may hold, what they were given, and what was taken away."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, false, text

from isthmus.store.tables.grammar import exact, metadata

access_requests = Table(
    "access_requests",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("mapping", exact(2048), nullable=False, comment="key of the role mapping"),
    Column("person", String(64), nullable=False, comment="object id of who asks"),
    Column("name", String(256), nullable=False),
    Column("sign_in", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("seconds", Integer, nullable=False, comment="for how long the role is wanted"),
    Column("state", String(16), nullable=False, comment="Pending, Approved, Denied, Withdrawn, Expired"),
    Column("is_break_glass", Boolean, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, comment="until when it can be decided"),
    Column("decisions", Text, nullable=False, comment="JSON: who decided what, when, with which words"),
    Column("acknowledged_at", BigInteger, comment="when an owner had looked at a broken glass"),
    Index("access_requests_by_glass", "is_break_glass", "acknowledged_at"),
    Index("access_requests_by_state", "state", "expires_at"),
    Index("access_requests_by_person", "person", "asked_at"),
    Index("access_requests_by_mapping", "mapping", "asked_at"),
    Index("access_requests_by_time", "asked_at", "id"),
)

access_grants = Table(
    "access_grants",
    metadata,
    Column("id", String(64), primary_key=True, comment="G-…, as session tags and CloudTrail carry it"),
    Column("mapping", exact(2048), nullable=False, comment="key of the role mapping"),
    Column("connector", exact(1024), nullable=False, comment="key of the connector of the account"),
    Column("person", String(64), nullable=False),
    Column("name", String(256), nullable=False),
    Column("because", String(512), nullable=False, comment="why it exists: group:…, claim:… or request:…"),
    Column("is_break_glass", Boolean, nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False, comment="the last moment at which it can be used"),
    Column("checked_at", BigInteger, nullable=False, comment="when its reason was last seen to hold"),
    Column("ended_at", BigInteger, comment="when it was ended before that"),
    Column("ending", String(256), nullable=False, comment="why it was ended; empty while it lives"),
    Index("access_grants_by_person", "person", "mapping", "ended_at"),
    Index("access_grants_by_mapping", "mapping", "began_at"),
    Index("access_grants_by_end", "ends_at"),
    Index("access_grants_by_time", "began_at", "id"),
)

access_sessions = Table(
    "access_sessions",
    metadata,
    Column("id", String(64), primary_key=True, comment="access key id of the session at the cloud"),
    Column("grant", String(64), nullable=False),
    Column("mapping", exact(2048), nullable=False),
    Column("person", String(64), nullable=False),
    Column("sign_in", String(64), nullable=False),
    Column("account", String(12), nullable=False),
    Column("role_arn", String(2048), nullable=False),
    Column("use", String(64), nullable=False, comment="credentials, console, probe, or shell:REGION"),
    Column("issued_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False, comment="from when the session's own policy denies everything"),
    Column("revoked_at", BigInteger),
    Column(
        "is_narrowed",
        Boolean,
        nullable=False,
        default=False,
        server_default=false(),
        comment="whether its policy allows less than the role",
    ),
    Index("access_sessions_by_person", "person", "issued_at"),
    Index("access_sessions_by_grant", "grant", "issued_at"),
    Index("access_sessions_by_mapping", "mapping", "issued_at"),
    Index("access_sessions_by_lease", "lease_until"),
    Index("access_sessions_by_time", "issued_at", "id"),
    Index("access_sessions_by_account", "account", "issued_at"),
    Index("access_sessions_of_shells", "grant", sqlite_where=text("use LIKE 'shell:%'"), postgresql_where=text("use LIKE 'shell:%'")),
)

access_revocations = Table(
    "access_revocations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("person", String(64), nullable=False, comment="object id, which is the source identity of sessions"),
    Column("grant", String(64), nullable=False, comment="the grant that ended; empty: everything of the person"),
    Column("actor", String(256), nullable=False),
    Column("reason", String(512), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("before", BigInteger, nullable=False, comment="sessions issued before this are denied"),
    Column("until", BigInteger, nullable=False, comment="when the last of them has ended by itself"),
    Column("readmitted_at", BigInteger, comment="when the person was let in again"),
    Index("access_revocations_by_person", "person", "until"),
    Index("access_revocations_by_end", "until"),
    Index("access_revocations_by_time", "at", "id"),
)

access_denials = Table(
    "access_denials",
    metadata,
    Column("revocation", String(64), primary_key=True),
    Column("connector", exact(1024), primary_key=True, comment="key of the connector whose account denies"),
    Column("state", String(16), nullable=False, comment="Pending, Denied, Unreachable"),
    Column("attached_at", BigInteger, comment="when the policy was changed"),
    Column("denied_at", BigInteger, comment="when the probe met its first AccessDenied"),
    Column("shells", Integer, nullable=False, comment="shells that were ended"),
    Column("detail", Text, nullable=False, comment="what is in the way, in words"),
    Column("looked_at", BigInteger, comment="when shells were last looked for"),
    Index("access_denials_by_connector", "connector", "state"),
)
