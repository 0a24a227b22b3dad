"""An event is its account's: two accounts may tell of one by the same id, and a session is told by the trail of an account."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_TOLD = """
update trail_sessions set account = coalesce((
select e.account from trail_events e where e.made = trail_sessions.id and e.id = trail_sessions.event and e.kind <> 'AWSAccount'
order by e.seq limit 1), '')
"""
_ELSEWHERE = """
update trail_sessions set home = (
select e.account from trail_events e where e.made = trail_sessions.id and e.kind = 'AWSAccount' and e.account <> trail_sessions.account
order by e.seq limit 1)
"""
# Events of the account in which a session acts, by whose role somebody of another account took it; the first of each.
_TWINS = """
insert into trail_sessions
(id, account, event, principal, began_at, source_identity, is_root, person, sign_in, "grant", session, "foreign")
select e.made, e.account, e.id, coalesce(s.principal, ''), e.at, coalesce(s.source_identity, ''), false, e.person, e.sign_in, e."grant",
e.session, e."foreign"
from trail_events e left join trail_sessions s on s.id = e.made and s.account <> e.account
where e.made is not null and e.kind = 'AWSAccount' and not exists (
select 1 from trail_events o where o.made = e.made and o.account = e.account and o.kind = 'AWSAccount' and o.id < e.id)
and not exists (select 1 from trail_sessions t where t.id = e.made and t.account = e.account)
"""


def upgrade() -> None:
    """Widen the identity of events and of sessions; what trails told of sessions keeps its account."""
    op.drop_index("trail_events_by_id", "trail_events")
    op.create_index("trail_events_by_id", "trail_events", ["at", "id", "account"], unique=True)
    account = sa.Column("account", sa.String(12), nullable=False, server_default="", comment="whose trail tells of it")
    home = sa.Column("home", sa.String(12), comment="account in which it acts; null when it is not known to act elsewhere")
    for column in (account, home):
        op.add_column("trail_sessions", column)
    for statement in (_TOLD, _ELSEWHERE):
        op.get_bind().exec_driver_sql(statement)
    _widen_key()
    op.get_bind().exec_driver_sql(_TWINS)


def _widen_key() -> None:
    named = {"pk": "trail_sessions_pkey"}
    with op.batch_alter_table("trail_sessions", naming_convention=named) as table:
        table.alter_column("account", existing_type=sa.String(12), existing_nullable=False, server_default=None)
        table.drop_constraint("trail_sessions_pkey", type_="primary")
        table.create_primary_key("trail_sessions_pkey", ["id", "account"])
