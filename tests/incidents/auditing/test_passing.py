"""Each promise is broken on purpose; the next pass finds it, repairs it and says so."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.conf import settings as portal_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from incidents import services
from incidents.advancing import advance_due
from incidents.auditing import deadman, gathering, telling
from incidents.auditing.passing import audit
from incidents.auditing.repairing import repair
from incidents.models import Alert, AuditFinding, Incident
from incidents.tasks import audit as audit_task
from notifications.claiming import claim_due
from notifications.models import Address, Attempt, Channel, Notification
from t4g_portal.lib import loops
from t4g_portal.lib.models import LoopCycle
from t4g_portal.ready import readiness
from tests.factories import (
    make_channel,
    make_contact,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.incidents.making import (
    deliver,
    make_incident,
    outbox,
    pages_of,
    reread,
)

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
# Longer than messages are kept and than any look-back one might think of.
YEARS = timedelta(days=3 * 365)


class Outside:
    """Whoever waits for the dead-man ping: keeps the paths that were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outside.asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/ping/secret"


@pytest.fixture
def outside(settings: Any) -> Iterator[Outside]:
    """An outside service at `DEADMAN_URL`."""
    made = Outside()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,))
    thread.start()
    settings.DEADMAN_URL = made.url
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def paged_incident(*, now, **values):
    """A P0 whose page has left; the rules tell one channel unless there are some."""
    if not Channel.objects.exists():
        make_priority_rules(make_channel(name="Alerts"))
    incident = make_incident(now=now, **values)
    deliver(now=now)
    return incident


def break_incident(incident, **values):
    Incident.objects.filter(pk=incident.pk).update(**values)


def break_messages(incident, **values):
    rows = Notification.objects.filter(subject_key=f"incident:{incident.pk}")
    rows.update(**values)


def findings(**values):
    return list(AuditFinding.objects.filter(**values).order_by("pk"))


def kinds_found():
    return [finding.kind for finding in findings()]


# --- Every page is safe ----------------------------------------------------------------


def test_clean_pass_writes_nothing_and_tells_the_outside(now, outside):
    incident = paged_incident(now=now)
    acknowledged = paged_incident(now=now)
    services.acknowledge(
        incident_id=acknowledged.pk, user=make_user(), via="web", now=now
    )
    before = reread(incident)

    done = audit(now=now + MINUTE)

    assert done.is_clean
    assert findings() == []
    assert Alert.objects.filter(dedup_key=telling.DEDUP_KEY).count() == 0
    assert reread(incident).next_escalation_at == before.next_escalation_at
    assert outside.asked == ["/ping/secret"]


def test_without_an_address_nobody_is_told(now):
    assert portal_settings.DEADMAN_URL == ""
    assert audit(now=now).is_clean


# --- What is wrong with incidents --------------------------------------------------------


@pytest.mark.parametrize("age", [timedelta(), YEARS])
def test_incident_without_a_next_step_gets_one(now, age):
    incident = paged_incident(now=now - age)
    break_incident(incident, next_escalation_at=None)

    audit(now=now + MINUTE)

    assert kinds_found() == ["no_next_step"]
    (finding,) = findings()
    assert finding.repaired_at == finding.ended_at == now + MINUTE
    wanted = reread(incident).next_escalation_at
    assert wanted is not None
    advance_due(now=wanted)
    assert reread(incident).escalation_count >= 2


@pytest.mark.parametrize("age", [3 * MINUTE, YEARS])
def test_step_that_is_late_is_taken_by_the_auditor(now, age):
    incident = paged_incident(now=now - age - 10 * MINUTE)
    break_incident(incident, next_escalation_at=now - age)

    audit(now=now)

    assert kinds_found() == ["late_step"]
    assert findings()[0].repaired_at == now
    assert reread(incident).escalation_count == 2
    assert reread(incident).next_escalation_at > now


def test_step_put_off_for_years_comes_at_its_time(now):
    incident = paged_incident(now=now)
    break_incident(incident, next_escalation_at=now + YEARS)

    audit(now=now + MINUTE)

    assert kinds_found() == ["late_step"]
    assert reread(incident).next_escalation_at == now + 5 * MINUTE


