"""A digest left lately, and everybody who should have got it has."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from checklists.verifiers.base import (
    Finding,
    Parameter,
    Parameters,
    Subject,
    Verifier,
    failed,
    passed,
    unknown,
)
from checklists.verifiers.saying import instant
from kpis.digest.sending import subject_key
from kpis.models import DigestDelivery, DigestPlan
from notifications.models import Notification

Status = Notification.Status
_LOST = frozenset({"failed"})


def _look(_subject: Subject, wanted: Parameters, now: datetime) -> Finding:
    name = wanted["digest"]
    plan = DigestPlan.objects.filter(name=name).first()
    if plan is None:
        return failed("missing", {"name": name}, name=name)
    what: dict[str, Any] = {
        "id": plan.pk,
        "name": plan.name,
        "channels": list(plan.channels.order_by("name").values_list("name", flat=True)),
    }
    if not plan.is_enabled:
        return failed("disabled", what, name=name)
    last = plan.deliveries.order_by("-composed_at").first()
    hours = wanted["max_age_hours"]
    if last is None or now - last.composed_at > timedelta(hours=hours):
        return failed("none", what, name=name, hours=hours)
    return _judge(plan, last, what)


def _judge(plan: DigestPlan, sent: DigestDelivery, what: dict[str, Any]) -> Finding:
    about = subject_key(plan=plan, local_date=sent.local_date)
    rows = list(
        Notification.objects.filter(subject_key=about).defer("message").order_by("pk")
    )
    values = {
        "name": plan.name,
        "sent_at": instant(sent.composed_at),
        "count": len(rows),
    }
    if not rows:
        return failed("nobody", what, **values)
    refused = [
        row.receiver
        for row in rows
        if row.status in (Status.DEAD, Status.CANCELLED) or row.delivery_status in _LOST
    ]
    if refused:
        return failed("refused", what, names=refused, **values)
    kept = [row.receiver for row in rows if row.receipt.get("kept")]
    if kept:
        return failed("kept", what, names=kept, **values)
    if any(row.status != Status.SENT for row in rows):
        return unknown("under_way", what, **values)
    return passed("delivered", what, **values)


VERIFIER = Verifier(
    name="digest_delivered",
    label=_("A digest was delivered"),
    help=_("The last one left in time, and every copy was taken."),
    parameters=(
        Parameter("digest", _("digest"), "text", help=_("By name.")),
        Parameter(
            "max_age_hours",
            _("at most so old (h)"),
            "integer",
            default=26,
            minimum=1,
            maximum=24 * 40,
        ),
    ),
    look=_look,
    phrases={
        "delivered": _("%(name)s was delivered, %(sent_at)s. Copies: %(count)s."),
        "missing": _("There is no digest called “%(name)s”."),
        "disabled": _("%(name)s is switched off."),
        "none": _("%(name)s did not leave in the last %(hours)s h."),
        "nobody": _("%(name)s of %(sent_at)s went to nobody: no channel can be used."),
        "refused": _("%(name)s of %(sent_at)s did not reach: %(names)s."),
        "kept": _(
            "%(name)s of %(sent_at)s was only kept here for %(names)s: no mail server"
            " is set (EMAIL_HOST)."
        ),
        "under_way": _("%(name)s of %(sent_at)s is still on its way."),
    },
)
