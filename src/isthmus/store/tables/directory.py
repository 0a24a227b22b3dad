"""The directory as another one provisions it (SCIM): users, groups, and who is in which group."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from isthmus.store.tables.grammar import exact, metadata

directory_users = Table(
    "directory_users",
    metadata,
    Column("id", String(64), primary_key=True, comment="SCIM id, made here"),
    Column("object_id", String(64), nullable=False, unique=True, comment="externalId where that is a GUID, else the SCIM id"),
    Column("user_name", exact(512), nullable=False, unique=True, comment="as it is compared: NFC, lower case"),
    Column("external_id", exact(512)),
    Column("work_mail", exact(512), comment="as it is compared; * for several, which are looked for in the document"),
    Column("active", Boolean, nullable=False),
    Column("document", Text, nullable=False, comment="JSON: the resource without id and meta"),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("directory_users_by_external_id", "external_id"),
    Index("directory_users_by_work_mail", "work_mail"),
)

directory_groups = Table(
    "directory_groups",
    metadata,
    Column("id", String(64), primary_key=True, comment="SCIM id, made here"),
    Column("object_id", String(64), nullable=False, unique=True, comment="externalId where that is a GUID, else the SCIM id"),
    Column("display_name", exact(512), nullable=False, unique=True, comment="as it is compared: NFC, lower case"),
    Column("external_id", exact(512)),
    Column("document", Text, nullable=False, comment="JSON: the resource without id, meta and members"),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("directory_groups_by_external_id", "external_id"),
)

directory_members = Table(
    "directory_members",
    metadata,
    Column("group_id", String(64), primary_key=True, comment="SCIM id of the group"),
    Column("member_id", String(64), primary_key=True, comment="SCIM id of the user or group that is in it"),
    Column("kind", String(8), nullable=False, comment="User or Group"),
    Index("directory_members_by_member", "member_id", "group_id"),
)
