"""Every table of the product. Times are integer milliseconds since 1970 (UTC), made in Python; documents are JSON text."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint, text

metadata = MetaData()


def _exact(length: int) -> String:
    """Text that is compared by code points, as Python and SQLite do: whatever the database's own collation makes of case and signs."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


installation = Table(
    "installation",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    comment="Facts minted at first start: tenant id, default subscription.",
)

resources = Table(
    "resources",
    metadata,
    Column("key", _exact(2048), primary_key=True, comment="lower-cased id"),
    Column("id", _exact(2048), nullable=False, comment="id in the case of its creation"),
    Column("type", String(256), nullable=False, comment="lower-cased full type"),
    Column("name", String(512), nullable=False),
    Column("subscription", String(64), nullable=False, comment="lower case; empty at tenant scope"),
    Column("resource_group", String(128), nullable=False, comment="lower case; empty outside groups"),
    Column("parent", _exact(2048), nullable=False, comment="key of the parent or extended resource; empty at top level"),
    Column("location", String(64), nullable=False),
    Column("etag", String(64), nullable=False),
    Column("unique_key", _exact(512), unique=True, comment="what must be unique in the tenant, per type"),
    Column("source", _exact(512), comment="what it derives from: a projection's cell, an assignment's principal"),
    Column("digest", String(64), comment="projections: digest of what the cloud said"),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("document", Text, nullable=False, comment="tags, kind, identity, properties, systemData"),
    Index("resources_by_group", "subscription", "resource_group", "type", "key"),
    Index("resources_by_type", "type", "subscription", "key"),
    Index("resources_by_parent", "parent", "type"),
    Index("resources_by_source", "source"),
)

resource_tags = Table(
    "resource_tags",
    metadata,
    Column("resource", _exact(2048), primary_key=True),
    Column("name", _exact(512), primary_key=True, comment="lower case"),
    Column("value", String(1024), nullable=False),
    Index("resource_tags_by_name", "name", "value"),
)

