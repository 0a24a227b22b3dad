"""What the control plane knows: resources and what happens to them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, text

from isthmus.store.tables.grammar import exact, metadata

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
    Column("key", exact(2048), primary_key=True, comment="lower-cased id"),
    Column("id", exact(2048), nullable=False, comment="id in the case of its creation"),
    Column("type", String(256), nullable=False, comment="lower-cased full type"),
    Column("name", String(512), nullable=False),
    Column("subscription", String(64), nullable=False, comment="lower case; empty at tenant scope"),
    Column("resource_group", String(128), nullable=False, comment="lower case; empty outside groups"),
    Column("parent", exact(2048), nullable=False, comment="key of the parent or extended resource; empty at top level"),
    Column("location", String(64), nullable=False),
    Column("etag", String(64), nullable=False),
    Column("unique_key", exact(512), unique=True, comment="what must be unique in the tenant, per type"),
    Column("source", exact(512), comment="what it derives from: a projection's cell, an assignment's principal"),
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
    Column("resource", exact(2048), primary_key=True),
    Column("name", exact(512), primary_key=True, comment="lower case"),
    Column("value", String(1024), nullable=False),
    Index("resource_tags_by_name", "name", "value"),
)

operations = Table(
    "operations",
    metadata,
    Column("id", exact(160), primary_key=True),
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

projections = Table(
    "projections",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("key", exact(2048), nullable=False, unique=True, comment="key of the projection in resources"),
    Column("subscription", String(64), nullable=False),
    Column("resource_group", String(128), nullable=False),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False, comment="where the resource lies; empty for global ones"),
    Column("type", exact(128), nullable=False, comment="type below Microsoft.AwsConnector, as the catalog spells it"),
    Column("name", exact(512), nullable=False, comment="what people call it in AWS"),
    Column("aws_id", exact(1024), nullable=False, comment="ARN, or the last part of it where other resources name that"),
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
    Column("target", exact(1024), primary_key=True, comment="AWS id or ARN that its properties name"),
    Index("resource_references_by_target", "target", "resource"),
    sqlite_with_rowid=False,
)

resource_changes = Table(
    "resource_changes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("resource", exact(2048), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("actor", String(256), nullable=False),
    Column("kind", String(16), nullable=False, comment="Create, Update or Delete"),
    Column("changes", Text, nullable=False, comment="JSON: path to what it was and is"),
    Index("resource_changes_by_resource", "resource", "at"),
)
