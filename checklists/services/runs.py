"""Runs: opened for a release, moved to another commit, closed, cancelled, expired."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.validators import slug_re
from django.db import IntegrityError, transaction
from django.db.models import F, Max
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from checklists.actors import Actor, engine
from checklists.content import run_items
from checklists.models import ChecklistRun, RunItem, TemplateVersion, Waiver
from checklists.queries import run_facts
from checklists.services.refusing import MAX_TEXT, Refused, locked_run, written
from checklists.standing import judge
from incidents.models import Service
from notifications.models import Contact
from t4g_portal.lib import audit
from t4g_portal.lib.commits import COMMIT
from t4g_portal.lib.retelling import source_language

logger = logging.getLogger(__name__)

MAX_TITLE, MAX_DEPLOYMENT, MAX_ENVIRONMENT = 200, 500, 60
State = ChecklistRun.State


def open_run(
    *,
    version: TemplateVersion,
    service: Service,
    environment: str,
    git_sha: str,
    actor: Actor,
    now: datetime,
    deployment: str = "",
    title: str = "",
    deadline: datetime | None = None,
) -> ChecklistRun:
    """Copy the published version of a template for one release; raises Refused."""
    git_sha = commit(git_sha)
    if len(environment) > MAX_ENVIRONMENT or not slug_re.match(environment):
        raise Refused(
            "bad_environment",
            _("Name the environment by letters, digits and hyphens, as in production."),
        )
    _refuse_past(deadline, now)
    try:
        with transaction.atomic():
            _refuse_unpublished(version)
            template = version.template
            run = ChecklistRun.objects.create(
                template_version=version,
                template_slug=template.slug,
                template_name=version.content["name"],
                template_name_fr=version.content["name_fr"],
                service=service,
                environment=environment,
                git_sha=git_sha,
                deployment=_cut(deployment, MAX_DEPLOYMENT, "deployment"),
                title=_cut(title, MAX_TITLE, "title"),
                opened_by=actor.user,
                opened_by_name=actor.name,
                opened_at=now,
                moved_at=now,
                deadline=deadline,
            )
            _copy_items(run, version, now)
            append(
                "run_opened",
                run,
                actor,
                {
                    "template": template.slug,
                    "version": version.number,
                    "fingerprint": version.fingerprint,
                    "service": service.slug,
                    "environment": environment,
                    "git_sha": git_sha,
                    "deployment": run.deployment,
                    "deadline": deadline,
                },
                now,
            )
    except IntegrityError as error:
        if "checklists_run_one_open" not in str(error):
            raise
        raise Refused(
            "open_already",
            _(
                "A run of this template is open for this service and environment."
                " Move it to your commit, close it or cancel it."
            ),
        ) from error
    return run


def move_to_commit(
    *,
    run_id: int,
    git_sha: str,
    actor: Actor,
    now: datetime,
    deployment: str | None = None,
) -> ChecklistRun:
    """Let a run stand for another commit: what was proven and signed counts no more.

    `deployment` None keeps it. Raises Refused, ChecklistRun.DoesNotExist.
    """
    git_sha = commit(git_sha)
    with transaction.atomic():
        run = locked_run(run_id)
        if run.git_sha == git_sha:
            raise Refused(
                "same_commit", _("The run is for this commit already. Name another.")
            )
        before, run.git_sha = run.git_sha, git_sha
        run.moved_at, run.moved_by = now, actor.user
        if deployment is not None:
            run.deployment = _cut(deployment, MAX_DEPLOYMENT, "deployment")
        run.save(update_fields=["git_sha", "moved_at", "moved_by", "deployment"])
        # What was proven of this commit once before is to be proven anew, too.
        run.items.update(revision=F("revision") + 1)
        run.items.filter(kind=RunItem.Kind.RULE).update(
            next_verify_at=now, lease_until=None
        )
        details = {"from": before, "to": git_sha, "deployment": run.deployment}
        end_waivers(run, run_moved(), actor, now)
        append("run_moved", run, actor, details, now)
    return run


def close(
    *, run_id: int, actor: Actor, now: datetime, reason: str = ""
) -> ChecklistRun:
    """End a run whose release is out. Refused while anything blocks it."""
    reason = _cut(reason, MAX_TEXT, "reason")
    with transaction.atomic():
        run = locked_run(run_id)
        standing = judge(run_facts([run.pk])[run.pk], now)
        if not standing.is_ready:
            raise Refused(
                "not_ready",
                _(
                    "It is not ready, so it can't be closed."
                    " Sign or waive what blocks it, or cancel the run."
                ),
            )
        _end(run, State.CLOSED, reason, actor, now)
    return run


def cancel(*, run_id: int, reason: str, actor: Actor, now: datetime) -> ChecklistRun:
    """End a run whose release does not happen; raises Refused."""
    reason = written(reason, code="reason_missing", message=_("Say why you cancel it."))
    with transaction.atomic():
        run = locked_run(run_id)
        _end(run, State.CANCELLED, reason, actor, now)
    return run


def expire_due(*, now: datetime) -> list[int]:
    """End the runs whose deadline is over; return their numbers. They stay so.

    One that fails holds up no other, and is tried again by the next tick.
    """
    due = ChecklistRun.objects.filter(state=State.OPEN, deadline__lte=now)
    ended = []
    for run_id in due.order_by("deadline", "pk").values_list("pk", flat=True):
        try:
            if _expire(run_id, now):
                ended.append(run_id)
        except Exception:
            logger.exception("run %s could not be ended", run_id)
    return ended


def deadline_over() -> str:
    """Why an expired run ended, as it is stored."""
    with source_language():
        return pgettext("stored", "Its deadline is over.")


def run_moved() -> str:
    """Why a waiver ended with its commit, as it is stored."""
    with source_language():
        return pgettext("stored", "The run moved to another commit.")


def commit(git_sha: str) -> str:
    """Return a commit as it is stored, in lowercase; raises Refused."""
    found = git_sha.strip().lower()
    if not re.fullmatch(COMMIT.strip("^$"), found):
        raise Refused(
            "bad_commit",
            _("Give the commit's hash: 7 to 64 digits from 0 to 9 and a to f."),
        )
    return found


def append(
    act: str,
    run: ChecklistRun,
    actor: Actor,
    details: Mapping[str, Any],
    now: datetime,
) -> None:
    """Add what was done to a run to the audit chain."""
    audit.append(
        action=f"checklist.{act}",
        subject=run.subject,
        actor=actor.chained,
        details=details,
        now=now,
    )


def end_waivers(
    run: ChecklistRun,
    reason: str,
    actor: Actor,
    now: datetime,
    *,
    item: RunItem | None = None,
) -> None:
    """End the waivers of a run, or of one item, that rest on what has changed."""
    waivers = Waiver.objects.filter(item__run=run, ended_at__isnull=True)
    if item is not None:
        waivers = waivers.filter(item=item)
    ended = list(waivers.values_list("pk", flat=True))
    Waiver.objects.filter(pk__in=ended).update(
        ended_at=now,
        ended_as=Waiver.Ended.REVOKED,
        ended_by_name=actor.name,
        ended_reason=reason,
    )
    for waiver_id in ended:
        details = {"waiver": waiver_id, "as": "revoked", "reason": reason}
        append("waiver_ended", run, actor, details, now)


def _expire(run_id: int, now: datetime) -> bool:
    with transaction.atomic():
        run = (
            ChecklistRun.objects.select_for_update(of=["self"], skip_locked=True)
            .filter(pk=run_id, state=State.OPEN, deadline__lte=now)
            .first()
        )
        if run is None:
            return False
        _end(run, State.EXPIRED, deadline_over(), engine(), now)
    return True


def _copy_items(run: ChecklistRun, version: TemplateVersion, now: datetime) -> None:
    made = list(run_items(version.content))
    owners = set(
        Contact.objects.filter(
            pk__in={owner for _item, owner in made if owner}
        ).values_list("pk", flat=True)
    )
    for item, owner in made:
        item.run = run
        item.owner_id = owner if owner in owners else None
        item.next_verify_at = now if item.kind == RunItem.Kind.RULE else None
    RunItem.objects.bulk_create(item for item, _owner in made)


def _refuse_unpublished(version: TemplateVersion) -> None:
    newest = TemplateVersion.objects.filter(
        template=version.template_id, status=TemplateVersion.Status.PUBLISHED
    ).aggregate(number=Max("number"))["number"]
    if newest is None or newest != version.number:
        raise Refused(
            "not_published",
            _("Runs are opened of the published version alone. Choose that one."),
        )
    if not version.template.is_enabled:
        raise Refused(
            "template_off",
            _("This template is switched off. Enable it in the admin first."),
        )


def _refuse_past(deadline: datetime | None, now: datetime) -> None:
    if deadline is not None and deadline <= now:
        raise Refused("deadline_past", _("The deadline is over. Give a later one."))


def _cut(text: str, length: int, name: str) -> str:
    text = text.replace("\x00", "").strip()
    if len(text) > length:
        raise Refused(
            f"{name}_too_long",
            _("That is too long. Use at most %(count)s characters.")
            % {"count": length},
        )
    return text


def _end(
    run: ChecklistRun, state: str, reason: str, actor: Actor, now: datetime
) -> None:
    run.items.filter(next_verify_at__isnull=False).update(
        next_verify_at=None, lease_until=None
    )
    run.state = state
    run.ended_at = now
    run.ended_by = actor.user
    run.ended_by_name = actor.name
    run.end_reason = reason
    run.save(
        update_fields=["state", "ended_at", "ended_by", "ended_by_name", "end_reason"]
    )
    append(f"run_{state}", run, actor, {"reason": reason}, now)
