"""What verifiers find out about monitors, addresses and series."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache

from checklists.verifiers.base import Verdict
from monitors.history import partitions
from monitors.models import Assertion, Monitor, MonitorState
from monitors.series import NewSample, record_samples
from monitors.status import Status
from tests.checklists.asking import ask, told
from tests.factories import make_monitor, make_service
from tests.flows.standins import Shop
from tests.monitors.judged import make_result, make_threshold, make_watched

pytestmark = pytest.mark.django_db

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _partitions(now):
    partitions.ensure(now=now)


@pytest.fixture
def shop():
    shop = Shop()
    yield shop
    shop.stop()


def make_good(now, *, count=3, ms=100, **values) -> Monitor:
    """A monitor that is up, with its last results a minute apart."""
    monitor = make_watched(now, **values)
    for age in reversed(range(count)):
        make_result(monitor, now - age * MINUTE, ms=ms)
    return monitor


# Monitors are up


def test_monitor_with_enough_successes_under_the_bound_is_up(now):
    make_good(now, name="API", ms=420)

    found = ask("monitor_up", now=now, monitors=["API"], successes=3)

    assert found.verdict is Verdict.PASSED
    assert told("monitor_up", found) == (
        "API is up: the last 3 checks succeeded, the slowest within 420 ms."
    )


def test_no_name_means_all_enabled_monitors_of_the_service(now):
    service = make_service()
    make_good(now, name="API", service=service)
    make_good(now, name="Web", service=service)
    make_watched(now, name="Off", service=service, is_enabled=False)
    make_watched(now, name="Elsewhere", status=Status.DOWN)

    found = ask("monitor_up", now=now, service=service)

    assert told("monitor_up", found) == "All 2 monitors are up."
    assert [one["name"] for one in found.looked_at["monitors"]] == ["API", "Web"]


def test_service_without_a_monitor_proves_nothing(now):
    found = ask("monitor_up", now=now, service=make_service(slug="shop"))

    assert (found.verdict, found.code) == (Verdict.FAILED, "none")


def test_monitor_that_nobody_made_is_named(now):
    found = ask("monitor_up", now=now, monitors=["Ghost"])

    assert told("monitor_up", found) == "There is no monitor called “Ghost”."


@pytest.mark.parametrize(
    ("values", "verdict", "code"),
    [
        ({"is_enabled": False}, Verdict.FAILED, "paused"),
        ({"status": Status.DOWN}, Verdict.FAILED, "down"),
        ({"status": Status.DEGRADED}, Verdict.FAILED, "degraded"),
        ({"is_flapping": True}, Verdict.FAILED, "flapping"),
        ({"interval_s": 300}, Verdict.FAILED, "too_rare"),
        ({"status": Status.MAINTENANCE}, Verdict.UNKNOWN, "maintenance"),
        ({"status": Status.UNKNOWN}, Verdict.UNKNOWN, "unobserved"),
        ({"status": Status.PENDING}, Verdict.UNKNOWN, "pending"),
    ],
)
def test_what_is_not_up_does_not_pass(now, values, verdict, code):
    make_good(now, name="API", **values)

    found = ask("monitor_up", now=now, monitors=["API"], max_interval_s=60)

    assert (found.verdict, found.code) == (verdict, code)


def test_monitor_whose_row_nobody_vouches_for_is_unknown(now):
    make_good(now, name="API")

    found = ask("monitor_up", now=now + timedelta(hours=1), monitors=["API"])

    assert (found.verdict, found.code) == (Verdict.UNKNOWN, "unobserved")


def test_monitor_that_was_never_looked_at_is_unknown(now):
    make_monitor(name="API")

    found = ask("monitor_up", now=now, monitors=["API"])

    assert (found.verdict, found.code) == (Verdict.UNKNOWN, "pending")


def test_too_few_results_are_unknown(now):
    make_good(now, name="API", count=2)

    found = ask("monitor_up", now=now, monitors=["API"])

    assert told("monitor_up", found) == "API has 2 of 3 checks."


def test_one_failure_among_the_last_results_fails(now):
    monitor = make_good(now, name="API", count=2)
    make_result(monitor, now - 2 * MINUTE, code=503)

    found = ask("monitor_up", now=now, monitors=["API"])

    assert (found.verdict, found.code) == (Verdict.FAILED, "failed_lately")


def test_failure_before_the_last_results_is_forgiven(now):
    monitor = make_good(now, name="API", count=3)
    make_result(monitor, now - 3 * MINUTE, code=503)

    assert ask("monitor_up", now=now, monitors=["API"]).verdict is Verdict.PASSED


def test_slow_answers_fail_and_without_a_bound_pass(now):
    make_good(now, name="API", ms=12_000)

    bounded = ask("monitor_up", now=now, monitors=["API"])
    unbounded = ask("monitor_up", now=now, monitors=["API"], max_latency_ms=0)

    assert told("monitor_up", bounded) == "API took 12.0 s, and 10.0 s is the bound."
    assert unbounded.verdict is Verdict.PASSED


def test_next_look_looks_at_the_same_and_an_edited_target_at_another(now):
    monitor = make_good(now, name="API")
    first = ask("monitor_up", now=now, monitors=["API"])

    make_result(monitor, now + MINUTE, ms=80)
    again = ask("monitor_up", now=now + MINUTE, monitors=["API"])
    Assertion.objects.create(
        monitor=monitor, subject="json", argument="status", operator="equals",
        expected="ok",
    )  # fmt: skip
    edited = ask("monitor_up", now=now + MINUTE, monitors=["API"])

    assert first.looked_at == again.looked_at
    assert first.observed != again.observed
    assert edited.looked_at["monitors"][0]["expectations"] == ["json status equals ok"]
    assert edited.looked_at != again.looked_at


# Addresses are watched


def test_address_with_an_enabled_monitor_that_asks_is_watched(now):
    make_watched(now, name="Front", target="https://Example.org", interval_s=300)

    found = ask("monitor_exists", now=now, urls=["https://example.org/"])

    assert found.verdict is Verdict.PASSED
    assert told("monitor_exists", found) == (
        "https://example.org/ is watched by Front."
    )


def test_monitor_may_be_down_and_still_watches(now):
    make_watched(now, target="https://example.org/a", status=Status.DOWN)

    found = ask("monitor_exists", now=now, urls=["https://example.org/a"])

    assert found.verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"target": "https://example.org/other"}, "missing"),
        ({"is_enabled": False}, "paused"),
        ({"interval_s": 900}, "too_rare"),
        ({"last_result_at": None}, "pending"),
    ],
)
def test_address_that_is_not_really_watched_is_said(now, values, code):
    make_watched(now, **{"target": "https://example.org/a"} | values)

    found = ask("monitor_exists", now=now, urls=["https://example.org/a"])

    assert found.verdict is not Verdict.PASSED
    assert found.code == code


def test_monitor_that_has_fallen_silent_watches_nothing(now):
    make_watched(now, target="https://example.org/a", interval_s=60)

    found = ask("monitor_exists", now=now + 3 * MINUTE, urls=["https://example.org/a"])

    assert (found.verdict, found.code) == (Verdict.FAILED, "silent")


def test_three_addresses_are_counted_and_one_missing_is_named(now):
    urls = [f"https://example.org/{name}" for name in "abc"]
    for url in urls[:2]:
        make_watched(now, target=url)

    before = ask("monitor_exists", now=now, urls=urls)
    make_watched(now, target=urls[2])
    after = ask("monitor_exists", now=now, urls=urls)

    assert before.values["url"] == urls[2]
    assert told("monitor_exists", after) == "All 3 addresses are watched."


# An address answers


@pytest.fixture
def watched_shop(shop):
    """A monitor may reach the shop's private host, so a checklist may too."""
    cache.clear()
    make_monitor(target=shop.url)
    yield shop
    cache.clear()


