"""The portal loses its own network: nothing is blamed, one alert goes out."""

from __future__ import annotations

import time

from bench.portal import start
from tests.flows.portals import (
    ENVIRONMENT,
    import_config,
    prepared_workplace,
    rows,
    until,
)
from tests.flows.standins import Inbox, Listener, Shop

CONFIG = """
services:
  - {slug: shop, name: Shop}
channels:
  - {name: Slack, kind: slack, secret_env: STORY_SLACK, is_enabled: true}
escalation_policies:
  - {name: Everybody, steps: [{channels: [Slack]}]}
priority_rules:
  - {priority: p0, response_s: 300, policy: Everybody}
  - {priority: p1, response_s: 900, policy: Everybody}
thresholds:
  - {name: Down, measure: down, critical_priority: p0}
control_targets:
  - {host: 127.0.0.1, port: %(first)s}
  - {host: 127.0.0.1, port: %(second)s}
monitors:
  - name: Shop front
    service: shop
    kind: http
    target: %(shop)s
    interval_s: 2
    retry_interval_s: 1
    timeout_s: 1
    may_use_private_targets: true
"""


def test_without_our_own_network_nothing_goes_down():
    shop, slack, controls = Shop(), Inbox(), [Listener(), Listener()]
    ports = [control.port for control in controls]
    with prepared_workplace() as directory, start(directory, **ENVIRONMENT) as portal:

        def statuses() -> list[str]:
            found = rows(
                portal,
                "SELECT status FROM monitors_statusinterval ORDER BY started_at",
            )
            return [row[0] for row in found]

        import_config(
            portal,
            CONFIG % {"shop": shop.url, "first": ports[0], "second": ports[1]},
            STORY_SLACK=slack.url,
        )
        until(lambda: statuses()[-1:] == ["up"], seconds=30, what="up")
        # The engine must have heard of its control targets before they go away.
        time.sleep(6)

        for control in controls:
            control.close()
        shop.turn("hanging")
        until(
            lambda: statuses()[-1:] == ["unknown"],
            seconds=60,
            what="time to be unknown",
        )
        until(lambda: slack.received, seconds=60, what="the word that we are blind")
        time.sleep(3)
        assert "down" not in statuses()
        assert rows(portal, "SELECT dedup_key FROM incidents_alert") == [
            ("portal:blind:main",)
        ]
        assert len(slack.received) == 1

        controls = [Listener(port) for port in ports]
        shop.turn("healthy")
        until(lambda: statuses()[-1:] == ["up"], seconds=60, what="up again")
        until(
            lambda: (
                rows(portal, "SELECT status FROM incidents_alert") == [("resolved",)]
            ),
            seconds=60,
            what="the end of the alert",
        )
        assert "down" not in statuses()

    for control in controls:
        control.close()
    slack.stop()
    shop.stop()
