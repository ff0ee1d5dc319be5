"""What pages know of monitors: the same figures as `monitors.uptime`, in few queries."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import cache
from django.db import connection

from incidents.models import Service
from monitors.models import (
    Assertion,
    MaintenanceWindow,
    Monitor,
    MonitorState,
    ResultDetail,
    StatusInterval,
    Threshold,
)
from monitors.queries.glances import all_glances, glances
from monitors.queries.latency import CUSTOM, Reach, latency, reach_until, sparks
from monitors.queries.ledger import (
    WINDOWS,
    intervals,
    monitor_days,
    service_days,
    uptimes,
    worst_of,
)
from monitors.queries.listing import PAGE_SIZE, Wanted, list_monitors
from monitors.queries.page import monitor_page, monitor_top
from monitors.queries.services import service_health
from monitors.queries.shown import observed_until, shown_since, shown_status
from monitors.status import Status
from monitors.uptime import Interval, Uptime, by_day, measure
from tests.factories import make_monitor, make_service
from tests.history import (
    DAY,
    HOUR,
    MINUTE,
    Trouble,
    make_incident,
    make_ledger,
    make_results,
    make_rollups,
)

pytestmark = pytest.mark.django_db

PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture(autouse=True)
def _nothing_remembered():
    cache.clear()


# --- How a monitor is shown -------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "fresh_for", "shown"),
    [
        (Status.UP, MINUTE, Status.UP),
        (Status.UP, timedelta(), Status.UP),
        (Status.UP, -MINUTE, Status.UNKNOWN),
        (Status.DOWN, MINUTE, Status.DOWN),
        (Status.DOWN, -MINUTE, Status.UNKNOWN),
        (Status.DEGRADED, -MINUTE, Status.UNKNOWN),
        (Status.UNKNOWN, None, Status.UNKNOWN),
        (Status.PAUSED, -MINUTE, Status.PAUSED),
        (Status.MAINTENANCE, -MINUTE, Status.MAINTENANCE),
        (Status.PENDING, None, Status.PENDING),
    ],
)
def test_stale_state_is_shown_as_unknown(now, status, fresh_for, shown):
    fresh_until = None if fresh_for is None else now + fresh_for
    state = MonitorState(status=status, since=now - HOUR, fresh_until=fresh_until)

    assert shown_status(state, now) is shown


def test_monitor_without_state_is_pending(now):
    assert shown_status(None, now) is Status.PENDING
    assert shown_since(None, now) is None
    assert observed_until(None) is None


def test_stale_state_is_unknown_since_it_was_last_vouched_for(now):
    state = MonitorState(
        status=Status.UP, since=now - DAY, fresh_until=now - 3 * MINUTE
    )

    assert shown_since(state, now) == now - 3 * MINUTE


def test_glances_say_the_same_as_shown_status(now):
    for status in Status:
        for fresh_for in (None, MINUTE, -MINUTE):
            fresh_until = None if fresh_for is None else now + fresh_for
            MonitorState.objects.create(
                monitor=make_monitor(),
                status=status,
                since=now - HOUR,
                confirmed_since=now - HOUR,
                fresh_until=fresh_until,
            )
    make_monitor()

    found = all_glances(now=now)

    states = MonitorState.objects.in_bulk()
    assert len(found) == 22
    for glance in found:
        state = states.get(glance.monitor_id)
        assert glance.status is shown_status(state, now)
        assert glance.since == shown_since(state, now)


def test_glances_begin_with_what_needs_a_look(now):
    service = make_service()
    lines: list[tuple[str, Status | None, dict[str, Any]]] = [
        ("a up", None, {}),
        ("b paused", Status.PAUSED, {}),
        ("c maintenance", Status.MAINTENANCE, {}),
        ("d unknown", Status.UNKNOWN, {}),
        ("e degraded", Status.DEGRADED, {}),
        ("f flapping", None, {"is_flapping": True}),
        ("g down", Status.DOWN, {}),
    ]
    for name, trouble, state in lines:
        troubles = [Trouble(trouble, HOUR, None)] if trouble else []
        monitor = make_monitor(name=name, service=service)
        make_ledger(monitor=monitor, now=now, troubles=troubles, **state)
    make_monitor(name="h pending", service=service)

    found = all_glances(now=now)

    assert "".join(glance.name[0] for glance in found) == "gfedhcab"
    assert [g.name[0] for g in found if g.needs_a_look(now)] == ["g", "f", "e", "d"]
    assert found[1].look_status == "flapping"


def test_certificate_that_expires_soon_needs_a_look(now):
    for days in (13, 15):
        make_ledger(
            monitor=make_monitor(name=f"{days} days"),
            now=now,
            certificate_expires_at=now + days * DAY,
        )

    found = [glance.name for glance in all_glances(now=now) if glance.needs_a_look(now)]

    assert found == ["13 days"]


# --- The ledger -------------------------------------------------------------------


def make_random_ledger(monitor: Monitor, now: datetime, seed: int) -> list[Interval]:
    """A touching ledger of random statuses over about 120 days; returns it."""
    chance = random.Random(seed)
    at = now - timedelta(days=120, seconds=chance.randrange(DAY.days * 86_400))
    rows = []
    while at < now:
        length = timedelta(seconds=chance.choice([1, 300, 7200, 86_400, 600_000]))
        ended_at = at + length * chance.uniform(0.5, 1.5)
        rows.append(
            StatusInterval(
                monitor=monitor,
                status=chance.choice(Status.values),
                started_at=at,
                ended_at=ended_at if ended_at < now else None,
            )
        )
        at = ended_at
    StatusInterval.objects.bulk_create(rows)
    last = rows[-1]
    MonitorState.objects.create(
        monitor=monitor,
        status=last.status,
        since=last.started_at,
        confirmed_since=last.started_at,
        fresh_until=chance.choice(
            [None, now + MINUTE, now - HOUR, last.started_at - HOUR, now - 200 * DAY]
        ),
    )
    return [
        Interval(row.status, row.started_at, row.ended_at)
        for row in StatusInterval.objects.filter(monitor=monitor).order_by("started_at")
    ]


def assert_same(found: Uptime, expected: Uptime):
    for name in Uptime.__slots__:
        assert getattr(found, name) == pytest.approx(
            getattr(expected, name), abs=1e-3
        ), name


@pytest.mark.parametrize("seed", range(12))
def test_sums_are_those_of_uptime_measure(now, seed):
    ledgers = {}
    for number in range(3):
        monitor = make_monitor()
        ledgers[monitor.pk] = make_random_ledger(monitor, now, seed * 10 + number)
    nobody = make_monitor()

    found = uptimes(monitor_ids=[*ledgers, nobody.pk], now=now)

    states = MonitorState.objects.in_bulk()
    for monitor_id, ledger in ledgers.items():
        for name, length in WINDOWS.items():
            expected = measure(
                intervals=ledger,
                start=now - length,
                end=now,
                observed_until=observed_until(states[monitor_id]),
            )
            assert_same(found[monitor_id][name], expected)
    assert found[nobody.pk]["24h"] == Uptime(total_s=86_400)


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "UTC"])
@pytest.mark.parametrize("seed", range(4))
def test_days_are_those_of_uptime_by_day(zone, seed):
    # Summer time began on 29 March in Europe, on 8 March in America.
    now = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)
    monitor = make_monitor()
    ledger = make_random_ledger(monitor, now, seed)

    found = monitor_days(monitor_id=monitor.pk, zone=zone, day_count=90, now=now)

    today = now.astimezone(ZoneInfo(zone)).date()
    expected = by_day(
        intervals=ledger,
        first_day=today - timedelta(days=89),
        day_count=90,
        zone=ZoneInfo(zone),
        now=now,
        observed_until=observed_until(MonitorState.objects.get(pk=monitor.pk)),
    )
    assert [day.day for day in found] == [day.day for day in expected]
    for one, other in zip(found, expected, strict=True):
        assert_same(one.uptime, other.uptime)


def test_day_of_the_clock_change_lasts_23_hours():
    now = datetime(2026, 3, 30, 9, 0, tzinfo=UTC)
    monitor = make_monitor()
    make_ledger(monitor=monitor, now=now)

    days = monitor_days(
        monitor_id=monitor.pk, zone="Europe/Paris", day_count=2, now=now
    )

    assert days[0].uptime.total_s == days[0].uptime.up_s == 23 * 3600
    assert days[1].uptime.total_s == 11 * 3600


def test_intervals_begin_with_the_one_that_reaches_into_the_period(now):
    monitor, other = make_monitor(), make_monitor()
    for one in (monitor, other):
        make_ledger(
            monitor=one,
            now=now,
            troubles=[
                Trouble(Status.DOWN, 40 * DAY, DAY),
                Trouble(Status.DOWN, 25 * HOUR, 2 * HOUR, "HTTP 503", 503),
            ],
        )

    found = intervals(
        monitor_ids=[monitor.pk, other.pk], start=now - 24 * HOUR, now=now
    )

    assert [line.status for line in found[monitor.pk]] == ["down", "up"]
    assert found[monitor.pk][0].message == "HTTP 503"
    assert found[monitor.pk][0].started_at == now - 25 * HOUR
    assert len(found[other.pk]) == 2


# --- Services ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        ([], Status.PENDING),
        ([Status.UP, Status.DOWN, Status.UNKNOWN], Status.DOWN),
        ([Status.UP, Status.DEGRADED], Status.DEGRADED),
        ([Status.UP, Status.MAINTENANCE], Status.MAINTENANCE),
        ([Status.UP, Status.UNKNOWN], Status.UP),
        ([Status.UNKNOWN, Status.PAUSED], Status.UNKNOWN),
        ([Status.PENDING, Status.PAUSED], Status.PAUSED),
        ([Status.PENDING], Status.PENDING),
    ],
)
def test_service_is_as_the_worst_of_its_monitors(statuses, worst):
    assert worst_of(statuses) is worst


def worst_seconds(
    ledgers: Sequence[tuple[list[Interval], datetime | None]],
    start: datetime,
    end: datetime,
) -> dict[str, float]:
    """The slow way: cut the time at every border and look at each piece."""
    borders = {start, end}
    for ledger, until in ledgers:
        for line in ledger:
            borders |= {line.started_at, line.ended_at or end}
        if until:
            borders.add(until)
    cuts = sorted(border for border in borders if start <= border <= end)
    seconds: dict[str, float] = {}
    for began, ended in itertools.pairwise(cuts):
        found = []
        for ledger, until in ledgers:
            for line in ledger:
                if line.started_at <= began and (line.ended_at or end) > began:
                    is_stale = line.ended_at is None and until and until <= began
                    status = Status(line.status)
                    if is_stale or status is Status.PENDING:
                        status = Status.UNKNOWN
                    found.append(status)
        if found:
            worst = str(worst_of(found))
            seconds[worst] = seconds.get(worst, 0) + (ended - began).total_seconds()
    return seconds


@pytest.mark.parametrize("seed", range(6))
def test_service_counts_each_moment_as_the_worst_of_its_monitors(seed):
    now = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)
    service = make_service(time_zone="Europe/Paris")
    ledgers = []
    for number in range(4):
        monitor = make_monitor(service=service)
        ledger = make_random_ledger(monitor, now, seed * 10 + number)
        state = MonitorState.objects.get(pk=monitor.pk)
        ledgers.append((ledger, observed_until(state)))
    make_random_ledger(make_monitor(), now, 99)

    found = service_days(
        zones={service.pk: "Europe/Paris"}, days_ago=range(30), now=now
    )[service.pk]

    assert len(found) == 30
    for day in found:
        start = datetime.combine(day.day, datetime.min.time(), PARIS).astimezone(UTC)
        end = start + timedelta(seconds=day.uptime.total_s)
        expected = worst_seconds(ledgers, start, end)
        for status in ("up", "degraded", "down", "maintenance", "paused", "unknown"):
            assert getattr(day.uptime, f"{status}_s") == pytest.approx(
                expected.get(status, 0), abs=1e-3
            ), (day.day, status)


def health_of(service: Service, now: datetime):
    return service_health(services=[service], monitors=all_glances(now=now), now=now)[0]


def test_service_is_down_since_its_first_monitor_went_down(now):
    service = make_service()
    for began in (5 * MINUTE, 9 * MINUTE):
        make_ledger(
            monitor=make_monitor(service=service),
            now=now,
            troubles=[Trouble(Status.DOWN, began, None)],
        )
    make_ledger(monitor=make_monitor(service=service), now=now)

    health = health_of(service, now)

    assert (health.status, health.since) == (Status.DOWN, now - 9 * MINUTE)
    assert health.monitor_count == 3
    assert health.uptime.down_s == 9 * 60
    assert len(health.days) == 90


def test_monitor_that_does_not_count_leaves_its_service_as_it_is(now):
    service = make_service()
    outage = [Trouble(Status.DOWN, 9 * MINUTE, None)]
    backup = make_monitor(service=service, counts_for_service=False)
    make_ledger(monitor=backup, now=now, troubles=outage)
    assert health_of(service, now).status == Status.PENDING

    make_ledger(monitor=make_monitor(service=service), now=now)

    health = health_of(service, now)
    assert health.status == Status.UP
    assert (health.monitor_count, health.uptime.down_s) == (1, 0)


def test_settled_days_are_remembered_but_not_the_last_two(
    now, django_assert_num_queries
):
    service = make_service()
    monitor = make_monitor(service=service)
    make_ledger(monitor=monitor, now=now)
    before = health_of(service, now)
    StatusInterval.objects.filter(monitor=monitor).delete()

    found = all_glances(now=now)
    with django_assert_num_queries(1):
        after = service_health(services=[service], monitors=found, now=now)[0]

    assert after.days[:-2] == before.days[:-2]
    assert after.days[-1].uptime.observed_s == 0


def test_settled_days_are_summed_anew_when_the_monitors_of_a_service_change(now):
    service = make_service()
    make_ledger(monitor=make_monitor(service=service), now=now)
    before = health_of(service, now)
    make_ledger(
        monitor=make_monitor(service=service),
        now=now,
        troubles=[Trouble(Status.DOWN, 30 * DAY, HOUR)],
    )

    after = health_of(service, now)

    assert before.uptime.down_s == 0
    assert after.uptime.down_s == 3600


# --- The list ---------------------------------------------------------------------


def listed(now: datetime, *, page: int | str = 1, **wanted: str) -> list[str]:
    listing = list_monitors(wanted=Wanted(**wanted), page_number=page, now=now)
    return [row.glance.name for row in listing.rows]


def test_list_filters_by_service_kind_tag_state_and_words(now):
    web, db = make_service(slug="web", name="Web"), make_service(slug="db", name="DB")
    make_ledger(
        monitor=make_monitor(
            name="home", service=web, tags=["prod"], target="https://t4g.example/"
        ),
        now=now,
    )
    make_ledger(
        monitor=make_monitor(name="join", service=web, kind="tls"),
        now=now,
        troubles=[Trouble(Status.DOWN, HOUR, None)],
    )
    make_ledger(
        monitor=make_monitor(name="disk", service=db, tags=["prod", "50% full"]),
        now=now,
        is_flapping=True,
    )

    assert listed(now) == ["join", "disk", "home"]
    assert listed(now, service="web") == ["join", "home"]
    assert listed(now, kind="tls") == ["join"]
    assert listed(now, tag="prod") == ["disk", "home"]
    assert listed(now, tag="50% full") == ["disk"]
    assert listed(now, state="down") == ["join"]
    assert listed(now, state="flapping") == ["disk"]
    assert listed(now, text="T4G.example") == ["home"]
    assert listed(now, text="web home") == ["home"]
    assert listed(now, text="100%") == []
    assert listed(now, service="nowhere") == []


def test_list_counts_the_states_of_what_matches_the_rest(now):
    service = make_service(slug="web")
    make_ledger(monitor=make_monitor(service=service), now=now)
    make_ledger(
        monitor=make_monitor(service=service),
        now=now,
        troubles=[Trouble(Status.DOWN, HOUR, None)],
    )
    make_ledger(monitor=make_monitor(), now=now)

    listing = list_monitors(
        wanted=Wanted(service="web", state="down"), page_number=1, now=now
    )

    assert listing.counts == {"down": 1, "up": 1}
    assert listing.total_count == 2
    assert len(listing.rows) == 1
    assert not listing.is_empty


def test_list_goes_page_by_page_and_knows_its_ends(now):
    service = make_service()
    Monitor.objects.bulk_create(
        Monitor(name=f"m{number:03}", service=service, kind="http", target="x")
        for number in range(PAGE_SIZE + 3)
    )

    assert listed(now)[0] == "m000"
    assert len(listed(now)) == PAGE_SIZE
    assert listed(now, page=2) == [
        f"m{number:03}" for number in range(PAGE_SIZE, PAGE_SIZE + 3)
    ]
    assert listed(now, page=99) == listed(now, page=2)
    assert listed(now, page="x") == listed(now)


def test_list_asks_the_same_number_of_queries_for_any_number_of_monitors(
    now, django_assert_num_queries
):
    for count in (2, 40):
        for _ in range(count):
            monitor = make_monitor(tags=["prod"])
            make_ledger(monitor=monitor, now=now)
            make_rollups(monitor=monitor, now=now, base_ms=100, days=1)

        with django_assert_num_queries(7):
            list_monitors(wanted=Wanted(), page_number=1, now=now)


def test_list_reads_no_secret(now, django_assert_num_queries):
    monitor = make_monitor(secret="sesame")
    make_ledger(monitor=monitor, now=now)

    with django_assert_num_queries(7) as asked:
        list_monitors(wanted=Wanted(), page_number=1, now=now)

    statements = " ".join(query["sql"] for query in asked.captured_queries)
    assert '"secret"' not in statements
    assert '"options"' not in statements


def test_list_shows_figures_of_each_window(now):
    monitor = make_monitor()
    make_ledger(
        monitor=monitor,
        now=now,
        troubles=[
            Trouble(Status.DOWN, 10 * DAY, DAY),
            Trouble(Status.DOWN, 6 * HOUR, 6 * MINUTE),
        ],
    )
    make_rollups(monitor=monitor, now=now, base_ms=100, days=1)

    row = list_monitors(wanted=Wanted(), page_number=1, now=now).rows[0]

    assert row.uptimes["24h"].down_s == 360
    assert row.uptimes["30d"].down_s == 86_760
    assert row.uptimes["90d"].ratio == pytest.approx(1 - 86_760 / (90 * 86_400))
    assert [line.status for line in row.strip] == ["up", "down", "up"]
    assert row.spark.p95_ms is not None
    assert len(row.spark.hourly_ms) == 24


# --- Latency ----------------------------------------------------------------------


def test_day_is_binned_from_raw_results(now):
    monitor = make_monitor()
    make_results(
        monitor=monitor,
        now=now,
        base_ms=100,
        failing=[(2 * HOUR, HOUR, 503), (4 * HOUR, 3 * HOUR, 91)],
    )

    found = latency(
        monitor_id=monitor.pk, reach=reach_until(key="24h", now=now), now=now
    )

    assert found.bin_width == 10 * MINUTE
    assert (found.start, found.end) == (now - DAY, now)
    assert len(found.bins) == 144
    failing = [line for line in found.bins if line.failed_count]
    assert sum(line.failed_count for line in found.bins) == 61
    assert all(line.quantiles is None for line in failing[1:-1])
    # Our own fault is neither passed nor failed.
    silent = [line for line in found.bins if not line.failed_count + line.passed_count]
    assert len(silent) == 6
    assert found.quantiles is not None
    assert found.quantiles.p50_ms < found.quantiles.p95_ms < found.quantiles.p99_ms
    shares = [found.mean_phases_ms[name] for name in ("dns_ms", "first_byte_ms")]
    assert shares[1] / shares[0] == pytest.approx(14, rel=1e-3)


@pytest.mark.parametrize(
    ("reach", "count", "width"),
    [
        ("7d", 168, HOUR),
        ("30d", 120, 6 * HOUR),
        ("90d", 180, 12 * HOUR),
        ("1y", 183, 2 * DAY),
    ],
)
def test_longer_reaches_come_from_merged_rollups(now, reach, count, width):
    monitor = make_monitor()
    make_rollups(monitor=monitor, now=now, base_ms=100, days=368)

    found = latency(
        monitor_id=monitor.pk, reach=reach_until(key=reach, now=now), now=now
    )

    assert (len(found.bins), found.bin_width) == (count, width)
    assert found.end - found.start == count * width
    assert found.quantiles is not None
    assert 80 < found.quantiles.p50_ms < 120 < found.quantiles.p95_ms
    per_hour = found.bins[-2].passed_count / (width / HOUR)
    assert per_hour == 30


def test_custom_reach_is_half_open(now):
    monitor = make_monitor()
    make_results(monitor=monitor, now=now, base_ms=100)
    reach = Reach(key=CUSTOM, start=now - 3 * HOUR, end=now - HOUR)

    found = latency(monitor_id=monitor.pk, reach=reach, now=now)

    assert (found.start, found.end) == (now - 3 * HOUR, now - HOUR)
    assert found.bin_width == MINUTE
    assert sum(line.passed_count for line in found.bins) == 120


def test_custom_reach_whose_raw_results_are_gone_comes_from_rollups(now):
    monitor = make_monitor()
    make_rollups(monitor=monitor, now=now, base_ms=100, days=50)
    start = now - 40 * DAY + 20 * MINUTE
    reach = Reach(key=CUSTOM, start=start, end=start + 5 * HOUR)

    found = latency(monitor_id=monitor.pk, reach=reach, now=now)

    # Whole hours that hold it.
    assert (found.start, found.end) == (now - 40 * DAY, now - 40 * DAY + 6 * HOUR)
    assert len(found.bins) == 6


def test_bins_without_results_are_missing(now):
    monitor = make_monitor()
    make_results(monitor=monitor, now=now, base_ms=100, reach=HOUR)

    found = latency(
        monitor_id=monitor.pk, reach=reach_until(key="24h", now=now), now=now
    )

    assert len(found.bins) == 6
    assert found.bins[0].start == now - HOUR


def test_monitor_without_results_has_no_latency(now):
    monitor = make_monitor()

    for reach in ("24h", "90d"):
        found = latency(
            monitor_id=monitor.pk, reach=reach_until(key=reach, now=now), now=now
        )
        assert (found.bins, found.quantiles, found.mean_phases_ms) == ([], None, {})
    assert sparks(monitor_ids=[monitor.pk], now=now)[monitor.pk].p95_ms is None


def test_passed_results_without_phases_have_no_latency(now):
    monitor = make_monitor(kind="heartbeat", target="")
    make_results(monitor=monitor, now=now, base_ms=0, reach=HOUR)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE monitors_checkresult SET dns_ms = NULL, connect_ms = NULL,"
            " tls_ms = NULL, first_byte_ms = NULL, transfer_ms = NULL"
        )

    found = latency(
        monitor_id=monitor.pk, reach=reach_until(key="24h", now=now), now=now
    )

    assert {line.quantiles for line in found.bins} == {None}


# --- The page ---------------------------------------------------------------------


def test_page_of_no_monitor_does_not_exist(now):
    with pytest.raises(Monitor.DoesNotExist):
        monitor_page(monitor_id=1, reach=reach_until(key="24h", now=now), now=now)


def test_page_shows_the_outages_of_its_reach_newest_first(now):
    monitor = make_monitor()
    make_ledger(
        monitor=monitor,
        now=now,
        troubles=[
            Trouble(Status.DOWN, 20 * DAY, HOUR, "HTTP 500", 500),
            Trouble(Status.UNKNOWN, 8 * HOUR, HOUR),
            Trouble(Status.DOWN, 5 * MINUTE, None, "", 1),
        ],
    )

    today = monitor_page(
        monitor_id=monitor.pk, reach=reach_until(key="24h", now=now), now=now
    )
    month = monitor_page(
        monitor_id=monitor.pk, reach=reach_until(key="30d", now=now), now=now
    )

    assert [outage.status for outage in today.record.outages] == ["down", "unknown"]
    assert today.record.outages[0].ended_at is None
    assert today.record.outages[0].length == 5 * MINUTE
    # Without words of its own, the code's.
    assert today.record.outages[0].cause == "No answer in time"
    assert month.record.outage_count == 3
    assert month.record.outages[2].cause == "HTTP 500"


def test_page_joins_failing_results_with_the_words_kept_of_them(now):
    monitor = make_monitor()
    make_ledger(monitor=monitor, now=now)
    make_results(
        monitor=monitor,
        now=now,
        base_ms=100,
        reach=HOUR,
        failing=[(6 * MINUTE, 5 * MINUTE, 503), (3 * MINUTE, 3 * MINUTE, 91)],
    )
    ResultDetail.objects.create(
        monitor=monitor,
        at=now - 10 * MINUTE,
        code=503,
        message="HTTP 503, expected 200–299",
        failed_assertion="status",
        excerpt="busy",
    )

    results = monitor_page(
        monitor_id=monitor.pk, reach=reach_until(key="24h", now=now), now=now
    ).record.results

    failing = [line for line in results if not line.is_passed]
    assert len(results) == 12
    assert [line.words for line in failing] == [
        "The portal was offline",
        "HTTP 503, expected 200–299",
        "HTTP 503, expected 200–299",
    ]
    assert failing[0].is_ours
    assert not failing[1].is_ours
    assert failing[1].detail is not None
    assert failing[1].detail.excerpt == "busy"
    assert results[0].latency_ms is not None


def test_page_names_what_applies_to_its_monitor(now):
    service = make_service()
    monitor = make_monitor(service=service, tags=["prod"])
    make_ledger(monitor=monitor, now=now)
    Threshold.objects.create(name="any", measure="latency", critical_bound=9000)
    Threshold.objects.create(
        name="mine", measure="latency", critical_bound=500, service=service
    )
    Threshold.objects.create(name="down", measure="down", critical_priority="p0")
    Threshold.objects.create(
        name="other", measure="latency", critical_bound=1, monitor=make_monitor()
    )
    Threshold.objects.create(name="off", measure="down", is_enabled=False)
    by_tag = MaintenanceWindow.objects.create(
        name="by tag", starts_at=now + DAY, tags=["prod"]
    )
    MaintenanceWindow.objects.create(name="elsewhere", starts_at=now, tags=["test"])
    past = MaintenanceWindow.objects.create(name="past", starts_at=now - DAY)
    past.services.add(service)
    past.monitors.add(monitor)
    Assertion.objects.create(
        monitor=monitor, subject="status", operator="equals", expected="200"
    )
    mine = make_incident(
        service=service, monitor=monitor, title="mine", started_at=now - HOUR
    )
    make_incident(
        service=make_service(),
        monitor=make_monitor(),
        title="other",
        started_at=now - HOUR,
    )

    page = monitor_page(
        monitor_id=monitor.pk, reach=reach_until(key="24h", now=now), now=now
    )

    assert [line.threshold.name for line in page.thresholds] == ["down", "mine"]
    assert page.thresholds[1].sentence.startswith("Critical (P1) when the latency")
    assert [line.window.name for line in page.windows] == ["by tag", "past"]
    assert page.windows[0].coming is not None
    assert page.windows[0].coming.started_at == by_tag.starts_at
    assert page.windows[1].coming is None
    assert len(page.expectations) == 1
    assert page.expectations[0].endswith("equals 200")
    assert page.incidents == [mine]


def test_page_asks_the_same_number_of_queries_for_any_history(
    now, django_assert_num_queries
):
    quiet, busy = make_monitor(), make_monitor(tags=["prod"])
    for monitor in (quiet, busy):
        troubles = [Trouble(Status.DOWN, n * DAY, HOUR) for n in range(1, 40)]
        make_ledger(
            monitor=monitor, now=now, troubles=troubles if monitor == busy else []
        )
    make_results(monitor=busy, now=now, base_ms=100)
    make_rollups(monitor=busy, now=now, base_ms=100)
    Threshold.objects.create(name="slow", measure="latency", critical_bound=500)
    for number in range(5):
        make_incident(
            service=busy.service,
            monitor=busy,
            title="down",
            grouping_key=str(number),
            started_at=now - HOUR,
        )

    for monitor in (quiet, busy):
        with django_assert_num_queries(13):
            monitor_page(
                monitor_id=monitor.pk, reach=reach_until(key="24h", now=now), now=now
            )
        with django_assert_num_queries(14):
            monitor_page(
                monitor_id=monitor.pk, reach=reach_until(key="90d", now=now), now=now
            )
        with django_assert_num_queries(4):
            monitor_top(monitor_id=monitor.pk, now=now)


def test_top_says_since_when_and_why(now):
    monitor = make_monitor()
    make_ledger(
        monitor=monitor,
        now=now,
        troubles=[Trouble(Status.DOWN, 4 * MINUTE, None, "HTTP 503", 503)],
        failure_count=5,
    )
    make_results(
        monitor=monitor,
        now=now,
        base_ms=100,
        reach=HOUR,
        failing=[(4 * MINUTE, timedelta(), 503)],
    )

    top = monitor_top(monitor_id=monitor.pk, now=now)

    assert top.headline.status is Status.DOWN
    assert top.headline.text == "Down since 09:56:00: HTTP 503"
    assert top.headline.notes[0].startswith("DNS ")
    assert glances(monitors=Monitor.objects.filter(pk=monitor.pk), now=now)[0].message
