"""Browsers of real visitors measure the site. Nothing takes web vitals in yet."""

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

# INP replaced FID, which the guide still names, in web-vitals 5.
_VITALS = ("LCP", "INP", "CLS", "FCP", "TTFB")


def _look(subject: Subject, wanted: Parameters, _now: datetime) -> Finding:
    service = wanted["service"] or subject.service_slug
    what = {"service": service, "vitals": wanted["vitals"]}
    return not_connected("not_connected", what, service=service)


VERIFIER = Verifier(
    name="web_vitals",
    label=_("Web vitals come in"),
    help=_("Browsers of real visitors told how fast the pages were, lately."),
    parameters=(
        Parameter(
            "service",
            _("service"),
            "text",
            default="",
            help=_("Its short name. Empty: the run's."),
        ),
        Parameter(
            "vitals",
            _("vitals"),
            "choices",
            default=list(_VITALS),
            choices=tuple((name, name) for name in _VITALS),
        ),
        Parameter(
            "max_age_days",
            _("at most so old (days)"),
            "integer",
            default=7,
            minimum=1,
            maximum=365,
        ),
    ),
    look=_look,
    phrases={
        "not_connected": _(
            "Not connected: the portal gets no web vitals of %(service)s yet."
        ),
    },
)
