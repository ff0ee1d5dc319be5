"""Everything that writes a monitor's state at once, for seconds: nobody waits for ever.

Two recorders, two watches, two judges, an operator and an on-call person in threads of
one process, as in two workers. A deadlock would be logged or raised; both fail here.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections, transaction

from incidents import intake, services
from incidents.advancing import advance_due
from incidents.models import Alert, Incident
from monitors import recording, watching
from monitors.history import partitions
from monitors.models import (
    CheckResult,
    HeartbeatPing,
    MaintenanceWindow,
    Monitor,
    MonitorState,
    StatusInterval,
    Threshold,
)
from monitors.status import Status
from monitors.thresholds import rounds
from notifications.models import Notification
from tests.factories import (
    make_channel,
    make_monitor,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.flows.portals import until
from tests.monitors.test_recording import failed, passed

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RUN_S = 3.0
# Each act comes round so often, however long that takes a busy machine.
ROUNDS = 3
PATIENCE_S = 120.0
# A minute of the monitors' time goes by in a second.
HURRY = 60
SERVICES = 4
PROBED = 40
HEARTBEATS = 30


class Clock:
    """The monitors' time, the same for all threads."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self) -> datetime:
        return START + HURRY * timedelta(seconds=time.monotonic() - self._started)

    def is_after(self, seconds: float) -> bool:
        return time.monotonic() - self._started > seconds


