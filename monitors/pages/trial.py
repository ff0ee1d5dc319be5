"""What *try on history* shows: a sentence, what it rests on, pictures. Pure.

Pictures are stretched to the page's width, so words stand outside of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from monitors.models import Threshold
from monitors.thresholds.sentences import say_value
from monitors.thresholds.trying import MAX_LISTED, Coverage, Subject, Trial, Tried
from t4g_portal.lib import wording
from t4g_portal.lib.priority import Priority

Measure = Threshold.Measure

WIDTH = 720
HEIGHT = 96
# A firing of a minute must be seen.
_LEAST_WIDTH = 2.5
# What is further above the bounds than that flattens everything else.
_FAR = 2.5
_HOUR_S = 3600
_TICKS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list of firings."""

    tried: Tried
    worst: str
    length: timedelta
    is_over: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """One monitor or series over the days that were tried."""

    name: str
    said: str
    svg: SafeString
    # From the top down, and from left to right.
    y_labels: list[str]
    x_labels: list[str]


@dataclass(frozen=True, slots=True)
class TrialPage:
    """Everything that is shown of a trial."""

    headline: str
    before: str
    is_calm: bool
    priorities: list[tuple[Priority, int]]
    notes: list[str]
    rows: list[Row]
    more_count: int
    pictures: list[Picture]


def trial_page(*, trial: Trial, before: Trial | None) -> TrialPage:
    """Put a trial into words and pictures. `before`: the same of the values as saved."""
    end = trial.coverage.end
    rows = [_row(trial, one, end) for one in trial.firings[:MAX_LISTED]]
    return TrialPage(
        headline=_headline(trial),
        before=_before(before) if before is not None else "",
        is_calm=not trial.count,
        priorities=[(Priority(name), count) for name, count in trial.by_priority],
        notes=list(_notes(trial)),
        rows=rows,
        more_count=trial.count - len(rows),
        pictures=[_picture(trial, subject) for subject in trial.pictured],
    )


def _headline(trial: Trial) -> str:
    if not trial.coverage.subject_count:
        return _("There is nothing that it would apply to.")
    if not trial.count:
        return _("It would not have fired in the last 30 days.")
    return ngettext(
        "It would have fired once in the last 30 days, for %(length)s.",
        "It would have fired %(count)d times in the last 30 days, %(length)s in all.",
        trial.count,
    ) % {"count": trial.count, "length": wording.duration(trial.length)}


def _before(before: Trial) -> str:
    if not before.count:
        return _("With the values as saved: not once.")
    return ngettext(
        "With the values as saved: once, for %(length)s.",
        "With the values as saved: %(count)d times, %(length)s in all.",
        before.count,
    ) % {"count": before.count, "length": wording.duration(before.length)}


def _row(trial: Trial, tried: Tried, end: datetime) -> Row:
    measure = trial.threshold.measure
    worst = ""
    if measure != Measure.DOWN:
        worst = say_value(measure, tried.value, tried.unit)
    return Row(
        tried=tried,
        worst=worst,
        length=tried.length(end),
        is_over=tried.ended_at is not None,
    )


def _notes(trial: Trial) -> Iterable[str]:
    """Say what the trial rests on and what it leaves out."""
    coverage = trial.coverage
    if not coverage.subject_count:
        yield _(
            "Either nothing fits the scope, or a narrower threshold on the same measure"
            " applies everywhere."
        )
        return
    yield from _counted(trial, coverage)
    yield from _rested_on(trial.threshold, coverage)
    if not trial.threshold.is_enabled:
        yield _("It is disabled; this is how it would be if it were enabled.")


