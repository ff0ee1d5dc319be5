"""Export: deterministic, without secrets, and importing it again changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml
from django.db import connection
from django.test.utils import CaptureQueriesContext

from monitors.models import (
    Assertion,
    ControlTarget,
    MaintenanceWindow,
    Monitor,
    Threshold,
)
from notifications.models import Address, Channel
from t4g_portal.configuration.exporting import export
from t4g_portal.configuration.importing import import_configuration
from tests.factories import (
    make_channel,
    make_contact,
    make_monitor,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.t4g_portal.configuring import diff

pytestmark = pytest.mark.django_db

CANARY = "canary-7f3a-must-never-show"


def make_everything() -> None:
    """At least one row of each section, with awkward values."""
    service = make_service(
        slug="web", name="Web: “site” # 1", description="Two\nlines", position=5
    )
    slack = make_channel(
        name="Slack #alerts",
        kind="slack",
        address="",
        secret=f"https://hooks.slack.com/services/T0/B0/{CANARY}",
    )
    mail = make_channel(name="on", kind="email", address="ops@example.org")
    make_priority_rules(mail, slack)
    contact = make_contact(name="Ops", user=make_user(), time_zone="Europe/Paris")
    Address.objects.create(contact=contact, kind="phone", value="+33612345678")
    Address.objects.create(contact=contact, kind="email", value="a@example.org")
    ControlTarget.objects.create(host="1.1.1.1", port=443)
    monitor = make_monitor(
        name="true",
        service=service,
        target="https://example.org/health",
        secret=CANARY,
        ping_key=f"key-{CANARY}",
        options={"method": "POST", "body": "on\n", "max_redirects": 3},
        timeout_s=2.5,
        tags=["no", "007"],
        may_use_private_targets=False,
    )
    Assertion.objects.create(
        monitor=monitor, position=1, subject="status", operator="equals", expected="200"
    )
    Assertion.objects.create(
        monitor=monitor,
        position=0,
        subject="json",
        operator="equals",
        argument="a.b",
        expected="true",
    )
    Threshold.objects.create(
        name="Slow",
        measure="latency",
        monitor=monitor,
        critical_bound=2000,
        warning_bound=0.5,
        critical_priority="p0",
    )
    window = MaintenanceWindow.objects.create(
        name="Sunday",
        starts_at=datetime(2026, 3, 1, 1, 0, tzinfo=UTC),
        recurrence="FREQ=WEEKLY;BYDAY=SU",
        tags=["slow"],
    )
    window.services.add(service)
    window.monitors.add(monitor)


def test_export_and_import_again_changes_nothing():
    make_everything()
    before = export()
    revision = Monitor.objects.get().revision

    report = import_configuration(data=before.encode(), environ={})

    assert report.is_empty, diff(report)
    assert export() == before
    assert Monitor.objects.get().revision == revision


def test_export_restores_every_row_after_a_loss():
    make_everything()
    Channel.objects.update(is_enabled=False)
    before = export()
    for model in (Threshold, MaintenanceWindow, Monitor, ControlTarget):
        model.objects.all().delete()

    import_configuration(data=before.encode(), environ={})

    assert export() == before


def test_export_restores_edited_fields_to_their_defaults():
    make_everything()
    before = export()
    Monitor.objects.update(interval_s=999, runbook_url="https://example.org/x")
    Threshold.objects.update(for_count=7)

    report = import_configuration(data=before.encode(), environ={})

    assert export() == before
    assert "interval_s: 999 → 60" in diff(report)
    assert 'runbook_url: "https://example.org/x" → ""' in diff(report)


def test_export_holds_no_secret_and_no_ping_key():
    make_everything()

    text = export()

    assert CANARY not in text
    assert "secret" not in yaml.safe_load(text)["monitors"][0]


def test_export_asks_for_no_secret_and_not_once_a_row(django_assert_num_queries):
    make_everything()
    with CaptureQueriesContext(connection) as few:
        export()
    for _ in range(5):
        make_channel(kind="slack", address="", secret=CANARY)
        Assertion.objects.create(
            monitor=make_monitor(secret=CANARY), subject="status", operator="equals"
        )

    with django_assert_num_queries(len(few)) as many:
        export()

    assert not any('"secret"' in query["sql"] for query in many.captured_queries)


def test_export_is_ordered_by_name_and_leaves_defaults_out():
    for name in ("b", "C", "a"):
        make_monitor(name=name, target="https://example.org")

    found = yaml.safe_load(export())

    assert [row["name"] for row in found["monitors"]] == ["C", "a", "b"]
    assert found["monitors"][0] == {
        "name": "C",
        "service": found["monitors"][0]["service"],
        "kind": "http",
        "target": "https://example.org",
        "may_use_private_targets": True,
    }


def test_window_is_shown_in_its_own_zone():
    make_everything()

    text = export()

    assert "starts_at: '2026-03-01T02:00:00+01:00'" in text


def test_export_of_an_empty_portal_has_no_sections():
    assert yaml.safe_load(export()) is None
