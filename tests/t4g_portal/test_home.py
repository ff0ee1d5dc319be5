"""The overview: one sentence, what is open, services, and the portal's own health."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib import admin
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from incidents.models import AuditFinding
from incidents.oncall import services
from monitors.models import LocationState, MonitorState
from notifications.models import Contact, Notification
from t4g_portal.lib.models import LoopCycle
from t4g_portal.navigation import GROUPS
from t4g_portal.overview import overview
from t4g_portal.ready import EXPECTED_LOOPS
from t4g_portal.roles import MANAGER
from tests.factories import (
    make_channel,
    make_contact,
    make_monitor,
    make_service,
    make_user,
)
from tests.history import (
    HOUR,
    MINUTE,
    make_history,
    make_incident,
    make_ledger,
    make_loops,
)
from tests.incidents.oncall.making import make_schedule

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_now(now):
    cache.clear()
    with time_machine.travel(now, tick=False):
        yield


@pytest.fixture
def ops(client: Client) -> Client:
    client.force_login(make_user(is_superuser=True))
    return client


def words_of(client: Client, address: str = "/") -> str:
    page = client.get(address).content.decode()
    page = page[page.index("ops-page") :] if "ops-page" in page else page
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def make_notification(**values) -> Notification:
    values.setdefault("channel", make_channel())
    values.setdefault("idempotency_key", f"key{Notification.objects.count()}")
    values.setdefault("next_attempt_at", values["queued_at"])
    values.setdefault("give_up_at", values["queued_at"] + HOUR)
    return Notification.objects.create(
        subject_key="incident:1", purpose="page", message={}, **values
    )


def test_overview_asks_for_a_login(client: Client):
    answer = client.get("/")

    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=/")


def test_first_visit_offers_the_first_step(ops: Client, now):
    make_loops(now=now)
    make_service()

    words = words_of(ops)

    assert "Nothing is watched yet" in words
    assert "Add your first monitor" in words
    assert reverse("admin:monitors_monitor_add") in ops.get("/").content.decode()


def test_first_step_is_not_offered_to_those_who_may_not(client: Client, now):
    make_loops(now=now)
    client.force_login(make_user(role=MANAGER))

    assert "Add your first monitor" not in words_of(client)


def test_sentence_comes_first_and_then_what_is_open(ops: Client, now):
    make_history(now=now)

    words = words_of(ops)

    sentence = "Backend down for 4 min, acknowledged by Anna Keller"
    parts = ["Open incidents", "Services", "Needs a look", "The portal"]
    places = [words.index(part) for part in [sentence, *parts]]
    assert places == sorted(places)
    assert "API: API version: latency above 500 ms Nobody yet, due in 34 min" in words
    assert "Anna Keller is on it, began 4 min ago" in words
    assert "Certificate expires in 9 d" in words


def test_all_well_is_one_short_page(ops: Client, now):
    make_loops(now=now)
    make_ledger(monitor=make_monitor(), now=now)
    make_ledger(monitor=make_monitor(), now=now)

    words = words_of(ops)

    assert "All 2 services up" in words
    assert "Open incidents" not in words
    assert "Needs a look" not in words
    assert "The portal is well every loop on time all messages delivered" in words


def test_overdue_answer_is_said(ops: Client, now):
    make_loops(now=now)
    make_incident(service=make_monitor().service, title="slow", started_at=now - HOUR)

    assert "Nobody yet, due 54 min ago · began 1 h ago" in words_of(ops)


def test_overview_says_who_is_on_call_now_and_next(ops: Client, now):
    make_loops(now=now)
    ana, bo = make_contact(name="Ana"), make_contact(name="Bo")
    schedule = make_schedule(ana, bo, name="First line")
    assert "First line Ana until Mon 9 Mar, 09:00 then Bo" in words_of(ops)

    services.take(
        schedule_id=schedule.pk,
        contact_id=bo.pk,
        starts_at=now,
        ends_at=now + 2 * HOUR,
        now=now,
    )

    assert "First line Bo until Mon 2 Mar, 12:00 then Ana" in words_of(ops)

    # No act on the calendar, and nothing of it is remembered.
    Contact.objects.filter(pk=bo.pk).update(is_enabled=False)
    assert "First line Ana" in words_of(ops)


def test_overview_says_when_nobody_is_on_call(ops: Client, now):
    make_loops(now=now)
    make_schedule(name="First line")

    assert "First line Nobody is in it yet" in words_of(ops)


def test_unacknowledged_incidents_come_first_by_their_deadline(now):
    service = make_service()
    for title, began, status in (
        ("held", 3 * HOUR, "acknowledged"),
        ("late", 2 * HOUR, "triggered"),
        ("soon", HOUR, "triggered"),
    ):
        make_incident(
            service=service,
            title=title,
            grouping_key=title,
            started_at=now - began,
            status=status,
            acknowledged_at=now if status == "acknowledged" else None,
        )

    found = overview(now=now)

    assert [incident.title for incident in found.incidents] == ["late", "soon", "held"]
    assert found.incident_count == 3


def test_blind_location_is_the_sentence(now):
    make_history(now=now)
    LocationState.objects.create(
        name="main", is_blind=True, changed_at=now - 3 * MINUTE, checked_at=now
    )

    found = overview(now=now)

    assert found.headline.text == (
        "Monitoring is blind since 09:57:00: "
        "no control target answers, so the fault is ours"
    )


def test_worker_that_stands_still_is_blindness(now):
    make_history(now=now)
    LoopCycle.objects.filter(name="monitors.probe").update(
        completed_at=now - 2 * MINUTE
    )

    found = overview(now=now)

    assert found.headline.text == (
        "Monitoring is blind since 09:58:00: the worker does not probe"
    )
    assert [loop.name for loop in found.own_health.late_loops] == ["monitors.probe"]


def test_portal_says_what_is_wrong_with_itself(ops: Client, now):
    make_loops(now=now)
    LoopCycle.objects.filter(name="incidents.advance").update(completed_at=now - HOUR)
    make_channel(name="off", is_enabled=False)
    make_channel(name="empty", kind="slack", address="")
    good = make_channel()
    old, recent = now - 11 * MINUTE, now - MINUTE
    make_notification(channel=good, queued_at=old)
    make_notification(channel=good, queued_at=recent)
    make_notification(channel=good, queued_at=recent, status="dead")
    make_notification(channel=good, queued_at=now - timedelta(days=2), status="dead")
    make_notification(channel=good, queued_at=old, status="sent")

    words = words_of(ops)

    assert "1 loop late: incidents.advance" in words
    assert "2 messages undelivered" in words
    assert "2 channels not configured yet" in words


def test_overview_asks_the_same_number_of_queries_for_any_number_of_monitors(
    ops: Client, now, django_assert_num_queries
):
    make_loops(now=now)
    for count in (1, 30):
        for _ in range(count):
            monitor = make_monitor()
            make_ledger(monitor=monitor, now=now)
            make_incident(service=monitor.service, title="slow", started_at=now - HOUR)
            make_schedule(make_contact())
        ops.get("/")

        # Six of them for who is on call: what is remembered could be wrong.
        with django_assert_num_queries(18):
            ops.get("/")


def test_part_that_refreshes_comes_alone_and_only_when_it_changed(ops: Client, now):
    make_history(now=now)

    first = ops.get("/?live")
    again = ops.get("/?live", headers={"If-None-Match": first["ETag"]})
    MonitorState.objects.update(is_flapping=True)
    later = ops.get("/?live", headers={"If-None-Match": first["ETag"]})

    assert "<html" not in first.content.decode()
    assert (again.status_code, again.content) == (304, b"")
    assert later.status_code == 200


def test_health_line_says_that_pages_were_rescued_or_are_in_danger(ops: Client, now):
    well = ops.get("/").content.decode()
    finding = AuditFinding.objects.create(
        kind="stuck", found_at=now, last_seen_at=now, repaired_at=now, ended_at=now
    )
    rescued = ops.get("/").content.decode()
    AuditFinding.objects.filter(pk=finding.pk).update(repaired_at=None, ended_at=None)
    in_danger = ops.get("/").content.decode()

    assert "no page in danger" in well
    assert "1 page was rescued today" in rescued
    assert "1 page in danger" in in_danger
    assert "The portal is well" not in in_danger


# --- The shell --------------------------------------------------------------------


def sidebar_of(client: Client, address: str = "/") -> list[str]:
    page = client.get(address).content.decode()
    start = page.index('id="nav-sidebar-apps"')
    return re.findall(r"<span>([^<]+)</span>", page[start : page.index("</nav>")])


def test_sidebar_holds_pages_first_then_what_one_edits(ops: Client, now):
    names = sidebar_of(ops)

    first = names.index("Services")
    assert names[:3] == ["Overview", "Incidents", "On call"]
    assert names[first - 2 : first] == ["Status page", "My contact details"]
    assert names[first : first + 3] == ["Services", "Monitors", "Thresholds"]
    assert {"Contacts", "Channels", "Priority matrix", "Users"} <= set(names)


def test_sidebar_holds_only_what_somebody_may_see(client: Client):
    client.force_login(make_user(may=["monitors.view_threshold"]))

    assert sidebar_of(client, "/admin/") == [
        "Status page",
        "My contact details",
        "Thresholds",
    ]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/", "Overview"),
        ("/monitors/", "Monitors"),
        ("/incidents/", "Incidents"),
        ("/admin/monitors/threshold/", "Thresholds"),
        ("/admin/incidents/incident/", "Incidents"),
    ],
)
def test_sidebar_lights_up_one_entry(ops: Client, address: str, name: str):
    page = ops.get(address).content.decode()

    lit = re.findall(r'class="[^"]* active"[^>]*>(.*?)</a>', page, re.DOTALL)
    assert len(lit) == 1
    assert f"<span>{name}</span>" in lit[0]


def test_navigation_names_registered_models_only():
    registered = {model._meta.label for model in admin.site._registry}

    named = {entry.model for group in GROUPS for entry in group.entries}

    assert named <= registered


def test_every_list_of_the_admin_opens(ops: Client, now):
    make_history(now=now)

    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        answer = ops.get(reverse(f"admin:{name}_changelist"))
        assert answer.status_code == 200, name


def test_admin_index_shows_the_groups_of_the_sidebar(ops: Client):
    words = words_of(ops, "/admin/")

    places = [words.index(name) for name in ("Watch", "Tell", "Records", "Access")]
    assert places == sorted(places)
    assert "Maintenance windows" in words


def test_every_expected_loop_is_one_that_beat_starts(settings):
    assert set(EXPECTED_LOOPS) == set(settings.CELERY_BEAT_SCHEDULE)
    for name, bound_s in EXPECTED_LOOPS.items():
        assert bound_s >= 2 * settings.CELERY_BEAT_SCHEDULE[name]["schedule"]