def _counted(trial: Trial, coverage: Coverage) -> Iterable[str]:
    is_series = trial.threshold.measure in (Measure.SERIES, Measure.NO_DATA)
    count = coverage.subject_count
    if is_series:
        yield ngettext(
            "Applies to %(count)d series.", "Applies to %(count)d series.", count
        ) % {"count": count}
    else:
        yield ngettext(
            "Applies to %(count)d monitor.", "Applies to %(count)d monitors.", count
        ) % {"count": count}
    if coverage.left_out_count:
        yield ngettext(
            "%(count)d of them was left out, for there is too much to read at once."
            " Narrow the scope to see it.",
            "%(count)d of them were left out, for there is too much to read at once."
            " Narrow the scope to see them.",
            coverage.left_out_count,
        ) % {"count": coverage.left_out_count}


def _rested_on(threshold: Threshold, coverage: Coverage) -> Iterable[str]:
    if threshold.measure == Measure.DOWN:
        yield _("From the recorded outages.")
    elif threshold.measure == Measure.TLS_DAYS:
        yield _("From the certificates seen now, at every check.")
        if coverage.known_since is not None:
            yield _(
                "One of them is valid since %(day)s; what came before is not known."
            ) % {"day": date_format(timezone.localtime(coverage.known_since), "j F")}
        unknown = coverage.calm_count
        if unknown:
            yield ngettext(
                "%(count)d monitor has no certificate.",
                "%(count)d monitors have no certificate.",
                unknown,
            ) % {"count": unknown}
    else:
        yield from _resolution(threshold, coverage)


def _resolution(threshold: Threshold, coverage: Coverage) -> Iterable[str]:
    since = coverage.single_since
    if since is None or since <= coverage.start:
        yield _("From every single value.")
    elif since < coverage.end:
        yield _("From every single value since %(day)s.") % {
            "day": date_format(timezone.localtime(since), "j F")
        }
    if coverage.has_hourly:
        yield (
            _("Before that from hourly figures: each hour counts as one value.")
            if since is not None and coverage.start < since < coverage.end
            else _("From hourly figures, too: each hour counts as one value.")
        )
    elif since is not None and since > coverage.start:
        yield (
            _("Before that there is nothing to count failures by.")
            if threshold.measure == Measure.FAILURES
            else _("Before that nothing came near the bounds.")
        )
    if coverage.hourly_count:
        yield ngettext(
            "%(count)d monitor has too many values and was judged by the hour.",
            "%(count)d monitors have too many values and were judged by the hour.",
            coverage.hourly_count,
        ) % {"count": coverage.hourly_count}


# Pictures


