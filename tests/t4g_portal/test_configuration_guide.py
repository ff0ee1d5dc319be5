"""The shipped configuration says what the guide says, line by line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from incidents.escalation import GUIDE as POLICIES
from incidents.models import EscalationStep, PriorityRule, Service
from kpis.models import Kpi
from kpis.sources import sql_rules
from kpis.validation import kpi_faults
from monitors.models import ControlTarget, Monitor, Threshold
from notifications.models import Address, Channel, Contact
from t4g_portal.configuration.exporting import export
from t4g_portal.configuration.importing import import_configuration
from t4g_portal.configuration.seeding import GUIDE, seed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _guide(db: None) -> None:
    seed(now=datetime(2026, 3, 2, 9, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("slug", "name", "vendor_url"),
    [
        ("frontend", "Frontend", "https://vercel.com/support"),
        ("backend", "Backend", "https://help.railway.app"),
        ("api", "API", "https://vercel.com/support"),
        ("database", "Database", "https://help.railway.app"),
        ("login", "Login", "https://www.linkedin.com/help"),
        ("portal", "Portal", ""),
    ],
)
def test_services_with_their_vendors(slug: str, name: str, vendor_url: str):
    service = Service.objects.get(slug=slug)

    assert (service.name, service.vendor_url) == (name, vendor_url)
    assert service.is_public == (slug != "portal")


HEALTH = "https://apirust-production.up.railway.app/health"


@pytest.mark.parametrize(
    ("target", "service", "interval_s", "assertion"),
    [
        ("https://t4g.dazno.de", "frontend", 300, None),
        (HEALTH, "backend", 60, ("json", "equals", "status", "ok")),
        (HEALTH, "database", 60, ("json", "equals", "services.database", "ok")),
        ("https://t4g.dazno.de/api/auth/health", "login", 300, None),
        ("https://t4g.dazno.de/api/health", "api", 300, None),
        (
            "https://apirust-production.up.railway.app/api/metrics/business",
            "api",
            900,
            None,
        ),
        ("t4g.dazno.de:443", "frontend", 86_400, None),
        ("apirust-production.up.railway.app:443", "backend", 86_400, None),
    ],
)
def test_monitors_with_interval_timeout_and_three_failures(
    target: str, service: str, interval_s: int, assertion: tuple[str, ...] | None
):
    monitor = Monitor.objects.get(target=target, service__slug=service)

    assert monitor.is_enabled
    assert (monitor.interval_s, monitor.timeout_s) == (interval_s, 10)
    assert (monitor.failures_to_down, monitor.retry_interval_s) == (3, 60)
    assert [
        (a.subject, a.operator, a.argument, a.expected)
        for a in monitor.assertions.all()
    ] == ([assertion] if assertion else [])


def test_database_login_is_prepared_but_off():
    monitor = Monitor.objects.get(kind="postgres")

    assert (monitor.is_enabled, monitor.service.slug) == (False, "database")


@pytest.mark.parametrize("host", ["1.1.1.1", "8.8.8.8", "9.9.9.9"])
def test_control_targets(host: str):
    assert ControlTarget.objects.get(host=host).port == 443


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Service down", {"measure": "down", "critical_priority": "p0"}),
        (
            "Taux d'erreur",
            {
                "measure": "error_ratio",
                "critical_bound": 50,
                "critical_priority": "p0",
                "warning_bound": 10,
                "warning_priority": "p1",
                "window_s": 1800,
            },
        ),
        (
            "Latence",
            {
                "measure": "latency",
                "critical_bound": 2000,
                "critical_priority": "p1",
                "warning_bound": 500,
                "warning_priority": "p2",
                "for_count": 3,
            },
        ),
        (
            "Certificat bientôt expiré",
            {
                "measure": "tls_days",
                "comparison": "below",
                "critical_bound": 7,
                "critical_priority": "p1",
                "warning_bound": 14,
                "warning_priority": "p2",
            },
        ),
        (
            "Erreurs OAuth répétées",
            {
                "measure": "series",
                "service__slug": "login",
                "series_name": "login.oauth_error_count",
                "aggregate": "sum",
                "critical_priority": "p1",
            },
        ),
    ],
)
def test_thresholds_of_the_priority_levels(name: str, values: dict[str, Any]):
    assert Threshold.objects.filter(name=name, is_enabled=True, **values).exists()


@pytest.mark.parametrize(
    ("service", "series_name", "normal", "attention"),
    [
        ("backend", "platform.cpu_percent", 70, 80),
        ("backend", "platform.memory_percent", 70, 80),
        ("backend", "platform.response_time_ms", 100, 500),
        ("frontend", "platform.build_time_s", 180, 300),
        ("frontend", "platform.cold_start_ms", 500, 1000),
        ("frontend", "platform.error_rate_percent", 1, 5),
    ],
)
def test_thresholds_of_the_dashboards(
    service: str, series_name: str, normal: float, attention: float
):
    threshold = Threshold.objects.get(series_name=series_name)

    assert threshold.service is not None
    assert threshold.service.slug == service
    assert (threshold.warning_bound, threshold.warning_priority) == (normal, "p3")
    assert (threshold.critical_bound, threshold.critical_priority) == (attention, "p2")


def test_one_failed_check_of_a_window_is_no_error_rate():
    threshold = Threshold.objects.get(measure="error_ratio")

    assert threshold.warning_bound is not None
    assert 100 / threshold.min_sample_count <= threshold.warning_bound


def first_step(rule: PriorityRule) -> EscalationStep:
    assert rule.policy is not None
    step = rule.policy.steps.first()
    assert step is not None
    return step


@pytest.mark.parametrize(
    ("priority", "channels"),
    [
        (
            "p0",
            {
                "Slack #token4good-alerts",
                "E-mail ops@token4good.com",
                "E-mail admin@token4good.com",
            },
        ),
        ("p1", {"Slack #token4good-support", "E-mail support@token4good.com"}),
        ("p2", {"E-mail support@token4good.com"}),
        ("p3", {"E-mail support@token4good.com"}),
    ],
)
def test_priority_matrix(priority: str, channels: set[str]):
    rule, guide = PriorityRule.objects.get(priority=priority), POLICIES[priority]

    step = first_step(rule)
    assert {channel.name for channel in step.channels.all()} == channels
    assert (rule.response_s, rule.is_digest) == (guide.response_s, guide.is_digest)
    if guide.steps:
        (expected,) = guide.steps
        assert (step.repeat_s, step.has_mention) == (
            expected.repeat_s,
            expected.has_mention,
        )


def test_p0_calls_who_is_on_call_and_somebody_else_after_ten_minutes():
    assert PriorityRule.objects.get(priority="p0").policy is not None
    first, second = EscalationStep.objects.filter(policy__name="P0")

    assert [one.slug for one in first.schedules.all()] == ["on-call"]
    assert [one.name for one in first.contacts.all()] == ["Astreinte DevOps"]
    assert [one.slug for one in second.schedules.all()] == ["on-call-second"]
    assert (first.after_s, first.repeat_s) == (0, 300)
    assert (second.after_s, second.repeat_s) == (600, 300)


def test_mail_is_on_and_slack_waits_for_its_url():
    enabled = {channel.kind: channel.is_enabled for channel in Channel.objects.all()}

    assert enabled == {"email": True, "slack": False}
    assert not any(c.is_configured for c in Channel.objects.filter(kind="slack"))


def test_contacts_and_addresses():
    assert set(Contact.objects.values_list("name", flat=True)) == {
        "Astreinte DevOps",
        "Ops",
        "Support",
    }
    assert set(Address.objects.values_list("contact__name", "value")) == {
        ("Ops", "ops@token4good.com"),
        ("Support", "support@token4good.com"),
    }


def test_the_guide_and_an_export_after_it_say_the_same():
    from_guide = import_configuration(data=GUIDE.read_bytes(), environ={})
    from_export = import_configuration(data=export().encode(), environ={})

    assert (from_guide.is_empty, from_export.is_empty) == (True, True)


@pytest.mark.parametrize(
    ("slug", "table", "window", "words"),
    [
        ("active-users", "user_activities", 7, "COUNT(DISTINCT user_id)"),
        ("lightning-transactions", "lightning_transactions", 1, "COUNT(*)"),
        ("mentoring-sessions", "mentoring_sessions", 7, "status = 'completed'"),
        ("tokens-distributed", "token_transactions", 1, "SUM(tokens_earned)"),
    ],
)
def test_business_figures_are_the_guide_s_bound_to_days(slug, table, window, words):
    kpi = Kpi.objects.select_related("source", "service").get(slug=slug)

    assert (kpi.grain, kpi.window, kpi.time_zone) == ("day", window, "Europe/Paris")
    assert f"FROM {table}" in kpi.sql
    assert words in kpi.sql
    assert "created_at >= :start AND created_at < :end" in kpi.sql
    assert kpi.source.kind == "postgres"
    assert not kpi.source.is_enabled
    assert sql_rules.problems(kpi.sql, allowed_tables=kpi.source.allowed_tables) == ()


def test_every_figure_passes_the_check_of_forms():
    for kpi in Kpi.objects.select_related("source"):
        values = {field.name: getattr(kpi, field.name) for field in Kpi._meta.fields}

        assert list(kpi_faults(values)) == []
