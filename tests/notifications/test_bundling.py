"""Who gets much at once gets it in one message; what is over is not in it."""

from __future__ import annotations

import random
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from hypothesis import given
from hypothesis import strategies as st

from notifications import services
from notifications.bundling import MAX_MESSAGES, MAX_NAMED, PAUSE, bundled
from notifications.delivery import deliver_due
from notifications.message import MAX_SHORT, Message
from notifications.models import Address, Notification
from notifications.preview import preview
from tests.factories import make_address, make_contact
from tests.notifications.making import make_message, make_notification, reread

Status = Notification.Status


def about(number: int, **values: Any) -> Message:
    values.setdefault("priority", "p1")
    values.setdefault("title", f"Backend: trouble {number}")
    values.setdefault("service", "Backend")
    return make_message(incident_id=number, thread_key=f"incident:{number}", **values)


def page(now: datetime, address: Address, number: int, **values: Any) -> Notification:
    message = values.pop("message", None) or about(number)
    values.setdefault("subject_key", f"incident:{number}")
    return make_notification(now=now, address=address, message=message, **values)


def storm(
    now: datetime, address: Address, *, first: int = 1, count: int = 8
) -> list[Notification]:
    return [page(now, address, number) for number in range(first, first + count)]


def texts(mail_host: Any) -> list[str]:
    return [
        mail.get_body(("plain",)).get_content().replace("\xa0", " ")
        for mail in mail_host.mails
    ]


class TestWords:
    def test_the_others_are_counted_and_named_where_they_are(self):
        message = bundled([about(number) for number in range(1, 4)])

        assert message.title == "Backend: trouble 1"
        assert message.text.endswith(
            "2 more on Backend:\n• P1 · Backend: trouble 2\n• P1 · Backend: trouble 3"
        )
        assert message.short == "P1 · Backend: trouble 1 (+2)"

    def test_of_several_places_only_the_number_is_said(self):
        message = bundled([about(1), about(2), about(3, service="Login")])

        assert "\n2 more:\n" in message.text

    def test_the_most_urgent_one_leads(self):
        message = bundled([about(1, priority="p2"), about(2, priority="p1")])

        assert (message.priority, message.incident_id) == ("p1", 2)
        assert "P2 · Backend: trouble 1" in message.text

    def test_it_is_said_in_the_language_of_the_message(self):
        message = bundled([about(1, language="fr"), about(2, language="fr")])

        assert message.language == "fr"

    def test_a_voice_says_the_number_too(self):
        message = bundled([about(1, spoken="Backend is down."), about(2)])

        assert message.spoken == "Backend is down. 1 more on Backend."

    @given(count=st.integers(1, 300), short=st.text(max_size=MAX_SHORT))
    def test_however_many_there_are_it_stays_storable(self, count, short):
        message = bundled([about(number, short=short) for number in range(count)])

        assert len(message.short) <= MAX_SHORT
        assert message.text.count("•") <= MAX_NAMED + 1
        assert Message.from_json(message.to_json()) == message


