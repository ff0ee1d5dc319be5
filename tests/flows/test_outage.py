"""The whole story of one outage, seen from outside."""

from __future__ import annotations

import itertools
import json
import time
from datetime import datetime

import pytest

from bench.portal import Portal, start, workplace
from tests.flows.portals import (
    ENVIRONMENT,
    import_config,
    press,
    rows,
    signed_in,
    until,
)
from tests.flows.standins import Inbox, MailHost, Shop

CONFIG = """
services:
  - {slug: shop, name: Shop}
channels:
  - {name: Slack, kind: slack, secret_env: STORY_SLACK, is_enabled: true}
  - {name: Mail, kind: email, address: ops@example.org, is_enabled: true}
  - name: Stubborn
    kind: webhook
    address: %(stubborn)s
    secret_env: STORY_SECRET
    is_enabled: true
escalation_policies:
  - name: Everybody
    steps:
      - {repeat_s: 300, has_mention: true, channels: [Slack, Mail, Stubborn]}
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


def status(portal: Portal) -> str:
    found = rows(portal, "SELECT status FROM monitors_monitorstate")
    return str(found[0][0]) if found else ""


def ledger(portal: Portal) -> list[tuple[str, datetime, datetime | None]]:
    return rows(
        portal,
        "SELECT status, started_at, ended_at FROM monitors_statusinterval"
        " ORDER BY started_at",
    )


@pytest.fixture
def standins():
    shop, slack, stubborn, mail = Shop(), Inbox(), Inbox(status=503), MailHost()
    yield shop, slack, stubborn, mail
    shop.stop()
    for inbox in (slack, stubborn):
        inbox.stop()
    mail.stop()


def test_an_outage_from_first_failure_to_recovery(standins):
    shop, slack, stubborn, mail = standins
    with (
        workplace() as directory,
        start(
            directory,
            **ENVIRONMENT,
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=str(mail.port),
            EMAIL_USE_TLS="false",
        ) as portal,
    ):
        import_config(
            portal,
            CONFIG % {"shop": shop.url, "stubborn": stubborn.url},
            STORY_SLACK=slack.url,
            STORY_SECRET="whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
        )
        until(lambda: status(portal) == "up", seconds=30, what="the shop to be up")

        shop.turn("failing")
        until(lambda: slack.received, seconds=30, what="the page in Slack")
        until(lambda: mail.messages, seconds=10, what="the page by mail")
        (incident,) = rows(
            portal,
            "SELECT id, status, priority, started_at, opened_at"
            " FROM incidents_incident",
        )
        number, state, priority, started_at, opened_at = incident
        assert (state, priority) == ("triggered", "p0")
        # Backdated to the first failed answer, which came before it was noticed.
        assert abs(started_at.timestamp() - shop.first_at["failing"]) < 1
        assert opened_at > started_at
        text = json.dumps(slack.received[0].body)
        assert "<!channel>" in text
        assert "Shop front" in text
        assert "HTTP 500" in text

        shop.turn("hanging")
        until(lambda: "hanging" in shop.first_at, seconds=10, what="a hanging answer")
        time.sleep(4)
        assert len(rows(portal, "SELECT 1 FROM incidents_incident")) == 1
        assert (len(slack.received), len(mail.messages)) == (1, 1)

        with signed_in(portal) as client:
            assert "Shop front" in client.get(f"/incidents/{number}/").text
            answer = press(client, f"/incidents/{number}/acknowledge/")
            assert answer.status_code == 200
            # The page that could not be delivered yet is wanted by nobody any more.
            stubborn.status = 200
            assert rows(
                portal,
                "SELECT status, next_escalation_at FROM incidents_incident",
            ) == [("acknowledged", None)]
            time.sleep(3)
            assert stubborn.received == []

            shop.turn("healthy")
            until(
                lambda: len(slack.received) == 2, seconds=30, what="recovery in Slack"
            )
            until(lambda: len(mail.messages) == 2, seconds=10, what="recovery by mail")
            assert status(portal) == "up"
            assert rows(portal, "SELECT status FROM incidents_incident") == [
                ("resolved",)
            ]
            assert stubborn.received == []
            opening, recovery = mail.messages
            assert opening["Message-ID"] in recovery["References"]

            told = ledger(portal)
            assert [row[0] for row in told] == ["pending", "up", "down", "up"]
            assert told[2][1] == started_at
            assert all(a[2] == b[1] for a, b in itertools.pairwise(told))
            kinds = [
                row[0]
                for row in rows(
                    portal, "SELECT kind FROM incidents_incidentevent ORDER BY at, id"
                )
            ]
            assert kinds[0] == "opened"
            assert kinds.count("acknowledged") == 1
            assert kinds[-1] in {"resolved", "notified"}
            assert "HTTP 500" in client.get(_monitor_page(portal)).text
            assert client.get("/status/").status_code == 200
            assert client.get("/ready").status_code == 200


def _monitor_page(portal: Portal) -> str:
    ((number,),) = rows(portal, "SELECT id FROM monitors_monitor")
    return f"/monitors/{number}/"
