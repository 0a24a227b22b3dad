"""Access of people: what they proved at sign-in, what they may hold, what they were given and what was taken away."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _exact(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    sign_in = sa.Column(
        "sign_in", sa.String(64), nullable=False, server_default="", comment="the sign-in that began it; empty for sign-in links"
    )
    op.add_column("sessions", sign_in)
    _sign_ins()
    _access_requests()
    _access_grants()
    _access_sessions()
    _access_revocations()
    _access_denials()


def _sign_ins() -> None:
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("object_id", sa.String(64), nullable=False),
        sa.Column("issuer", _exact(512), nullable=False),
        sa.Column("subject", _exact(255), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("token_id", _exact(256), nullable=False, comment="uti (Entra) or jti of the provider's token; empty when it has none"),
        sa.Column("session_id", _exact(256), nullable=False, comment="sid of the provider's session; empty when it has none"),
        sa.Column("methods", sa.Text, nullable=False, comment="JSON: amr, how the person proved who they are"),
        sa.Column("contexts", sa.Text, nullable=False, comment="JSON: acrs, authentication contexts that were met"),
        sa.Column("groups", sa.Text, comment="JSON: groups of the token; null when it does not tell, or not all (overage)"),
        sa.Column("claims", sa.Text, nullable=False, comment="JSON: other claims of the token that role mappings may name"),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False, comment="until when it stands for a new session"),
        sa.Column("ended_at", sa.BigInteger, comment="when it was ended before that"),
        comment="What a provider vouched for, each time a person signed in.",
    )
    op.create_index("sign_ins_by_end", "sign_ins", ["ends_at"])
    op.create_index("sign_ins_by_person", "sign_ins", ["object_id", "at"])
    op.create_index("sign_ins_by_token", "sign_ins", ["token_id"])


def _access_requests() -> None:
    op.create_table(
        "access_requests",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("mapping", _exact(2048), nullable=False, comment="key of the role mapping"),
        sa.Column("person", sa.String(64), nullable=False, comment="object id of who asks"),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("sign_in", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("seconds", sa.Integer, nullable=False, comment="for how long the role is wanted"),
        sa.Column("state", sa.String(16), nullable=False, comment="Pending, Approved, Denied, Withdrawn, Expired"),
        sa.Column("is_break_glass", sa.Boolean, nullable=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False, comment="until when it can be decided"),
        sa.Column("decisions", sa.Text, nullable=False, comment="JSON: who decided what, when, with which words"),
        sa.Column("acknowledged_at", sa.BigInteger, comment="when an owner had looked at a broken glass"),
    )
    op.create_index("access_requests_by_glass", "access_requests", ["is_break_glass", "acknowledged_at"])
    op.create_index("access_requests_by_mapping", "access_requests", ["mapping", "asked_at"])
    op.create_index("access_requests_by_person", "access_requests", ["person", "asked_at"])
    op.create_index("access_requests_by_state", "access_requests", ["state", "expires_at"])


def _access_grants() -> None:
    op.create_table(
        "access_grants",
        sa.Column("id", sa.String(64), primary_key=True, comment="G-…, as session tags and CloudTrail carry it"),
        sa.Column("mapping", _exact(2048), nullable=False, comment="key of the role mapping"),
        sa.Column("connector", _exact(1024), nullable=False, comment="key of the connector of the account"),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("because", sa.String(512), nullable=False, comment="why it exists: group:…, claim:… or request:…"),
        sa.Column("is_break_glass", sa.Boolean, nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False, comment="the last moment at which it can be used"),
        sa.Column("checked_at", sa.BigInteger, nullable=False, comment="when its reason was last seen to hold"),
        sa.Column("ended_at", sa.BigInteger, comment="when it was ended before that"),
        sa.Column("ending", sa.String(256), nullable=False, comment="why it was ended; empty while it lives"),
    )
    op.create_index("access_grants_by_end", "access_grants", ["ends_at"])
    op.create_index("access_grants_by_mapping", "access_grants", ["mapping", "began_at"])
    op.create_index("access_grants_by_person", "access_grants", ["person", "mapping", "ended_at"])


def _access_sessions() -> None:
    op.create_table(
        "access_sessions",
        sa.Column("id", sa.String(64), primary_key=True, comment="access key id of the session at the cloud"),
        sa.Column("grant", sa.String(64), nullable=False),
        sa.Column("mapping", _exact(2048), nullable=False),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("sign_in", sa.String(64), nullable=False),
        sa.Column("account", sa.String(12), nullable=False),
        sa.Column("role_arn", sa.String(2048), nullable=False),
        sa.Column("use", sa.String(16), nullable=False, comment="credentials, console, shell or probe"),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger, nullable=False, comment="from when the session's own policy denies everything"),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_index("access_sessions_by_grant", "access_sessions", ["grant", "issued_at"])
    op.create_index("access_sessions_by_lease", "access_sessions", ["lease_until"])
    op.create_index("access_sessions_by_mapping", "access_sessions", ["mapping", "issued_at"])
    op.create_index("access_sessions_by_person", "access_sessions", ["person", "issued_at"])


def _access_revocations() -> None:
    op.create_table(
        "access_revocations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("person", sa.String(64), nullable=False, comment="object id, which is the source identity of sessions"),
        sa.Column("grant", sa.String(64), nullable=False, comment="the grant that ended; empty: everything of the person"),
        sa.Column("actor", sa.String(256), nullable=False),
        sa.Column("reason", sa.String(512), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("before", sa.BigInteger, nullable=False, comment="sessions issued before this are denied"),
        sa.Column("until", sa.BigInteger, nullable=False, comment="when the last of them has ended by itself"),
        sa.Column("readmitted_at", sa.BigInteger, comment="when the person was let in again"),
    )
    op.create_index("access_revocations_by_end", "access_revocations", ["until"])
    op.create_index("access_revocations_by_person", "access_revocations", ["person", "until"])


def _access_denials() -> None:
    op.create_table(
        "access_denials",
        sa.Column("revocation", sa.String(64), primary_key=True),
        sa.Column("connector", _exact(1024), primary_key=True, comment="key of the connector whose account denies"),
        sa.Column("state", sa.String(16), nullable=False, comment="Pending, Denied, Unreachable"),
        sa.Column("attached_at", sa.BigInteger, comment="when the policy was changed"),
        sa.Column("denied_at", sa.BigInteger, comment="when the probe met its first AccessDenied"),
        sa.Column("shells", sa.Integer, nullable=False, comment="shells that were ended"),
        sa.Column("detail", sa.Text, nullable=False, comment="what is in the way, in words"),
    )
    op.create_index("access_denials_by_connector", "access_denials", ["connector", "state"])
