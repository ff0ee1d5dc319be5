"""Slack with an app: pages with buttons, edits in place, and who may press."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from incidents import intake, services
from incidents.messages import Reason, build, story_of
from incidents.models import Incident, IncidentEvent
from notifications.delivery import deliver_due
from notifications.models import Address, Channel, Notification, Provider
from t4g_portal.roles import AUDITOR, ON_CALL
from tests.factories import (
    make_address,
    make_channel,
    make_contact,
    make_priority_rules,
    make_user,
)
from tests.incidents.making import kinds, make_incident, outbox, reread
from tests.incidents.test_racing import race
from tests.notifications.making import make_notification
from tests.notifications.servers import Answer, SlackApi, running

AICHA = "U0T4GAICHA"
MINUTE = timedelta(minutes=1)
URL = "/hooks/slack/actions"


@pytest.fixture
def slack(settings: Any) -> Iterator[SlackApi]:
    api = SlackApi()
    with running(api):
        settings.SLACK_API_URL = api.url
        yield api


@pytest.fixture
def now() -> datetime:
    """The present: Slack's stand-in signs with it."""
    return timezone.now()


def make_app(slack: SlackApi, **values: Any) -> Provider:
    values.setdefault("name", "Slack app")
    return Provider.objects.create(
        kind="slack",
        is_enabled=True,
        secret=slack.token,
        second_secret=slack.signing_secret,
        **values,
    )


def make_place(**values: Any) -> Channel:
    values.setdefault("address", "C0ALERTS")
    values.setdefault("language", "en")
    return make_channel(kind="slack_bot", **values)


def make_aicha(**values: Any) -> Address:
    values.setdefault("user", make_user(role=ON_CALL, first_name="Aïcha"))
    contact = make_contact(name="Aïcha", language="en", **values)
    return make_address(contact=contact, kind="slack", value=AICHA)


def begin(slack: SlackApi, now: datetime, **values: Any) -> Incident:
    """An incident that was paged in a channel of Slack."""
    make_app(slack)
    make_priority_rules(make_place())
    incident = make_incident(now=now, **values)
    deliver_due(now=now)
    return incident


def press(
    slack: SlackApi, message: Any, action: str = "incident_ack", **who: Any
) -> int:
    body, headers = slack.press(message, action, **who)
    return post(body, headers)


def post(body: bytes, headers: dict[str, str]) -> int:
    answer = Client(enforce_csrf_checks=True).post(
        URL, body, content_type="application/x-www-form-urlencoded", headers=headers
    )
    return int(answer.status_code)


def text_of(message: Any) -> str:
    return json.dumps(message, ensure_ascii=False)


