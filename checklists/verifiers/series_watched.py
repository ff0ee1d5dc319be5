"""Series are fresh, and a threshold watches each of them."""

from __future__ import annotations

from collections.abc import Iterator
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
    together,
)
from checklists.verifiers.saying import instant
from kpis.sources.measures import parse_series
from monitors.models import Series, Threshold
from monitors.thresholds.scopes import Scopes


def _look(_subject: Subject, wanted: Parameters, now: datetime) -> Finding:
    scopes = Scopes(Threshold.objects.filter(is_enabled=True).order_by("pk"))
    max_age = timedelta(seconds=wanted["max_age_s"])
    found = [
        one for name in wanted["series"] for one in _each(name, scopes, max_age, now)
    ]
    return together("series", found, code="all_watched")


def _each(
    wanted: str, scopes: Scopes, max_age: timedelta, now: datetime
) -> Iterator[Finding]:
    target = parse_series(wanted)
    rows = Series.objects.filter(
        name=target.name, labels__contains=dict(target.labels)
    ).order_by("labels_key")
    is_there = False
    for series in rows:
        is_there = True
        yield _judge(series, scopes, max_age, now)
    if not is_there:
        yield not_connected("no_series", {"name": wanted}, name=wanted)


def _judge(
    series: Series, scopes: Scopes, max_age: timedelta, now: datetime
) -> Finding:
    watching = scopes.for_series(
        measure=Threshold.Measure.SERIES, name=series.name, labels=series.labels
    )
    name = f"{series.name}{{{series.labels_key}}}" if series.labels_key else series.name
    what = {
        "id": series.pk,
        "name": name,
        "thresholds": [one.name for one in watching],
    }
    values = {"name": name, "last_at": instant(series.last_at)}
    if series.last_at is None or now - series.last_at > max_age:
        return failed("stale", what, **values)
    if not watching:
        return failed("unwatched", what, **values)
    observed = {"value": f"{series.last_value:g}", "unit": series.unit}
    values["threshold"] = watching[0].name
    return Finding(Verdict.PASSED, "watched", what, values, observed)


VERIFIER = Verifier(
    name="series_watched",
    label=_("Series are fresh and watched"),
    help=_("Each has a value that is not too old, and a threshold that judges it."),
    parameters=(
        Parameter(
            "series",
            _("series"),
            "series",
            help=_('Such as platform.cpu_percent{service="backend"}.'),
        ),
        Parameter(
            "max_age_s",
            _("last value at most so old (s)"),
            "integer",
            default=600,
            minimum=10,
            maximum=30 * 86_400,
        ),
    ),
    look=_look,
    phrases={
        "all_watched": ngettext_lazy(
            "%(count)d series is fresh and has a threshold.",
            "All %(count)d series are fresh and have a threshold.",
            "count",
        ),
        "watched": _("%(name)s is fresh, and “%(threshold)s” judges it."),
        "no_series": _(
            "Not connected: nothing was ever measured as %(name)s. It starts with the"
            " first value that somebody sends."
        ),
        "stale": _("%(name)s has had no value since %(last_at)s."),
        "unwatched": _("No threshold judges %(name)s. Add one."),
    },
)
