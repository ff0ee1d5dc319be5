"""What verifiers find out about KPIs and digests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from checklists.verifiers.base import Verdict
from kpis.digest import sending
from kpis.digest.sending import send_due
from kpis.models import DigestPlan, Kpi, KpiRun, KpiState
from notifications.models import Notification
from tests.checklists.asking import ask, told
from tests.factories import make_channel
from tests.incidents.making import deliver, refuse
from tests.kpis.making import make_kpi, make_point, make_source, make_version

pytestmark = pytest.mark.django_db

# 09:00 in Paris, a Friday.
MORNING = datetime(2026, 11, 27, 8, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def make_fresh(now, slug="users", **values) -> Kpi:
    """A KPI that was read ten minutes ago."""
    source = make_source(kind="portal")
    kpi = make_kpi(slug=slug, name=slug.title(), source=source, **values)
    make_point(kpi, now - DAY, 1284)
    KpiState.objects.create(
        kpi=kpi, next_run_at=now + HOUR, last_ok_at=now - 10 * MINUTE
    )
    return kpi


def make_run(kpi, at, **values) -> KpiRun:
    values.setdefault("trigger", "schedule")
    values.setdefault("outcome", "ok")
    values.setdefault("point_count", 1)
    return KpiRun.objects.create(
        kpi=kpi,
        version=make_version(kpi, now=at),
        started_at=at,
        finished_at=at,
        **values,
    )


def test_kpi_that_was_read_lately_is_fresh():
    make_fresh(MORNING)

    found = ask("kpi_fresh", now=MORNING, kpis=["users"])

    assert found.verdict is Verdict.PASSED
    assert found.looked_at == {
        "kpis": [{"slug": "users", "name": "Users", "version": 1}]
    }
    assert found.observed["kpis"][0]["value"].startswith("1284")


def test_four_kpis_are_counted_and_a_missing_one_is_named():
    for slug in ("users", "payments", "sessions"):
        make_fresh(MORNING, slug=slug)
    slugs = ["users", "payments", "sessions", "tokens"]

    before = ask("kpi_fresh", now=MORNING, kpis=slugs)
    make_fresh(MORNING, slug="tokens")
    after = ask("kpi_fresh", now=MORNING, kpis=slugs)

    assert told("kpi_fresh", before) == "There is no KPI “tokens” that is switched on."
    assert told("kpi_fresh", after) == "All 4 KPIs are fresh."


@pytest.mark.parametrize(("later", "code"), [(3 * HOUR, "stale"), (2 * DAY, "overdue")])
def test_old_value_fails(later, code):
    make_fresh(MORNING)

    found = ask("kpi_fresh", now=MORNING + later, kpis=["users"])

    assert (found.verdict, found.code) == (Verdict.FAILED, code)


def test_kpi_that_was_never_read_is_unknown_and_one_switched_off_fails():
    kpi = make_kpi(slug="users", source=make_source(kind="portal"))
    never = ask("kpi_fresh", now=MORNING, kpis=["users"])
    type(kpi.source).objects.update(is_enabled=False)
    off = ask("kpi_fresh", now=MORNING, kpis=["users"])

    assert (never.verdict, never.code) == (Verdict.UNKNOWN, "never")
    assert (off.verdict, off.code) == (Verdict.FAILED, "off")


def test_failure_within_the_day_fails_and_tests_by_people_do_not():
    kpi = make_fresh(MORNING)
    make_run(kpi, MORNING - 25 * HOUR, outcome="failed")
    make_run(kpi, MORNING - HOUR, outcome="failed", trigger="test")
    calm = ask("kpi_fresh", now=MORNING, kpis=["users"])
    make_run(kpi, MORNING - HOUR, outcome="failed")
    restless = ask("kpi_fresh", now=MORNING, kpis=["users"])
    forgiven = ask("kpi_fresh", now=MORNING, kpis=["users"], calm_hours=0)

    assert calm.verdict is Verdict.PASSED
    assert told("kpi_fresh", restless) == (
        "Users could not be read once in the last 24 h."
    )
    assert forgiven.verdict is Verdict.PASSED


def test_new_way_to_compute_is_another_thing():
    kpi = make_fresh(MORNING)
    before = ask("kpi_fresh", now=MORNING, kpis=["users"])
    Kpi.objects.update(measure="incident_count")
    kpi.refresh_from_db()
    make_version(kpi, now=MORNING)
    make_point(kpi, MORNING - DAY, 3)
    after = ask("kpi_fresh", now=MORNING, kpis=["users"])

    assert before.looked_at != after.looked_at


def test_readings_are_judged_by_95_of_100_and_by_period():
    kpi = make_fresh(MORNING)
    for number in range(19):
        # Three periods at once, 100 ms each.
        make_run(kpi, MORNING - number * HOUR, duration_ms=300, point_count=3)
    make_run(kpi, MORNING - 20 * HOUR, duration_ms=9000)
    fast = ask("kpi_fast", now=MORNING, kpis=["users"])
    make_run(kpi, MORNING, duration_ms=9000)
    slow = ask("kpi_fast", now=MORNING, kpis=["users"])

    assert (fast.verdict, fast.values["duration_ms"]) == (Verdict.PASSED, 100)
    assert told("kpi_fast", slow) == (
        "Users: 5 of 100 readings took 9.00 s or longer, and 500 ms is the bound."
    )


def test_readings_that_failed_count_as_slow():
    kpi = make_fresh(MORNING)
    for number in range(19):
        make_run(kpi, MORNING - number * HOUR, duration_ms=10)
    make_run(
        kpi, MORNING, duration_ms=20, point_count=0, outcome="failed", message="timeout"
    )
    one = ask("kpi_fast", now=MORNING, kpis=["users"])
    make_run(
        kpi, MORNING, duration_ms=20, point_count=0, outcome="failed", message="timeout"
    )
    two = ask("kpi_fast", now=MORNING, kpis=["users"])

    assert (one.verdict, two.verdict) == (Verdict.PASSED, Verdict.FAILED)
    assert told("kpi_fast", two) == "Users can't be read: timeout"


def test_readings_of_long_ago_say_nothing():
    kpi = make_fresh(MORNING)
    for number in range(5):
        make_run(kpi, MORNING - number * HOUR, duration_ms=10)

    before = ask("kpi_fast", now=MORNING + 2 * HOUR - MINUTE, kpis=["users"])
    after = ask("kpi_fast", now=MORNING + 2 * HOUR, kpis=["users"])

    assert before.verdict is Verdict.PASSED
    assert (after.verdict, after.code) == (Verdict.UNKNOWN, "stale")
    assert told("kpi_fast", after).startswith("Users is stale")


def test_few_readings_say_nothing_and_those_of_past_periods_do_not_count():
    kpi = make_fresh(MORNING)
    for number in range(4):
        make_run(kpi, MORNING - number * HOUR, duration_ms=10)
    make_run(kpi, MORNING, duration_ms=10, trigger="backfill")
    make_run(kpi, MORNING, duration_ms=10, outcome="cancelled")

    found = ask("kpi_fast", now=MORNING, kpis=["users"])

    assert told("kpi_fast", found) == "Users was read 4 times; 5 are needed."
    assert ask("kpi_fast", now=MORNING, kpis=["ghost"]).code == "missing"


# A digest was delivered


@pytest.fixture
def plan() -> DigestPlan:
    plan = DigestPlan.objects.create(name="Morning")
    plan.channels.set([make_channel(name="Managers")])
    send_due(now=MORNING - DAY + MINUTE)
    return plan


def look(at):
    return ask("digest_delivered", now=at, digest="Morning")


def test_digest_whose_every_copy_was_taken_passes(plan):
    send_due(now=MORNING)
    under_way = look(MORNING + MINUTE)
    deliver(now=MORNING + MINUTE)
    delivered = look(MORNING + 2 * MINUTE)

    assert (under_way.verdict, under_way.code) == (Verdict.UNKNOWN, "under_way")
    assert delivered.verdict is Verdict.PASSED
    assert delivered.looked_at["channels"] == ["Managers"]
    assert look(MORNING + 27 * HOUR).code == "none"


def test_copy_that_was_refused_or_only_kept_fails(plan):
    send_due(now=MORNING)
    refuse(now=MORNING + MINUTE)
    refused = look(MORNING + MINUTE)
    Notification.objects.filter(purpose=sending.PURPOSE).update(
        status="sent", receipt={"kept": True}
    )
    kept = look(MORNING + MINUTE)

    assert told("digest_delivered", refused).endswith("did not reach: Managers.")
    assert kept.code == "kept"


def test_digest_that_nobody_gets_is_no_digest(plan):
    plan.channels.clear()
    send_due(now=MORNING)

    assert look(MORNING + MINUTE).code == "nobody"


def test_digest_that_is_missing_off_or_not_yet_sent_fails(plan):
    not_yet = look(MORNING - MINUTE)
    DigestPlan.objects.update(is_enabled=False)
    off = look(MORNING)
    missing = ask("digest_delivered", now=MORNING, digest="Evening")

    assert (not_yet.code, off.code, missing.code) == ("none", "disabled", "missing")
