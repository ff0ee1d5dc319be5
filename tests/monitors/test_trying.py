"""*Try on history*: what it finds for each measure, and what it says of its limits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from incidents.models import Alert
from monitors import series
from monitors.history import partitions, rollups
from monitors.history.histogram import bucket_of
from monitors.models import HourlyRollup, StatusInterval, Threshold, ThresholdState
from monitors.pages.trial import trial_page
from monitors.status import Status
from monitors.thresholds import trying
from monitors.thresholds.judging import Level
from monitors.thresholds.trying import try_on_history
from tests.factories import make_service, make_user
from tests.monitors.judged import MINUTE, SECOND, make_result, make_watched

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _room(db, now):
    partitions.ensure(now=now)


def make_slow_hour(now, **values):
    """A monitor whose answers took three seconds for five minutes, two hours ago."""
    partitions.ensure(now=now)
    monitor = make_watched(now, since=now - 40 * DAY, **values)
    for minute in range(180):
        is_slow = 60 <= minute < 65
        make_result(monitor, now - (180 - minute) * MINUTE, ms=3000 if is_slow else 100)
    rollups.roll_up(now=now)
    return monitor


def latency(**values):
    values.setdefault("critical_bound", 2000)
    return Threshold(measure="latency", name="Slow", **values)


class TestFound:
    def test_an_unsaved_threshold_finds_what_was_slow(self, now):
        monitor = make_slow_hour(now, name="Backend")

        trial = try_on_history(threshold=latency(), now=now)

        (firing,) = trial.firings
        assert (firing.name, firing.url_id) == ("Backend", monitor.pk)
        assert (firing.value, firing.level, firing.priority) == (
            3000,
            Level.CRITICAL,
            "p1",
        )
        assert trial.length == 5 * MINUTE

    def test_other_values_find_something_else(self, now):
        make_slow_hour(now)

        assert try_on_history(threshold=latency(for_count=6), now=now).count == 0
        assert try_on_history(threshold=latency(for_count=5), now=now).count == 1
        assert (
            try_on_history(threshold=latency(critical_bound=3000), now=now).count == 0
        )

    def test_nothing_is_written(self, now):
        make_slow_hour(now)

        try_on_history(threshold=latency(), now=now)

        assert not Threshold.objects.exists()
        assert not ThresholdState.objects.exists()
        assert not Alert.objects.exists()

    def test_a_narrower_threshold_leaves_nothing_to_say(self, now):
        monitor = make_slow_hour(now)
        Threshold.objects.create(
            name="Narrow", measure="latency", critical_bound=9000, monitor=monitor
        )

        trial = try_on_history(threshold=latency(), now=now)

        assert (trial.count, trial.coverage.subject_count) == (0, 0)

    def test_a_window_is_replayed(self, now):
        make_slow_hour(now)
        threshold = latency(aggregate="avg", window_s=600, critical_bound=1000)

        trial = try_on_history(threshold=threshold, now=now)

        (firing,) = trial.firings
        # Five of ten values were slow at the end: (5 × 3000 + 5 × 100) ÷ 10.
        assert firing.value == pytest.approx(1550)

    def test_what_happened_in_a_window_does_not_count(self, now):
        monitor = make_slow_hour(now)
        StatusInterval.objects.all().delete()
        for status, start, end in (
            ("up", 40 * DAY, 130 * MINUTE),
            ("maintenance", 130 * MINUTE, 110 * MINUTE),
            ("up", 110 * MINUTE, None),
        ):
            StatusInterval.objects.create(
                monitor=monitor,
                status=status,
                started_at=now - start,
                ended_at=None if end is None else now - end,
            )

        assert try_on_history(threshold=latency(), now=now).count == 0

    def test_a_share_of_failures(self, now):
        monitor = make_watched(now, since=now - DAY)
        for minute in range(60):
            make_result(
                monitor,
                now - (60 - minute) * MINUTE,
                code=503 if 20 <= minute < 25 else 0,
            )
        rollups.roll_up(now=now)
        threshold = Threshold(measure="error_ratio", window_s=600, critical_bound=40)

        (firing,) = try_on_history(threshold=threshold, now=now).firings

        assert firing.value == 50

    def test_failures_in_a_row(self, now):
        monitor = make_watched(now, since=now - DAY)
        for minute, code in enumerate([0, 1, 1, 1, 0, 1, 0]):
            make_result(monitor, now - (7 - minute) * MINUTE, code=code)
        rollups.roll_up(now=now)

        trial = try_on_history(
            threshold=Threshold(measure="failures", critical_bound=2), now=now
        )

        (firing,) = trial.firings
        assert firing.value == 3
        assert trial.length == MINUTE

    def test_outages_that_lasted_long_enough(self, now):
        monitor = make_watched(now, since=now - HOUR)
        for start, end in ((9 * HOUR, 8 * HOUR), (5 * HOUR, 5 * HOUR - MINUTE)):
            StatusInterval.objects.create(
                monitor=monitor,
                status=Status.DOWN,
                started_at=now - start,
                ended_at=now - end,
            )
            StatusInterval.objects.create(
                monitor=monitor,
                status=Status.UP,
                started_at=now - end,
                ended_at=now - end + MINUTE,
            )

        every = try_on_history(threshold=Threshold(measure="down"), now=now)
        long = try_on_history(threshold=Threshold(measure="down", for_s=120), now=now)

        assert [one.length(now) for one in every.firings] == [MINUTE, HOUR]
        assert [one.length(now) for one in long.firings] == [HOUR]

    def test_a_certificate_since_it_is_valid(self, now):
        make_watched(
            now,
            since=now - 40 * DAY,
            interval_s=3600,
            certificate_expires_at=now + 10 * DAY,
            certificate={"not_before": (now - 20 * DAY).isoformat()},
        )
        threshold = Threshold(measure="tls_days", comparison="below", critical_bound=14)

        trial = try_on_history(threshold=threshold, now=now)

        (firing,) = trial.firings
        assert firing.ended_at is None
        assert firing.started_at == pytest.approx(now - 4 * DAY, abs=2 * HOUR)
        assert firing.value == pytest.approx(10, abs=0.1)
        assert trial.coverage.known_since == now - 20 * DAY

    def test_a_series_and_its_silence(self, now):
        service = make_service()
        series.record_samples(
            samples=[
                series.NewSample(
                    name="cpu",
                    value=95 if 20 <= minute < 30 else 40,
                    at=now - (120 - minute) * MINUTE,
                    source="test",
                    unit="%",
                )
                for minute in range(120)
                if not 60 <= minute < 90
            ],
            now=now,
        )
        high = Threshold(
            measure="series", series_name="cpu", service=service, critical_bound=90
        )
        silent = Threshold(
            measure="no_data", series_name="cpu", service=service, critical_bound=600
        )

        (hot,) = try_on_history(threshold=high, now=now).firings
        (quiet,) = try_on_history(threshold=silent, now=now).firings

        assert (hot.value, hot.unit, hot.length(now)) == (95, "%", 10 * MINUTE)
        # From ten minutes after the last sample to the next one, half an hour later.
        assert quiet.length(now) == pytest.approx(21 * MINUTE, abs=20 * SECOND)
        assert quiet.value == pytest.approx(31 * 60, abs=20)


class TestLimits:
    def test_where_only_hours_are_kept_an_hour_is_one_value(self, now):
        monitor = make_watched(now, since=now - 40 * DAY)
        hour = (now - 10 * DAY).replace(minute=0, second=0, microsecond=0)
        for back in range(5):
            ms = 3000 if back == 2 else 100
            HourlyRollup.objects.create(
                monitor=monitor,
                hour=hour + back * HOUR,
                passed_count=60,
                failed_count=0,
                error_count=0,
                buckets=[bucket_of(ms)],
                counts=[60],
            )

        trial = try_on_history(threshold=latency(for_count=3), now=now)

        assert trial.count == 1
        assert trial.coverage.has_hourly
        page = trial_page(trial=trial, before=None)
        assert any("each hour counts as one value" in note for note in page.notes)

    def test_too_much_is_judged_by_the_hour_and_said(self, now, monkeypatch):
        make_slow_hour(now)
        monkeypatch.setattr(trying, "MAX_VALUES", 10)

        trial = try_on_history(threshold=latency(), now=now)

        assert trial.coverage.hourly_count == 1
        assert any(
            "judged by the hour" in note
            for note in trial_page(trial=trial, before=None).notes
        )

    def test_patience_ends_and_what_is_left_out_is_said(self, now, monkeypatch):
        make_slow_hour(now, name="One")
        make_slow_hour(now, name="Two")
        monkeypatch.setattr(trying, "PATIENCE_S", -1)

        trial = try_on_history(threshold=latency(), now=now)

        assert trial.coverage.left_out_count == 2
        assert any(
            "left out" in note for note in trial_page(trial=trial, before=None).notes
        )

    def test_it_asks_a_fixed_number_of_questions(
        self, now, django_assert_max_num_queries
    ):
        for number in range(5):
            make_watched(now, name=f"Calm {number}", since=now - DAY)
        make_slow_hour(now, name="Slow")

        with django_assert_max_num_queries(15):
            try_on_history(threshold=latency(), now=now)


@pytest.fixture
def admin_client(client):
    user = make_user(username="ops", is_staff=True, is_superuser=True)
    client.force_login(user)
    return client


FIELDS = {
    "measure": "latency",
    "aggregate": "last",
    "window_s": "0",
    "min_sample_count": "1",
    "comparison": "above",
    "critical_bound": "2000",
    "critical_priority": "p1",
    "warning_priority": "p2",
    "for_count": "1",
    "for_s": "0",
    "series_labels": "{}",
    "tag": "",
    "series_name": "",
}
URL = "/admin/monitors/threshold/try/"


class TestForm:
    def post(self, client, address=URL, **fields):
        return client.post(
            address, {**FIELDS, **fields}, headers={"X-Requested-With": "try"}
        )

    def test_values_are_tried_without_being_saved(self, admin_client):
        make_slow_hour(timezone.now(), name="Backend health")

        answer = self.post(admin_client)

        assert answer.status_code == 200
        assert "It would have fired once in the last 30 days" in answer.text
        assert "Backend health" in answer.text
        assert "<svg" in answer.text
        assert "style=" not in answer.text
        assert not Threshold.objects.exists()

    def test_what_is_wrong_is_said_at_its_field(self, admin_client):
        answer = self.post(
            admin_client, critical_bound="", for_count="0", measure="series"
        )

        faults = answer.json()["faults"]
        assert {"critical_bound", "for_count", "series_name", "service"} <= set(faults)

    def test_an_edit_is_held_against_what_is_saved(self, admin_client):
        make_slow_hour(timezone.now())
        stored = Threshold.objects.create(
            name="Slow", measure="latency", critical_bound=5000
        )

        answer = self.post(admin_client, f"{URL}?of={stored.pk}")

        assert "It would have fired once" in answer.text
        assert "With the values as saved: not once." in answer.text
        stored.refresh_from_db()
        assert stored.critical_bound == 5000

    def test_without_a_script_it_is_a_page(self, admin_client):
        make_slow_hour(timezone.now())

        answer = admin_client.post(URL, FIELDS)

        assert "It would have fired once" in answer.text
        assert "Go back in your browser" in answer.text

    def test_who_may_only_look_tries_it_as_it_is(self, client):
        from django.contrib.auth.models import Permission

        user = make_user(username="viewer", is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="view_threshold"))
        client.force_login(user)
        make_slow_hour(timezone.now())
        stored = Threshold.objects.create(
            name="Slow", measure="latency", critical_bound=2000
        )

        mine = self.post(client, f"{URL}?of={stored.pk}", critical_bound="1")
        new = self.post(client)

        assert "It would have fired once" in mine.text
        assert new.status_code == 403

    @pytest.mark.parametrize("of", ["0", "x", "999999999999999999999", "\0"])
    def test_an_unknown_threshold_is_no_error_of_ours(self, admin_client, of):
        answer = admin_client.post(
            URL, FIELDS, query_params={"of": of}, headers={"X-Requested-With": "try"}
        )

        assert answer.status_code == 404

    def test_the_form_has_the_button(self, admin_client):
        page = admin_client.get("/admin/monitors/threshold/add/")

        assert 'formaction="/admin/monitors/threshold/try/"' in page.text
