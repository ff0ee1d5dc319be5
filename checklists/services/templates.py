"""Versions of templates: proposed from the draft, published by people, withdrawn."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from checklists.actors import Actor
from checklists.content import content_of, fingerprint, items_of
from checklists.models import ChecklistTemplate, TemplateVersion
from checklists.services.refusing import Refused, written
from checklists.validation import doubled_keys, item_faults
from t4g_portal.lib import audit

Status = TemplateVersion.Status


def propose(*, template_id: int, actor: Actor, now: datetime) -> TemplateVersion:
    """Make a version of the draft, to be published; raises Refused."""
    with transaction.atomic():
        template = _locked(template_id)
        content = content_of(template)
        _refuse_unfit(content)
        print_ = fingerprint(content)
        newest = template.versions.order_by("-number").first()
        if template.versions.filter(status=Status.PROPOSED).exists():
            raise Refused(
                "proposed_already",
                _("Another version is proposed. Publish or withdraw that one first."),
            )
        if (
            newest is not None
            and newest.status == Status.PUBLISHED
            and newest.fingerprint == print_
        ):
            raise Refused(
                "nothing_changed",
                _("The draft says what version %(number)s says. Change it first.")
                % {"number": newest.number},
            )
        version = TemplateVersion.objects.create(
            template=template,
            number=newest.number + 1 if newest else 1,
            content=content,
            fingerprint=print_,
            proposed_by=actor.user,
            proposed_by_name=actor.name,
            proposed_at=now,
        )
        _append("proposed", version, actor, {}, now)
    return version


def publish(*, version_id: int, actor: Actor, now: datetime) -> TemplateVersion:
    """Let runs be opened of a proposed version; raises Refused.

    Where two people publish, whoever proposed it is refused, admins included.
    """
    with transaction.atomic():
        version = _locked_version(version_id)
        template = version.template
        if version.status != Status.PROPOSED:
            raise Refused(
                "not_proposed",
                _("Only a proposed version can be published. Propose one."),
            )
        if template.needs_two_to_publish and (
            actor.user is None or actor.user.pk == version.proposed_by_id
        ):
            raise Refused(
                "needs_two",
                _("Two people publish this template. Ask somebody else to publish it."),
            )
        version.status = Status.PUBLISHED
        version.published_by = actor.user
        version.published_by_name = actor.name
        version.published_at = now
        version.save(
            update_fields=[
                "status",
                "published_by",
                "published_by_name",
                "published_at",
            ]
        )
        _append("published", version, actor, {}, now)
    return version


def withdraw(
    *, version_id: int, reason: str, actor: Actor, now: datetime
) -> TemplateVersion:
    """Open no more runs of a version; those that are open go on. Raises Refused."""
    reason = written(
        reason, code="reason_missing", message=_("Say why it is withdrawn.")
    )
    with transaction.atomic():
        version = _locked_version(version_id)
        if version.status == Status.WITHDRAWN:
            raise Refused(
                "withdrawn_already",
                _("It is withdrawn already. Propose a new version instead."),
            )
        version.status = Status.WITHDRAWN
        version.withdrawn_at = now
        version.withdrawn_by_name = actor.name
        version.withdrawn_reason = reason
        version.save(
            update_fields=[
                "status",
                "withdrawn_at",
                "withdrawn_by_name",
                "withdrawn_reason",
            ]
        )
        _append("withdrawn", version, actor, {"reason": reason}, now)
    return version


def published(*, template_slug: str) -> TemplateVersion | None:
    """Return the version that runs are opened of, None while there is none."""
    return (
        TemplateVersion.objects.filter(
            template__slug=template_slug, status=Status.PUBLISHED
        )
        .select_related("template")
        .order_by("-number")
        .first()
    )


def _refuse_unfit(content: dict[str, Any]) -> None:
    """Raise Refused for a draft whose runs would prove nothing."""
    items = list(items_of(content))
    if not any(item["is_blocking"] for _section, item in items):
        raise Refused(
            "nothing_demanded",
            _("No item blocks the release, so it would prove nothing. Add one."),
        )
    doubled = doubled_keys(item["key"] for _section, item in items)
    if doubled:
        raise Refused(
            "key_twice",
            _("The key %(key)s stands there twice. Give one item another key.")
            % {"key": doubled[0]},
        )
    for _section, item in items:
        for fault in item_faults(item):
            raise Refused(
                "unfit_item",
                _("%(title)s: %(fault)s")
                % {"title": item["title"], "fault": fault.message},
            )


def _locked(template_id: int) -> ChecklistTemplate:
    return ChecklistTemplate.objects.select_for_update(no_key=True).get(pk=template_id)


def _locked_version(version_id: int) -> TemplateVersion:
    found = TemplateVersion.objects.get(pk=version_id)
    _locked(found.template_id)
    return (
        TemplateVersion.objects.select_for_update(of=["self"])
        .select_related("template")
        .get(pk=version_id)
    )


def _append(
    act: str,
    version: TemplateVersion,
    actor: Actor,
    details: dict[str, Any],
    now: datetime,
) -> None:
    audit.append(
        action=f"checklist.template_{act}",
        subject=f"template:{version.template.slug}",
        actor=actor.chained,
        details={
            "version": version.number,
            "fingerprint": version.fingerprint,
            **details,
        },
        now=now,
    )
