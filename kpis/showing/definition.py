"""What a KPI means and how it comes about, in plain words: no SQL, no path. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from kpis.buckets import DAY, HOUR, MONTH, WEEK, Shape
from kpis.showing import comparing
from t4g_portal.lib import wording


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the definition."""

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Rules:
    """How a KPI is read and judged, without how it is computed."""

    shape: Shape
    direction: str
    source: str
    is_manual: bool
    interval_s: int
    lateness_s: int
    recompute_count: int
    stale_after_s: int
    overdue_after_s: int


def lines(rules: Rules) -> list[Line]:
    """Say the rules of a KPI, a line each."""
    found = [
        Line(_("Period"), _periods(rules.shape)),
        Line(_("Final"), _final(rules)),
        Line(_("Read"), _read(rules)),
    ]
    better = {
        comparing.HIGHER: _("when it is higher"),
        comparing.LOWER: _("when it is lower"),
    }.get(rules.direction)
    if better:
        found.append(Line(_("Better"), better))
    found.append(
        Line(
            _("Stale"),
            _("after %(stale)s without a new value, overdue after %(overdue)s")
            % {
                "stale": wording.duration(rules.stale_after_s),
                "overdue": wording.duration(rules.overdue_after_s),
            },
        )
    )
    return found


def _periods(shape: Shape) -> str:
    every = {
        HOUR: _("one value an hour"),
        DAY: _("one value a day"),
        WEEK: _("one value a week, from Monday"),
        MONTH: _("one value a month"),
    }[shape.grain]
    words = {"every": every, "zone": shape.zone.replace("_", " ")}
    if shape.window == 1:
        return _("%(every)s, on the clock of %(zone)s") % words
    back = {
        HOUR: ngettext("%(count)d hour", "%(count)d hours", shape.window),
        DAY: ngettext("%(count)d day", "%(count)d days", shape.window),
        WEEK: ngettext("%(count)d week", "%(count)d weeks", shape.window),
        MONTH: ngettext("%(count)d month", "%(count)d months", shape.window),
    }[shape.grain] % {"count": shape.window}
    return _("%(every)s, over the %(back)s up to its end, on the clock of %(zone)s") % {
        **words,
        "back": back,
    }


def _final(rules: Rules) -> str:
    said = (
        _("%(length)s after the period ends")
        % {"length": wording.duration(rules.lateness_s)}
        if rules.lateness_s
        else _("as soon as the period ends")
    )
    if rules.is_manual or not rules.recompute_count:
        return said
    again = ngettext(
        "the last %(count)d period is read again for late data",
        "the last %(count)d periods are read again for late data",
        rules.recompute_count,
    ) % {"count": rules.recompute_count}
    return _("%(first)s; %(second)s") % {"first": said, "second": again}


def _read(rules: Rules) -> str:
    if rules.is_manual:
        return _("by people, who enter it")
    return _("every %(length)s, from %(source)s") % {
        "length": wording.duration(rules.interval_s),
        "source": rules.source,
    }
