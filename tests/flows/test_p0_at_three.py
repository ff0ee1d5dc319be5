"""A P0 at three in the morning: every way at once, higher until somebody has it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from bench.portal import Portal, manage, start
from tests.flows.portals import (
    ENVIRONMENT,
    import_config,
    prepared_workplace,
    rows,
    until,
)
from tests.flows.standins import MailHost, Shop
from tests.notifications import vendors
from tests.notifications.servers import SlackApi, running
from tests.notifications.vendors import Mood, Ovh, Twilio, standing_in

AICHA, BRUNO = "+33612345678", "+33698765432"

CONFIG = """
services:
  - {slug: shop, name: Shop}
contacts:
  - name: Aïcha
    language: fr
    addresses:
      - {kind: phone, value: "+33612345678"}
      - {kind: email, value: aicha@example.org}
      - {kind: slack, value: U0T4GAICHA}
    rules:
      - {priority: p0, method: sms}
      - {priority: p0, method: email}
  - name: Bruno
    addresses:
      - {kind: phone, value: "+33698765432"}
    rules:
      - {priority: p0, method: sms}
      - {priority: p0, method: voice, delay_s: 3600}
providers:
  - {name: Slack, kind: slack, is_enabled: true, secret_env: STORY_SLACK_TOKEN,
     second_secret_env: STORY_SLACK_SIGNING}
  - {name: Twilio, kind: twilio, position: 1, is_enabled: true, account: %(sid)s,
     secret_env: STORY_TWILIO_TOKEN, sender: "+33757000000", voice_sender: "+33757000000"}
  - {name: OVH, kind: ovh, position: 2, is_enabled: true, account: %(ovh_service)s,
     key_id: %(ovh_key)s, secret_env: STORY_OVH_SECRET,
     second_secret_env: STORY_OVH_CONSUMER, sender: T4GOPS}
channels:
  - {name: Alerts, kind: slack_bot, address: C0ALERTS, is_enabled: true}
  - {name: Ops, kind: email, address: ops@example.org, is_enabled: true}
escalation_policies:
  - name: Everybody
    steps:
      - {channels: [Alerts, Ops], contacts: [Aïcha], has_mention: true, repeat_s: 300}
      - {after_s: 600, contacts: [Bruno]}
priority_rules:
  - {priority: p0, response_s: 300, policy: Everybody}
thresholds:
  - {name: Down, measure: down, critical_priority: p0}
monitors:
  - name: Shop front
    service: shop
    kind: http
    target: %(shop)s
    interval_s: 2
    retry_interval_s: 1
    timeout_s: 1
    failures_to_down: 3
    successes_to_up: 2
    may_use_private_targets: true
"""
SECRETS = {
    "STORY_TWILIO_TOKEN": vendors.AUTH_TOKEN,
    "STORY_OVH_SECRET": vendors.OVH_SECRET,
    "STORY_OVH_CONSUMER": vendors.OVH_CONSUMER,
}
PROVE = """
from django.utils import timezone
from notifications.models import Address
from notifications.verifying import verify_by_hand
for address in Address.objects.all():
    verify_by_hand(address=address, now=timezone.now())