class TestMessages:
    pytestmark = pytest.mark.django_db

    def test_page_stands_in_the_channel_with_buttons(
        self, slack: SlackApi, now: datetime
    ):
        incident = begin(slack, now)

        (top,) = slack.tops("C0ALERTS")
        assert list(slack.buttons(top)) == [
            "incident_ack",
            "incident_escalate",
            "incident_resolve",
        ]
        assert {b["value"] for b in slack.buttons(top).values()} == {str(incident.pk)}
        assert "<!channel>" in text_of(top)
        assert "API health is down" in top["text"]

    def test_thread_keeps_what_happened(self, slack: SlackApi, now: datetime):
        begin(slack, now)

        (log,) = slack.thread("C0ALERTS", slack.tops("C0ALERTS")[0]["ts"])
        assert "Opened as P0" in text_of(log)

    def test_acknowledgement_edits_and_says_nothing_new(
        self, slack: SlackApi, now: datetime
    ):
        incident = begin(slack, now)
        posted = slack.calls.count("chat.postMessage")

        services.acknowledge(
            incident_id=incident.pk,
            user=None,
            contact=make_aicha().contact,
            via="sms",
            now=now + MINUTE,
        )
        deliver_due(now=timezone.now() + MINUTE)

        (top,) = slack.tops("C0ALERTS")
        assert slack.calls.count("chat.postMessage") == posted
        assert "Acknowledged by Aïcha via SMS" in text_of(top)
        assert list(slack.buttons(top)) == ["incident_escalate", "incident_resolve"]
        assert "<!channel>" not in text_of(top)
        (log,) = slack.thread("C0ALERTS", top["ts"])
        assert "Acknowledged (Aïcha via SMS)" in text_of(log)

    def test_end_edits_what_stands_there_and_is_told_in_the_thread(
        self, slack: SlackApi, now: datetime
    ):
        incident = begin(slack, now, dedup_key="k")

        intake.resolve(dedup_key="k", now=now + MINUTE)
        deliver_due(now=timezone.now() + MINUTE)

        (top,) = slack.tops("C0ALERTS")
        assert reread(incident).status == Incident.Status.RESOLVED
        assert "Over:" in top["text"]
        assert slack.buttons(top) == {}
        thread = slack.thread("C0ALERTS", top["ts"])
        assert any("Over since" in text_of(message) for message in thread)

    def test_change_of_priority_edits(self, slack: SlackApi, now: datetime):
        incident = begin(slack, now)

        services.change_priority(
            incident_id=incident.pk,
            user=make_user(),
            via="web",
            now=now + MINUTE,
            priority="p1",
        )
        deliver_due(now=timezone.now() + MINUTE)

        assert "P1" in slack.tops("C0ALERTS")[0]["text"]

    def test_newer_edit_replaces_one_that_waits(self, slack: SlackApi, now: datetime):
        incident = begin(slack, now)

        for number in range(3):
            services.snooze(
                incident_id=incident.pk,
                user=make_user(),
                via="web",
                now=now,
                until=now + MINUTE * (number + 1),
            )

        waiting = Notification.objects.filter(purpose="sync", status="queued")
        assert waiting.count() == 1

    def test_edit_that_slack_slows_down_waits_as_long_as_it_says(
        self, slack: SlackApi, now: datetime
    ):
        incident = begin(slack, now)
        slack.answers.append(
            Answer(429, '{"ok":false,"error":"ratelimited"}', {"Retry-After": "30"})
        )
        services.acknowledge(
            incident_id=incident.pk, user=make_user(), via="web", now=now
        )
        deliver_due(now=timezone.now())

        row = Notification.objects.filter(purpose="sync").latest("pk")
        assert row.status == "queued"
        assert row.next_attempt_at >= now + timedelta(seconds=30)

        deliver_due(now=timezone.now() + MINUTE)
        assert "Acknowledged" in slack.tops("C0ALERTS")[0]["text"]

    def test_page_passes_an_edit_that_waits(self, slack: SlackApi, now: datetime):
        incident = begin(slack, now)
        slack.answers.append(
            Answer(429, '{"ok":false,"error":"ratelimited"}', {"Retry-After": "300"})
        )
        user = make_user()
        services.acknowledge(incident_id=incident.pk, user=user, via="web", now=now)
        deliver_due(now=timezone.now())

        services.unacknowledge(
            incident_id=incident.pk, user=user, via="web", now=now + MINUTE
        )
        deliver_due(now=timezone.now() + MINUTE)

        assert len(slack.tops("C0ALERTS")) == 2

    def test_deleted_message_keeps_no_edit_from_the_others(
        self, slack: SlackApi, now: datetime
    ):
        incident = begin(slack, now)
        slack.messages.clear()

        services.acknowledge(
            incident_id=incident.pk, user=make_user(), via="web", now=now
        )
        deliver_due(now=timezone.now())

        row = Notification.objects.filter(purpose="sync").latest("pk")
        assert row.status == "sent"

    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            ('{"ok":false,"error":"channel_not_found"}', "dead"),
            ('{"ok":false,"error":"invalid_auth"}', "dead"),
            ('{"ok":false,"error":"something_new"}', "dead"),
            ('{"ok":false,"error":"internal_error"}', "queued"),
            ("<html>", "dead"),
        ],
    )
    def test_refusal_is_final_unless_slack_itself_is_ill(
        self, slack: SlackApi, now: datetime, answer: str, status: str
    ):
        slack.answers.append(Answer(200, answer))
        begin(slack, now)

        (row,) = outbox("page")
        assert row.status == status

    def test_person_is_told_in_a_conversation_of_their_own(
        self, slack: SlackApi, now: datetime
    ):
        make_app(slack)
        address = make_aicha()
        incident = make_incident(now=now)
        for reason in (Reason.OPENED, Reason.REMINDED):
            make_notification(
                now=now,
                address=address,
                method="slack",
                subject_key=f"incident:{incident.pk}",
                message=build(
                    story=story_of(incident=incident, reason=reason, now=now),
                    language="en",
                    is_first_in_thread=reason == Reason.OPENED,
                    has_mention=False,
                ),
            )
        deliver_due(now=timezone.now())

        # Both ring: an answer in a thread would be overheard.
        assert len(slack.tops("D0T4GAICHA")) == 2

        services.acknowledge(
            incident_id=incident.pk, user=make_user(), via="web", now=now
        )
        deliver_due(now=timezone.now())
        tops = slack.tops("D0T4GAICHA")
        assert all("Acknowledged" in top["text"] for top in tops)