def test_snooze_that_lost_its_end_ends(now):
    incident = paged_incident(now=now)
    services.snooze(
        incident_id=incident.pk,
        user=make_user(),
        via="web",
        now=now,
        until=now + 60 * MINUTE,
    )
    break_incident(incident, next_escalation_at=None)

    audit(now=now + MINUTE)

    assert reread(incident).next_escalation_at == now + 60 * MINUTE


@pytest.mark.parametrize("age", [timedelta(), YEARS])
@pytest.mark.parametrize("priority", ["p0", "p1", "p2"])
def test_page_whose_messages_are_gone_is_written_again(now, age, priority):
    incident = paged_incident(now=now - age, priority=priority)
    Notification.objects.all().delete()

    audit(now=now + MINUTE)

    # A step that is years late is taken first, and pages as well.
    is_late = priority == "p0" and age == YEARS
    assert kinds_found() == ["late_step" if is_late else "no_message"]
    assert not findings(ended_at=None)
    pages = Notification.objects.filter(subject_key=f"incident:{incident.pk}")
    assert [row.status for row in pages] == ["queued"]
    assert reread(incident).escalation_count == 2


def test_digest_tells_nobody_and_that_is_right(now):
    paged_incident(now=now, priority="p3")

    assert audit(now=now + YEARS).found_count == 0


def test_nobody_reachable_is_no_finding_because_it_is_said_already(now):
    make_priority_rules()
    incident = make_incident(now=now)
    assert reread(incident).is_untold

    assert audit(now=now + MINUTE).found_count == 0


def test_incident_that_cannot_be_read_holds_up_no_other(now, outside):
    broken = paged_incident(now=now)
    other = paged_incident(now=now)
    break_incident(broken, policy={"is_digest": False})
    break_incident(other, next_escalation_at=None)

    done = audit(now=now + MINUTE)

    assert sorted(kinds_found()) == ["no_next_step", "unreadable"]
    assert reread(other).next_escalation_at is not None
    assert done.left_count == 0
    assert outside.asked == ["/ping/secret"]


@pytest.mark.parametrize(
    "damage", [{"policy": {}}, {"policy": {"steps": 7}}, {"escalation_runs": ["x"]}]
)
def test_incident_that_cannot_be_read_begins_anew_with_the_policy_of_today(now, damage):
    broken = paged_incident(now=now)
    break_incident(broken, **damage, escalation_began_at=now)

    done = audit(now=now + MINUTE)

    assert done.left_count == 0
    assert kinds_found() == ["unreadable"]
    assert len(pages_of(broken, "queued")) == 1
    assert reread(broken).next_escalation_at == now + 6 * MINUTE


def test_incident_that_cannot_be_read_and_that_somebody_has_is_not_paged(now):
    broken = paged_incident(now=now)
    services.acknowledge(incident_id=broken.pk, user=make_user(), via="web", now=now)
    break_incident(broken, policy={})

    audit(now=now + MINUTE)

    assert pages_of(broken, "queued") == []
    services.resolve_incident(
        incident_id=broken.pk,
        user=make_user(),
        via="web",
        now=now + MINUTE,
        even_if_firing=True,
    )


# --- What is wrong with messages ------------------------------------------------------------


@pytest.mark.parametrize("lease", [None, -YEARS, -3 * MINUTE, YEARS])
def test_message_stuck_while_being_sent_is_sent_again_as_a_reminder(now, lease):
    incident = paged_incident(now=now)
    break_messages(
        incident,
        status="sending",
        attempt_count=1,
        ended_at=None,
        lease_until=None if lease is None else now + lease,
    )

    audit(now=now + MINUTE)
    claims = claim_due(now=now + MINUTE, free_slots={0: 5}, at_most=5)

    (finding,) = findings(kind="stuck")
    assert finding.incident == incident
    assert finding.repaired_at is not None
    claimed = {claim.notification_id for claim in claims}
    assert finding.notification_id in claimed
    assert Attempt.objects.get(notification=finding.notification_id).outcome == "lost"


def test_message_that_nobody_delivers_is_a_finding_until_it_leaves(now, outside):
    make_priority_rules(make_channel())
    make_incident(now=now)

    left = audit(now=now + 6 * MINUTE)
    later = audit(now=now + 7 * MINUTE)

    assert (left.left_count, left.is_clean) == (1, False)
    assert outside.asked == []
    (finding,) = findings(kind="not_leaving")
    assert (finding.seen_count, finding.ended_at) == (2, None)
    assert later.left_count >= 1

    deliver(now=now + 8 * MINUTE)
    advance_due(now=now + 8 * MINUTE)
    deliver(now=now + 8 * MINUTE)
    done = audit(now=now + 8 * MINUTE)

    finding.refresh_from_db()
    assert (finding.ended_at, finding.repaired_at) == (now + 8 * MINUTE, None)
    assert done.is_clean
    assert len(outside.asked) == 1


