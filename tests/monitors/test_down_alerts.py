"""The alert "is down": raised with the status, healed by the tick."""

from __future__ import annotations

import pytest

from incidents.models import Alert
from monitors.history import partitions
from monitors.models import (
    Monitor,
    MonitorState,
    Threshold,
)
from monitors.status import Status
from monitors.thresholds.down_alerts import judge_down
from monitors.thresholds.rounds import judge_all
from tests.factories import make_priority_rules
from tests.monitors.judged import (
    MINUTE,
    SECOND,
    firing,
    make_threshold,
    make_watched,
    resolve_by_person,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _room(db, now):
    partitions.ensure(now=now)
    make_priority_rules()


class TestDown:
    def down_key(self, monitor):
        return f"monitor:{monitor.pk}:down"

    def judge(self, monitor, now, *, is_down=True, since=None):
        judge_down(
            monitor=monitor,
            is_down=is_down,
            since=since or now - MINUTE,
            message="HTTP 503, expected 200–299" if is_down else "",
            now=now,
        )

    def test_down_raises_with_the_priority_of_the_narrowest_threshold(self, now):
        monitor = make_watched(now, name="Login", tags=["core"])
        make_threshold("down", critical_priority="p2")
        make_threshold("down", tag="core", critical_priority="p0")

        self.judge(monitor, now)

        alert = Alert.objects.get()
        assert (alert.dedup_key, alert.priority) == (self.down_key(monitor), "p0")
        assert alert.title == "Login is down"
        assert alert.detail == "HTTP 503, expected 200–299"
        assert alert.started_at == now - MINUTE

    def test_alert_brings_the_runbook_and_whether_users_feel_it(self, now):
        make_threshold("down")
        runbook = "https://wiki.example.org/backup"
        backup = make_watched(now, counts_for_service=False, runbook_url=runbook)
        self.judge(backup, now)

        alert = Alert.objects.select_related("incident").get()
        assert (alert.runbook_url, alert.incident.is_public) == (runbook, False)

        self.judge(make_watched(now, service=backup.service), now)
        alert.incident.refresh_from_db()
        assert alert.incident.is_public

    def test_up_ends_it(self, now):
        monitor = make_watched(now)
        make_threshold("down")
        self.judge(monitor, now)

        self.judge(monitor, now + MINUTE, is_down=False)

        assert firing() == set()

    def test_without_a_threshold_nobody_is_told(self, now):
        self.judge(make_watched(now), now)

        assert not Alert.objects.exists()

    def test_a_threshold_that_waits_is_raised_by_the_tick(self, now):
        monitor = make_watched(now, status=Status.DOWN, since=now)
        make_threshold("down", for_s=120)

        self.judge(monitor, now, since=now)
        judge_all(now=now + 119 * SECOND)
        assert firing() == set()
        judge_all(now=now + 120 * SECOND)

        assert firing() == {self.down_key(monitor)}

    def test_a_threshold_that_is_added_while_it_is_down_raises_it(self, now):
        monitor = make_watched(now, status=Status.DOWN, message="no answer")
        make_threshold("down")

        judge_all(now=now)

        assert firing() == {self.down_key(monitor)}
        assert Alert.objects.get().detail == "no answer"

    def test_an_edited_priority_reaches_the_alert(self, now):
        make_watched(now, status=Status.DOWN)
        make_threshold("down", critical_priority="p1")
        judge_all(now=now)

        Threshold.objects.update(critical_priority="p0")
        judge_all(now=now + 10 * SECOND)

        assert Alert.objects.get().priority == "p0"

    @pytest.mark.parametrize(
        "status", [Status.UP, Status.DEGRADED, Status.PAUSED], ids=str
    )
    def test_an_orphan_ends(self, now, status):
        monitor = make_watched(now, status=Status.DOWN)
        make_threshold("down")
        judge_all(now=now)

        MonitorState.objects.update(status=status)
        if status == Status.PAUSED:
            Monitor.objects.filter(pk=monitor.pk).update(is_enabled=False)
        judge_all(now=now + 10 * SECOND)

        assert firing() == set()

    @pytest.mark.parametrize("how", ["threshold", "monitor"])
    def test_what_is_deleted_ends_too(self, now, how):
        monitor = make_watched(now, status=Status.DOWN)
        threshold = make_threshold("down")
        judge_all(now=now)

        (threshold if how == "threshold" else monitor).delete()
        judge_all(now=now + 10 * SECOND)

        assert firing() == set()

    @pytest.mark.parametrize("status", [Status.MAINTENANCE, Status.UNKNOWN])
    def test_a_window_and_the_unknown_leave_it_as_it_is(self, now, status):
        monitor = make_watched(now, status=Status.DOWN)
        make_threshold("down")
        judge_all(now=now)

        MonitorState.objects.update(status=status)
        judge_all(now=now + 10 * SECOND)

        assert firing() == {self.down_key(monitor)}

    def test_what_a_person_ended_while_it_is_down_comes_back(self, now):
        monitor = make_watched(now, status=Status.DOWN)
        make_threshold("down")
        judge_all(now=now)
        resolve_by_person(now=now + SECOND)

        judge_all(now=now + 10 * SECOND)

        assert firing() == {self.down_key(monitor)}
