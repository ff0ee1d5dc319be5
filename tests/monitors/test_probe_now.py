"""Probing at once: one real probe, recorded like any other, and told in full."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from monitors import probe_now as probing
from monitors import watching
from monitors.history import partitions
from monitors.models import (
    Assertion,
    CheckResult,
    ControlTarget,
    Monitor,
    MonitorState,
    ResultDetail,
)
from monitors.probe_now import AskedTooSoon, UnableToProbe, probe_now, try_unsaved
from monitors.probes.base import Outcome, Reason
from tests.factories import make_monitor, make_user
from tests.flows.standins import Shop

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clean():
    cache.clear()
    partitions.ensure(now=datetime.now(UTC))
    yield
    cache.clear()


@pytest.fixture
def shop():
    shop = Shop()
    yield shop
    shop.stop()


@pytest.fixture
def prober(client: Client) -> Client:
    """Somebody who may do nothing but probe at once."""
    user = make_user()
    user.user_permissions.set(Permission.objects.filter(codename="probe_now"))
    client.force_login(user)
    return client


def make_watched(**values: object) -> Monitor:
    monitor = make_monitor(**values)
    watching.admit_new(now=datetime.now(UTC))
    return monitor


def nobody_there() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def test_result_is_told_in_full_and_recorded(shop: Shop):
    monitor = make_watched(target=shop.url)

    probed = probe_now(monitor_id=monitor.pk)

    assert probed.is_recorded
    assert probed.result.outcome is Outcome.PASSED
    assert probed.result.status_code == 200
    assert probed.result.phases.first_byte_ms is not None
    row = CheckResult.objects.get()
    assert (row.monitor_id, row.at, row.code) == (monitor.pk, probed.at, 0)
    assert MonitorState.objects.get().last_result_at == probed.at


def test_failing_assertion_and_answer_are_told_and_kept(shop: Shop):
    monitor = make_watched(target=shop.url)
    Assertion.objects.create(
        monitor=monitor,
        subject="json",
        argument="status",
        operator="equals",
        expected="up",
    )

    probed = probe_now(monitor_id=monitor.pk)

    assert probed.result.outcome is Outcome.FAILED
    assert "status" in probed.result.failed_assertion
    assert '"ok"' in probed.result.excerpt
    detail = ResultDetail.objects.get()
    assert detail.failed_assertion == probed.result.failed_assertion
    assert MonitorState.objects.get().failure_count == 1


def test_deadline_is_the_monitors_own(shop: Shop):
    shop.turn("hanging")
    monitor = make_watched(target=shop.url, timeout_s=0.3)

    probed = probe_now(monitor_id=monitor.pk)

    assert probed.result.reason == Reason.TIMEOUT


def test_target_is_not_blamed_for_our_own_network():
    gone = nobody_there()
    host, port = gone.split(":")
    ControlTarget.objects.create(host=host, port=int(port))
    monitor = make_watched(kind="tcp", target=gone)

    probed = probe_now(monitor_id=monitor.pk)

    assert probed.result.outcome is Outcome.ERROR
    assert probed.result.reason == Reason.OFFLINE
    assert MonitorState.objects.get().failure_count == 0


def test_egress_guard_stands_here_too(shop: Shop):
    monitor = make_watched(target=shop.url, may_use_private_targets=False)

    probed = probe_now(monitor_id=monitor.pk)

    assert probed.result.reason == Reason.BLOCKED_ADDRESS


def test_paused_monitor_is_asked_but_nothing_is_recorded(shop: Shop):
    monitor = make_watched(target=shop.url, is_enabled=False)

    probed = probe_now(monitor_id=monitor.pk)

    assert probed.result.outcome is Outcome.PASSED
    assert not probed.is_recorded
    assert not CheckResult.objects.exists()


def test_heartbeat_can_not_be_asked():
    monitor = make_watched(kind="heartbeat", target="")

    with pytest.raises(UnableToProbe, match="its job calls us"):
        probe_now(monitor_id=monitor.pk)


def test_misconfigured_monitor_is_refused_with_the_reason():
    monitor = make_watched(options={"metod": "GET"})

    with pytest.raises(UnableToProbe, match="metod"):
        probe_now(monitor_id=monitor.pk)


def test_second_question_waits_but_other_monitors_do_not(shop: Shop):
    monitor, other = make_watched(target=shop.url), make_watched(target=shop.url)

    probe_now(monitor_id=monitor.pk)

    with pytest.raises(AskedTooSoon) as refusal:
        probe_now(monitor_id=monitor.pk)
    assert refusal.value.wait_s == probing.EVERY_S
    assert probe_now(monitor_id=other.pk).is_recorded


def test_hanging_targets_leave_threads_for_pages(shop: Shop):
    monitor = make_watched(target=shop.url)
    for _ in range(2):
        assert probing._room.acquire(blocking=False)
    try:
        with pytest.raises(AskedTooSoon, match="Others"):
            probe_now(monitor_id=monitor.pk)
    finally:
        probing._room.release(2)


def test_unsaved_monitor_is_tried_and_nothing_is_written(shop: Shop):
    monitor = Monitor(
        kind="http", target=shop.url, timeout_s=2, may_use_private_targets=True
    )
    wanted = Assertion(subject="status", operator="equals", expected="204")

    probed = try_unsaved(monitor=monitor, assertions=[wanted], asked_by=1)

    assert "204" in probed.result.failed_assertion
    assert not probed.is_recorded
    assert not Monitor.objects.exists()
    assert not CheckResult.objects.exists()


# --- The page ---------------------------------------------------------------------------


def test_page_has_a_button_and_get_probes_nothing(prober: Client, shop: Shop):
    monitor = make_watched(target=shop.url)

    page = prober.get(reverse("monitors:probe_now", args=[monitor.pk]))

    assert page.status_code == 200
    assert "Probe now" in page.content.decode()
    assert shop.first_at == {}


def test_button_shows_the_whole_result(prober: Client, shop: Shop):
    shop.turn("broken")
    monitor = make_watched(target=shop.url)
    address = reverse("monitors:probe_now", args=[monitor.pk])

    page = prober.post(address).content.decode()
    again = prober.post(address, headers={"hx-request": "true"}).content.decode()

    assert "Failed: HTTP 500, expected 200–299" in page
    assert "First byte" in page
    assert "{&quot;status&quot;: &quot;ok&quot;}" in page
    assert "Recorded like any other result." in page
    assert "<html" in page
    assert "It was probed a moment ago. Try again in 5 s." in again
    assert "<html" not in again


def test_page_asks_for_its_permission(client: Client):
    client.force_login(make_user())
    monitor = make_watched()

    assert client.post(
        reverse("monitors:probe_now", args=[monitor.pk])
    ).status_code == (403)


@pytest.mark.parametrize("number", ["0", "999999", "9" * 40])
def test_unknown_monitor_is_not_found(prober: Client, number: str):
    assert prober.get(f"/monitors/{number}/probe/").status_code == 404
    assert prober.post(f"/monitors/{number}/probe/").status_code == 404
