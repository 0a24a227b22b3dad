"""Who speaks: keys, clients, people and their sessions."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from isthmus.store.tables.grammar import exact, metadata

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
    Column("made_by", String(64), nullable=False, server_default="", comment="object id of who made it"),
)

used_assertions = Table(
    "used_assertions",
    metadata,
    Column("hash", String(64), primary_key=True, comment="SHA-256 of client and jti"),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", String(64), primary_key=True, comment="SHA-256 of what the browser holds"),
    Column("object_id", String(64), nullable=False, index=True),
    Column("name", String(256), nullable=False),
    Column("provider", String(512), nullable=False, comment="issuer that signed the person in; empty for sign-in links"),
    Column("sign_in", String(64), nullable=False, server_default="", comment="the sign-in that began it; empty for sign-in links"),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    comment="Signed-in browsers.",
)

people = Table(
    "people",
    metadata,
    Column("object_id", String(64), primary_key=True),
    Column("issuer", exact(512), nullable=False),
    Column("subject", exact(255), nullable=False),
    Column("name", String(256), nullable=False),
    Column("mail", String(320), nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    UniqueConstraint("issuer", "subject"),
    comment="Who has signed in through an OpenID provider.",
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("object_id", String(64), nullable=False),
    Column("issuer", exact(512), nullable=False),
    Column("subject", exact(255), nullable=False),
    Column("name", String(256), nullable=False),
    Column("token_id", exact(256), nullable=False, comment="uti (Entra) or jti of the provider's token; empty when it has none"),
    Column("session_id", exact(256), nullable=False, comment="sid of the provider's session; empty when it has none"),
    Column("methods", Text, nullable=False, comment="JSON: amr, how the person proved who they are"),
    Column("contexts", Text, nullable=False, comment="JSON: acrs, authentication contexts that were met"),
    Column("groups", Text, comment="JSON: groups of the token; null when it does not tell, or not all (overage)"),
    Column("claims", Text, nullable=False, comment="JSON: other claims of the token that role mappings may name"),
    Column("mail", String(320), nullable=False, server_default="", comment="the address, where the provider vouches for it; else empty"),
    Column("at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False, comment="until when it stands for a new session"),
    Column("ended_at", BigInteger, comment="when it was ended before that"),
    Index("sign_ins_by_person", "object_id", "at"),
    Index("sign_ins_by_token", "token_id"),
    Index("sign_ins_by_end", "ends_at"),
    Index("sign_ins_by_time", "at", "id"),
    comment="What a provider vouched for, each time a person signed in.",
)

sign_in_codes = Table(
    "sign_in_codes",
    metadata,
    Column("hash", String(64), primary_key=True, comment="SHA-256 of the code; of a guess, random"),
    Column("kind", String(16), nullable=False, comment="code, device, guess (a wrong user code)"),
    Column("state", String(16), nullable=False, comment="pending, allowed, denied, used"),
    Column("client_id", String(128), nullable=False),
    Column("user_code", String(64), unique=True, comment="SHA-256 of what a person types in; of device codes"),
    Column("redirect_uri", String(256), nullable=False),
    Column("challenge", String(64), nullable=False, comment="PKCE, S256"),
    Column("address", String(64), nullable=False, comment="from where it was begun"),
    Column("object_id", String(64), nullable=False, comment="who allowed it, or guessed"),
    Column("name", String(256), nullable=False),
    Column("sign_in", String(64), nullable=False, comment="the sign-in of who allowed it; empty for sign-in links"),
    Column("session", String(64), nullable=False, comment="the session in which it was allowed, which has to live on"),
    Column("ends_at", BigInteger, nullable=False, comment="until when what comes of it may last"),
    Column("family", String(64), nullable=False, comment="the refresh tokens that came of it"),
    Column("pause", Integer, nullable=False, comment="seconds between two polls"),
    Column("polled_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    comment="Sign-ins of the command line on their way.",
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("hash", String(64), primary_key=True, comment="SHA-256 of the token"),
    Column("family", String(64), nullable=False, index=True, comment="those that came one of another"),
    Column("client_id", String(128), nullable=False),
    Column("object_id", String(64), nullable=False, index=True),
    Column("name", String(256), nullable=False),
    Column("sign_in", String(64), nullable=False, comment="the sign-in it dies with; empty for sign-in links"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger, comment="when the next one was given for it"),
    comment="What keeps the command line signed in.",
)
