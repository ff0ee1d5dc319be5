"""Plain functions that make templates, runs and signatures, through the services."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from checklists import queries, services
from checklists.actors import Actor, engine, person
from checklists.models import (
    ChecklistRun,
    ChecklistTemplate,
    RunItem,
    SignOff,
    TemplateItem,
    TemplateVersion,
    Waiver,
)
from checklists.standing import ItemStanding, RunStanding
from incidents.models import Service
from t4g_portal.roles import OPS
from tests.factories import make_service, make_user

_numbers = itertools.count(1)
SHA = "1f0c2d3e4a5b6978"
OTHER_SHA = "aaaa2d3e4a5b6978"


@dataclass(frozen=True)
class Proven:
    """That somebody has just entered their password."""

    at: datetime
    method: str = "password"


@dataclass(frozen=True)
class Found:
    """What a verifier would find."""

    verdict: str = "passed"
    code: str = "up"
    values: Any = None
    looked_at: Any = None
    observed: Any = None

    def __post_init__(self) -> None:
        for name in ("values", "looked_at", "observed"):
            object.__setattr__(self, name, getattr(self, name) or {})


def make_signer(**values: Any) -> User:
    """Somebody of Ops, unless told otherwise, who may sign and waive."""
    values.setdefault("role", OPS)
    return make_user(**values)


def make_template(*items: dict[str, Any], **values: Any) -> ChecklistTemplate:
    """A template with one section of these items; one manual item when there are none."""
    number = next(_numbers)
    values.setdefault("slug", f"release-{number}")
    values.setdefault("name", f"Release {number}")
    template = ChecklistTemplate.objects.create(**values)
    section = template.sections.create(key="all", title="All")
    for position, item in enumerate(items or ({},)):
        row = {"key": f"item-{position}", "title": f"Item {position}", **item}
        TemplateItem.objects.create(section=section, position=position, **row)
    return template


def publish(
    template: ChecklistTemplate, *, now: datetime, actor: Actor | None = None
) -> TemplateVersion:
    """Propose and publish the draft of a template."""
    actor = actor or engine("guide")
    version = services.templates.propose(template_id=template.pk, actor=actor, now=now)
    return services.templates.publish(version_id=version.pk, actor=actor, now=now)


def make_run(
    *items: dict[str, Any],
    now: datetime,
    service: Service | None = None,
    opened_by: User | None = None,
    version: TemplateVersion | None = None,
    **values: Any,
) -> ChecklistRun:
    """An open run of a new template with these items."""
    values.setdefault("environment", "production")
    values.setdefault("git_sha", SHA)
    return services.runs.open_run(
        version=version or publish(make_template(*items), now=now),
        service=service or make_service(),
        actor=person(opened_by) if opened_by else engine(),
        now=now,
        **values,
    )


def only_item(run: ChecklistRun) -> RunItem:
    """The one item of a run."""
    return run.items.get()


def standing(run: ChecklistRun, *, now: datetime) -> RunStanding:
    """How a run stands, as pages and gate see it."""
    return queries.load_run(run.pk, now=now).standing


def sign(
    item: RunItem, user: User, *, now: datetime, meaning: str = "checked", **values: Any
) -> SignOff:
    """Sign an item as it is shown now."""
    seen: ItemStanding = queries.load_run(item.run_id, now=now).standing.of(item.key)
    values.setdefault("seen_statement_hash", seen.seen)
    values.setdefault("proof", Proven(now))
    return services.signing.sign(
        run_id=item.run_id,
        item_id=item.pk,
        user=user,
        meaning=meaning,
        now=now,
        **values,
    )


def ask_waiver(
    item: RunItem, user: User, *, now: datetime, days: float = 7, **values: Any
) -> Waiver:
    """Ask for a waiver of an item."""
    values.setdefault("expires_at", now + timedelta(days=days))
    return services.waivers.request(
        run_id=item.run_id,
        item_id=item.pk,
        user=user,
        reason="The provider is late",
        risk="Nobody sees an outage",
        compensating_control="Somebody watches by hand",
        proof=Proven(now),
        now=now,
        **values,
    )


def approve_waiver(waiver: Waiver, user: User, *, now: datetime) -> Waiver:
    """Approve a waiver as the second person."""
    return services.waivers.approve(
        run_id=waiver.item.run_id,
        waiver_id=waiver.pk,
        user=user,
        proof=Proven(now),
        now=now,
    )


def verified(
    item: RunItem, found: Found | None = None, *, now: datetime, sha: str = SHA
) -> None:
    """Let a verifier find something."""
    item.refresh_from_db()
    services.evidence.record_finding(
        run_id=item.run_id,
        item_id=item.pk,
        revision=item.revision,
        git_sha=sha,
        finding=found or Found(),
        actor=engine("verifier"),
        now=now,
    )