"""


def state(portal: Portal) -> tuple[Any, ...]:
    return rows(portal, "SELECT status, acknowledged_by_name FROM incidents_incident")[
        0
    ]


def let_pass(portal: Portal, minutes: int) -> None:
    """Let minutes of an escalation go by: its beginning moves into the past."""
    with portal.connect() as connection:
        connection.execute(
            b"UPDATE incidents_incident SET"
            b" escalation_began_at = escalation_began_at - make_interval(mins => %s),"
            b" opened_at = opened_at - make_interval(mins => %s),"
            b" response_due_at = response_due_at - make_interval(mins => %s),"
            b" next_escalation_at = now()",
            [minutes] * 3,
        )


def is_quiet(portal: Portal) -> bool:
    """Whether nothing is waiting that could leave by itself."""
    waiting = rows(
        portal,
        "SELECT 1 FROM notifications_notification"
        " WHERE status IN ('queued', 'sending') AND purpose <> 'sync'",
    )
    return not waiting


@pytest.fixture
def world():
    shop, mail, slack = Shop(), MailHost(), SlackApi()
    twilio, ovh = Twilio(), Ovh(skew_s=7)
    with running(slack), standing_in(twilio), standing_in(ovh):
        yield shop, mail, slack, twilio, ovh
    shop.stop()
    mail.stop()


def test_p0_climbs_by_every_way_until_somebody_has_it(world):
    shop, mail, slack, twilio, ovh = world
    with (
        prepared_workplace() as directory,
        start(
            directory,
            **ENVIRONMENT,
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=str(mail.port),
            EMAIL_USE_TLS="false",
            SLACK_API_URL=slack.url,
            TWILIO_API_URL=twilio.url,
            OVH_API_URL=ovh.api_url,
        ) as portal,
    ):
        slack.portal_url = f"http://127.0.0.1:{portal.port}"
        import_config(
            portal,
            CONFIG
            % {
                "shop": shop.url,
                "sid": vendors.ACCOUNT_SID,
                "ovh_service": vendors.OVH_SERVICE,
                "ovh_key": vendors.OVH_KEY,
            },
            STORY_SLACK_TOKEN=slack.token,
            STORY_SLACK_SIGNING=slack.signing_secret,
            **SECRETS,
        )
        manage(portal, "shell", "-c", PROVE)
        until(
            lambda: rows(
                portal, "SELECT 1 FROM monitors_monitorstate WHERE status='up'"
            ),
            seconds=30,
            what="the shop to be up",
        )

        # An outage: Slack with a mention, an SMS of one part, two mails.
        shop.turn("failing")
        (first,) = until(
            lambda: slack.tops("C0ALERTS"), seconds=30, what="the page in Slack"
        )
        until(lambda: twilio.messages, seconds=10, what="the SMS")
        until(lambda: len(mail.messages) == 2, seconds=10, what="both mails")
        assert "<!channel>" in json.dumps(first)
        assert set(slack.buttons(first)) == {
            "incident_ack",
            "incident_escalate",
            "incident_resolve",
        }
        ((number,),) = rows(portal, "SELECT id FROM incidents_incident")
        (sms,) = twilio.messages
        assert (sms["to"], f"{number}a" in sms["body"]) == (AICHA, True)
        assert len(sms["body"]) <= 160
        to_aicha = next(one for one in mail.messages if "aicha" in one["To"])
        assert "/a/" in to_aicha.as_string()
        assert twilio.report(sms["sid"], "delivered") in {200, 204}
        assert rows(
            portal,
            "SELECT delivery_status FROM notifications_notification"
            " WHERE method = 'sms'",
        ) == [("delivered",)]

        # No answer: five minutes later all of them again, the SMS by the other provider.
        twilio.moods.extend([Mood(status=503)] * 5)
        let_pass(portal, 5)
        until(lambda: len(slack.tops("C0ALERTS")) == 2, seconds=20, what="again")
        until(lambda: ovh.jobs, seconds=20, what="the SMS by OVHcloud")
        until(lambda: len(mail.messages) == 4, seconds=10, what="both mails again")
        assert ovh.jobs[0]["receivers"] == [AICHA]
        assert ovh.jobs[0]["noStopClause"] is True
        assert state(portal)[0] == "triggered"
        twilio.moods.clear()

        # Ten minutes: the second person, too.
        let_pass(portal, 5)
        until(
            lambda: any(
                one.get("to", one.get("receivers")) in (BRUNO, [BRUNO])
                for one in [*twilio.messages, *ovh.jobs]
            ),
            seconds=20,
            what="the SMS to the second person",
        )
        until(lambda: len(slack.tops("C0ALERTS")) == 3, seconds=20, what="a third time")
        until(lambda: len(mail.messages) == 6, seconds=10, what="the third mails")

        # A button: from then on nobody hears anything new.
        newest = slack.tops("C0ALERTS")[-1]
        assert slack.press_live(newest, "incident_ack", user="U0T4GAICHA") == 200
        assert state(portal) == ("acknowledged", "Aïcha")
        until(
            lambda: (
                not any(
                    "incident_ack" in slack.buttons(one)
                    for one in slack.tops("C0ALERTS")
                )
            ),
            seconds=15,
            what="every message in Slack to show who has it",
        )
        assert all(
            "Aïcha" in json.dumps(one, ensure_ascii=False)
            for one in slack.tops("C0ALERTS")
        )
        before = (
            len(twilio.messages),
            len(ovh.jobs),
            len(mail.messages),
            len(twilio.calls),
        )
        let_pass(portal, 30)
        time.sleep(8)
        assert is_quiet(portal)
        assert before == (
            len(twilio.messages),
            len(ovh.jobs),
            len(mail.messages),
            len(twilio.calls),
        )
        assert len(slack.tops("C0ALERTS")) == 3

        # Over: told where it was told, and every message in Slack says so in its place.
        shop.turn("healthy")
        until(lambda: state(portal)[0] == "resolved", seconds=30, what="the recovery")
        until(
            lambda: len(mail.messages) == 8,
            seconds=15,
            what="the mails that it is over",
        )
        until(
            lambda: all(not slack.buttons(one) for one in slack.tops("C0ALERTS")),
            seconds=15,
            what="no button to be left in Slack",
        )
        # In its place: no new message in the channel, and its thread tells the story.
        tops = slack.tops("C0ALERTS")
        assert [one["ts"] for one in tops[:1]] == [first["ts"]]
        assert len(tops) == 3
        assert all("<!channel>" not in json.dumps(one) for one in tops)
        log = until(
            lambda: [
                one
                for one in slack.thread("C0ALERTS", first["ts"])
                if "Bruno" in json.dumps(one)
                and "Aïcha" in json.dumps(one, ensure_ascii=False)
            ],
            seconds=15,
            what="the thread to tell who was paged and who had it",
        )
        assert len(log) == 1
        # One conversation in each mailbox; who was told by SMS hears the end by SMS.
        subjects = {one["Subject"].removeprefix("Re: ") for one in mail.messages}
        assert len(subjects) <= 2
        until(lambda: is_quiet(portal), seconds=10, what="the outbox to be empty")
        texts = [one["to"] for one in twilio.messages]
        texts += [to for job in ovh.jobs for to in job["receivers"]]
        assert (texts.count(AICHA), texts.count(BRUNO)) == (3, 2)
        assert len(mail.messages) == 8
        assert len(twilio.calls) == 0
        said = rows(
            portal,
            "SELECT via, data->'contact'->>'name' FROM incidents_incidentevent"
            " WHERE kind = 'acknowledged'",
        )
        assert said == [("slack", "Aïcha")]
