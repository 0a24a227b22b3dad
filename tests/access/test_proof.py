"""The proof of the log: nothing is found where nothing was changed, and every single change is found and named."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from isthmus.access.proof import Joins, verify_offline
from isthmus.access.trail import ingest
from isthmus.arm.errors import ArmError
from isthmus.audit import Checkpoints, FolderAnchor, Record, append
from isthmus.audit.events import read_event
from isthmus.audit.verification import Verification, verify_log
from isthmus.keys.signer import RsaSigner, make_signer
from isthmus.settings import Settings
from isthmus.store import Store
from isthmus.store.tables import access_sessions
from isthmus.transfer import back_up
from tests.access.cloudtrail import ACCOUNT, ISSUER, OTHER, Session, called, chained, entered, id_of, twin
from tests.support.clock import Clock
from tests.support.databases import Databases

ALICE = Session(key="ASIAALICE", person=id_of("alice"), grant="G-1")
INNER = Session(key="ASIAINNER", person=ALICE.person, grant="-", role="AROAINNER", began=5)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Keys:
    """One key, made once: that takes long."""

    key: RsaSigner | None = None

    def signer(self) -> RsaSigner:
        Keys.key = Keys.key or make_signer()
        return Keys.key


def fill(store: Store, anchor: Path, rounds: int = 3) -> None:
    """Records and events in rounds, each with its checkpoints."""
    clock = Clock()
    checkpoints = Checkpoints(store=store, ring=Keys(), anchor=FolderAnchor(f"file://{anchor}"), clock=clock)
    for number in range(rounds):
        documents = [called(ALICE, "DescribeInstances", number * 10 + second, errorCode="Client.No") for second in range(5)]
        documents += [entered(ALICE), chained(ALICE, INNER, 5), called(INNER, "ListRoles", 6)] if number == 1 else []
        documents.append(called(ALICE, "RunInstances", number, requestParameters={"instanceId": "i-0123456789abcdef1"}))
        with store.begin() as connection:
            append(
                connection,
                [Record(at=number, actor="a", action="x/y", target=f"/t/{i}", outcome="accepted", correlation="c") for i in range(4)],
            )
            ingest(connection, [read_event(one) for one in documents], ISSUER)
        clock.advance(600)
        checkpoints.run(NOW)


def test_resources_of_every_kind_are_compared_as_they_were_written(store: Store, tmp_path: Path) -> None:
    named = [{"ARN": "arn:aws:s3:::zürich"}, {"ARN": "arn:aws:s3:::two"}]
    with store.begin() as connection:
        ingest(connection, [read_event(called(ALICE, "GetObject", 1, resources=named))], ISSUER)
    found = check(store, None)
    assert (found.findings, found.counts["events"]) == ([], 1)


def check(store: Store, anchor: Path | None) -> Verification:
    return verify_offline(store.url, None, str(anchor or ""), ISSUER)


def test_what_nobody_changed_is_good(store: Store, tmp_path: Path) -> None:
    fill(store, tmp_path / "anchor")
    found = check(store, tmp_path / "anchor")
    assert found.findings == []
    assert found.counts == {"records": 12, "events": 21, "checkpoints": 6, "anchored": 6}
    assert found.covered == {"audit": 12, "trail": 21}


def test_nothing_is_signed_where_nothing_grew(store: Store, tmp_path: Path) -> None:
    fill(store, tmp_path / "anchor")
    before = sorted(path.name for path in (tmp_path / "anchor").iterdir())
    Checkpoints(store=store, ring=Keys(), anchor=FolderAnchor(str(tmp_path / "anchor")), clock=Clock()).run(NOW)
    assert sorted(path.name for path in (tmp_path / "anchor").iterdir()) == before
    assert len(before) == 6


CHANGES = [
    ("update audit_records set target = '/t/9' where seq = 3", "audit record 3"),
    ("update audit_records set detail = '{} ' where seq = 3", "audit record 3"),
    ("update audit_records set detail = '{' where seq = 4", "audit record 4"),
    ("delete from audit_records where seq = 12", "checkpoint audit 12"),
    ("delete from audit_records where seq = 5", "audit record 5"),
    ("update trail_events set person = 'other' where seq = 2", "event 2 "),
    ("update trail_events set \"grant\" = 'G-2' where seq = 9", "event 9 "),
    ("update trail_events set outcome = 'AccessDenied' where seq = 4", "event 4 "),
    ("update trail_events set at = at + 1000 where seq = 4", "event 4 "),
    ("update trail_events set access_key = null where seq = 4", "event 4 "),
    ("update trail_events set digest = 'x' where seq = 7", "event 7 "),
    ("delete from trail_events where seq = 7", "event 7"),
    ("delete from trail_events where seq = 21", "checkpoint trail 21"),
    ("delete from trail_machines where seq = 6", "event 6 "),
    ("update trail_machines set at = at + 1 where seq = 6", "event 6 "),
    ("update trail_sessions set \"grant\" = 'G-2' where id = 'ASIAINNER'", "event "),
    ("delete from trail_sessions where id = 'ASIAALICE'", "event "),
    ("update audit_checkpoints set at = at + 1 where tree = 'trail' and size = 6", "checkpoint trail 6"),
    ("update audit_checkpoints set signature = 'AAAA' where tree = 'audit' and size = 8", "checkpoint audit 8"),
    ("update audit_checkpoints set kid = 'x' where tree = 'audit' and size = 8", "checkpoint audit 8"),
    ("update audit_checkpoints set edge = '[]' where tree = 'audit' and size = 8", "checkpoint audit 8"),
    ("update audit_checkpoints set body = '[]' where tree = 'audit' and size = 8", "checkpoint audit 8"),
    ("update trail_events set loose = principal where seq = 4", "event 4 "),
    ("update trail_sessions set began_at = 1 where id = 'ASIAALICE'", "event "),
    ("delete from audit_checkpoints where tree = 'trail' and size = 6", "checkpoint trail 6"),
    ("delete from audit_checkpoints where tree = 'trail' and size = 21", "checkpoint trail 21"),
]


@pytest.mark.parametrize(("change", "where"), CHANGES)
def test_a_change_is_found_and_named(databases: Databases, tmp_path: Path, change: str, where: str) -> None:
    store = Store(databases.fresh_sqlite(tmp_path / "a.db"))
    fill(store, tmp_path / "anchor")
    with store.begin() as connection:
        assert connection.execute(text(change)).rowcount == 1
    found = check(store, tmp_path / "anchor")
    store.close()
    assert found.findings
    assert found.findings[0].where.startswith(where) or any(one.where == where for one in found.findings), found.findings


def note_given(store: Store, session: Session, **changes: str) -> None:
    """Our own record of a session, as the broker and the watch over denials keep it."""
    row = {"id": session.key, "grant": session.grant, "mapping": "m", "person": session.person, "sign_in": session.sign_in}
    more = {"account": ACCOUNT, "role_arn": "r", "use": "credentials", "issued_at": 1, "lease_until": 2}
    with store.begin() as connection:
        connection.execute(insert(access_sessions).values(**row | more | changes))


FORGERIES = {
    "everything of hers is his": (
        "update access_sessions set person = :bob, \"grant\" = 'G-BOB'",
        "update trail_events set person = :bob, \"grant\" = 'G-BOB' where person = :alice",
        "update trail_sessions set person = :bob, \"grant\" = 'G-BOB' where person = :alice",
    ),
    "by another grant of hers": (
        "update access_sessions set \"grant\" = 'G-2'",
        "update trail_events set \"grant\" = 'G-2' where person = :alice",
        "update trail_sessions set \"grant\" = 'G-2' where person = :alice",
    ),
    "by another sign-in": (
        "update access_sessions set sign_in = 's-2'",
        "update trail_events set sign_in = 's-2' where person = :alice",
        "update trail_sessions set sign_in = 's-2' where person = :alice",
    ),
    "in another account": (f"update access_sessions set person = :bob, account = '{OTHER}'",),
    "our record alone": ("update access_sessions set person = :bob",),
    "a session that another one made is said to be given": (
        "update access_sessions set id = 'ASIAINNER', person = :bob",
        "update trail_events set person = :bob, session = 'ASIAINNER' where access_key = 'ASIAINNER'",
    ),
    "her calls wait for ever": (
        'update trail_events set person = null, sign_in = null, "grant" = null, session = null, "foreign" = \'UnknownSession\' '
        "where access_key = 'ASIAALICE' and made is null",
    ),
    "a session that is told to be known by our record alone": (
        'update trail_events set person = null, sign_in = null, "grant" = null, session = null, "foreign" = \'UnknownSession\' '
        "where access_key = 'ASIAALICE' and made is null",
        "delete from trail_sessions where id = 'ASIAALICE'",
    ),
}


@pytest.mark.parametrize("changes", FORGERIES.values(), ids=FORGERIES)
def test_what_we_say_to_have_given_is_compared_with_the_exchange(databases: Databases, tmp_path: Path, changes: tuple[str, ...]) -> None:
    """Our record of sessions is under no checkpoint: whoever changes it with all that follows from it is told by the covered event."""
    store = Store(databases.fresh_sqlite(tmp_path / "a.db"))
    note_given(store, ALICE)
    fill(store, tmp_path / "anchor")
    clean = check(store, tmp_path / "anchor")
    with store.begin() as connection:
        people = {"alice": ALICE.person, "bob": id_of("bob")}
        for change in changes:
            assert connection.execute(text(change), {name: id for name, id in people.items() if f":{name}" in change}).rowcount > 0
    found = check(store, tmp_path / "anchor").findings
    store.close()
    assert (clean.findings, clean.believed) == ([], 0)
    assert found
    assert found[0].where.startswith("event ")


def test_a_witness_of_a_denial_is_whose_its_exchange_says(store: Store, tmp_path: Path) -> None:
    """Where an account trusts a directory itself, sessions that watch a denial are the only ones of ours there."""
    probe = Session(key="ASIAWITNESS", person=id_of("leaver"), grant="G-witness", sign_in=f"probe:{id_of('revocation')}", began=30)
    note_given(store, probe, use="probe")
    with store.begin() as connection:
        ingest(connection, [read_event(one) for one in (entered(probe), called(probe, "GetAccessKeyInfo", 31, source="sts"))], ISSUER)
    found = check(store, None)
    assert (found.findings, found.believed, found.counts["events"]) == ([], 0, 2)


def test_what_accounts_tell_of_each_other_is_derived_again(store: Store, tmp_path: Path) -> None:
    """A role that was taken in another account, by both trails; and an event that another account's trail puts on Alice."""
    there = Session(key="ASIATHERE", person=ALICE.person, grant="-", role="AROATHERE", began=7)
    left = chained(ALICE, there, 7, home=OTHER)
    told = [entered(ALICE), left, twin(left), called(there, "ListBuckets", 8, account=OTHER), called(ALICE, "PutObject", 9, account=OTHER)]
    note_given(store, ALICE)
    with store.begin() as connection:
        ingest(connection, [read_event(one) for one in told], ISSUER)
    assert check(store, None).findings == []
    for change in (
        "update trail_events set person = 'x' where seq = 4",
        f"update trail_events set person = '{ALICE.person}', sign_in = 's-1', \"grant\" = 'G-1', session = 'ASIAALICE', \"foreign\" = '', "
        "loose = null where seq = 5",
        f"update trail_sessions set home = '{ACCOUNT}' where id = 'ASIATHERE' and account = '{ACCOUNT}'",
        f"delete from trail_sessions where id = 'ASIATHERE' and account = '{OTHER}'",
        f"update trail_sessions set account = '{OTHER}' where id = 'ASIAALICE'",
    ):
        with store.begin() as connection:
            assert connection.execute(text(change)).rowcount == 1
            found = verify_log(connection, None, Joins(connection, ISSUER)).findings
            connection.rollback()
        assert found, change
    assert check(store, None).findings == []