operations = Table(
    "operations",
    metadata,
    Column("id", _exact(160), primary_key=True),
    Column("resource", String(2048), nullable=False, comment="id the operation is about"),
    Column("kind", String(128), nullable=False),
    Column("status", String(32), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("percent", Integer),
    Column("location", String(64), nullable=False),
    Column("subscription", String(64), nullable=False),
    Column("result", Text, comment="properties of the finished operation"),
    Column("error", Text, comment="error body of a failed one"),
    Column("caller", String(256), nullable=False),
    Index("operations_by_resource", "resource"),
    Index("operations_by_time", "started_at"),
    Index("operations_under_way", "subscription", sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL")),
)

audit_records = Table(
    "audit_records",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(256), nullable=False),
    Column("action", String(256), nullable=False),
    Column("target", String(2048), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("correlation", String(64), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("audit_by_target", "target"),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(128), primary_key=True),
    Column("purpose", String(32), nullable=False, comment="api or aws"),
    Column("state", String(16), nullable=False, comment="next, current, retired"),
    Column("public_jwk", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("retires_at", BigInteger, comment="until when verifiers keep it"),
)

clients = Table(
    "clients",
    metadata,
    Column("client_id", String(128), primary_key=True),
    Column("object_id", String(64), nullable=False, unique=True),
    Column("name", String(256), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("public_key", Text, comment="PEM, for private_key_jwt"),
)

client_secrets = Table(
    "client_secrets",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("client_id", String(128), nullable=False, index=True),
    Column("salt", LargeBinary(32), nullable=False),
    Column("hash", LargeBinary(64), nullable=False),
    Column("hint", String(8), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

federated_credentials = Table(
    "federated_credentials",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("client_id", String(128), nullable=False, index=True),
    Column("issuer", String(512), nullable=False),
    Column("subject", String(512), nullable=False),
    Column("audience", String(512), nullable=False),
    Column("jwks", Text, comment="keys of the issuer, when it is not to be fetched"),
    UniqueConstraint("client_id", "issuer", "subject"),
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)

used_assertions = Table(
    "used_assertions",
    metadata,
    Column("hash", String(64), primary_key=True, comment="SHA-256 of client and jti"),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

registrations = Table(
    "registrations",
    metadata,
    Column("vm_id", String(64), primary_key=True, comment="also the machine's client id"),
    Column("resource", _exact(2048), nullable=False, unique=True, comment="key of the machine resource"),
    Column("resource_id", String(2048), nullable=False),
    Column("principal_id", String(64), nullable=False, unique=True),
    Column("public_key", Text, nullable=False, comment="base64 PKCS#1"),
    Column("key_hash", String(64), nullable=False, unique=True, comment="SHA-256 of the SPKI"),
    Column("next_public_key", Text),
    Column("next_key_hash", String(64), unique=True),
    Column("enrolled_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("last_heartbeat", BigInteger),
    Column("silent_since", BigInteger, comment="set while the machine counts as Disconnected"),
    Column("facts_digest", String(64), comment="SHA-256 of what the machine last said of itself"),
    Column("window_id", String(64), index=True, comment="the window in which the key may enrol; none for keys that users registered"),
    Column("state", String(32), nullable=False, comment="pending, enrolled, expired, left, removed"),
    Index("registrations_by_heartbeat", "state", "last_heartbeat"),
)

challenges = Table(
    "challenges",
    metadata,
    Column("hash", String(64), primary_key=True, comment="SHA-256 of the nonce"),
    Column("vm_id", String(64), nullable=False, index=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

windows = Table(
    "windows",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("instance_key", String(256), nullable=False, index=True),
    Column("generation", Integer, nullable=False),
    Column("state", String(16), nullable=False, comment="open, used, expired"),
    Column("opened_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    UniqueConstraint("instance_key", "generation"),
    Index("windows_by_end", "state", "expires_at"),
)

instances = Table(
    "instances",
    metadata,
    Column("key", String(256), primary_key=True, comment="account/region/instance id"),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("instance_id", String(32), nullable=False),
    Column("solution", String(2048), nullable=False, comment="key of the solution configuration that works on it"),
    Column("state", String(32), nullable=False),
    Column("code", String(64), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("launch_time", String(40), nullable=False),
    Column("batch", String(64), nullable=False, comment="the command that it waits for, by our name; empty when none"),
    Column("command_id", String(64), nullable=False, comment="the same by the cloud's name; empty until it is known"),
    Column("sends", Integer, nullable=False, comment="commands that were meant for it so far"),
    Column("machine", _exact(2048), nullable=False, comment="key of the machine resource"),
    Column("since", BigInteger, nullable=False, comment="when state and code became what they are"),
    Column("next_at", BigInteger, nullable=False, comment="when to look again"),
    Column("seen_at", BigInteger, nullable=False, comment="when the cloud was last asked about it"),
    Column("observed", Text, nullable=False, comment="what the cloud said of it, as JSON"),
    Index("instances_by_solution", "solution", "state", "code"),
    Index("instances_by_place", "solution", "region", "next_at"),
    Index("instances_by_machine", "machine"),
    Index("instances_by_change", "since"),
)

instance_events = Table(
    "instance_events",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("instance_key", String(256), nullable=False, index=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("state", String(32), nullable=False),
    Column("code", String(64), nullable=False),
    Column("evidence", Text, nullable=False),
)

scans = Table(
    "scans",
    metadata,
    Column("id", _exact(160), primary_key=True, comment="deterministic: solution and slot"),
    Column("solution", String(2048), nullable=False, index=True),
    Column("account", String(12), nullable=False),
    Column("status", String(32), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("summary", Text, nullable=False),
)

scopes = Table(
    "scopes",
    metadata,
    Column("solution", _exact(1024), primary_key=True),
    Column("account", _exact(12), primary_key=True),
    Column("region", _exact(32), primary_key=True),
    Column("type", _exact(128), primary_key=True),
    Column("scan", String(160), nullable=False, comment="the scan that wrote this row last"),
    Column("outcome", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("checked_at", BigInteger, nullable=False),
    Column("complete_at", BigInteger, comment="last time the cell was listed to its end"),
    Column("vanished", Text, nullable=False, comment="JSON keys that the cell listed no more, until they are deleted"),
    Column("frozen", Boolean, nullable=False, comment="deletions are withheld because too much vanished at once"),
    Column("action", String(128), nullable=False, server_default="", comment="IAM action that was missing; empty when none was"),
    Index("scopes_by_outcome", "outcome", "solution"),
    Index("scopes_frozen", "solution", sqlite_where=text("frozen = 1"), postgresql_where=text("frozen")),
)

ordered_syncs = Table(
    "ordered_syncs",
    metadata,
    Column("solution", _exact(2048), primary_key=True),
    Column("job", String(160), nullable=False, comment="the job that the timetable ordered last for it"),
    comment="What the timetable has ordered, so that one slot is one order.",
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", String(64), primary_key=True, comment="SHA-256 of what the browser holds"),
    Column("object_id", String(64), nullable=False, index=True),
    Column("name", String(256), nullable=False),
    Column("provider", String(512), nullable=False, comment="issuer that signed the person in; empty for sign-in links"),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    comment="Signed-in browsers.",
)

people = Table(
    "people",
    metadata,
    Column("object_id", String(64), primary_key=True),
    Column("issuer", _exact(512), nullable=False),
    Column("subject", _exact(255), nullable=False),
    Column("name", String(256), nullable=False),
    Column("mail", String(320), nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    UniqueConstraint("issuer", "subject"),
    comment="Who has signed in through an OpenID provider.",
)

projections = Table(
    "projections",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("key", _exact(2048), nullable=False, unique=True, comment="key of the projection in resources"),
    Column("subscription", String(64), nullable=False),
    Column("resource_group", String(128), nullable=False),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False, comment="where the resource lies; empty for global ones"),
    Column("type", _exact(128), nullable=False, comment="type below Microsoft.AwsConnector, as the catalog spells it"),
    Column("name", _exact(512), nullable=False, comment="what people call it in AWS"),
    Column("aws_id", _exact(1024), nullable=False, comment="ARN, or the last part of it where other resources name that"),
    Column("changed_at", BigInteger, nullable=False),
    Column("words", Text, nullable=False, comment="lower case: name and ARN, a line each; what a search looks at"),
    Column("tags", Text, nullable=False, comment="lower case: tags of AWS and our own, a line each"),
    # Rows come cell by cell, so an order that begins with type, account and region in any turn puts a batch on few pages.
    Index("projections_by_type", "subscription", "type", "account", "region", "name", "resource_group", "id"),
    Index("projections_by_region", "subscription", "region", "account", "type", "name", "resource_group", "id"),
    Index("projections_by_account", "subscription", "account", "region", "type", "name", "resource_group", "id"),
    Index("projections_by_name", "subscription", "name", "type", "account", "region", "resource_group", "id"),
    Index("projections_by_change", "subscription", "changed_at", "id"),
    Index("projections_by_aws_id", "account", "aws_id"),
    comment="Index over the projections in resources: narrow rows to list, count and search.",
)

resource_references = Table(
    "resource_references",
    metadata,
    Column("resource", BigInteger, primary_key=True, autoincrement=False, comment="id of the projection"),
    Column("target", _exact(1024), primary_key=True, comment="AWS id or ARN that its properties name"),
    Index("resource_references_by_target", "target", "resource"),
    sqlite_with_rowid=False,
)

resource_changes = Table(
    "resource_changes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("resource", _exact(2048), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("actor", String(256), nullable=False),
    Column("kind", String(16), nullable=False, comment="Create, Update or Delete"),
    Column("changes", Text, nullable=False, comment="JSON: path to what it was and is"),
    Index("resource_changes_by_resource", "resource", "at"),
)
