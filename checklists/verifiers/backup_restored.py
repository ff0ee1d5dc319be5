"""A backup was restored lately: the job that does so says so to a heartbeat.

Restoring is the only proof that a backup is one, and only the job that restores knows.
It calls the heartbeat's address when the copy was read back and found whole.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from checklists.verifiers.base import (
    Finding,
    Parameter,
    Parameters,
    Subject,
    Verifier,
    failed,
    not_connected,
    passed,
)
from checklists.verifiers.saying import instant
from monitors.models import HeartbeatPing, Monitor

Kind = HeartbeatPing.Kind


def _look(_subject: Subject, wanted: Parameters, now: datetime) -> Finding:
    name, days = wanted["monitor"], wanted["max_age_days"]
    monitor = Monitor.objects.filter(name=name, kind="heartbeat").only("name").first()
    if monitor is None:
        return not_connected("no_heartbeat", {"name": name}, name=name)
    what = {"id": monitor.pk, "name": name, "days": days}
    # A start says only that somebody tries.
    last = monitor.pings.exclude(kind=Kind.START).order_by("-at", "-pk").first()
    if last is None:
        return failed("never", what, name=name)
    values = {"name": name, "last_at": instant(last.at)}
    if last.kind == Kind.FAIL:
        return failed("failed", what, **values)
    if now - last.at > timedelta(days=days):
        return failed("old", what, days=days, **values)
    return passed("restored", what, **values)


VERIFIER = Verifier(
    name="backup_restored",
    label=_("A backup was restored"),
    help=_(
        "The job that restores a backup for practice says so to a heartbeat monitor."
    ),
    parameters=(
        Parameter(
            "monitor",
            _("heartbeat"),
            "text",
            help=_("The name of the heartbeat monitor that the job calls."),
        ),
        Parameter(
            "max_age_days",
            _("at most so old (days)"),
            "integer",
            default=31,
            minimum=1,
            maximum=365,
        ),
    ),
    look=_look,
    phrases={
        "restored": _("%(name)s: a backup was restored, %(last_at)s."),
        "no_heartbeat": _(
            "Not connected: there is no heartbeat called “%(name)s”. Make one, and let"
            " the job that restores call it."
        ),
        "never": _("%(name)s: no backup has been restored yet."),
        "failed": _("%(name)s: restoring failed, %(last_at)s."),
        "old": ngettext_lazy(
            "%(name)s: the last restored backup is of %(last_at)s, more than a day ago.",
            "%(name)s: the last restored backup is of %(last_at)s, more than %(days)d"
            " days ago.",
            "days",
        ),
    },
)