@pytest.mark.django_db(transaction=True)
class TestGathering:
    @pytest.fixture
    def ana(self) -> Address:
        return make_address(contact=make_contact(name="Ana"))

    def test_above_the_rate_the_rest_comes_in_one_message_a_minute_later(
        self, now, ana, mail_host
    ):
        rows = storm(now, ana, count=12)

        deliver_due(now=now)
        at_once = len(mail_host.mails)
        deliver_due(now=now + PAUSE - timedelta(seconds=10))
        before = len(mail_host.mails)
        deliver_due(now=now + PAUSE + timedelta(seconds=5))

        assert (at_once, before, len(mail_host.mails)) == (5, 5, 6)
        assert "6 more on Backend:" in texts(mail_host)[-1]
        carrier, *carried = [reread(row) for row in rows[MAX_MESSAGES:]]
        assert carrier.status == Status.SENT
        assert {(row.status, row.bundled_into_id) for row in carried} == {
            (Status.BUNDLED, carrier.pk)
        }
        assert all(row.ended_at for row in carried)
        assert "6 more on Backend:" in preview(notification=carrier).text

    def test_who_gets_little_gets_it_at_once(self, now, ana, mail_host):
        storm(now, ana, count=MAX_MESSAGES)
        storm(now, make_address(), first=50, count=MAX_MESSAGES)

        deliver_due(now=now)

        assert len(mail_host.mails) == 2 * MAX_MESSAGES
        assert not any("more" in text for text in texts(mail_host))

    def test_a_p0_never_waits_and_is_never_carried(self, now, ana, mail_host):
        storm(now, ana, count=MAX_MESSAGES)
        deliver_due(now=now)
        storm(now, ana, first=20, count=3)
        urgent = [
            page(now, ana, number, message=about(number, priority="p0"))
            for number in range(40, 48)
        ]

        deliver_due(now=now + timedelta(seconds=1))

        assert {reread(row).status for row in urgent} == {Status.SENT}

    def test_exact_copies_of_a_p0_are_one_message(self, now, ana, mail_host):
        message = about(7, priority="p0")
        rows = [page(now, ana, 7, message=message) for _each in range(3)]
        other = page(now, ana, 7, message=about(7, priority="p0", text="Since 10:05"))

        deliver_due(now=now)

        assert [reread(row).status for row in rows] == [
            Status.SENT,
            Status.BUNDLED,
            Status.BUNDLED,
        ]
        assert reread(other).status == Status.SENT
        assert len(mail_host.mails) == 2
        assert "more" not in texts(mail_host)[0]

    def test_what_is_about_no_incident_is_never_carried(self, now, ana, mail_host):
        rows = [
            page(now, ana, number, message=make_message(priority=""))
            for number in range(8)
        ]

        deliver_due(now=now)

        assert {reread(row).status for row in rows} == {Status.SENT}

    def test_what_was_acknowledged_meanwhile_is_not_in_the_bundle(
        self, now, ana, mail_host
    ):
        rows = storm(now, ana, count=9)
        deliver_due(now=now)

        services.cancel(subject_key="incident:8", reason="Acknowledged.", now=now)
        deliver_due(now=now + PAUSE + timedelta(seconds=5))

        assert reread(rows[7]).status == Status.CANCELLED
        assert "trouble 8" not in texts(mail_host)[-1]
        assert "2 more on Backend:" in texts(mail_host)[-1]

    def failed_bundle(self, now: datetime, ana: Address, mail_host: Any) -> list[Any]:
        """Five sent, and four bundled whose carrier failed for the moment."""
        rows = storm(now, ana, count=9)
        deliver_due(now=now)
        mail_host.replies[ana.value] = "451 4.3.0 try later"
        deliver_due(now=now + PAUSE + timedelta(seconds=5))
        found = [reread(row) for row in rows[MAX_MESSAGES:]]
        assert [row.status for row in found] == ["queued", *["bundled"] * 3]
        assert not any(row.ended_at for row in found)
        mail_host.replies.clear()
        return found

    def test_a_carried_one_that_is_cancelled_leaves_the_bundle(
        self, now, ana, mail_host
    ):
        _carrier, first, second, _third = self.failed_bundle(now, ana, mail_host)

        touched = services.cancel(
            subject_key=first.subject_key, reason="Acknowledged.", now=now
        )
        deliver_due(now=now + timedelta(hours=1))

        assert touched == 1
        assert reread(first).status == Status.CANCELLED
        assert reread(second).status == Status.BUNDLED
        assert "2 more on Backend:" in texts(mail_host)[-1]

    def test_when_only_the_carrier_is_cancelled_the_others_are_still_told(
        self, now, ana, mail_host
    ):
        carrier, *others = self.failed_bundle(now, ana, mail_host)

        services.cancel(
            subject_key=carrier.subject_key, reason="Acknowledged.", now=now
        )
        freed = [reread(row) for row in others]
        deliver_due(now=now + timedelta(hours=1))

        assert {(row.status, row.bundled_into) for row in freed} == {("queued", None)}
        assert reread(carrier).status == Status.CANCELLED
        assert {reread(row).status for row in others} <= {"sent", "bundled"}
        assert carrier.message["title"] not in "".join(texts(mail_host)[5:])

    def test_with_a_dead_carrier_all_that_it_carried_goes_the_next_way(
        self, now, ana, mail_host
    ):
        carrier, *others = self.failed_bundle(now, ana, mail_host)
        key = "incident:99:page:0:contact:1"
        Notification.objects.filter(pk=others[0].pk).update(route_key=key)
        later = now + timedelta(hours=1)
        second_way = page(
            now,
            make_address(),
            99,
            route_key=key,
            not_before=later + timedelta(days=1),
        )
        mail_host.replies[ana.value] = "550 5.1.1 no such user"

        deliver_due(now=later)

        assert {reread(row).status for row in (carrier, *others)} == {Status.DEAD}
        assert reread(second_way).status == Status.SENT

    def test_who_was_told_in_a_bundle_hears_that_it_is_over(self, now, ana, mail_host):
        storm(now, ana, count=9)
        deliver_due(now=now)
        deliver_due(now=now + PAUSE + timedelta(seconds=5))

        told = services.told_destinations(subject_key="incident:8", purposes=["page"])

        assert told == [(None, ana)]

    @pytest.mark.parametrize("seed", [1, 2])
    def test_acknowledging_in_the_middle_of_a_storm_stops_nothing_else(
        self, now, ana, mail_host, seed
    ):
        """Cancels and senders take the same rows at once, in both directions."""
        rows = storm(now, ana, count=18)
        for number in range(1, 19):
            # Two rows of one subject in one bundle.
            page(now, ana, number)
        numbers = list(range(1, 19))
        random.Random(seed).shuffle(numbers)
        failures: list[BaseException] = []

        def run(work: Any) -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)
            finally:
                connections.close_all()

        def stop(mine: list[int]) -> None:
            for number in mine:
                services.cancel(
                    subject_key=f"incident:{number}", reason="Acknowledged.", now=now
                )

        works = [
            lambda: deliver_due(now=now),
            # Late enough for what was put back, and for the leases of the other.
            lambda: deliver_due(now=now + timedelta(minutes=1, seconds=30)),
            lambda: stop(numbers[:6]),
            lambda: stop(numbers[6:12]),
        ]
        threads = [threading.Thread(target=run, args=(one,)) for one in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for later in range(1, 5):
            deliver_due(now=now + timedelta(hours=later))

        assert failures == []
        kept = {rows[number - 1].pk for number in numbers[12:]}
        endings = {row.status for row in Notification.objects.filter(pk__in=kept)}
        assert endings <= {"sent", "bundled"}
        assert not Notification.objects.filter(ended_at=None).exists()