class Crew:
    """Threads that each repeat one act until the time is over."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.errors: list[BaseException] = []
        self.rounds: Counter[str] = Counter()
        self._threads: list[threading.Thread] = []

    def add(self, name: str, act: Callable[[random.Random, datetime], object]) -> None:
        chance = random.Random(f"{name}{len(self._threads)}")
        self.rounds[name] = 0

        def repeat() -> None:
            try:
                while not self.is_over and not self.errors:
                    act(chance, self.clock())
                    self.rounds[name] += 1
            except BaseException as error:
                self.errors.append(error)
            finally:
                connections.close_all()

        self._threads.append(threading.Thread(target=repeat, name=name))

    @property
    def is_over(self) -> bool:
        is_done = min(self.rounds.values()) >= ROUNDS
        return self.clock.is_after(RUN_S if is_done else PATIENCE_S)

    def work(self) -> None:
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join(timeout=2 * PATIENCE_S)
            assert not thread.is_alive(), f"{thread.name} still waits"
        if self.errors:
            raise self.errors[0]


def test_all_writers_at_once_neither_deadlock_nor_double_anything(caplog):
    make_everything()
    clock = Clock()
    probed = list(Monitor.objects.filter(kind="http").select_related("service"))
    beating = list(Monitor.objects.filter(kind="heartbeat"))
    user = make_user()

    def record(chance: random.Random, now: datetime) -> None:
        some = chance.sample(probed, 30)
        # A storm takes half of the services, and then the other half.
        is_odd = int(now.timestamp()) // 10 % 2
        recording.record(
            findings=[
                (failed if monitor.service_id % 2 == is_odd else passed)(
                    monitor, now - timedelta(milliseconds=chance.randrange(5_000))
                )
                for monitor in some
            ],
            now=now,
        )

    def ping(chance: random.Random, now: datetime) -> None:
        HeartbeatPing.objects.bulk_create(
            HeartbeatPing(
                monitor=monitor, at=now, kind=chance.choice(["success", "fail"])
            )
            for monitor in chance.sample(beating, 25)
        )
        time.sleep(0.05)

    def operate(chance: random.Random, now: datetime) -> None:
        pk = chance.choice(probed).pk
        Monitor.objects.filter(pk=pk).update(is_enabled=chance.random() < 0.7)
        MaintenanceWindow.objects.update(is_enabled=chance.random() < 0.2)
        time.sleep(0.02)

    def take(chance: random.Random, now: datetime) -> None:
        for incident in Incident.objects.open():
            act = chance.choice([services.acknowledge, services.unacknowledge])
            try:
                act(incident_id=incident.pk, user=user, via="web", now=now)
            except services.UnableToAct:
                continue
        advance_due(now=now)

    crew = Crew(clock)
    for _ in range(2):
        crew.add("record", record)
        crew.add("watch", lambda _chance, now: watching.watch(now=now))
        crew.add("judge", lambda _chance, now: rounds.judge_all(now=now))
    crew.add("ping", ping)
    crew.add("operate", operate)
    crew.add("take", take)

    crew.work()

    assert not [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert min(crew.rounds.values()) >= ROUNDS, crew.rounds
    check_everything(clock())


def make_everything() -> None:
    partitions.ensure(now=START)
    make_priority_rules(make_channel())
    Threshold.objects.create(name="Down", measure="down", critical_priority="p0")
    Threshold.objects.create(
        name="Unsteady", measure="failures", critical_bound=0, critical_priority="p1"
    )
    rooms = [make_service() for _ in range(SERVICES)]
    for number in range(PROBED):
        make_monitor(
            service=rooms[number % SERVICES],
            interval_s=20,
            retry_interval_s=5,
            failures_to_down=2,
            successes_to_up=1,
            tags=["calm"] if number % 5 == 0 else [],
        )
    for number in range(HEARTBEATS):
        make_monitor(
            service=rooms[number % SERVICES], kind="heartbeat", target="", options={}
        )
    MaintenanceWindow.objects.create(
        name="Calm", starts_at=START, duration_s=86_400, tags=["calm"], is_enabled=False
    )
    watching.admit_new(now=START)


def check_everything(now: datetime) -> None:
    Monitor.objects.update(is_enabled=True)
    MaintenanceWindow.objects.update(is_enabled=False)
    watching.watch(now=now)
    rounds.judge_all(now=now)
    results = Counter(CheckResult.objects.values_list("monitor_id", "at"))
    assert results
    assert set(results.values()) == {1}
    for state in MonitorState.objects.select_related("monitor"):
        check_ledger(state)
    per_service = Counter(Incident.objects.open().values_list("service_id", flat=True))
    assert set(per_service.values()) <= {1}
    assert Incident.objects.exists()
    for incident in Incident.objects.all():
        is_firing = incident.alerts.filter(status="firing").exists()
        assert incident.is_open == is_firing
        pages = Notification.objects.filter(
            subject_key=f"incident:{incident.pk}", purpose="page"
        )
        assert pages.exists(), "an incident that nobody was told of"


def check_ledger(state: MonitorState) -> None:
    rows = list(
        StatusInterval.objects.filter(monitor=state.monitor).order_by("started_at")
    )
    assert rows[0].started_at == START
    for earlier, later in itertools.pairwise(rows):
        assert earlier.ended_at == later.started_at
    opened = rows[-1]
    assert opened.ended_at is None
    assert (state.status, state.since) == (opened.status, opened.started_at)
    is_firing = Alert.objects.filter(
        dedup_key=f"monitor:{state.monitor_id}:down", status="firing"
    ).exists()
    if state.status in {Status.DOWN, Status.UP, Status.DEGRADED, Status.PAUSED}:
        assert is_firing == (state.status == Status.DOWN)


def test_ending_one_alert_and_raising_another_waits_for_nobody_in_a_circle():
    make_priority_rules(make_channel())
    service = make_service()

    def trigger(key: str) -> None:
        intake.trigger(
            dedup_key=key,
            service=service,
            title="t",
            priority="p0",
            started_at=START,
            now=START,
        )

    trigger("one")
    trigger("stays")
    has_ended = threading.Event()
    errors: list[BaseException] = []

    def raise_a_third() -> None:
        try:
            has_ended.wait(timeout=PATIENCE_S)
            trigger("three")
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    other = threading.Thread(target=raise_a_third)
    other.start()
    with transaction.atomic():
        intake.resolve(dedup_key="one", now=START)
        has_ended.set()
        wait_until_somebody_waits()
        trigger("two")
    other.join(timeout=PATIENCE_S)

    assert not errors
    firing = Alert.objects.filter(status="firing").values_list("dedup_key", flat=True)
    assert sorted(firing) == ["stays", "three", "two"]


def wait_until_somebody_waits() -> None:
    """Return when another session waits for a lock of this one."""
    until(_is_awaited, seconds=PATIENCE_S, what="another's wait", every_s=0.005)


def _is_awaited() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
            " AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
        )
        return bool(cursor.fetchone()[0])