def test_message_that_waits_behind_a_slow_one_is_no_finding(now):
    channel = make_channel()
    make_priority_rules(channel)
    make_incident(now=now)
    make_incident(now=now)
    slow = outbox("page")[0]
    Notification.objects.filter(pk=slow.pk).update(
        attempt_count=3, next_attempt_at=now + 20 * MINUTE
    )
    Incident.objects.update(next_escalation_at=now + 9 * MINUTE)

    assert audit(now=now + 6 * MINUTE).found_count == 0


def make_phone_page(incident, address, *, now, **values):
    return Notification.objects.create(
        address=address,
        method="sms",
        idempotency_key=f"incident:{incident.pk}:page:0:{values.get('status')}:{now}",
        subject_key=f"incident:{incident.pk}",
        route_key=f"incident:{incident.pk}:page:0:contact:{address.contact_id}",
        purpose="page",
        message={},
        queued_at=now,
        next_attempt_at=values.pop("next_attempt_at", now),
        give_up_at=now + timedelta(days=1),
        **values,
    )


@pytest.fixture
def phone():
    return Address.objects.create(
        contact=make_contact(), kind="phone", value="+33612345678"
    )


@pytest.mark.parametrize("age", [timedelta(), YEARS])
def test_text_message_without_a_receipt_gives_way_to_the_next_way(now, age, phone):
    incident = paged_incident(now=now - age, priority="p1")
    sms = make_phone_page(
        incident,
        phone,
        now=now - age,
        status="sent",
        ended_at=now - age,
        delivery_status="sent",
    )
    call = make_phone_page(
        incident, phone, now=now - age, status="queued", next_attempt_at=now + YEARS
    )

    audit(now=now + 11 * MINUTE)
    again = audit(now=now + 12 * MINUTE)

    (finding,) = findings(kind="no_receipt")
    assert finding.notification == sms
    assert finding.repaired_at == now + 11 * MINUTE
    call.refresh_from_db()
    assert call.next_attempt_at == now + 11 * MINUTE
    assert again.found_count == 0


def test_text_message_without_a_receipt_and_a_next_way_pages_others(now, phone):
    incident = paged_incident(now=now, priority="p1")
    make_phone_page(
        incident,
        phone,
        now=now,
        status="sent",
        ended_at=now,
        delivery_status="sent",
    )

    audit(now=now + 11 * MINUTE)

    pages = Notification.objects.filter(subject_key=f"incident:{incident.pk}")
    assert pages.filter(status="queued").count() == 1


def test_receipt_is_not_missed_once_somebody_has_it(now, phone):
    incident = paged_incident(now=now, priority="p1")
    make_phone_page(
        incident,
        phone,
        now=now,
        status="sent",
        ended_at=now,
        delivery_status="sent",
    )
    services.acknowledge(incident_id=incident.pk, user=make_user(), via="web", now=now)

    assert audit(now=now + 60 * MINUTE).found_count == 0


# --- What it says --------------------------------------------------------------------------


def test_finding_raises_one_alert_of_the_portal_and_ends_it_when_it_is_quiet(now):
    for _ in range(3):
        break_incident(paged_incident(now=now), next_escalation_at=None)

    audit(now=now + MINUTE)

    alert = Alert.objects.get(dedup_key=telling.DEDUP_KEY)
    assert alert.service.slug == "portal"
    assert not alert.incident.is_public
    assert "Repaired: 3" in alert.detail

    deliver(now=now + MINUTE)
    Incident.objects.exclude(pk=alert.incident.pk).update(
        next_escalation_at=now + 20 * MINUTE, status="acknowledged", acknowledged_at=now
    )
    Incident.objects.exclude(pk=alert.incident.pk).update(next_escalation_at=None)
    audit(now=now + 10 * MINUTE)
    alert.refresh_from_db()
    assert alert.status == "firing"
    audit(now=now + 17 * MINUTE)
    alert.refresh_from_db()
    assert alert.status == "resolved"