def _picture(trial: Trial, subject: Subject) -> Picture:
    coverage = trial.coverage
    start, end = coverage.start.timestamp(), coverage.end.timestamp()
    if trial.threshold.measure == Measure.DOWN:
        shapes, y_labels = list(_ledger(subject, start, end)), []
    else:
        axis = _Axis.of(trial.threshold, subject)
        shapes = [
            *_firings(trial, subject, start, end),
            *_line(subject, axis, start, end),
            *_bounds(trial.threshold, axis),
        ]
        measure = trial.threshold.measure
        y_labels = [
            say_value(measure, axis.top, subject.unit),
            say_value(measure, axis.bottom, subject.unit),
        ]
    said = ngettext("fires once", "fires %(count)d times", len(subject.firings)) % {
        "count": len(subject.firings)
    }
    said = said if subject.firings else _("does not fire")
    label = f"{subject.name}: {said}"
    svg = mark_safe(  # noqa: S308 numbers and escaped words only
        f'<svg class="try-picture" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(label)}" preserveAspectRatio="none">'
        f"{''.join(shapes)}</svg>"
    )
    return Picture(
        name=subject.name,
        said=said,
        svg=svg,
        y_labels=y_labels,
        x_labels=_x_labels(coverage),
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    bottom: float
    top: float

    @classmethod
    def of(cls, threshold: Threshold, subject: Subject) -> _Axis:
        bounds = [
            bound
            for bound in (threshold.warning_bound, threshold.critical_bound)
            if bound is not None
        ]
        values = list(subject.hourly.values()) or [0.0]
        highest, furthest = max(values), max([abs(bound) for bound in bounds] or [1.0])
        top = max([min(highest, furthest * _FAR), *bounds, 1e-9]) * 1.06
        bottom = min(0.0, *values, *bounds)
        return cls(bottom=max(bottom, -furthest * _FAR), top=_round_up(top))

    def y(self, value: float) -> float:
        share = (value - self.bottom) / (self.top - self.bottom)
        return round(HEIGHT * (1 - min(max(share, 0), 1)), 1)


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
    return next(
        (round(step * power, 9) for step in steps if step * power >= value), 10 * power
    )


def _x(at: float, start: float, end: float) -> float:
    return round(min(max((at - start) / (end - start), 0), 1) * WIDTH, 1)


def _line(subject: Subject, axis: _Axis, start: float, end: float) -> Iterable[str]:
    """Draw the worst value of each hour, broken where an hour is missing."""
    points = []
    before: int | None = None
    for hour in sorted(subject.hourly):
        at = (hour + 0.5) * _HOUR_S
        if not start <= at <= end:
            continue
        letter = "L" if before == hour - 1 else "M"
        points.append(
            f"{letter}{_x(at, start, end):g} {axis.y(subject.hourly[hour]):g}"
        )
        before = hour
    yield f'<path class="try-line" d="{"".join(points)}"/>'


def _bounds(threshold: Threshold, axis: _Axis) -> Iterable[str]:
    for level, bound in (
        ("warning", threshold.warning_bound),
        ("critical", threshold.critical_bound),
    ):
        if bound is not None and axis.bottom <= bound <= axis.top:
            yield (
                f'<path class="ops-bound ops-bound-{level}"'
                f' d="M0 {axis.y(bound):g}H{WIDTH}"/>'
            )


def _firings(trial: Trial, subject: Subject, start: float, end: float) -> Iterable[str]:
    for firing in subject.firings:
        until = end if firing.ended_at is None else firing.ended_at
        left = _x(firing.started_at, start, end)
        width = max(_x(until, start, end) - left, _LEAST_WIDTH)
        value = say_value(trial.threshold.measure, firing.value, subject.unit)
        title = f"{_period(firing.started_at, firing.ended_at)}: {value}"
        yield (
            f'<rect class="try-firing try-{firing.level}" x="{left:g}" y="0"'
            f' width="{width:g}" height="{HEIGHT}">'
            f"<title>{escape(title)}</title></rect>"
        )


def _ledger(subject: Subject, start: float, end: float) -> Iterable[str]:
    for line in subject.lines:
        left, right = _x(line.start, start, end), _x(line.end, start, end)
        yield (
            f'<rect class="is-{line.status} try-status" x="{left:g}"'
            f' y="{HEIGHT * 0.35:g}" width="{max(right - left, 0.5):g}"'
            f' height="{HEIGHT * 0.65:g}"/>'
        )
    for firing in subject.firings:
        left = _x(firing.started_at, start, end)
        until = end if firing.ended_at is None else firing.ended_at
        width = max(_x(until, start, end) - left, _LEAST_WIDTH)
        title = _period(firing.started_at, firing.ended_at)
        yield (
            f'<rect class="try-firing try-{firing.level}" x="{left:g}" y="0"'
            f' width="{width:g}" height="{HEIGHT}">'
            f"<title>{escape(title)}</title></rect>"
        )


def _period(started_at: float, ended_at: float | None) -> str:
    def said(at: float) -> str:
        moment = datetime.fromtimestamp(at, tz=UTC)
        return date_format(timezone.localtime(moment), pgettext("moment", "j M, H:i"))

    if ended_at is None:
        return _("since %(start)s") % {"start": said(started_at)}
    return f"{said(started_at)} – {said(ended_at)}"


def _x_labels(coverage: Coverage) -> list[str]:
    length = coverage.end - coverage.start
    moments: Sequence[datetime] = [
        coverage.start + length * step / _TICKS for step in range(_TICKS + 1)
    ]
    return [
        date_format(timezone.localtime(moment), pgettext("date", "j M"))
        for moment in moments
    ]
