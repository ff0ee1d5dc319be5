"""Drills: the real road, and nothing left behind that counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from incidents import services
from incidents.models import Incident
from monitors.drills import plans, running
from monitors.drills.reports import Report, report_of
from monitors.models import (
    CheckResult,
    Drill,
    DrillPlan,
    Monitor,
    MonitorState,
    StatusInterval,
)
from notifications.claiming import claim_one
from notifications.models import Attempt, Notification
from notifications.recording import Try, record
from tests.factories import (
    make_channel,
    make_monitor,
    make_priority_rules,
    make_user,
)
from tests.incidents.making import deliver, make_incident, outbox, refuse
from tests.notifications.making import make_notification

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def monitor() -> Monitor:
    make_priority_rules(make_channel(name="Ops by mail"))
    return make_monitor(name="API")


def start(monitor, now, **values) -> Drill:
    return running.start(monitor=monitor, priority="p0", now=now, **values)


def reread(drill: Drill) -> Drill:
    return Drill.objects.select_related("incident").get(pk=drill.pk)


def acknowledge(drill, now, user=None):
    services.acknowledge(
        incident_id=drill.incident_id, user=user or make_user(), via="web", now=now
    )


def test_drill_pages_as_an_outage_would_and_says_so(now, monitor):
    drill = start(monitor, now)

    (page,) = outbox(purpose="page")
    assert page.lane == Notification.Lane.PAGING
    assert page.message["mark"] == "DRILL"
    assert drill.incident.is_drill
    assert not drill.incident.is_on_status_page
    assert (drill.incident.priority, drill.monitor_name) == ("p0", "API")


def test_drill_is_down_since_the_first_of_the_failures_that_it_takes(now, monitor):
    Monitor.objects.filter(pk=monitor.pk).update(
        failures_to_down=3, retry_interval_s=60
    )
    monitor.refresh_from_db()

    drill = start(monitor, now)

    assert drill.incident.started_at == now - 2 * MINUTE


def test_drill_touches_no_result_no_status_and_no_ledger(now, monitor):
    before = [
        list(model.objects.order_by("pk").values())
        for model in (MonitorState, StatusInterval)
    ]

    drill = start(monitor, now)
    acknowledge(drill, now + MINUTE)
    running.advance(now=now + 2 * MINUTE)

    after = [
        list(model.objects.order_by("pk").values())
        for model in (MonitorState, StatusInterval)
    ]
    assert after == before
    assert not CheckResult.objects.exists()


def test_acknowledged_drill_ends_soon_after_and_is_proven(now, monitor):
    drill = start(monitor, now)
    deliver(now=now + SECOND)
    acknowledge(drill, now + MINUTE)

    assert running.advance(now=now + MINUTE + SECOND) == 0
    assert running.advance(now=now + 2 * MINUTE) == 1

    drill = reread(drill)
    assert drill.status == Drill.Status.PROVEN
    assert drill.incident.status == Incident.Status.RESOLVED
    assert not drill.incident.is_resolved_by_person


def test_drill_that_nobody_acknowledges_fails_at_its_end(now, monitor):
    drill = start(monitor, now, length=5 * MINUTE)

    assert running.advance(now=now + 4 * MINUTE) == 0
    assert running.advance(now=now + 5 * MINUTE) == 1

    assert reread(drill).status == Drill.Status.FAILED
    assert running.advance(now=now + 6 * MINUTE) == 0


def test_channel_that_refuses_makes_the_proof_partial(now, monitor):
    drill = start(monitor, now)
    refuse(now=now + SECOND)
    acknowledge(drill, now + MINUTE)

    running.advance(now=now + 2 * MINUTE)

    drill = reread(drill)
    assert drill.status == Drill.Status.PARTLY
    (way,) = running.report(drill=drill).failed_ways
    assert way.problem == "no such channel"


def test_whoever_resolves_a_drill_has_had_it(now, monitor):
    drill = start(monitor, now)
    services.resolve_incident(
        incident_id=drill.incident_id,
        user=make_user(),
        via="api",
        now=now + MINUTE,
        even_if_firing=True,
    )

    running.advance(now=now + MINUTE)

    report = running.report(drill=reread(drill))
    assert report.acknowledged is not None
    assert report.acknowledged.via == "api"


def test_second_drill_of_a_monitor_waits_for_the_first(now, monitor):
    start(monitor, now)

    with pytest.raises(running.UnableToStart):
        start(monitor, now + SECOND)


def test_drill_joins_no_incident_and_hides_none(now, monitor):
    real = make_incident(now=now, service=monitor.service)

    drill = start(monitor, now + SECOND)
    after = make_incident(now=now + MINUTE, service=monitor.service)

    assert drill.incident_id not in {real.pk, after.pk}


def test_report_tells_when_each_way_was_sent_and_delivered(now, monitor):
    drill = start(monitor, now)
    (page,) = outbox(purpose="page")
    claim = claim_one(notification_id=page.pk, now=now + SECOND)
    assert claim is not None
    record(
        claim=claim,
        result=Try(
            started_at=now + SECOND, duration_ms=500, outcome=Attempt.Outcome.SENT
        ),
        now=now + 2 * SECOND,
    )
    Notification.objects.filter(pk=page.pk).update(
        delivery_status="delivered", delivered_at=now + 6 * SECOND
    )

    report = report_of(incident=drill.incident)

    (way,) = report.ways
    assert (way.to, way.method, way.state) == ("Ops by mail", "email", "delivered")
    assert report.after_s(way.sent_at) == 1.5
    assert report.after_s(way.delivered_at) == 6


def test_report_reads_back_as_it_was_written(now, monitor):
    drill = start(monitor, now)
    deliver(now=now + SECOND)
    acknowledge(drill, now + MINUTE)

    report = report_of(incident=drill.incident)

    assert Report.from_json(report.to_json()) == report


def test_signed_report_stays_as_it_was_signed(now, monitor):
    drill = start(monitor, now)
    deliver(now=now + SECOND)
    acknowledge(drill, now + MINUTE)
    running.advance(now=now + 2 * MINUTE)
    running.sign(drill_id=drill.pk, user=make_user(), remark=" Fine. ", now=now)
    signed = running.report(drill=reread(drill))

    Notification.objects.all().delete()

    drill = reread(drill)
    assert running.report(drill=drill) == signed
    assert drill.remark == "Fine."
    with pytest.raises(running.UnableToSign):
        running.sign(drill_id=drill.pk, user=make_user(), remark="", now=now)


def test_running_drill_can_be_stopped_and_not_signed(now, monitor):
    drill = start(monitor, now)
    with pytest.raises(running.UnableToSign):
        running.sign(drill_id=drill.pk, user=make_user(), remark="", now=now)

    running.stop(drill_id=drill.pk, now=now + MINUTE)

    assert reread(drill).status == Drill.Status.STOPPED
    assert not reread(drill).incident.is_open
    with pytest.raises(running.UnableToStop):
        running.stop(drill_id=drill.pk, now=now + MINUTE)


def test_deleted_monitor_leaves_the_report(now, monitor):
    drill = start(monitor, now)
    running.stop(drill_id=drill.pk, now=now)

    monitor.delete()

    assert reread(drill).monitor_name == "API"


class TestPlans:
    def make_plan(self, monitor, schedule="0 10 * * mon", **values) -> DrillPlan:
        return DrillPlan.objects.create(
            name="Weekly", monitor=monitor, schedule=schedule, **values
        )

    def test_plan_runs_once_at_its_time_in_its_zone(self, monitor):
        self.make_plan(monitor)
        # Monday 10:00 in Paris, winter time.
        due = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)

        assert plans.start_due(now=due - SECOND) == 0
        assert plans.start_due(now=due + SECOND) == 1
        assert plans.start_due(now=due + 2 * SECOND) == 0

        assert Drill.objects.get().due_at == due

    @pytest.mark.parametrize("change", ["made", "enabled", "moved"])
    def test_plan_starts_nothing_that_was_due_before_it_was_so(self, monitor, change):
        due = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
        if change == "made":
            self.make_plan(monitor)
        else:
            is_moved = change == "moved"
            plan = self.make_plan(
                monitor,
                "0 12 * * mon" if is_moved else "0 10 * * mon",
                is_enabled=is_moved,
            )
            plans.start_due(now=due - MINUTE)
            DrillPlan.objects.filter(pk=plan.pk).update(
                is_enabled=True, schedule="0 10 * * mon"
            )

        assert plans.start_due(now=due + 3 * MINUTE) == 0
        assert plans.start_due(now=due + timedelta(days=7)) == 1

    def test_missed_time_is_left_out(self, monitor):
        self.make_plan(monitor)
        due = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)

        assert plans.start_due(now=due + plans.GRACE + SECOND) == 0

    def test_disabled_plan_and_paused_monitor_rest(self, monitor):
        plan = self.make_plan(monitor, is_enabled=False)
        due = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
        assert plans.start_due(now=due) == 0

        DrillPlan.objects.filter(pk=plan.pk).update(is_enabled=True)
        Monitor.objects.filter(pk=monitor.pk).update(is_enabled=False)
        assert plans.start_due(now=due) == 0

    @pytest.mark.parametrize("date", ["2026-03-29", "2026-10-25"])
    def test_wall_time_holds_over_both_changes_of_the_clock(self, date):
        sunday = datetime.fromisoformat(f"{date}T00:00:00+00:00")

        (found,) = plans.next_times(
            schedule="30 9 * * sun",
            time_zone="Europe/Paris",
            after=sunday - timedelta(hours=3),
            count=1,
        )

        assert found.strftime("%Y-%m-%d %H:%M") == f"{date} 09:30"

    @pytest.mark.parametrize("schedule", ["", "soon", "61 * * * *", "* * * *"])
    def test_malformed_schedule_is_refused_in_words(self, schedule):
        faults = list(plans.plan_faults({"schedule": schedule}))

        assert [fault.field for fault in faults] == ["schedule"]


class TestPages:
    @pytest.fixture
    def client(self, client):
        client.force_login(make_user(is_superuser=True, is_staff=True))
        return client

    def test_first_answer_is_what_was_never_proven(self, client, monitor):
        page = client.get(reverse("drills:list"))

        assert "has not been proven yet" in page.content.decode()

    def test_form_starts_a_drill_and_shows_it(self, client, monitor):
        answer = client.post(
            reverse("drills:start"),
            {"monitor": monitor.pk, "priority": "p0", "policy": "", "minutes": "5"},
            follow=True,
        )

        assert "Waiting for somebody to acknowledge" in answer.content.decode()
        assert Drill.objects.get().status == Drill.Status.RUNNING

    @pytest.mark.parametrize("page", ["list", "incident", "overview"])
    def test_its_incident_says_everywhere_that_it_is_a_drill(
        self, client, monitor, page
    ):
        drill = start(monitor, timezone.now())

        address = {
            "list": reverse("incidents:list"),
            "incident": reverse("incidents:detail", args=[drill.incident_id]),
            "overview": reverse("home"),
        }[page]

        assert ">DRILL</strong>" in client.get(address).content.decode()

    def test_form_without_a_monitor_says_so(self, client, monitor):
        answer = client.post(
            reverse("drills:start"), {"priority": "p0", "minutes": "5"}
        )

        assert answer.status_code == 422
        assert "Choose a monitor." in answer.content.decode()

    def test_proof_is_one_sentence(self, client, now, monitor):
        drill = start(monitor, now)
        deliver(now=now + SECOND)
        acknowledge(drill, now + 48 * SECOND, make_user(first_name="Ana"))
        running.advance(now=now + 2 * MINUTE)

        text = client.get(reverse("drills:list")).content.decode()

        assert "The P0 road was proven" in text
        assert "acknowledged by Ana after 48" in text

    def test_report_is_signed_on_its_page(self, client, now, monitor):
        drill = start(monitor, now)
        acknowledge(drill, now + SECOND)
        running.advance(now=now + 2 * MINUTE)

        client.post(reverse("drills:sign", args=[drill.pk]), {"remark": "Seen."})

        assert reread(drill).remark == "Seen."
        assert (
            "Seen."
            in client.get(reverse("drills:detail", args=[drill.pk])).content.decode()
        )


def test_drill_of_which_nothing_left_proves_nothing(now, monitor):
    drill = start(monitor, now)
    acknowledge(drill, now + SECOND)

    running.advance(now=now + 2 * MINUTE)

    assert reread(drill).status == Drill.Status.PARTLY


def test_page_that_went_in_a_bundle_was_sent_with_it(now, monitor):
    drill = start(monitor, now)
    (page,) = outbox(purpose="page")
    carrier = make_notification(now=now, channel=page.channel)
    Notification.objects.filter(pk=carrier.pk).update(
        status="sent", ended_at=now + SECOND
    )
    Notification.objects.filter(pk=page.pk).update(
        status="bundled", bundled_into=carrier, ended_at=now + SECOND
    )

    (way,) = report_of(incident=drill.incident).ways

    assert (way.state, way.sent_at) == ("sent", now + SECOND)
