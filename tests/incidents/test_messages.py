"""What people read."""

from __future__ import annotations

from datetime import timedelta

import pytest

from incidents import intake, services
from incidents.advancing import advance_due
from notifications.message import Message
from notifications.models import Notification
from tests.factories import (
    make_channel,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.incidents.making import deliver, make_alert, make_incident, outbox

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture
def channel():
    channel = make_channel()
    make_priority_rules(channel)
    return channel


def read(row: Notification) -> Message:
    return Message.from_json(row.message)


def facts_of(message: Message) -> dict[str, str]:
    return {fact.label: fact.value for fact in message.facts}


def test_opening_says_what_broke_how_bad_since_when_and_where_to_go(now, channel):
    service = make_service(name="Backend", runbook_url="https://wiki.example.org/api")

    incident = make_incident(now=now, service=service, started_at=now - 2 * MINUTE)

    message = read(outbox()[0])
    assert message.title == "P0 Backend: API health is down"
    # 09:58 in Paris, the service's zone.
    assert message.text == "Since 09:58:00: HTTP 503, expected 200–299"
    assert message.tone == "alarm"
    assert message.has_mention
    assert message.is_first_in_thread
    assert message.url.endswith(f"/incidents/{incident.pk}/")
    assert facts_of(message) == {
        "Service": "Backend",
        "Priority": "P0 Critical",
        "Since": "09:58:00",
        "Who has it": "nobody yet, due at 10:05:00",
        "Runbook": "https://wiki.example.org/api",
    }


def test_reminder_says_how_long_nobody_has_answered(now, channel):
    make_incident(now=now)
    deliver(now=now)

    advance_due(now=now + 5 * MINUTE)

    message = read(outbox("page")[1])
    assert message.title.startswith("Still open: P0 ")
    assert "Nobody has acknowledged for 5\u00a0min." in message.text
    assert not message.is_first_in_thread


def test_all_messages_of_a_thread_share_key_and_subject(now, channel):
    incident = make_incident(now=now, dedup_key="k")
    deliver(now=now)
    advance_due(now=now + 5 * MINUTE)
    deliver(now=now + 5 * MINUTE)
    make_alert(now=now, dedup_key="k", service=incident.service, priority="p2")
    intake.resolve(dedup_key="k", now=now + 6 * MINUTE)

    messages = [read(row) for row in outbox()]

    assert len(messages) == 3
    assert {message.thread_key for message in messages} == {f"incident:{incident.pk}"}
    assert {message.thread_title for message in messages} == {messages[0].title}
    assert [message.is_first_in_thread for message in messages] == [True, False, False]


def test_recovery_says_how_long_it_lasted(now, channel):
    make_incident(now=now, dedup_key="k", started_at=now - MINUTE)
    deliver(now=now)

    intake.resolve(dedup_key="k", now=now + 7 * MINUTE)

    message = read(outbox("recovery")[0])
    assert message.title.startswith("Over: P0 ")
    assert message.text == "Over since 10:07:00, after 8\u00a0min."
    assert message.tone == "good"
    assert not message.has_mention
    assert "Who has it" not in facts_of(message)


def test_raise_names_both_priorities(now, channel):
    incident = make_incident(now=now, dedup_key="k", priority="p2")

    make_alert(now=now, dedup_key="k", service=incident.service, priority="p0")

    message = read(outbox("page", "queued")[0])
    assert message.text.startswith("Raised from P2 to P0.")
    assert message.title.startswith("P0 ")


def test_update_after_a_false_recovery_says_who_has_it(now, channel):
    incident = make_incident(now=now, dedup_key="k")
    deliver(now=now)
    services.acknowledge(
        incident_id=incident.pk, user=make_user(first_name="Ada"), via="web", now=now
    )
    intake.resolve(dedup_key="k", now=now)
    deliver(now=now)

    make_alert(now=now + MINUTE, dedup_key="k", service=incident.service)

    message = read(outbox("update")[0])
    assert message.title.startswith("Fails again: ")
    assert facts_of(message)["Who has it"] == "Ada"


def test_many_alerts_are_counted_not_listed(now, channel):
    incident = make_incident(now=now)
    deliver(now=now)
    for number in range(9):
        make_alert(now=now, service=incident.service, title=f"Alert {number}")

    advance_due(now=now + 5 * MINUTE)

    listed = facts_of(read(outbox("page")[1]))["Alerts"].splitlines()
    assert len(listed) == 6
    assert listed[-1] == "5 more"


def test_message_is_in_the_language_of_its_channel(now, channel):
    channel.language = "fr"
    channel.save()

    make_incident(now=now)

    assert read(outbox()[0]).language == "fr"


def test_a_french_message_has_no_english_in_it(now, channel):
    channel.language = "fr"
    channel.save()

    make_incident(now=now, title="Login is down", detail="HTTP 503, expected 200–299")

    message = read(outbox()[0])
    assert "Login est en panne" in message.title
    assert message.text.replace("\u00a0", " ") == (
        "Depuis 10:00:00 : HTTP 503, attendu 200–299"
    )
    assert [fact.label for fact in message.facts][:4] == [
        *["Service", "Priorité", "Depuis", "Pris en charge par"]
    ]


def test_start_on_another_day_is_said_with_its_date(now, channel):
    make_incident(now=now, started_at=now - timedelta(days=1))

    assert read(outbox()[0]).text.startswith("Since 1 Mar, 10:00: ")


@pytest.mark.parametrize(
    ("priority", "tone"), [("p0", "alarm"), ("p1", "alarm"), ("p2", "warning")]
)
def test_only_urgent_priorities_sound_the_alarm(now, channel, priority, tone):
    make_incident(now=now, priority=priority)

    assert read(outbox()[0]).tone == tone
