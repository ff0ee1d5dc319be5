"""Whatever becomes of an entry, it is found where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from t4g_portal.lib.audit import Actor, append, verifying
from t4g_portal.lib.audit.canonical import digest
from t4g_portal.lib.audit.chain import START, Link, body_of, hash_of
from t4g_portal.lib.audit.models import AuditEntry, AuditHead
from t4g_portal.lib.audit.verifying import Fault, Wrong, verify
from tests.lib.audit.test_canonical import TEXT

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ACTORS = [Actor.engine("checklists"), Actor.key(key_id="k1", name="CI")]
VALUES = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | TEXT
DETAILS = st.dictionaries(TEXT, VALUES | st.lists(VALUES), max_size=4)
LENGTH = 6


def make_chain(
    count: int = LENGTH, *, details: dict[str, object] | None = None
) -> list[Link]:
    made = []
    for at in range(count):
        entry = append(
            action=f"checklist.act_{at % 3}",
            subject=f"run:{at % 2}",
            actor=ACTORS[at % 2],
            details=details or {"n": at, "text": "é"},
            now=NOW + timedelta(seconds=at),
        )
        made.append(Link(entry.seq, entry.hash))
    return made


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def take_over() -> None:
    """Become somebody who may switch our triggers off."""
    with connection.cursor() as cursor:
        for table in ("cellar_auditentry", "cellar_audithead"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def rehash(seq: int) -> str:
    """Give an entry the hash of its contents, as who knows the code would."""
    entry = AuditEntry.objects.get(seq=seq)
    body = body_of(
        version=entry.version,
        seq=seq,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        details=entry.details,
    )
    made = hash_of(version=entry.version, previous=entry.prev_hash, body=body)
    AuditEntry.objects.filter(seq=seq).update(hash=made)
    return made


def rewrite_from(seq: int, *, until: int) -> None:
    for at in range(seq, until + 1):
        made = rehash(at)
        AuditEntry.objects.filter(seq=at + 1).update(prev_hash=made)
    AuditHead.objects.update(hash=made)


def test_chain_as_it_was_written_is_intact():
    links = make_chain()

    report = verify(known=[START, links[2], links[5]])

    assert report.is_intact
    assert (report.count, report.link, report.compared_count) == (6, links[5], 2)


def test_empty_chain_is_intact():
    assert verify().is_intact
    assert verify().link == START


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(details=DETAILS)
def test_whatever_is_appended_verifies(details):
    with undone():
        make_chain(2, details=details)
        assert verify().is_intact


def _other_text(old: str, draw: Callable[..., Any]) -> str:
    at = draw(st.integers(0, len(old)))
    new = draw(
        st.sampled_from(
            [old[:at] + old[at + 1 :], old[:at] + "x" + old[at:], old.swapcase(), ""]
        )
    )
    return new if new != old else old + "x"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(data=st.data())
def test_edited_byte_is_found_at_its_entry(data):
    seq = data.draw(st.integers(1, LENGTH))
    column = data.draw(
        st.sampled_from(
            [
                *("version", "at", "actor_kind", "actor_id", "actor_name"),
                *("action", "subject", "details", "prev_hash", "hash"),
            ]
        )
    )
    with undone():
        make_chain(details=data.draw(DETAILS))
        take_over()
        old = AuditEntry.objects.values_list(column, flat=True).get(seq=seq)
        if column == "version":
            new = data.draw(st.integers(0, 32767).filter(lambda n: n != old))
        elif column == "at":
            new = old + timedelta(microseconds=data.draw(st.integers(1, 10**9)))
        elif column == "actor_kind":
            new = data.draw(st.sampled_from(sorted({"user", "key", "engine"} - {old})))
        elif column == "details":
            new = data.draw(DETAILS.filter(lambda d: digest(d) != digest(old)))
        elif column in {"hash", "prev_hash"}:
            at = data.draw(st.integers(0, 63))
            digit = data.draw(st.sampled_from("0123456789abcdef".replace(old[at], "")))
            new = old[:at] + digit + old[at + 1 :]
        else:
            new = _other_text(old, data.draw)
        AuditEntry.objects.filter(seq=seq).update(**{column: new})

        report = verify()

        wrong = Wrong.UNLINKED if column == "prev_hash" else Wrong.CHANGED
        assert report.fault == Fault(seq, wrong)
        assert report.link.seq == seq - 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(data=st.data())
def test_dropped_entries_are_found_at_the_first_of_them(data):
    dropped = data.draw(st.sets(st.integers(1, LENGTH), min_size=1))
    with undone():
        make_chain()
        take_over()
        AuditEntry.objects.filter(seq__in=dropped).delete()

        assert verify().fault == Fault(min(dropped), Wrong.MISSING)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(order=st.permutations(range(1, LENGTH + 1)))
def test_reordered_entries_are_found_at_the_first_that_moved(order):
    moved = [at for at, seq in enumerate(order, 1) if at != seq]
    with undone():
        make_chain()
        take_over()
        execute("UPDATE cellar_auditentry SET seq = seq + 100")
        for at, seq in enumerate(order, 1):
            execute(f"UPDATE cellar_auditentry SET seq = {at} WHERE seq = {seq + 100}")

        fault = verify().fault

        assert (fault.seq if fault else None) == (moved[0] if moved else None)


@pytest.mark.parametrize("seq", [1, 3, LENGTH])
def test_entry_with_a_new_hash_is_found_by_the_next_one_or_the_head(seq):
    with undone():
        make_chain()
        take_over()
        AuditEntry.objects.filter(seq=seq).update(actor_name="Eve")
        rehash(seq)

        fault = verify().fault

        assert fault is not None
        assert fault.seq == min(seq + 1, LENGTH)


@pytest.mark.parametrize("seq", [1, 3, 4])
def test_chain_written_anew_is_found_by_a_head_known_elsewhere(seq):
    with undone():
        links = make_chain()
        take_over()
        AuditEntry.objects.filter(seq=seq).update(actor_name="Eve")
        rewrite_from(seq, until=LENGTH)

        assert verify().is_intact
        report = verify(known=[links[1], links[3]])

        assert report.fault == Fault(2 if seq == 1 else 4, Wrong.NOT_THE_KNOWN)
        assert report.link == (START if seq == 1 else links[1])


def test_end_cut_off_together_with_the_head_is_found_by_a_known_one():
    with undone():
        links = make_chain()
        take_over()
        AuditEntry.objects.filter(seq__gt=4).delete()
        AuditHead.objects.update(seq=4, hash=links[3].hash)

        assert verify().is_intact
        assert verify(known=[links[5]]).fault == Fault(5, Wrong.MISSING)


def test_entry_beyond_the_head_is_found():
    with undone():
        links = make_chain()
        take_over()
        AuditHead.objects.update(seq=4, hash=links[3].hash)

        assert verify().fault == Fault(5, Wrong.BEYOND_HEAD)


def test_lost_head_is_found_and_nothing_is_appended_to_what_may_be_cut_off():
    with undone():
        make_chain()
        take_over()
        AuditHead.objects.all().delete()

        assert verify().fault == Fault(1, Wrong.BEYOND_HEAD)


def test_number_that_no_portal_writes_is_an_edit():
    with undone():
        make_chain(1)
        take_over()
        execute("""UPDATE cellar_auditentry SET details = '{"n": 1e999}'""")

        assert verify().fault == Fault(1, Wrong.CHANGED)


@pytest.mark.django_db(transaction=True)
def test_what_is_appended_meanwhile_does_no_harm(monkeypatch):
    monkeypatch.setattr(verifying, "_AT_ONCE", 5)
    with transaction.atomic():
        make_chain(12)
    mine = connections[DEFAULT_DB_ALIAS]
    other = mine.copy()

    def append_elsewhere(count: int) -> None:
        connections[DEFAULT_DB_ALIAS] = other
        with transaction.atomic():
            make_chain(3)
        connections[DEFAULT_DB_ALIAS] = mine

    try:
        report = verify(on_way=append_elsewhere)
    finally:
        connections[DEFAULT_DB_ALIAS] = mine
        other.close()

    assert report.is_intact
    assert report.count == 12
    assert verify().count == 18
