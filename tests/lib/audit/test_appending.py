"""Entries come in at the head, one after the other, and nothing else is let in."""

from __future__ import annotations

import threading
from datetime import timedelta, timezone

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, connections, transaction

from t4g_portal.lib.audit import Actor, ActorKind, UnableToAppend, append
from t4g_portal.lib.audit.canonical import UnableToCanonicalize
from t4g_portal.lib.audit.chain import GENESIS, body_of, hash_of
from t4g_portal.lib.models import AuditEntry, AuditHead

pytestmark = pytest.mark.django_db

ENGINE = Actor.engine("checklists.housekeeping")


def make_entry(*, now, action="checklist.signed", subject="run:12", **details):
    return append(
        action=action, subject=subject, actor=ENGINE, details=details, now=now
    )


def test_entry_follows_on_the_one_before(now):
    first = make_entry(now=now)
    second = make_entry(now=now, item="railway-health", figure=1.5)

    assert (first.seq, first.prev_hash) == (1, GENESIS)
    assert (second.seq, second.prev_hash) == (2, first.hash)
    assert AuditHead.objects.get().link.hash == second.hash
    assert second.details == {"item": "railway-health", "figure": "1.5"}


def test_hash_is_of_what_the_database_gives_back(now):
    paris = timezone(timedelta(hours=1))
    make_entry(now=now.astimezone(paris), text="é “x” \u2028 😀", n=[1, None, {"b": 2}])

    entry = AuditEntry.objects.get()
    body = body_of(
        version=entry.version,
        seq=entry.seq,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        details=entry.details,
    )

    assert entry.hash == hash_of(version=1, previous=GENESIS, body=body)


def test_person_is_named_as_they_are_called(now):
    ada = User.objects.create_user("ada", first_name="Ada", last_name="Byron")

    assert Actor.user(ada) == Actor(ActorKind.USER, str(ada.pk), "Ada Byron")
    assert Actor.user(User(pk=7, username="bob")).name == "bob"


def test_details_without_a_canonical_text_are_refused(now):
    with pytest.raises(UnableToCanonicalize, match=r"\$\.who: User has no"):
        make_entry(now=now, who=User())
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_nothing_is_appended(now):
    with pytest.raises(UnableToAppend):
        make_entry(now=now)


@pytest.mark.django_db(transaction=True)
def test_entry_that_is_rolled_back_leaves_no_hole(now):
    with transaction.atomic():
        make_entry(now=now)
    with transaction.atomic():
        make_entry(now=now)
        transaction.set_rollback(True)
    with transaction.atomic():
        assert make_entry(now=now).seq == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cellar_auditentry SET actor_name = 'Eve' WHERE seq = 1",
        "DELETE FROM cellar_auditentry WHERE seq = 2",
        "UPDATE cellar_audithead SET seq = 3",
        "DELETE FROM cellar_audithead",
        "INSERT INTO cellar_audithead VALUES (1, 9, repeat('0', 64)) ON CONFLICT (id)"
        " DO UPDATE SET seq = 9",
    ],
)
def test_database_refuses_every_change(now, statement):
    make_entry(now=now)
    make_entry(now=now)

    with (
        pytest.raises(DatabaseError, match="audit chain"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


@pytest.mark.parametrize("table", ["cellar_auditentry", "cellar_audithead"])
def test_database_refuses_truncate(now, table):
    make_entry(now=now)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute(f"TRUNCATE {table}")


@pytest.mark.parametrize(
    ("seq", "previous"), [(2, "f" * 64), (3, None), (1, GENESIS), (9, None)]
)
def test_database_refuses_an_entry_that_does_not_follow_on(now, seq, previous):
    first = make_entry(now=now)

    with pytest.raises(DatabaseError), transaction.atomic():
        AuditEntry.objects.create(
            seq=seq,
            at=now,
            actor_kind="user",
            actor_id="1",
            actor_name="Eve",
            action="checklist.signed",
            subject="run:12",
            details={},
            prev_hash=previous or first.hash,
            hash="a" * 64,
        )
    assert AuditHead.objects.get().seq == 1


@pytest.mark.django_db(transaction=True)
def test_concurrent_writers_never_fork(now):
    barrier = threading.Barrier(4)

    def write() -> None:
        try:
            barrier.wait(10)
            for _ in range(10):
                with transaction.atomic():
                    make_entry(now=now)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    entries = list(AuditEntry.objects.order_by("seq"))
    assert [entry.seq for entry in entries] == list(range(1, 41))
    assert [entry.prev_hash for entry in entries[1:]] == [
        entry.hash for entry in entries[:-1]
    ]
