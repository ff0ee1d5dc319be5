"""A way to a person that fails for good makes the next one go out at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from notifications.delivery import deliver_due
from notifications.fallthrough import bring_forward
from notifications.models import Address, Contact, Notification
from tests.factories import make_address, make_contact
from tests.notifications.making import make_notification, reread

pytestmark = pytest.mark.django_db(transaction=True)
Status = Notification.Status
ROUTE = "incident:42:page:0:contact:1"


def make_page(now, **values):
    values.setdefault("route_key", ROUTE)
    return make_notification(now=now, **values)


def test_a_dead_row_makes_the_next_one_due_now(now, mail_host):
    ana = make_contact()
    wrong = make_address(contact=ana, value="wrong@example.org")
    right = make_address(contact=ana, value="right@example.org")
    mail_host.replies["wrong@example.org"] = "550 5.1.1 no such user"
    first = make_page(now, address=wrong)
    second = make_page(now, address=right, not_before=now + timedelta(minutes=10))
    third = make_page(now, address=right, not_before=now + timedelta(minutes=20))

    deliver_due(now=now)

    assert reread(first).status == Status.DEAD
    assert reread(second).status == Status.SENT
    assert reread(third).status == Status.QUEUED
    assert reread(third).next_attempt_at == now + timedelta(minutes=20)


def test_an_address_that_was_disabled_meanwhile_counts_as_failed(now, mail_host):
    ana = make_contact()
    gone, there = make_address(contact=ana), make_address(contact=ana)
    first = make_page(now, address=gone)
    second = make_page(now, address=there, not_before=now + timedelta(minutes=10))
    Address.objects.filter(pk=gone.pk).update(is_enabled=False)

    deliver_due(now=now)

    assert reread(first).status == Status.CANCELLED
    assert reread(second).status == Status.SENT


def test_other_peoples_rows_and_other_pages_keep_their_time(now, mail_host):
    mail_host.replies["wrong@example.org"] = "550 5.1.1 no such user"
    make_page(now, address=make_address(value="wrong@example.org"))
    later = now + timedelta(minutes=10)
    others = [
        make_page(now, address=make_address(), not_before=later, route_key=key)
        for key in ("", ROUTE + "0")
    ]

    deliver_due(now=now)

    assert [reread(row).next_attempt_at for row in others] == [later, later]


def test_what_is_due_already_is_the_next_one(now):
    due = make_page(now, address=make_address())
    later = make_page(now, address=make_address(), not_before=now + timedelta(hours=1))

    assert bring_forward(route_key=ROUTE, now=now) is None
    assert reread(due).next_attempt_at == now
    assert reread(later).next_attempt_at == now + timedelta(hours=1)


def test_a_row_in_back_off_keeps_its_pace(now):
    retried = make_page(
        now, address=make_address(), not_before=now + timedelta(minutes=1)
    )
    Notification.objects.filter(pk=retried.pk).update(attempt_count=1)
    waiting = make_page(
        now, address=make_address(), not_before=now + timedelta(minutes=5)
    )

    moved = bring_forward(route_key=ROUTE, now=now)

    assert moved is not None
    assert moved.pk == waiting.pk
    assert reread(retried).next_attempt_at == now + timedelta(minutes=1)


def test_a_deleted_person_leaves_what_they_were_told(now, mail_host):
    address = make_address(contact=make_contact(name="Ana"), value="ana@example.org")
    told = make_page(now, address=address)
    deliver_due(now=now)
    unsent = make_page(now, address=address, not_before=now + timedelta(hours=1))

    Contact.objects.all().delete()
    deliver_due(now=now + timedelta(hours=1))

    assert (reread(told).status, reread(told).address) == (Status.SENT, None)
    assert reread(told).receiver == "Ana (ana@example.org)"
    assert reread(unsent).status == Status.CANCELLED
    assert reread(unsent).outcome == "The address was deleted."
    assert len(mail_host.mails) == 1
