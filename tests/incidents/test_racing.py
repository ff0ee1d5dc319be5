"""Several processes and threads at the same incident at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection, connections, transaction

from incidents import intake, services
from incidents.advancing import advance_due
from incidents.models import Alert, Incident
from tests.factories import (
    make_channel,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.incidents.making import (
    deliver,
    kinds,
    make_alert,
    make_incident,
    outbox,
    reread,
)

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
ROUNDS = 10

# What one racing process does: wait for the word, then raise every key in its order.
RACER = """
import json, sys
from datetime import datetime
import django
django.setup()
from django.db import connection
from incidents import intake
from incidents.models import Service
task = json.loads(sys.argv[1])
service = Service.objects.get(pk=task["service"])
connection.ensure_connection()
print("ready", flush=True)
sys.stdin.readline()
for key in task["keys"]:
    intake.trigger(
        dedup_key=key, service=service, title="t", priority="p0",
        started_at=datetime.fromisoformat(task["now"]),
        now=datetime.fromisoformat(task["now"]),
    )
"""


def test_racing_processes_open_one_incident_and_double_nothing(now: datetime):
    make_priority_rules(make_channel())
    service = make_service()
    keys = [f"k{number}" for number in range(20)]

    with ExitStack() as stack:
        racers = [start_racer(stack, service.pk, keys, now) for _ in range(3)]
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        ends = [racer.communicate(timeout=60) for racer in racers]

    assert [racer.returncode for racer in racers] == [0] * 3, ends
    assert Incident.objects.count() == 1
    assert Alert.objects.count() == len(keys)
    assert {alert.trigger_count for alert in Alert.objects.all()} == {3}
    assert len(outbox("page")) == 1
    told = kinds(Incident.objects.get())
    assert (told.count("opened"), told.count("alert_fired")) == (1, len(keys) - 1)


def start_racer(
    stack: ExitStack, service: int, keys: list[str], now: datetime
) -> subprocess.Popen[str]:
    task = {"service": service, "keys": keys, "now": now.isoformat()}
    database = urlsplit(settings.DATABASE_URL)
    database = database._replace(path=f"/{connection.settings_dict['NAME']}")
    racer = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-c", RACER, json.dumps(task)],
            cwd=settings.BASE_DIR,
            env={
                **os.environ,
                "DATABASE_URL": database.geturl(),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    stack.callback(racer.kill)
    return racer


def race(*acts: Callable[[], object]) -> list[object]:
    """Do the acts at once, each in a thread of its own; return results and errors."""
    results: list[object] = [None] * len(acts)
    barrier = threading.Barrier(len(acts))

    def run(place: int, act: Callable[[], object]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=30)
            results[place] = act()
        except Exception as error:
            results[place] = error
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=run, args=(place, act))
        for place, act in enumerate(acts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


def test_racing_threads_with_one_key_make_one_alert(now):
    make_priority_rules(make_channel())
    service = make_service()

    results = race(*[partial(make_alert, now=now, dedup_key="k", service=service)] * 8)

    assert all(isinstance(result, Alert) for result in results), results
    assert Incident.objects.count() == 1
    assert Alert.objects.get().trigger_count == 8
    assert len(outbox("page")) == 1


def test_racing_alerts_of_one_group_waste_no_incident_number(now):
    make_priority_rules(make_channel())
    service = make_service()
    before = make_incident(now=now).pk

    race(*[partial(make_alert, now=now, service=service) for _ in range(8)])

    assert Incident.objects.get(service=service).pk == before + 1
    assert make_incident(now=now).pk == before + 2


def test_one_key_raised_for_two_services_at_once_fires_once(now):
    for number in range(ROUNDS):
        one, two = make_service(), make_service()
        key = f"k{number}"

        results = race(
            partial(make_alert, now=now, dedup_key=key, service=one),
            partial(make_alert, now=now, dedup_key=key, service=two),
        )

        assert all(isinstance(result, Alert) for result in results), results
        assert Alert.objects.get(dedup_key=key).trigger_count == 2
        # The loser's incident was rolled back with its savepoint.
        assert Incident.objects.filter(service__in=[one, two]).count() == 1


def test_acknowledgement_racing_the_engine_is_never_followed_by_a_page(now):
    make_priority_rules(make_channel())
    user = make_user()
    due = now + 5 * MINUTE
    for _ in range(ROUNDS):
        incident = make_incident(now=now)
        deliver(now=now)

        race(
            partial(
                services.acknowledge,
                incident_id=incident.pk,
                user=user,
                via="web",
                now=due,
            ),
            partial(advance_due, now=due),
        )
        advance_due(now=due)

        taken = reread(incident)
        assert taken.status == Incident.Status.ACKNOWLEDGED
        assert taken.next_escalation_at is None
        assert outbox("page", "queued") == []
        events = kinds(incident)
        assert "escalated" not in events[events.index("acknowledged") :]


def test_acknowledgement_racing_the_end_leaves_it_resolved(now):
    make_priority_rules(make_channel())
    user = make_user()
    for number in range(ROUNDS):
        incident = make_incident(now=now, dedup_key=f"k{number}")

        taken, _ended = race(
            partial(
                services.acknowledge,
                incident_id=incident.pk,
                user=user,
                via="web",
                now=now,
            ),
            partial(intake.resolve, dedup_key=f"k{number}", now=now),
        )

        ended = reread(incident)
        assert ended.status == Incident.Status.RESOLVED
        assert ended.next_escalation_at is None
        is_refused = isinstance(taken, services.UnableToAcknowledge)
        assert is_refused == ("acknowledged" not in kinds(incident))


def test_two_acknowledgements_at_once_have_one_winner(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)
    users = [make_user() for _ in range(4)]

    results = race(
        *[
            partial(
                services.acknowledge,
                incident_id=incident.pk,
                user=user,
                via="web",
                now=now,
            )
            for user in users
        ]
    )

    assert sum(isinstance(result, Incident) for result in results) == 1
    assert (
        sum(isinstance(result, services.UnableToAcknowledge) for result in results) == 3
    )
    assert kinds(incident).count("acknowledged") == 1


def test_two_engines_page_once(now):
    make_priority_rules(make_channel())
    incidents = [make_incident(now=now) for _ in range(ROUNDS)]
    deliver(now=now)
    due = now + 5 * MINUTE

    race(*[partial(advance_due, now=due)] * 4)

    assert len(outbox("page", "queued")) == len(incidents)
    assert all(kinds(incident).count("escalated") == 1 for incident in incidents)


def test_condition_that_ends_and_returns_at_once_ends_up_firing_once_or_over(now):
    make_priority_rules(make_channel())
    for number in range(ROUNDS):
        service, key = make_service(), f"k{number}"
        make_alert(now=now, dedup_key=key, service=service)

        results = race(
            partial(intake.resolve, dedup_key=key, now=now),
            partial(make_alert, now=now, dedup_key=key, service=service),
        )

        assert not [result for result in results if isinstance(result, Exception)]
        incident = Incident.objects.get(service=service)
        is_firing = Alert.objects.filter(dedup_key=key, status="firing").exists()
        assert incident.is_open == is_firing


def test_alerts_ending_at_once_end_their_incident(now):
    make_priority_rules(make_channel())
    for _ in range(ROUNDS):
        service = make_service()
        keys = [f"{service.pk}-{number}" for number in range(4)]
        for key in keys:
            make_alert(now=now, dedup_key=key, service=service)

        race(*[partial(intake.resolve, dedup_key=key, now=now) for key in keys])

        incident = Incident.objects.get(service=service)
        assert incident.status == Incident.Status.RESOLVED
        assert kinds(incident).count("resolved") == 1


def test_engine_passes_over_an_incident_that_somebody_holds(now):
    make_priority_rules(make_channel())
    held, free = make_incident(now=now), make_incident(now=now)
    deliver(now=now)
    is_held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Incident.objects.select_for_update().get(pk=held.pk)
            is_held.set()
            is_over.wait(timeout=30)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait(timeout=30)
    try:
        assert advance_due(now=now + 5 * MINUTE) == 1
    finally:
        is_over.set()
        holder.join(timeout=30)

    assert reread(free).escalation_count == 2
    assert advance_due(now=now + 5 * MINUTE) == 1
