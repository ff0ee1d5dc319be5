"""The head of the chain leaves once a local day, and what left is compared later."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.db import DatabaseError, connections, transaction

from checklists.auditing import checks
from checklists.auditing.anchors import PURPOSE, send_due
from checklists.models import AnchoredHead, AuditAnchor
from notifications.models import Notification
from t4g_portal.lib.audit import Actor, append
from tests.factories import make_address, make_channel, make_contact
from tests.lib.audit.test_verifying import execute, take_over

pytestmark = pytest.mark.django_db

# 06:00 in Paris, a Friday.
MORNING = datetime(2026, 11, 27, 5, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def make_entry(*, now: datetime = MORNING):
    with transaction.atomic():
        return append(
            action="checklist.signed",
            subject="run:12",
            actor=Actor.engine("test"),
            details={},
            now=now,
        )


def make_anchor(*channels, contacts=(), **values) -> AuditAnchor:
    values.setdefault("name", "Head")
    anchor = AuditAnchor.objects.create(**values)
    anchor.channels.set(channels or [make_channel(language="en")])
    anchor.contacts.set(contacts)
    return anchor


def letters() -> list[Notification]:
    return list(Notification.objects.filter(purpose=PURPOSE).order_by("pk"))


def test_letter_holds_all_that_a_later_comparison_needs():
    make_entry()
    entry = make_entry()
    make_anchor()

    assert send_due(now=MORNING) == 1

    message = letters()[0].message
    facts = dict(message["facts"])
    assert message["title"] == "Audit chain: entry 2 is the last"
    assert facts["Hash"] == entry.hash
    assert facts["To compare"] == f"manage.py audit_verify --head 2:{entry.hash}"
    assert facts["Verified"] == "Not verified yet; the portal does so each night."
    assert message["tone"] == "calm"
    head = AnchoredHead.objects.get()
    assert (head.seq, head.hash, head.message_count) == (2, entry.hash, 1)
    assert head.local_date == date(2026, 11, 27)


def test_letter_is_in_the_reader_s_language():
    make_entry()
    contact = make_contact(language="fr")
    make_address(contact=contact, kind="email")
    make_anchor(make_channel(language="en"), contacts=[contact])

    send_due(now=MORNING)

    assert [letter.message["language"] for letter in letters()] == ["en", "fr"]


def test_head_leaves_once_a_local_day():
    make_entry()
    make_anchor()

    sent = [send_due(now=MORNING + at * HOUR) for at in range(-1, 49)]

    assert [at - 1 for at, count in enumerate(sent) if count] == [0, 24, 48]
    assert AnchoredHead.objects.count() == 3


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_head_leaves_once_on_the_days_of_the_clock_change(day):
    make_entry()
    make_anchor(at=time(2, 30))
    began = datetime(day.year, day.month, day.day, tzinfo=UTC) - 2 * HOUR

    for at in range(0, 26 * 60, 20):
        send_due(now=began + at * MINUTE)

    assert AnchoredHead.objects.filter(local_date=day).count() == 1


def test_portal_that_was_away_mails_late_and_not_when_the_next_is_nearly_due():
    make_entry()
    make_anchor()

    assert send_due(now=MORNING + 16 * HOUR) == 0
    assert send_due(now=MORNING + 14 * HOUR) == 1


def test_empty_chain_and_disabled_anchor_mail_nothing():
    make_anchor(name="On")

    assert send_due(now=MORNING) == 0
    make_entry()
    AuditAnchor.objects.update(is_enabled=False)
    assert send_due(now=MORNING) == 0


def test_anchor_that_reaches_nobody_is_tried_again():
    make_entry()
    anchor = make_anchor()
    anchor.channels.clear()

    assert send_due(now=MORNING) == 0
    assert not AnchoredHead.objects.exists()
    anchor.channels.set([make_channel(language="en")])
    assert send_due(now=MORNING + HOUR) == 1
    assert AnchoredHead.objects.get().message_count == 1


def test_head_whose_entry_was_deleted_leaves_all_the_same():
    make_entry()
    entry = make_entry()
    make_anchor()
    take_over()
    execute("DELETE FROM cellar_auditentry WHERE seq = 2")

    assert send_due(now=MORNING) == 1

    facts = dict(letters()[0].message["facts"])
    assert (facts["Hash"], facts["Recorded"]) == (entry.hash, "–")


def test_one_anchor_that_fails_stops_no_other(monkeypatch, caplog):
    make_entry()
    bad, good = make_anchor(name="Bad"), make_anchor(name="Good")
    AuditAnchor.objects.filter(pk=bad.pk).update(time_zone="Mars/Phobos")

    assert send_due(now=MORNING) == 1
    assert AnchoredHead.objects.get().anchor == good
    assert "could not be mailed" in caplog.text


def test_clock_set_back_mails_nothing_twice():
    make_entry()
    make_anchor()
    send_due(now=MORNING + DAY)

    assert [send_due(now=MORNING + at * HOUR) for at in (25, 24, 26)] == [0, 0, 0]


@pytest.mark.django_db(transaction=True)
def test_two_processes_mail_one_head():
    make_entry()
    make_anchor()
    barrier = threading.Barrier(4)

    def tick() -> None:
        try:
            barrier.wait(10)
            send_due(now=MORNING)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(letters()) == 1
    assert AnchoredHead.objects.count() == 1


def test_mailed_head_stays_as_it_was_when_its_anchor_is_deleted():
    make_entry()
    anchor = make_anchor()
    send_due(now=MORNING)

    anchor.delete()

    head = AnchoredHead.objects.get()
    assert (head.anchor, head.anchor_name) == (None, "Head")
    assert list(checks.mailed_heads()) == [head.link]
    for change in ({"hash": "0" * 64}, {"seq": 9}, {"local_date": date(2020, 1, 1)}):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            AnchoredHead.objects.update(**change)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        head.delete()