def test_what_follows_from_our_own_record_alone_is_counted(store: Store, tmp_path: Path) -> None:
    note_given(store, ALICE)
    with store.begin() as connection:
        ingest(connection, [read_event(called(ALICE, "DescribeInstances", second)) for second in range(3)], ISSUER)
    found = check(store, None)
    assert (found.findings, found.believed) == ([], 3)


def test_whoever_makes_the_chain_anew_is_told_by_the_second_store(store: Store, databases: Databases, tmp_path: Path) -> None:
    """With the very key: everything in the database fits, and the anchor has another past."""
    fill(store, tmp_path / "anchor")
    forged = Store(databases.fresh_sqlite(tmp_path / "forged.db"))
    fill(forged, tmp_path / "elsewhere", rounds=2)
    with forged.begin() as connection:
        append(connection, [Record(at=9, actor="a", action="x/y", target="/else", outcome="accepted")])
    Checkpoints(store=forged, ring=Keys(), anchor=None, clock=Clock()).run(NOW)
    assert check(forged, None).findings == []
    told = {one.where for one in check(forged, tmp_path / "anchor").findings}
    forged.close()
    assert {"checkpoint audit 12", "checkpoint trail 21"} <= told


def flipped(path: Path, chance: random.Random) -> tuple[int, int]:
    content = bytearray(path.read_bytes())
    place, bit = chance.randrange(len(content)), chance.randrange(8)
    content[place] ^= 1 << bit
    path.chmod(0o600)
    path.write_bytes(content)
    return place, bit


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_of_the_anchor_is_found(databases: Databases, tmp_path: Path, seed: int) -> None:
    store, chance = Store(databases.fresh_sqlite(tmp_path / "a.db")), random.Random(seed)
    fill(store, tmp_path / "anchor", rounds=2)
    file = chance.choice(sorted((tmp_path / "anchor").iterdir()))
    flipped(file, chance)
    found = check(store, tmp_path / "anchor").findings
    store.close()
    tree, _, size = file.stem.partition("-")
    assert [one.where for one in found] == [f"anchor {tree} {int(size)}"]