def test_alert_leaves_by_a_channel_that_had_no_part_in_it(now):
    stuck = make_channel(name="Alerts")
    make_priority_rules(stuck)
    spare = make_channel(name="Mail of the boss")
    incident = paged_incident(now=now)
    break_messages(incident, status="sending", lease_until=None)

    audit(now=now + MINUTE)

    alert = Alert.objects.get(dedup_key=telling.DEDUP_KEY)
    told = Notification.objects.filter(subject_key=f"incident:{alert.incident.pk}")
    assert spare.pk in set(told.values_list("channel_id", flat=True))


def test_finding_about_its_own_alert_raises_no_other(now):
    break_incident(paged_incident(now=now), next_escalation_at=None)
    audit(now=now + MINUTE)
    own = Alert.objects.get(dedup_key=telling.DEDUP_KEY).incident
    Notification.objects.filter(subject_key=f"incident:{own.pk}").delete()

    audit(now=now + 2 * MINUTE)

    assert Incident.objects.filter(service=own.service).count() == 1
    assert Notification.objects.filter(subject_key=f"incident:{own.pk}").exists()


def test_second_auditor_repairs_nothing_twice(now):
    incident = paged_incident(now=now, priority="p1")
    Notification.objects.all().delete()
    (found,) = gathering.found(now=now + MINUTE)

    audit(now=now + MINUTE)
    repair(found=found, now=now + MINUTE)

    assert reread(incident).escalation_count == 2
    assert (
        Notification.objects.filter(subject_key=f"incident:{incident.pk}").count() == 1
    )


# --- An auditor that fails is seen failing ---------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_auditor_that_fails_says_nothing_outside_and_is_late(outside, monkeypatch):
    now = timezone.now()
    LoopCycle.objects.create(
        name="incidents.audit", completed_at=now - 10 * MINUTE, bound_s=300
    )
    monkeypatch.setattr(
        gathering, "found", lambda *, now: (_ for _ in ()).throw(RuntimeError("broken"))
    )

    audit_task()

    assert outside.asked == []
    row = LoopCycle.objects.get(name="incidents.audit")
    assert "broken" in row.last_error
    late = [loop.name for loop in readiness(now=now).late_loops]
    assert "incidents.audit" in late


@pytest.mark.django_db(transaction=True)
def test_auditor_that_works_comes_round_and_tells_the_outside(outside, monkeypatch):
    monkeypatch.setattr(loops, "_written", {})

    audit_task()

    assert len(outside.asked) == 1
    assert LoopCycle.objects.get(name="incidents.audit").bound_s == 300
    entry = portal_settings.CELERY_BEAT_SCHEDULE["incidents.audit"]
    assert (entry["task"], entry["schedule"]) == (audit_task.name, 60.0)


def test_loop_that_stands_still_keeps_the_ping_back(now, outside):
    LoopCycle.objects.create(
        name="notifications.deliver", completed_at=now - 5 * MINUTE, bound_s=30
    )

    done = audit(now=now)

    assert done.late_loops == ("notifications.deliver",)
    assert outside.asked == []


def test_ping_that_is_refused_is_no_error(now, settings):
    settings.DEADMAN_URL = "http://127.0.0.1:9/nothing"

    assert audit(now=now).is_clean


def test_ping_that_nobody_answers_holds_the_auditor_up_no_longer_than_its_limit(
    now, settings, monkeypatch, caplog
):
    monkeypatch.setattr(deadman, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.DEADMAN_URL = f"http://127.0.0.1:{silent.getsockname()[1]}/secret"
        began = time.monotonic()

        assert audit(now=now).is_clean

    assert time.monotonic() - began < 8
    assert "no dead-man ping" in caplog.text
    assert "secret" not in caplog.text


# --- What it costs ----------------------------------------------------------------------------


def test_pass_costs_the_same_for_many_incidents(now):
    service = make_service()
    paged_incident(now=now, service=service)
    with CaptureQueriesContext(connection) as few:
        audit(now=now + MINUTE)
    for number in range(30):
        paged_incident(now=now, service=service, grouping_key=str(number))
    with CaptureQueriesContext(connection) as many:
        audit(now=now + MINUTE)

    assert len(many) == len(few)
    # Incidents, messages, deploy windows, findings, loops and the alert of its own.
    assert len(many) <= 16
