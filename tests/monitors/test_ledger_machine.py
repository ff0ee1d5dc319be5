"""Every step that moves a ledger, in any order and at any time: what always holds.

Two machines, a monitor that is probed and a heartbeat. Each step may come late, alone
or twice, as it does with two workers, killed ones and clocks between them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from incidents import services
from incidents.models import Alert, Incident
from monitors import recording, watching
from monitors.engine import Finding
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
from tests.factories import (
    make_channel,
    make_monitor,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.monitors.test_recording import failed, offline, passed

pytestmark = pytest.mark.django_db

# A few hundred found what there was to find; these are for what comes.
EXAMPLES = 25
STEPS = 25

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
INTERVAL_S = 60
TIMEOUT_S = 10
# What the engine forgives: one missed slot, and what a loop may be late.
VOUCH = timedelta(seconds=2 * INTERVAL_S + TIMEOUT_S + 5)
# A heartbeat is vouched for by our own liveness; a ping may have come this early.
HEARTBEAT_VOUCH = timedelta(seconds=VOUCH.total_seconds() + 60)

ANSWERING = {Status.UP, Status.DEGRADED}
OBSERVED = {*ANSWERING, Status.DOWN}

short = st.integers(1, 25).map(lambda seconds: timedelta(seconds=seconds))
long = st.sampled_from([timedelta(minutes=m) for m in (1, 2, 4, 10, 45, 200)])


class Ledger(RuleBasedStateMachine):
    """One monitor with the steps that every kind has."""

    kind: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._transaction = transaction.atomic()
        self._transaction.__enter__()
        self.now = START
        self.was_firing = self.is_excused = False
        # When somebody or something looked at the monitor.
        self.looks: list[datetime] = []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self._transaction.__exit__(None, None, None)

    @initialize()
    def begin(self) -> None:
        partitions.ensure(now=self.now)
        make_priority_rules(make_channel())
        Threshold.objects.create(name="Down", measure="down", critical_priority="p0")
        self.user = make_user()
        self.monitor = make_monitor(
            kind=self.kind,
            interval_s=INTERVAL_S,
            timeout_s=TIMEOUT_S,
            retry_interval_s=20,
            tags=["all"],
        )
        watching.admit_new(now=self.now)

    # The steps ----------------------------------------------------------------------

    @rule(step=st.one_of(short, short, long))
    def wait(self, step: timedelta) -> None:
        """Nothing runs: workers are slow, or dead."""
        self.now += step

    @rule()
    def watch(self) -> None:
        watching.watch(now=self.now)
        self.check_observed()

    @rule(
        step=st.sampled_from(
            [
                watching.pause_and_resume,
                watching.open_and_close_windows,
                watching.expire_stale,
                watching.take_heartbeats,
            ]
        )
    )
    def watch_one_step(self, step) -> None:
        step(now=self.now)

    @rule()
    def judge(self) -> None:
        rounds.judge_all(now=self.now)
        # Switched off, its alert is over before the ledger says "paused".
        self.is_excused = not Monitor.objects.get().is_enabled

    @rule(is_enabled=st.booleans())
    def switch(self, is_enabled: bool) -> None:
        Monitor.objects.update(is_enabled=is_enabled)

    @rule(
        starts_in=st.integers(-3, 3).map(lambda minutes: timedelta(minutes=minutes)),
        minutes=st.sampled_from([1, 3, 10]),
    )
    def plan_window(self, starts_in: timedelta, minutes: int) -> None:
        MaintenanceWindow.objects.create(
            name=f"Window {MaintenanceWindow.objects.count()}",
            starts_at=self.now + starts_in,
            duration_s=minutes * 60,
            tags=["all"],
        )

    @rule(is_enabled=st.booleans())
    def switch_windows(self, is_enabled: bool) -> None:
        MaintenanceWindow.objects.update(is_enabled=is_enabled)

    @rule(is_degraded=st.booleans(), back=short)
    def degrade(self, is_degraded: bool, back: timedelta) -> None:
        recording.set_degraded(
            monitor_id=self.monitor.pk,
            is_degraded=is_degraded,
            since=self.now - back,
            message="slow",
            now=self.now,
        )

    @rule()
    def move_to_another_service(self) -> None:
        Monitor.objects.update(service=make_service())

    @precondition(lambda self: self.was_firing)
    @rule()
    def declare_over(self) -> None:
        """A person closes an incident although its alert still fires."""
        for incident in Incident.objects.open():
            services.resolve_incident(
                incident_id=incident.pk,
                user=self.user,
                via="web",
                now=self.now,
                even_if_firing=True,
            )
        self.was_firing = False
        self.judge()

    # What always holds ----------------------------------------------------------------

    def intervals(self) -> list[StatusInterval]:
        return list(StatusInterval.objects.order_by("started_at", "pk"))

    def is_firing(self) -> bool:
        return Alert.objects.filter(
            dedup_key=f"monitor:{self.monitor.pk}:down", status="firing"
        ).exists()

    @invariant()
    def ledger_state_and_alert_agree(self) -> None:
        rows, state = self.intervals(), MonitorState.objects.get()
        self.check_intervals(rows)
        opened = rows[-1]
        assert (state.status, state.since) == (opened.status, opened.started_at)
        self.check_alert(state)
        assert Incident.objects.open().count() == int(self.was_firing)

    def check_intervals(self, rows: list[StatusInterval]) -> None:
        assert rows[0].started_at == START
        for earlier, later in itertools.pairwise(rows):
            assert earlier.ended_at == later.started_at
            assert earlier.status != later.status, "one stretch in two pieces"
        assert rows[-1].ended_at is None
        assert rows[-1].started_at <= self.now

    def check_alert(self, state: MonitorState) -> None:
        """It fires while the ledger says down, and else only goes on or ends."""
        is_firing = self.is_firing()
        self.is_excused &= state.status == Status.DOWN
        if state.status == Status.DOWN:
            assert is_firing or self.is_excused
        elif state.status in {*ANSWERING, Status.PAUSED}:
            assert not is_firing
        elif state.confirmed == Status.UP:
            # Up under a window: those who were told hear that it is over.
            assert not is_firing
        else:
            # Unknown, pending, maintenance: nothing new is raised.
            assert self.was_firing or not is_firing
        self.was_firing = is_firing

    def check_observed(self) -> None:
        """After a full tick no stretch counts as observed that nobody looked at."""
        for row in self.intervals():
            if row.status not in OBSERVED:
                continue
            ended_at = row.ended_at or self.now
            seen = [row.started_at, *self.looks_within(row.started_at, ended_at)]
            for earlier, later in itertools.pairwise([*sorted(seen), ended_at]):
                assert later - earlier <= self.vouch, (
                    f"{row.status} from {earlier} to {later}, and nobody looked"
                )

    def looks_within(self, start: datetime, end: datetime) -> list[datetime]:
        return [look for look in self.looks if start <= look <= end]

    @property
    def vouch(self) -> timedelta:
        return VOUCH


class ProbedLedger(Ledger):
    """A monitor that is asked."""

    kind = "http"

    @rule(
        story=st.text("+-?", min_size=1, max_size=4),
        late=st.sampled_from([0, 0, 1, 3, 20]).map(lambda s: timedelta(seconds=s)),
        step=short,
    )
    def record(self, story: str, late: timedelta, step: timedelta) -> None:
        """A batch of results, the last of them `late` by now; some again, unordered."""
        make: dict[str, Callable[..., Finding]] = {
            "+": passed,
            "-": failed,
            "?": offline,
        }
        findings: list[Finding] = []
        for letter in story:
            self.now += step
            moment = self.now - late
            findings.append(make[letter](self.monitor, moment))
            if letter != "?":
                self.looks.append(moment)
        recording.record(findings=findings, now=self.now)
        stored = CheckResult.objects.count()
        recording.record(findings=findings[::-1], now=self.now)
        assert CheckResult.objects.count() == stored, "recorded twice"


class HeartbeatLedger(Ledger):
    """A monitor that calls us. Its time is observed while we are alive."""

    kind = "heartbeat"

    @rule(kind=st.sampled_from(["success", "success", "start", "fail"]), back=short)
    def ping(self, kind: str, back: timedelta) -> None:
        HeartbeatPing.objects.create(
            monitor=self.monitor, at=max(self.now - back, START), kind=kind
        )

    @rule()
    def watch(self) -> None:
        self.looks.append(self.now)
        # A ping that waited for us is taken first and expires then.
        watching.watch(now=self.now)
        super().watch()

    @property
    def vouch(self) -> timedelta:
        return HEARTBEAT_VOUCH


def run(machine: type[Ledger]) -> None:
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            # A failing story is told as it was found: making it shorter takes minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_ledger_of_a_probed_monitor_is_whole_whatever_comes(db):
    run(ProbedLedger)


def test_the_ledger_of_a_heartbeat_is_whole_whatever_comes(db):
    run(HeartbeatLedger)