class TestButtons:
    pytestmark = pytest.mark.django_db

    def test_button_acknowledges_as_the_person_by_slack(
        self, slack: SlackApi, now: datetime
    ):
        incident = begin(slack, now)
        address = make_aicha()

        assert press(slack, slack.tops("C0ALERTS")[0]) == 200

        taken = reread(incident)
        assert taken.status == Incident.Status.ACKNOWLEDGED
        assert taken.acknowledged_by == address.contact.user
        assert taken.acknowledged_by_contact == address.contact
        line = IncidentEvent.objects.get(incident=incident, kind="acknowledged")
        assert line.via == "slack"
        assert slack.replies == []

    def test_unknown_person_is_told_how_and_nothing_is_done(
        self, slack: SlackApi, now: datetime, settings: Any
    ):
        settings.PORTAL_LANGUAGE = "en"
        incident = begin(slack, now)
        before = kinds(incident)

        assert press(slack, slack.tops("C0ALERTS")[0], user="U0STRANGER") == 200

        assert kinds(incident) == before
        (reply,) = slack.replies
        assert "U0STRANGER" in reply
        assert "/me/" in reply

    def test_unverified_address_is_nobody(self, slack: SlackApi, now: datetime):
        incident = begin(slack, now)
        make_aicha().verification.delete()

        press(slack, slack.tops("C0ALERTS")[0])

        assert reread(incident).status == Incident.Status.TRIGGERED

    def test_role_without_the_permission_is_refused(
        self, slack: SlackApi, now: datetime
    ):
        incident = begin(slack, now)
        make_aicha(user=make_user(role=AUDITOR))

        press(slack, slack.tops("C0ALERTS")[0])

        assert reread(incident).status == Incident.Status.TRIGGERED
        assert slack.replies == [
            "You may not act on this incident. Ask an administrator."
        ]

    def test_second_person_learns_who_has_it(self, slack: SlackApi, now: datetime):
        incident = begin(slack, now)
        make_aicha()
        bob = make_user(first_name="Bob")
        services.acknowledge(incident_id=incident.pk, user=bob, via="web", now=now)

        # Slack still shows the old message.
        press(slack, slack.tops("C0ALERTS")[0])

        assert reread(incident).holder == "Bob"
        assert slack.replies == ["Bob has already acknowledged it."]

    def test_button_of_a_resolved_incident_says_so(
        self, slack: SlackApi, now: datetime
    ):
        incident = begin(slack, now, dedup_key="k")
        make_aicha()
        intake.resolve(dedup_key="k", now=now)
        before = kinds(incident)

        press(slack, slack.tops("C0ALERTS")[0])

        assert kinds(incident) == before
        assert slack.replies == ["It is already resolved."]

    def test_resolve_waits_for_the_alerts(self, slack: SlackApi, now: datetime):
        incident = begin(slack, now)
        make_aicha()

        press(slack, slack.tops("C0ALERTS")[0], "incident_resolve")

        assert reread(incident).status == Incident.Status.TRIGGERED
        assert "still fire" in slack.replies[0]

    def test_reply_goes_to_slack_only(self, slack: SlackApi, now: datetime):
        begin(slack, now)
        body, _headers = slack.press(slack.tops("C0ALERTS")[0], "incident_ack")
        evil = body.replace(b"actions%2FT0T4G", b"elsewhere").replace(
            b"127.0.0.1", b"127.0.0.2"
        )

        assert post(evil, slack.signed(evil)) == 200

        assert slack.replies == []


