"""A log line came in, and it is structured. Nothing takes logs in yet."""

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


def _look(subject: Subject, wanted: Parameters, _now: datetime) -> Finding:
    service = wanted["service"] or subject.service_slug
    what = {"service": service, "levels": wanted["levels"]}
    return not_connected("not_connected", what, service=service)


VERIFIER = Verifier(
    name="log_received",
    label=_("Log lines come in"),
    help=_("A line of a service came in lately, with a level and fields."),
    parameters=(
        Parameter(
            "service",
            _("service"),
            "text",
            default="",
            help=_("Its short name. Empty: the run's."),
        ),
        Parameter(
            "levels",
            _("levels"),
            "choices",
            default=[],
            choices=tuple(
                (name, name) for name in ("debug", "info", "warning", "error")
            ),
            help=_("None: any."),
        ),
        Parameter(
            "max_age_s",
            _("at most so old (s)"),
            "integer",
            default=3600,
            minimum=60,
            maximum=30 * 86_400,
        ),
    ),
    look=_look,
    phrases={
        "not_connected": _(
            "Not connected: the portal gets no logs of %(service)s yet."
        ),
    },
)
