"""The guide's checklists ship whole, in both languages, and can be run at once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from django.core.management import call_command

from checklists.actors import engine
from checklists.models import (
    ChecklistTemplate,
    Evidence,
    RunItem,
    TemplateItem,
    TemplateVersion,
)
from checklists.services import runs, templates
from checklists.validation import item_faults
from checklists.verifiers import registry
from checklists.verifying import verify_due
from incidents.models import Schedule, Service
from kpis.models import DigestPlan, Kpi
from monitors.models import Monitor
from notifications.models import Channel
from t4g_portal.configuration.seeding import seed
from t4g_portal.roles import ROLES

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
# Guide, "Checklist de Déploiement", box by box.
BOXES = {
    "railway": [
        "Health check /health configuré",
        "Webhooks Slack configurés",
        "Notifications par e-mail activées",
        "Métriques CPU et mémoire surveillées",
        "Logs accessibles et structurés",
        "Alertes testées",
    ],
    "vercel": [
        "Vercel Analytics activé",
        "Notifications de build configurées",
        "Suivi des erreurs activé",
        "Suivi des performances activé",
        "Logs accessibles",
        "Alertes testées",
    ],
    "external": [
        "UptimeRobot configuré (3 monitors)",
        "Alertes e-mail et SMS configurées",
        "Dashboard Slack créé (#token4good-alerts)",
        "Tests de pannes réussis",
    ],
    "business": [
        "Endpoint /api/metrics/business opérationnel",
        "Requêtes SQL optimisées",
        "Cron job quotidien configuré (optionnel)",
        "Dashboard business créé (optionnel)",
    ],
}


@pytest.fixture(autouse=True)
def _guide(db: None) -> None:
    seed(now=NOW)


def items(slug: str) -> list[TemplateItem]:
    rows = TemplateItem.objects.filter(section__template__slug=slug)
    return list(rows.order_by("section__position", "position"))


def test_every_box_of_the_guide_is_there_in_its_order():
    found: dict[str, list[str]] = {}
    for item in items("deployment"):
        found.setdefault(item.section.key, []).append(item.title_fr)

    assert found == BOXES
    assert sum(map(len, found.values())) == 20


def test_tests_of_monitoring_are_there():
    sections = Counter(item.section.title_fr for item in items("monitoring-tests"))

    assert sections == {
        "Vérifier les health checks": 3,
        "Simuler une panne": 6,
        "Tester les logs": 3,
    }


def test_only_what_the_guide_calls_optional_does_not_block():
    optional = [item.key for item in items("deployment") if not item.is_blocking]

    assert optional == ["business-daily-job", "business-dashboard"]


def test_every_text_is_there_in_both_languages():
    for template in ChecklistTemplate.objects.all():
        assert template.name_fr
        assert template.description_fr
        for section in template.sections.all():
            assert section.title_fr
    for item in TemplateItem.objects.all():
        assert item.title_fr, item.key
        assert item.help, item.key
        assert item.help_fr, item.key
        assert item.help != item.help_fr, item.key


def test_every_item_makes_sense():
    columns = [field.name for field in TemplateItem._meta.concrete_fields]
    for item in TemplateItem.objects.all():
        values = {name: getattr(item, name, None) for name in columns}
        assert not list(item_faults(values)), item.key
        item.full_clean()


def test_roles_and_owners_exist():
    wanted = set(TemplateItem.objects.values_list("required_role", flat=True))

    assert wanted - {""} <= {role.name for role in ROLES}
    blocking = TemplateItem.objects.filter(is_blocking=True)
    assert not blocking.filter(owner__isnull=True).exists()


def test_verifiers_look_at_what_the_guide_itself_sets_up():
    known = {
        "monitors": set(Monitor.objects.values_list("name", flat=True)),
        "channels": set(Channel.objects.values_list("name", flat=True)),
        "kpis": set(Kpi.objects.values_list("slug", flat=True)),
        "schedules": set(Schedule.objects.values_list("slug", flat=True)),
        "service": set(Service.objects.values_list("slug", flat=True)),
        "digest": set(DigestPlan.objects.values_list("name", flat=True)),
        "urls": set(Monitor.objects.values_list("target", flat=True)),
    }
    for item in TemplateItem.objects.exclude(verifier=""):
        for name, value in item.parameters.items():
            named = set(value if isinstance(value, list) else [value])
            assert named <= known.get(name, named), (item.key, name)


def test_outages_are_signed_by_two_people_and_nobody_signs_for_oneself():
    item = TemplateItem.objects.get(key="external-failure-tests")

    assert (item.signatures_required, item.forbid_self) == (2, True)
    assert item.verifier == "drill_passed"


def test_first_versions_are_published_in_the_guides_name_once():
    for slug in ("deployment", "monitoring-tests", "operations"):
        version = templates.published(template_slug=slug)
        assert version is not None
        assert (version.number, version.published_by_name) == (1, "Guide Token4Good")

    assert seed(now=NOW).report.sections == ()
    assert TemplateVersion.objects.count() == 3


def test_draft_that_somebody_edited_is_not_published_by_the_next_seed():
    own = ChecklistTemplate.objects.create(slug="own", name="Own")
    own.sections.create(key="all", title="All").items.create(key="a", title="A")
    TemplateItem.objects.filter(key="vercel-analytics").update(title="Analytics")

    call_command("seed")

    assert TemplateVersion.objects.count() == 3


def test_run_on_a_fresh_portal_passes_nothing_and_says_why_of_everything():
    version = templates.published(template_slug="deployment")
    assert version is not None
    # Asks hosts, which a test must not.
    run = runs.open_run(
        version=version,
        service=Service.objects.get(slug="backend"),
        environment="production",
        git_sha="0123abc",
        actor=engine(),
        now=NOW,
    )
    RunItem.objects.filter(verifier="endpoint_answers").update(next_verify_at=None)

    count = verify_due(now=NOW)

    kept = list(Evidence.objects.filter(item__run=run).select_related("item"))
    assert count == len(kept) == 17
    assert not [one.item.key for one in kept if one.verdict == "passed"]
    for one in kept:
        code, values = one.payload["code"], one.payload["values"]
        assert registry.words(one.item.verifier, code, values) != code
    assert {one.item.verifier for one in kept if one.verdict == "not_connected"} == {
        "platform_event",
        "log_received",
        "web_vitals",
        "series_watched",
    }