def test_address_that_answers_as_wanted_passes(watched_shop):
    found = ask(
        "endpoint_answers",
        now=datetime.now(UTC),
        url=watched_shop.url,
        json_path="status",
        json_value="ok",
    )

    assert found.verdict is Verdict.PASSED
    assert found.observed["status_code"] == 200
    assert told("endpoint_answers", found).startswith(
        f"{watched_shop.url} answered HTTP 200 within "
    )


def test_address_may_be_asked_again_at_once(watched_shop):
    for _time in range(2):
        found = ask("endpoint_answers", now=datetime.now(UTC), url=watched_shop.url)
        assert found.verdict is Verdict.PASSED


def test_wrong_status_and_wrong_value_fail(watched_shop):
    wrong_value = ask(
        "endpoint_answers",
        now=datetime.now(UTC),
        url=watched_shop.url,
        json_path="status",
        json_value="degraded",
    )
    watched_shop.turn("broken")
    wrong_status = ask("endpoint_answers", now=datetime.now(UTC), url=watched_shop.url)

    assert wrong_value.verdict is wrong_status.verdict is Verdict.FAILED
    assert "status" in told("endpoint_answers", wrong_value)
    assert "HTTP 500" in told("endpoint_answers", wrong_status)


def test_answer_that_takes_too_long_fails(watched_shop):
    watched_shop.turn("hanging")

    found = ask(
        "endpoint_answers",
        now=datetime.now(UTC),
        url=watched_shop.url,
        max_latency_ms=100,
    )

    assert (found.verdict, found.code) == (Verdict.FAILED, "no_answer")


