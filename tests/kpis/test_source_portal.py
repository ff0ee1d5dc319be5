from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from incidents.models import Incident
from kpis.reading import Question, Reading, Reason
from kpis.sources import measures, registry
from monitors.models import MonitorState, StatusInterval
from monitors.queries.ledger import service_uptimes, service_uptimes_between
from monitors.series import NewSample, record_samples
from tests.factories import make_monitor, make_service
from tests.incidents.numbers.making import incident
from tests.kpis.business import START, day

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NOW = START + timedelta(days=5)


def ask(measure, target="", *buckets, now=NOW, **changes):
    question = Question(
        kind="portal", measure=measure, measure_target=target, **changes
    )
    answers = list(registry.read(question, buckets or (day(),), now=now))
    return answers if buckets else answers[0]


def make_ledger(service, *lines, fresh_until=None, **values):
    """A monitor's ledger from (status, hours after the start) to the next line."""
    monitor = make_monitor(service=service, **values)
    borders = [START + HOUR * hours for _status, hours in lines]
    StatusInterval.objects.bulk_create(
        StatusInterval(monitor=monitor, status=status, started_at=began, ended_at=ended)
        for (status, _), began, ended in zip(
            lines, borders, [*borders[1:], None], strict=True
        )
    )
    MonitorState.objects.create(
        monitor=monitor,
        status=lines[-1][0],
        since=borders[-1],
        confirmed_since=borders[-1],
        fresh_until=fresh_until or NOW + HOUR,
    )
    return monitor


def test_uptime_of_a_service_is_rounded_down():
    service = make_service(slug="backend")
    make_ledger(service, ("up", 0), ("down", 7), ("up", 8))

    # 23 of 24 hours.
    assert ask("uptime_percent", "backend").value == Decimal("95.8333")


def test_uptime_counts_observed_time_only():
    service = make_service(slug="backend")
    make_ledger(service, ("up", 0), ("unknown", 6), ("down", 18), ("up", 21))

    assert ask("uptime_percent", "backend").value == Decimal("75")


def test_uptime_of_all_is_of_all_their_time_together():
    make_ledger(make_service(), ("up", 0))
    make_ledger(make_service(), ("down", 0), ("up", 12))

    assert ask("uptime_percent").value == Decimal("75")


def test_uptime_of_a_running_period_ends_now():
    service = make_service(slug="backend")
    now = START + 8 * HOUR
    # Vouched for far ahead, as a daily heartbeat is.
    make_ledger(service, ("down", 0), ("up", 4), fresh_until=now + 24 * HOUR)

    assert ask("uptime_percent", "backend", now=now).value == Decimal("50")


def test_uptime_of_a_window_looks_back():
    service = make_service(slug="backend")
    make_ledger(service, ("down", -24), ("up", 0))

    (answer,) = ask("uptime_percent", "backend", day(0, window=2))

    assert answer.value == Decimal("50")


def test_what_nobody_observed_is_unknown_and_never_zero():
    service = make_service(slug="backend")
    make_ledger(service, ("unknown", 0))

    answer = ask("uptime_percent", "backend")

    assert answer.reason is Reason.NO_DATA
    assert answer.has_answered


def test_a_period_that_has_not_begun_is_unknown():
    make_ledger(make_service(slug="backend"), ("up", 0))

    (answer,) = ask("uptime_percent", "backend", day(9))

    assert answer.reason is Reason.NO_DATA


def test_periods_that_end_now_are_those_of_the_page():
    service = make_service()
    make_ledger(service, ("up", 0), ("down", 7), ("up", 8))
    week = timedelta(days=7)

    assert service_uptimes_between(
        service_ids=[service.pk], periods={"7d": (NOW - week, NOW)}, now=NOW
    ) == service_uptimes(service_ids=[service.pk], now=NOW, windows={"7d": week})


def make_incidents(service):
    """Three of that day, one a drill besides, and one of the next day."""
    Incident.objects.bulk_create(
        [
            incident(
                service=service,
                opened_at=START + HOUR,
                priority="p0",
                first_acknowledged_at=START + HOUR + 2 * MINUTE,
                resolved_at=START + 2 * HOUR,
            ),
            incident(
                service=service,
                opened_at=START + 23 * HOUR,
                first_acknowledged_at=START + 23 * HOUR + 4 * MINUTE,
            ),
            incident(service=make_service(), opened_at=START),
            incident(service=service, opened_at=START + HOUR, is_drill=True),
            incident(service=service, opened_at=START + 24 * HOUR),
        ]
    )