COLUMNS = {
    "audit_records": ["actor", "action", "target", "outcome", "detail", "correlation", "previous", "hash"],
    "trail_events": [
        *("id", "account", "region", "source", "name", "kind", "access_key", "principal", "source_identity", "outcome", "resources"),
        *("person", "sign_in", "grant", "session", "digest", "document"),
    ],
    "audit_checkpoints": ["tree", "body", "kid", "public_jwk", "signature", "edge"],
}


@pytest.mark.parametrize("table", COLUMNS)
def test_a_flipped_bit_of_any_value_is_found(databases: Databases, tmp_path: Path, table: str) -> None:
    """Every column of every table of the log, one at a time, at a place of chance."""
    made, chance = tmp_path / "made.db", random.Random(7)
    store = Store(databases.fresh_sqlite(made))
    fill(store, tmp_path / "anchor", rounds=2)
    store.close()
    for column in COLUMNS[table]:
        copy = tmp_path / "copy.db"
        shutil.copyfile(made, copy)
        with closing(sqlite3.connect(copy)) as raw:
            query = f'select rowid, "{column}" from {table} where length("{column}") > 0 order by rowid'
            rowid, value = chance.choice(raw.execute(query).fetchall())
            content = bytearray(value if isinstance(value, bytes) else value.encode())
            content[chance.randrange(len(content))] ^= 1
            stored: Any = bytes(content) if isinstance(value, bytes) else content.decode("latin-1")
            raw.execute(f'update {table} set "{column}" = ? where rowid = ?', (stored, rowid))
            raw.commit()
        assert verify_offline(f"sqlite:///{copy}", None, str(tmp_path / "anchor"), ISSUER).findings, (table, column)


