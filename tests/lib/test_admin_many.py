"""Many rows at once: seen first, then all or none; and copies of one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from incidents.models import Service
from monitors.models import Assertion, MaintenanceWindow, Monitor, Threshold
from notifications.models import Channel
from t4g_portal.lib.history.reading import entries_of, read
from tests.factories import make_channel, make_monitor, make_service, make_user

pytestmark = pytest.mark.django_db

LIST = "/admin/monitors/monitor/"


@pytest.fixture
def ops(client: Client) -> Client:
    client.force_login(make_user(is_superuser=True, username="nina"))
    return client


def bulk(client: Client, *rows: Any, address: str = LIST, **typed: str) -> Any:
    chosen = {"action": "edit_several", "_selected_action": [row.pk for row in rows]}
    return client.post(address, {**chosen, "bulk": "1", **typed})


def state(answer: Any) -> str:
    found = re.search(r'name="state" value="(\w+)"', answer.content.decode())
    assert found, "there is no preview"
    return found.group(1)


def newest(row: Any) -> list[str]:
    return sorted(str(line) for line in read(entries_of(row))[0].lines)


# --- Edit several -----------------------------------------------------------------------


def test_action_asks_first_and_changes_nothing(ops: Client):
    monitor = make_monitor(name="Shop")

    page = ops.post(LIST, {"action": "edit_several", "_selected_action": [monitor.pk]})

    text = page.content.decode()
    assert "What shall change" in text
    assert "Shop" in text
    assert 'name="interval_s"' in text
    monitor.refresh_from_db()
    assert monitor.interval_s == 60


def test_preview_shows_before_and_after_and_writes_nothing(ops: Client):
    first, second = make_monitor(tags=["old"]), make_monitor(interval_s=120)

    page = bulk(
        ops, first, second, interval_s="120", add_tags="prod, web", remove_tags="old"
    )

    text = page.content.decode()
    for words in ("60", "120", "prod, web", "Change 2"):
        assert words in text
    first.refresh_from_db()
    assert (first.interval_s, first.tags) == (60, ["old"])


def test_applied_as_it_was_shown_with_a_history(ops: Client):
    first, second = make_monitor(tags=["old"]), make_monitor()
    backend = make_service(name="Backend")
    typed = {"interval_s": "90", "add_tags": "prod", "service": str(backend.pk)}
    shown = bulk(ops, first, second, **typed)

    answer = bulk(ops, first, second, apply="1", state=state(shown), **typed)

    assert answer.status_code == 302
    for row in (first, second):
        row.refresh_from_db()
        assert (row.interval_s, row.service) == (90, backend)
    assert (first.tags, second.tags) == (["old", "prod"], ["prod"])
    assert "Interval (s): 60 → 90" in newest(first)
    assert read(entries_of(first))[0].who == "nina"


def test_one_refused_row_stops_all_and_says_why(ops: Client):
    good, bad = make_monitor(), make_monitor(name="Slow", retry_interval_s=50)

    shown = bulk(ops, good, bad, interval_s="30", retry_interval_s="")
    text = shown.content.decode()

    assert "no more than the interval (30 s)" in text
    assert 'name="apply"' not in text
    answer = bulk(ops, good, bad, apply="1", state=state(shown), interval_s="30")
    assert "Nothing was changed, because of Slow" in answer.content.decode()
    good.refresh_from_db()
    assert good.interval_s == 60


def test_refused_rows_can_be_left_out(ops: Client):
    good, bad = make_monitor(), make_monitor(retry_interval_s=50)

    shown = bulk(ops, good, bad, interval_s="30", leave_out="1")

    assert "Change 1" in shown.content.decode()
    assert bulk(
        ops, good, apply="1", state=state(shown), interval_s="30"
    ).status_code == (302)
    bad.refresh_from_db()
    assert bad.interval_s == 60


def test_change_between_preview_and_apply_is_shown_again(ops: Client):
    first, second = make_monitor(), make_monitor()
    shown = bulk(ops, first, second, interval_s="90")
    Monitor.objects.filter(pk=second.pk).update(name="Renamed", timeout_s=5)

    answer = bulk(ops, first, second, apply="1", state=state(shown), interval_s="90")

    text = answer.content.decode()
    assert "changed meanwhile" in text
    assert "Renamed" in text
    assert not Monitor.objects.filter(interval_s=90).exists()


def test_other_values_than_those_shown_are_not_applied(ops: Client):
    monitor = make_monitor()
    shown = bulk(ops, monitor, interval_s="90")

    bulk(ops, monitor, apply="1", state=state(shown), interval_s="300")

    monitor.refresh_from_db()
    assert monitor.interval_s == 60


def test_heartbeat_is_refused_a_probes_timing(ops: Client):
    job = make_monitor(kind="heartbeat", target="")

    assert "A heartbeat calls us" in bulk(ops, job, interval_s="90").content.decode()


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"interval_s": "abc"},
        {"interval_s": "9" * 30},
        {"service": "999999"},
        {"service": "x"},
        {"add_tags": "\0"},
        {"add_tags": "x" * 100},
        {"is_enabled": "maybe"},
        {"timeout_s": "nan"},
        {"apply": "1", "state": "\0", "interval_s": "90"},
        {"leave_out": "1", "interval_s": "0"},
    ],
)
def test_bad_values_are_said_and_change_nothing(ops: Client, typed: dict[str, str]):
    monitor = make_monitor()

    answer = bulk(ops, monitor, **typed)

    assert answer.status_code == 200
    monitor.refresh_from_db()
    assert (monitor.interval_s, monitor.tags) == (60, [])


def test_thresholds_are_checked_by_their_own_rules(ops: Client):
    row = Threshold.objects.create(
        name="Slow", measure="latency", critical_bound=2000, warning_bound=1000
    )
    address = "/admin/monitors/threshold/"

    refused = bulk(ops, row, address=address, warning_bound="3000")
    shown = bulk(ops, row, address=address, critical_priority="p0")
    bulk(
        ops,
        row,
        address=address,
        critical_priority="p0",
        apply="1",
        state=state(shown),
    )

    assert "The warning must come before the critical." in refused.content.decode()
    row.refresh_from_db()
    assert (row.critical_priority, row.warning_bound) == ("p0", 1000)


def test_cost_of_a_preview_does_not_grow_with_the_rows(
    ops: Client, django_assert_max_num_queries
):
    rows = [make_monitor() for _ in range(30)]
    bulk(ops, rows[0], interval_s="90")

    with django_assert_max_num_queries(14):
        bulk(ops, *rows, interval_s="90")


def test_reader_can_not_edit_several(client: Client):
    user = make_user()
    user.user_permissions.set(Permission.objects.filter(codename="view_monitor"))
    client.force_login(user)
    monitor = make_monitor()

    bulk(client, monitor, interval_s="90", apply="1")

    monitor.refresh_from_db()
    assert monitor.interval_s == 60


# --- Switching --------------------------------------------------------------------------


def test_switching_leaves_a_history(ops: Client):
    monitor = make_monitor()

    ops.post(LIST, {"action": "pause", "_selected_action": [monitor.pk]})

    assert newest(monitor) == ["Enabled: yes → no"]


def test_channel_that_is_not_configured_is_not_enabled_and_neither_are_the_others(
    ops: Client,
):
    good = make_channel(is_enabled=False)
    bare = make_channel(name="Bare", kind="slack", address="", is_enabled=False)

    answer = ops.post(
        "/admin/notifications/channel/",
        {"action": "enable", "_selected_action": [good.pk, bare.pk]},
        follow=True,
    )

    assert "Nothing was changed, because of Bare" in answer.content.decode()
    assert not Channel.objects.filter(is_enabled=True).exists()


# --- Clone ------------------------------------------------------------------------------


def test_monitor_is_cloned_with_its_assertions_and_without_its_secret(ops: Client):
    monitor = make_monitor(
        name="Shop", secret="sesame", options={"method": "HEAD"}, tags=["prod"]
    )
    Assertion.objects.create(
        monitor=monitor, subject="status", operator="equals", expected="204"
    )

    page = ops.get(f"{LIST}{monitor.pk}/clone/").content.decode()
    answer = ops.post(f"{LIST}{monitor.pk}/clone/")

    assert "The secret isn&#x27;t copied" in page or "The secret isn't copied" in page
    copy = Monitor.objects.exclude(pk=monitor.pk).get()
    assert answer.headers["Location"] == f"{LIST}{copy.pk}/change/"
    assert (copy.name, copy.secret, copy.is_enabled) == ("Shop (copy)", "", False)
    assert (copy.options, copy.tags) == ({"method": "HEAD"}, ["prod"])
    assert copy.ping_key != monitor.ping_key
    assert copy.assertions.get().expected == "204"


def test_second_copy_gets_a_name_of_its_own_and_none_is_too_long(ops: Client):
    monitor = make_monitor(name="x" * 120)

    for _ in range(2):
        ops.post(f"{LIST}{monitor.pk}/clone/")

    assert sorted(len(row.name) for row in Monitor.objects.all()) == [120, 120, 120]


def test_window_is_cloned_with_what_it_covers(ops: Client, now):
    window = MaintenanceWindow.objects.create(name="Sunday", starts_at=now, tags=["a"])
    window.services.add(make_service())

    ops.post(f"/admin/monitors/maintenancewindow/{window.pk}/clone/")

    copy = MaintenanceWindow.objects.exclude(pk=window.pk).get()
    assert (copy.name, copy.is_enabled) == ("Sunday (copy)", False)
    assert list(copy.services.all()) == list(Service.objects.all())


def test_clone_is_for_those_who_may_add_and_get_makes_none(client: Client):
    user = make_user()
    user.user_permissions.set(Permission.objects.filter(codename="view_monitor"))
    client.force_login(user)
    monitor = make_monitor()

    assert client.post(f"{LIST}{monitor.pk}/clone/").status_code == 403
    assert client.get(f"{LIST}abc/clone/").status_code in {403, 404}
    assert Monitor.objects.count() == 1


def test_clone_gives_no_way_into_private_networks(client: Client):
    user = make_user()
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["view_monitor", "add_monitor"])
    )
    client.force_login(user)
    monitor = make_monitor(may_use_private_targets=True)

    client.post(f"{LIST}{monitor.pk}/clone/")

    assert not Monitor.objects.exclude(pk=monitor.pk).get().may_use_private_targets