@pytest.mark.parametrize(
    ("measure", "target", "expected"),
    [
        ("incident_count", "", 3),
        ("incident_count", "backend", 2),
        ("incident_count_p0", "", 1),
        ("incident_count_p1", "backend", 1),
        ("incident_count_p3", "", 0),
        ("mtta_s", "backend", 180),
        ("mtta_s", "", 180),
        ("mttr_s", "", 3600),
    ],
)
def test_incidents_are_those_of_the_page_of_numbers(measure, target, expected):
    make_incidents(make_service(slug="backend"))

    answer = ask(measure, target)

    assert isinstance(answer, Reading), answer
    assert answer.value == expected


def test_without_an_acknowledgement_the_mean_is_unknown():
    make_service(slug="backend")

    assert ask("mtta_s", "backend").reason is Reason.NO_DATA
    assert ask("mttr_s").reason is Reason.NO_DATA
    assert ask("incident_count", "backend").value == 0


def record(name, *values, labels=None, start=START):
    record_samples(
        samples=[
            NewSample(
                name=name,
                value=value,
                at=start + step * MINUTE,
                source="test",
                labels=labels or {},
            )
            for step, value in enumerate(values)
        ],
        now=NOW,
    )


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("series_p75", "3.25"),
        ("series_p95", "3.85"),
        ("series_average", "2.5"),
        ("series_sum", "10"),
        ("series_last", "4"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_a_series_is_summed_up(measure, expected):
    record("web_vitals_lcp", 1, 2, 3, 4)
    record("web_vitals_lcp", 99, start=START + timedelta(days=1))
    record("other", 50)

    assert ask(measure, "web_vitals_lcp").value == Decimal(expected)


@pytest.mark.django_db(transaction=True)
def test_a_series_is_chosen_by_labels_or_taken_together():
    record("lcp", 1, labels={"route": "/", "device": "phone"})
    record("lcp", 3, labels={"route": "/shop", "device": "phone"})

    assert ask("series_average", "lcp").value == 2
    assert ask("series_average", 'lcp{route="/"}').value == 1
    assert ask("series_average", 'lcp{device="phone",route="/shop"}').value == 3
    assert ask("series_average", 'lcp{route="/none"}').reason is Reason.NO_DATA


@pytest.mark.django_db(transaction=True)
def test_a_period_of_which_a_part_is_deleted_is_unknown(settings):
    settings.RESULT_RETENTION_DAYS = 4
    record("lcp", 1, start=START + 20 * HOUR)

    assert ask("series_average", "lcp").reason is Reason.NO_DATA


@pytest.mark.parametrize(
    ("measure", "target"),
    [
        ("", ""),
        ("nonsense", ""),
        ("uptime_percent", "nowhere"),
        ("incident_count", "nowhere"),
        ("series_p75", ""),
        ("series_p75", "a b"),
        ("series_p75", "a{b=c}"),
        ("series_p75", 'a{b="c"'),
        ("series_p75", "a'; DROP TABLE x; --"),
    ],
)
def test_a_senseless_measure_is_told(measure, target):
    make_ledger(make_service(slug="backend"), ("up", 0))

    assert ask(measure, target).reason is Reason.MISCONFIGURED


def test_our_own_database_is_given_a_limit(monkeypatch):
    from kpis.sources import portal

    monkeypatch.setitem(portal._VALUES, "last", "(SELECT 1.0 FROM pg_sleep(20))")
    record("lcp", 1)

    assert ask("series_last", "lcp", timeout_s=0.2).reason is Reason.TIMEOUT


def test_every_measure_has_words_and_a_target():
    assert len(measures.choices()) == len(measures.MEASURES)
    assert all(len(name) <= 30 for name in measures.MEASURES)
    assert measures.parse_series(' lcp{a="x, y",b=""} ').labels == {
        "a": "x, y",
        "b": "",
    }