def test_template_opens_no_way_into_private_networks(shop):
    make_monitor(target=shop.url, may_use_private_targets=False)
    make_monitor(target="http://127.0.0.1:1/")

    found = ask("endpoint_answers", now=datetime.now(UTC), url=shop.url)

    assert found.verdict is Verdict.FAILED
    assert not shop.first_at


def test_private_address_is_not_followed_elsewhere(watched_shop, monkeypatch):
    """The leave is for its host and port alone."""
    elsewhere = Shop()
    monkeypatch.setattr(watched_shop, "moved_to", elsewhere.url)
    try:
        found = ask("endpoint_answers", now=datetime.now(UTC), url=watched_shop.url)
    finally:
        elsewhere.stop()

    assert found.verdict is Verdict.FAILED
    assert not elsewhere.first_at


# Series are fresh and watched


def record(now, value=41.0, **labels):
    sample = NewSample(
        name="platform.cpu_percent",
        value=value,
        at=now,
        source="test",
        labels=labels or {"service": "backend"},
        unit="%",
    )
    record_samples(samples=[sample], now=now)


CPU = 'platform.cpu_percent{service="backend"}'


def test_series_that_nobody_ever_sent_is_not_connected(now):
    found = ask("series_watched", now=now, series=[CPU])

    assert found.verdict is Verdict.NOT_CONNECTED
    assert CPU in told("series_watched", found)


def test_fresh_series_with_a_threshold_passes(now):
    record(now)
    make_threshold(
        "series",
        name="CPU",
        service=make_service(),
        series_name="platform.cpu_percent",
        series_labels={"service": "backend"},
    )

    found = ask("series_watched", now=now + 9 * MINUTE, series=[CPU])

    assert found.verdict is Verdict.PASSED
    assert found.observed["series"][0]["value"] == "41"
    assert told("series_watched", found) == f"{CPU} is fresh, and “CPU” judges it."


def test_series_without_a_threshold_of_its_own_fails(now):
    record(now)
    make_threshold(
        "series",
        service=make_service(),
        series_name="platform.cpu_percent",
        series_labels={"service": "frontend"},
    )

    found = ask("series_watched", now=now, series=["platform.cpu_percent"])

    assert (found.verdict, found.code) == (Verdict.FAILED, "unwatched")


def test_old_value_fails_before_anything_else(now):
    record(now)

    found = ask("series_watched", now=now + 11 * MINUTE, series=[CPU])

    assert (found.verdict, found.code) == (Verdict.FAILED, "stale")


def test_backup_is_restored_once_its_job_says_so(now):
    def look(at):
        return ask("backup_restored", now=at, monitor="Restore")

    assert look(now).verdict is Verdict.NOT_CONNECTED

    monitor = make_monitor(name="Restore", kind="heartbeat", target="")
    assert look(now).code == "never"

    monitor.pings.create(at=now, kind="start")
    assert look(now).code == "never"

    monitor.pings.create(at=now + MINUTE, kind="success")
    assert look(now + MINUTE).verdict is Verdict.PASSED
    assert look(now + timedelta(days=32)).code == "old"

    monitor.pings.create(at=now + 2 * MINUTE, kind="fail", exit_code=1)
    assert look(now + 2 * MINUTE).code == "failed"


def test_heartbeat_of_that_name_must_be_one(now):
    make_monitor(name="Restore")

    found = ask("backup_restored", now=now, monitor="Restore")

    assert found.verdict is Verdict.NOT_CONNECTED
    assert not MonitorState.objects.exists()