class TestRefusals:
    pytestmark = pytest.mark.django_db

    @pytest.fixture
    def incident(self, slack: SlackApi, now: datetime) -> Incident:
        incident = begin(slack, now)
        make_aicha()
        return incident

    def check(self, incident: Incident, status: int, expected: int) -> None:
        assert status == expected
        assert reread(incident).status == Incident.Status.TRIGGERED
        assert "acknowledged" not in kinds(incident)

    def test_forged(self, slack: SlackApi, incident: Incident):
        body, headers = slack.press(slack.tops("C0ALERTS")[0], "incident_ack")
        for bad in (
            {**headers, "X-Slack-Signature": "v0=" + "0" * 64},
            {**headers, "X-Slack-Request-Timestamp": "1"},
            {},
        ):
            self.check(incident, post(body, bad), 401)
        self.check(incident, post(body + b"&x=1", headers), 401)

    def test_stale(self, slack: SlackApi, incident: Incident, now: datetime):
        for shift in (-301, 301 + 5):
            body, headers = slack.press(
                slack.tops("C0ALERTS")[0],
                "incident_ack",
                at=now.timestamp() + shift,
            )
            self.check(incident, post(body, headers), 401)

    def test_replayed(self, slack: SlackApi, incident: Incident, now: datetime):
        body, headers = slack.press(slack.tops("C0ALERTS")[0], "incident_ack")
        assert post(body, headers) == 200
        user = reread(incident).acknowledged_by
        services.unacknowledge(
            incident_id=incident.pk, user=user, via="web", now=timezone.now()
        )

        assert post(body, headers) == 401

        assert reread(incident).status == Incident.Status.TRIGGERED

    def test_oversized(self, slack: SlackApi, incident: Incident):
        body = b"payload=" + b"x" * 70_000
        self.check(incident, post(body, slack.signed(body)), 413)

    @pytest.mark.parametrize("body", [b"payload=%7B", b"", b"%FF", b"payload=1"])
    def test_malformed(self, slack: SlackApi, incident: Incident, body: bytes):
        self.check(incident, post(body, slack.signed(body)), 400)

    def test_other_workspace(self, slack: SlackApi, incident: Incident):
        Provider.objects.update(account="T0T4G")
        message = slack.tops("C0ALERTS")[0]

        self.check(incident, press(slack, message, team="T0EVIL"), 401)
        assert press(slack, message) == 200

    def test_disabled_app(self, slack: SlackApi, incident: Incident):
        Provider.objects.update(is_enabled=False)

        self.check(incident, press(slack, slack.tops("C0ALERTS")[0]), 401)

    def test_number_of_no_incident(self, slack: SlackApi, incident: Incident):
        message = slack.tops("C0ALERTS")[0]
        for value in ("", "0", "x", "9" * 40, "-1"):
            for button in slack.buttons(message).values():
                button["value"] = value
            self.check(incident, press(slack, message), 200)

    def test_nothing_of_it_stands_in_the_log(
        self, slack: SlackApi, incident: Incident, caplog: Any
    ):
        body, headers = slack.press(slack.tops("C0ALERTS")[0], "incident_ack")
        headers["X-Slack-Signature"] = "v0=" + "ab" * 32

        self.check(incident, post(body, headers), 401)

        assert "refused with 401" in caplog.text
        assert "abab" not in caplog.text
        assert AICHA not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_two_buttons_at_once_have_one_winner(slack: SlackApi, now: datetime):
    incident = begin(slack, now)
    make_aicha()
    bob = make_contact(name="Bob", user=make_user(role=ON_CALL, first_name="Bob"))
    make_address(contact=bob, kind="slack", value="U0BOB")
    message = slack.tops("C0ALERTS")[0]

    answers = race(
        *[partial(press, slack, message, user=user) for user in (AICHA, "U0BOB")]
    )

    assert answers == [200, 200]
    assert kinds(incident).count("acknowledged") == 1
    assert len(slack.replies) == 1


@pytest.mark.django_db(transaction=True)
def test_acknowledgement_while_a_page_is_being_sent_edits_that_page_too(
    slack: SlackApi, now: datetime
):
    gate = threading.Event()
    make_app(slack)
    make_priority_rules(make_place())
    slack.gates["chat.postMessage"] = gate
    incident = make_incident(now=now)

    def acknowledge() -> None:
        slack.arrived.wait(timeout=20)
        services.acknowledge(
            incident_id=incident.pk, user=make_user(), via="web", now=timezone.now()
        )
        gate.set()

    race(acknowledge, lambda: deliver_due(now=now))
    deliver_due(now=timezone.now() + MINUTE)

    (top,) = slack.tops("C0ALERTS")
    assert "Acknowledged" in top["text"]
    assert "incident_ack" not in slack.buttons(top)
