"""The deploy window of a run: while its release goes out, alerts of the service wait."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from checklists.actors import Actor
from checklists.models import ChecklistRun
from checklists.services.refusing import Refused, locked_run
from checklists.services.runs import append
from incidents import deploy_windows, people
from incidents.acting import UnableToAct
from incidents.models import DeployWindow
from t4g_portal.lib import audit


def open_window(
    *,
    run_id: int,
    minutes: int,
    reason: str,
    actor: Actor,
    now: datetime,
    closes_when_healthy: bool = True,
) -> DeployWindow:
    """Hold back what fires below P0 at the run's service, for 1 to 60 minutes.

    Raises Refused, also when the run is over, ChecklistRun.DoesNotExist.
    """
    who, key = _by(actor)
    with transaction.atomic():
        run = locked_run(run_id)
        try:
            window = deploy_windows.open_window(
                service=run.service,
                minutes=minutes,
                reason=reason,
                subject=run.subject,
                closes_when_healthy=closes_when_healthy,
                actor=who,
                key=key,
                now=now,
            )
        except UnableToAct as error:
            raise Refused("no_window", str(error)) from error
        details = {
            "window": window.pk,
            "service": run.service.slug,
            "git_sha": run.git_sha,
            "reason": window.reason,
            "ends_at": window.ends_at,
        }
        append("window_opened", run, actor, details, now)
    return window


def close_window(*, run_id: int, actor: Actor, now: datetime) -> DeployWindow:
    """End the run's deploy window before its time, also of a run that is over.

    Raises Refused when it has none, ChecklistRun.DoesNotExist.
    """
    who, key = _by(actor)
    with transaction.atomic():
        run = (
            ChecklistRun.objects.select_for_update(of=["self"], no_key=True)
            .select_related("service")
            .get(pk=run_id)
        )
        window = window_of(run, now=now)
        if window is None:
            raise Refused(
                "no_window", _("This run has no open deploy window. Nothing is held.")
            )
        try:
            window = deploy_windows.close_window(
                window_id=window.pk, actor=who, key=key, now=now
            )
        except UnableToAct as error:
            raise Refused("no_window", str(error)) from error
        append("window_closed", run, actor, {"window": window.pk}, now)
    return window


def window_of(run: ChecklistRun, *, now: datetime) -> DeployWindow | None:
    """Return the open window that was opened for a run; one query."""
    windows = DeployWindow.objects.open(now=now).filter(
        service=run.service_id, subject=run.subject
    )
    return windows.select_related("service", "opened_by").first()


def _by(actor: Actor) -> tuple[people.Actor | None, str]:
    """Return who acts as deploy windows know it: a person, or the name of a key."""
    if actor.chained.kind is audit.ActorKind.USER and actor.user is not None:
        return people.Actor(actor.user), ""
    return None, actor.name
