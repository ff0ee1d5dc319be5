"""Several engines, people and alerts at one deploy window at once, and a killed engine."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from django.db import connection

from incidents import intake
from incidents.deploy_windows import (
    UnableToOpen,
    advance_windows,
    close_window,
    open_window,
)
from incidents.models import Alert, DeployWindow, HeldAlert, Incident
from notifications.models import Notification
from tests.factories import make_channel, make_priority_rules, make_service
from tests.incidents.making import make_held, outbox, trigger
from tests.incidents.test_racing import race

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
ROUNDS = 8


def make_window(*, now, service=None) -> DeployWindow:
    return open_window(
        service=service or make_service(), minutes=30, reason="Release", now=now
    )


def fire(service, key, now):
    return trigger(now=now, service=service, dedup_key=key, priority="p1")


def test_alert_racing_the_close_is_raised_once_whoever_wins(now):
    make_priority_rules(make_channel())
    for number in range(ROUNDS):
        window = make_window(now=now)

        results = race(
            partial(fire, window.service, f"k{number}", now),
            partial(close_window, window_id=window.pk, now=now),
        )
        advance_windows(now=now)

        assert not [one for one in results if isinstance(one, Exception)], results
        incident = Incident.objects.get(service=window.service)
        assert incident.alerts.filter(status="firing").count() == 1
        assert not HeldAlert.objects.waiting().exists()
    assert len(outbox("page")) == ROUNDS


def test_alert_racing_the_tick_at_the_end_is_raised_once(now):
    make_priority_rules(make_channel())
    end = now + 30 * MINUTE
    for number in range(ROUNDS):
        window = make_window(now=now)
        make_held(now=now, service=window.service, dedup_key=f"k{number}")

        results = race(
            partial(fire, window.service, f"k{number}", end),
            partial(advance_windows, now=end),
            partial(advance_windows, now=end),
        )

        assert not [one for one in results if isinstance(one, Exception)], results
        assert Alert.objects.filter(service=window.service).count() == 1
        assert HeldAlert.objects.get(service=window.service).status == "raised"
    assert len(outbox("page")) == ROUNDS


def test_engines_at_once_raise_each_alert_once(now):
    make_priority_rules(make_channel())
    window = make_window(now=now)
    for number in range(6):
        make_held(
            now=now,
            service=window.service,
            dedup_key=f"k{number}",
            grouping_key=f"g{number % 3}",
        )

    results = race(*[partial(advance_windows, now=now + 30 * MINUTE)] * 4)

    assert sum(one for one in results if isinstance(one, int)) == 6, results
    assert Alert.objects.count() == 6
    assert Incident.objects.count() == 3
    assert len(outbox("page")) == 3


def test_end_of_a_condition_racing_its_release_is_never_lost(now):
    make_priority_rules(make_channel())
    end = now + 30 * MINUTE
    for number in range(ROUNDS):
        window = make_window(now=now)
        make_held(now=now, service=window.service, dedup_key=f"k{number}")

        race(
            partial(intake.resolve, dedup_key=f"k{number}", now=end),
            partial(advance_windows, now=end),
        )
        advance_windows(now=end)

        assert HeldAlert.objects.get(service=window.service).status in {
            "raised",
            "over",
        }
        assert not Alert.objects.filter(
            service=window.service, status="firing"
        ).exists()
        assert not Incident.objects.open().filter(service=window.service).exists()


def test_two_who_open_at_once_have_one_window(now):
    service = make_service()

    results = race(*[partial(make_window, now=now, service=service)] * 3)

    assert sum(isinstance(one, DeployWindow) for one in results) == 1
    assert sum(isinstance(one, UnableToOpen) for one in results) == 2


class Killed(BaseException):
    """The process is gone: nothing catches it."""


def test_engine_killed_between_any_two_statements_loses_and_doubles_nothing(now):
    make_priority_rules(make_channel())
    end = now + 30 * MINUTE
    statement, was_killed = 0, True
    while was_killed:
        statement += 1
        window = make_window(now=now)
        key = f"k{statement}"
        make_held(now=now, service=window.service, dedup_key=key, started_at=now)

        was_killed = tick_until(statement, now=end)
        advance_windows(now=end)

        held = HeldAlert.objects.get(dedup_key=key)
        assert held.status == "raised", f"lost at statement {statement}"
        incident = Incident.objects.get(service=window.service)
        assert incident.started_at == now
        assert list(incident.alerts.all()) == [held.alert]
        pages = Notification.objects.filter(
            subject_key=f"incident:{incident.pk}", purpose="page"
        )
        assert pages.count() == 1, f"doubled at statement {statement}"
    assert statement > 20


def tick_until(statement: int, *, now) -> bool:
    """Let the engine tick and die before a statement; whether it came so far."""
    count = 0

    def wrapper(execute, sql, parameters, many, context):
        nonlocal count
        count += 1
        if count == statement:
            raise Killed
        return execute(sql, parameters, many, context)

    try:
        with connection.execute_wrapper(wrapper):
            advance_windows(now=now)
    except Killed:
        connection.close()
        return True
    return False
