"""A platform told us of its deployments lately. Events of other kinds come in nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from checklists.verifiers.base import (
    Finding,
    Parameter,
    Parameters,
    Subject,
    Verdict,
    Verifier,
    failed,
    not_connected,
)
from checklists.verifiers.saying import instant
from telemetry.models import Deployment

State = Deployment.State

# The events that are deployments, by the names that platforms give them, and the states
# that one is in after such an event.
_STATES: Mapping[str, tuple[str, ...]] = {
    "deployment.succeeded": (State.SUCCEEDED, State.ROLLED_BACK),
    "deployment.failed": (State.FAILED,),
    # Vercel's name.
    "deployment.error": (State.FAILED,),
}


def _look(_subject: Subject, wanted: Parameters, now: datetime) -> Finding:
    platform, events = wanted["platform"], wanted["events"]
    what = {"platform": platform, "events": events}
    known = [event for event in events or _STATES if event in _STATES]
    told = Deployment.objects.filter(source=platform, finished_at__lte=now)
    if not known or not told.exists():
        return not_connected("not_connected", what, platform=platform)
    states = {state for event in known for state in _STATES[event]}
    last = (
        told.filter(state__in=states)
        .select_related("service")
        .order_by("-finished_at", "-pk")
        .first()
    )
    days = wanted["max_age_days"]
    if last is None or (last.finished_at or now) < now - timedelta(days=days):
        return failed("none", what, platform=platform, events=known, days=days)
    return Finding(
        Verdict.PASSED,
        "told",
        what,
        {
            "platform": platform,
            "service": last.service.name,
            "name": last.name,
            "status": last.state,
            "ended_at": instant(last.finished_at),
        },
    )


VERIFIER = Verifier(
    name="platform_event",
    label=_("A platform's event came in"),
    help=_("Railway or Vercel told the portal of a build or a deployment, lately."),
    parameters=(
        Parameter(
            "platform",
            _("platform"),
            "choice",
            choices=(("railway", "Railway"), ("vercel", "Vercel")),
        ),
        Parameter(
            "events",
            _("events"),
            "texts",
            default=[],
            help=_("Such as deployment.succeeded. None: any."),
        ),
        Parameter(
            "max_age_days",
            _("at most so old (days)"),
            "integer",
            default=30,
            minimum=1,
            maximum=365,
        ),
    ),
    look=_look,
    phrases={
        "told": _(
            "%(platform)s told of %(service)s %(name)s, %(status)s, at %(ended_at)s."
        ),
        "none": ngettext_lazy(
            "%(platform)s told of none of these in the last day: %(events)s.",
            "%(platform)s told of none of these in the last %(days)d days: %(events)s.",
            "days",
        ),
        "not_connected": _(
            "Not connected: the portal gets no events from %(platform)s yet."
        ),
    },
)
