"""Sign-in of the command line: codes on their way, and the refresh tokens that come of them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables."""
    _sign_in_codes()
    _refresh_tokens()


def _sign_in_codes() -> None:
    op.create_table(
        "sign_in_codes",
        sa.Column("hash", sa.String(64), primary_key=True, comment="SHA-256 of the code; of a guess, random"),
        sa.Column("kind", sa.String(16), nullable=False, comment="code, device, guess (a wrong user code)"),
        sa.Column("state", sa.String(16), nullable=False, comment="pending, allowed, denied, used"),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("user_code", sa.String(64), comment="SHA-256 of what a person types in; of device codes"),
        sa.Column("redirect_uri", sa.String(256), nullable=False),
        sa.Column("challenge", sa.String(64), nullable=False, comment="PKCE, S256"),
        sa.Column("address", sa.String(64), nullable=False, comment="from where it was begun"),
        sa.Column("object_id", sa.String(64), nullable=False, comment="who allowed it, or guessed"),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("sign_in", sa.String(64), nullable=False, comment="the sign-in of who allowed it; empty for sign-in links"),
        sa.Column("session", sa.String(64), nullable=False, comment="the session in which it was allowed, which has to live on"),
        sa.Column("ends_at", sa.BigInteger, nullable=False, comment="until when what comes of it may last"),
        sa.Column("family", sa.String(64), nullable=False, comment="the refresh tokens that came of it"),
        sa.Column("pause", sa.Integer, nullable=False, comment="seconds between two polls"),
        sa.Column("polled_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("user_code"),
        comment="Sign-ins of the command line on their way.",
    )
    op.create_index("ix_sign_in_codes_expires_at", "sign_in_codes", ["expires_at"])


def _refresh_tokens() -> None:
    op.create_table(
        "refresh_tokens",
        sa.Column("hash", sa.String(64), primary_key=True, comment="SHA-256 of the token"),
        sa.Column("family", sa.String(64), nullable=False, comment="those that came one of another"),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("object_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("sign_in", sa.String(64), nullable=False, comment="the sign-in it dies with; empty for sign-in links"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger, comment="when the next one was given for it"),
        comment="What keeps the command line signed in.",
    )
    for column in ("expires_at", "family", "object_id"):
        op.create_index(f"ix_refresh_tokens_{column}", "refresh_tokens", [column])
