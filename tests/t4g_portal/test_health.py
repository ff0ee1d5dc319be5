"""/health asks nobody; /ready names what is in the way, and never hangs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from t4g_portal.lib.models import LoopCycle
from t4g_portal.ready import EXPECTED_LOOPS, overdue_loops, readiness
from tests.history import make_loops


@contextmanager
def lost_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """New connections find nobody at home, as after a crash of PostgreSQL."""
    with monkeypatch.context() as patch:
        patch.setitem(connections.settings["default"], "HOST", "127.0.0.1")
        patch.setitem(connections.settings["default"], "PORT", "1")
        yield


def test_health_is_a_plain_ok_without_login_or_database(client: Client):
    answer = client.get("/health")

    assert (answer.status_code, answer.content) == (200, b"ok")
    assert answer["Content-Type"] == "text/plain"
    assert "no-store" in answer["Cache-Control"]


def test_health_can_be_asked_with_head_but_not_changed(client: Client):
    assert client.head("/health").status_code == 200
    assert client.post("/health").status_code == 405


@pytest.mark.django_db(transaction=True)
def test_ready_when_every_loop_has_come_round(client: Client):
    make_loops(now=timezone.now())

    answer = client.get("/ready")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "database": "ok",
        "migrations": "ok",
        "loops": "ok",
    }
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db(transaction=True)
def test_late_loop_is_named(client: Client):
    now = timezone.now()
    make_loops(now=now)
    came_round_at = now - timedelta(seconds=61)
    LoopCycle.objects.filter(name="incidents.advance").update(
        completed_at=came_round_at
    )

    answer = client.get("/ready")

    assert answer.status_code == 503
    assert answer.json()["status"] == "not ready"
    assert answer.json()["loops"] == [
        {
            "name": "incidents.advance",
            "last_cycle_at": came_round_at.isoformat(timespec="milliseconds").replace(
                "+00:00", "Z"
            ),
            "bound_s": 60,
        }
    ]


@pytest.mark.django_db(transaction=True)
def test_unapplied_migration_is_named(client: Client):
    make_loops(now=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE app = 'cellar' RETURNING name, applied"
        )
        rows = cursor.fetchall()
    try:
        answer = client.get("/ready")
    finally:
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO django_migrations (app, name, applied)"
                " VALUES ('cellar', %s, %s)",
                rows,
            )

    assert answer.status_code == 503
    assert answer.json()["migrations"] == [f"cellar.{name}" for name, _ in rows]


@pytest.mark.django_db(transaction=True)
def test_lost_database_is_a_503(client: Client, monkeypatch: pytest.MonkeyPatch):
    with lost_database(monkeypatch):
        answer = client.get("/ready")
        healthy = client.get("/health")

    assert answer.status_code == 503
    assert answer.json()["database"] == "OperationalError"
    assert healthy.status_code == 200


@pytest.mark.django_db(transaction=True)
def test_database_that_hangs_is_a_503_in_time():
    make_loops(now=timezone.now())
    blocker = connection.copy()
    try:
        blocker.set_autocommit(False)
        with blocker.cursor() as cursor:
            cursor.execute("LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE")

        first = readiness(now=timezone.now(), deadline_s=0.2)
        # The first question still hangs; nobody queues up behind it.
        second = readiness(now=timezone.now(), deadline_s=0.05)

        assert first.database_error == "no answer within 0.2 s"
        assert second.database_error == "no answer within 0.05 s"
    finally:
        blocker.rollback()
        blocker.close()

    # The late answer to the first question, and then a new one.
    readiness(now=timezone.now())
    assert readiness(now=timezone.now()).is_ready


@pytest.mark.django_db
def test_loop_that_never_ran_has_its_bound_of_time(now):
    expected = {"fast": 30, "slow": 3600}

    young = overdue_loops(
        now=now, expected=expected, process_began_at=now - timedelta(seconds=20)
    )
    older = overdue_loops(
        now=now, expected=expected, process_began_at=now - timedelta(seconds=60)
    )
    old = overdue_loops(
        now=now, expected=expected, process_began_at=now - timedelta(hours=2)
    )

    assert young == []
    assert [loop.name for loop in older] == ["fast"]
    assert [loop.name for loop in old] == ["fast", "slow"]


@pytest.mark.django_db
def test_replaced_process_hides_no_loop_that_never_runs(now):
    expected = {"never": 600, "hourly": 10_800}
    LoopCycle.objects.create(
        name="hourly", completed_at=now - timedelta(minutes=50), bound_s=10_800
    )

    late = overdue_loops(
        now=now, expected=expected, process_began_at=now - timedelta(seconds=5)
    )

    assert [(loop.name, loop.completed_at) for loop in late] == [("never", None)]


@pytest.mark.django_db
def test_loop_that_stopped_is_late_however_young_the_process(now):
    bound_s = EXPECTED_LOOPS["monitors.probe"]
    make_loops(now=now)
    LoopCycle.objects.filter(name="monitors.probe").update(
        completed_at=now - timedelta(seconds=bound_s + 1)
    )

    late = overdue_loops(now=now, process_began_at=now)

    assert [loop.name for loop in late] == ["monitors.probe"]
