"""A platform told us of its deployments. Nothing takes such events in yet."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from checklists.verifiers.base import (
    Finding,
    Parameter,
    Parameters,
    Subject,
    Verifier,
    not_connected,
)


def _look(_subject: Subject, wanted: Parameters, _now: datetime) -> Finding:
    what = {"platform": wanted["platform"], "events": wanted["events"]}
    return not_connected("not_connected", what, platform=wanted["platform"])


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
        "not_connected": _(
            "Not connected: the portal gets no events from %(platform)s yet."
        ),
    },
)