def test_an_archive_is_checked_as_it_is(databases: Databases, tmp_path: Path) -> None:
    url = databases.fresh_sqlite(tmp_path / "a.db")
    store = Store(url)
    fill(store, tmp_path / "anchor")
    store.close()
    back_up(Settings(data=tmp_path, database_url=url), tmp_path / "x.backup", None, lambda _: None)
    found = verify_offline("", tmp_path / "x.backup", f"file://{tmp_path}/anchor", ISSUER)
    assert (found.findings, found.counts["events"], found.counts["anchored"]) == ([], 21, 6)


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda folder: verify_offline(f"sqlite:///{folder}/none.db", None, "", ISSUER), "NoDatabase"),
        (lambda folder: verify_offline("", folder / "none.backup", "", ISSUER), "NoArchive"),
    ],
)
def test_what_is_not_there_is_said(tmp_path: Path, ask: Callable[[Path], object], code: str) -> None:
    with pytest.raises(ArmError) as caught:
        ask(tmp_path)
    assert caught.value.code == code


def test_a_missing_anchor_is_an_error_and_not_a_pass(databases: Databases, tmp_path: Path) -> None:
    store = Store(databases.fresh_sqlite(tmp_path / "a.db"))
    with pytest.raises(ArmError, match="no folder"):
        check(store, tmp_path / "nowhere")
    store.close()


def test_a_torn_anchor_file_is_completed_and_another_one_refused(tmp_path: Path) -> None:
    anchor = FolderAnchor(f"file://{tmp_path}/a%20b")
    anchor.add("audit", 3, b"whole content")
    file = tmp_path / "a b" / "audit-000000000000003.json"
    file.chmod(0o600)
    file.write_bytes(b"whole")
    anchor.add("audit", 3, b"whole content")
    assert list(anchor.all()) == [("audit", 3, b"whole content")]
    with pytest.raises(ArmError) as caught:
        anchor.add("audit", 3, b"whole other")
    assert caught.value.code == "AnchorDiffers"
    assert file.read_bytes() == b"whole content"
