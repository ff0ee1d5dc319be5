"""What a threshold means, and what it found, in plain words.

Whole phrases are translated, never glued from single words: other languages decline
and order them differently.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext, pgettext, pgettext_lazy

from monitors.models import Threshold
from monitors.thresholds.judging import Level, ThresholdSpec
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.wording import DAY_S, duration

Measure = Threshold.Measure
Aggregate = Threshold.Aggregate

_LATENCY = {
    Aggregate.LAST: gettext_noop("the latency of %(of)s"),
    Aggregate.AVG: gettext_noop("the average latency of %(of)s over %(window)s"),
    Aggregate.MIN: gettext_noop("the lowest latency of %(of)s over %(window)s"),
    Aggregate.MAX: gettext_noop("the highest latency of %(of)s over %(window)s"),
    Aggregate.SUM: gettext_noop("the summed latency of %(of)s over %(window)s"),
    Aggregate.P50: gettext_noop("the median latency of %(of)s over %(window)s"),
    Aggregate.P95: gettext_noop(
        "the 95th percentile of the latency of %(of)s over %(window)s"
    ),
    Aggregate.P99: gettext_noop(
        "the 99th percentile of the latency of %(of)s over %(window)s"
    ),
}
_SERIES = {
    Aggregate.LAST: gettext_noop("the value of %(of)s"),
    Aggregate.AVG: gettext_noop("the average of %(of)s over %(window)s"),
    Aggregate.MIN: gettext_noop("the lowest value of %(of)s over %(window)s"),
    Aggregate.MAX: gettext_noop("the highest value of %(of)s over %(window)s"),
    Aggregate.SUM: gettext_noop("the sum of %(of)s over %(window)s"),
    Aggregate.P50: gettext_noop("the median of %(of)s over %(window)s"),
    Aggregate.P95: gettext_noop("the 95th percentile of %(of)s over %(window)s"),
    Aggregate.P99: gettext_noop("the 99th percentile of %(of)s over %(window)s"),
}
# By level and whether the bad side is above.
_FIRST = {
    (Level.CRITICAL, True): gettext_noop(
        "Critical (%(priority)s) when %(what)s is above %(bound)s%(lasting)s%(end)s."
    ),
    (Level.CRITICAL, False): gettext_noop(
        "Critical (%(priority)s) when %(what)s is below %(bound)s%(lasting)s%(end)s."
    ),
    (Level.WARNING, True): gettext_noop(
        "Warning (%(priority)s) when %(what)s is above %(bound)s%(lasting)s%(end)s."
    ),
    (Level.WARNING, False): gettext_noop(
        "Warning (%(priority)s) when %(what)s is below %(bound)s%(lasting)s%(end)s."
    ),
}
_SECOND = {
    True: gettext_noop("Warning (%(priority)s) above %(bound)s%(lasting)s%(end)s."),
    False: gettext_noop("Warning (%(priority)s) below %(bound)s%(lasting)s%(end)s."),
}
_PHASES = {
    "dns": pgettext_lazy("stored", "DNS"),
    "connect": pgettext_lazy("stored", "connect"),
    "tls": pgettext_lazy("stored", "TLS"),
    "first_byte": pgettext_lazy("stored", "first byte"),
    "transfer": pgettext_lazy("stored", "transfer"),
}
_TITLES = {
    Measure.DOWN: pgettext_lazy("stored", "%(of)s is down"),
    Measure.FAILURES: pgettext_lazy("stored", "%(of)s keeps failing"),
    Measure.ERROR_RATIO: pgettext_lazy("stored", "%(of)s fails too often"),
    Measure.LATENCY: pgettext_lazy("stored", "%(of)s answers slowly"),
    Measure.TLS_DAYS: pgettext_lazy("stored", "The certificate of %(of)s expires soon"),
    Measure.NO_DATA: pgettext_lazy("stored", "%(of)s has no data"),
}


def spec_of(threshold: Threshold) -> ThresholdSpec:
    """Return the plain values that `monitors.thresholds.judging` works with."""
    return ThresholdSpec(
        is_above=threshold.comparison == Threshold.Comparison.ABOVE,
        warning_bound=threshold.warning_bound,
        critical_bound=threshold.critical_bound,
        clear_bound=threshold.clear_bound,
        for_count=threshold.for_count,
        for_s=threshold.for_s,
        min_sample_count=threshold.min_sample_count,
    )


def priority_of(threshold: Threshold, level: str) -> str:
    """Return the priority of a threshold's alert at a level."""
    if level == Level.WARNING and threshold.measure != Measure.DOWN:
        return threshold.warning_priority
    return threshold.critical_priority


def threshold_sentence(threshold: Threshold) -> str:
    """Say in plain words when a threshold fires, and when that is over.

    "Critical (P1) when the latency of any Backend monitor is above 2 s, 3 times in a
    row; over when back under 1.8 s. Warning (P2) above 500 ms." Reads the threshold's
    monitor and service. Never raises for odd or missing values: it is shown beside a
    form that is being filled in.
    """
    if threshold.measure == Measure.DOWN:
        return _say_down(threshold)
    levels = [
        (level, bound)
        for level, bound in (
            (Level.CRITICAL, threshold.critical_bound),
            (Level.WARNING, threshold.warning_bound),
        )
        if bound is not None
    ]
    if not levels:
        return _("Without a bound it never fires.")
    spec = spec_of(threshold)
    sentences = []
    for position, (level, bound) in enumerate(levels):
        frame = _SECOND[spec.is_above] if position else _FIRST[level, spec.is_above]
        sentences.append(
            _(frame)
            % {
                "priority": Priority(priority_of(threshold, level)).short,
                "what": _what(threshold),
                "bound": say_value(threshold.measure, bound),
                "lasting": _lasting(threshold),
                "end": _end(threshold, spec, level, bound),
            }
        )
    if threshold.min_sample_count > 1 and threshold.window_s:
        sentences.append(
            _("Fewer than %(count)s values say nothing.")
            % {"count": threshold.min_sample_count}
        )
    return " ".join(sentences)


def alert_title(threshold: Threshold, subject: str) -> str:
    """Say what is wrong with a subject (a monitor or a series), without figures."""
    if threshold.measure == Measure.SERIES:
        frame = (
            pgettext("stored", "%(of)s is too high")
            if threshold.comparison == Threshold.Comparison.ABOVE
            else pgettext("stored", "%(of)s is too low")
        )
        return frame % {"of": subject}
    return str(_TITLES[Measure(threshold.measure)]) % {"of": subject}


def alert_detail(
    threshold: Threshold, *, level: str, value: float, unit: str = ""
) -> str:
    """Say what was measured and which bound it crossed: the evidence of an alert."""
    bound = (
        threshold.critical_bound if level == Level.CRITICAL else threshold.warning_bound
    )
    if bound is None:
        return say_value(threshold.measure, value, unit)
    frame = (
        pgettext("stored", "%(value)s, above %(bound)s (threshold “%(name)s”)")
        if threshold.comparison == Threshold.Comparison.ABOVE
        else pgettext("stored", "%(value)s, below %(bound)s (threshold “%(name)s”)")
    )
    return frame % {
        "value": say_value(threshold.measure, value, unit),
        "bound": say_value(threshold.measure, bound, unit),
        "name": threshold.name,
    }


def say_slowest_phase(phase: str, ms: float) -> str:
    """Say where the time goes: "Slowest phase: first byte, 1.9 s."."""
    return pgettext("stored", "Slowest phase: %(phase)s, %(time)s.") % {
        "phase": str(_PHASES[phase]),
        "time": _say_ms(ms),
    }


def say_value(measure: str, value: float, unit: str = "") -> str:
    """Say a measured value or a bound with the unit of its measure."""
    # Infinity has no length in days.
    say = _UNITS.get(measure) if math.isfinite(value) else None
    if say is not None:
        return say(value)
    return f"{_number(value)}\u00a0{unit}" if unit else _number(value)


def _say_down(threshold: Threshold) -> str:
    words = {
        "priority": Priority(threshold.critical_priority).short,
        "of": _of(threshold),
        "length": duration(threshold.for_s),
    }
    if threshold.for_s:
        return (
            _("Critical (%(priority)s) when %(of)s has been down for %(length)s.")
            % words
        )
    return _("Critical (%(priority)s) when %(of)s is down.") % words


def _what(threshold: Threshold) -> str:
    words = {"of": _of(threshold), "window": duration(threshold.window_s)}
    # Without a window there is only the last value, whatever the aggregate says.
    aggregate = Aggregate(threshold.aggregate) if threshold.window_s else Aggregate.LAST
    match threshold.measure:
        case Measure.LATENCY:
            return _(_LATENCY[aggregate]) % words
        case Measure.SERIES:
            return _(_SERIES[aggregate]) % words
        case Measure.ERROR_RATIO if threshold.window_s:
            return _("the share of failed checks of %(of)s over %(window)s") % words
        case Measure.ERROR_RATIO:
            return _("the share of failed checks of %(of)s") % words
        case Measure.FAILURES:
            return _("the number of failures in a row of %(of)s") % words
        case Measure.TLS_DAYS:
            return _("the time left on the certificate of %(of)s") % words
        case _:
            return _("the age of the last value of %(of)s") % words


def _of(threshold: Threshold) -> str:
    if threshold.measure in (Measure.SERIES, Measure.NO_DATA):
        return say_series(threshold.series_name, threshold.series_labels)
    if threshold.monitor is not None:
        return threshold.monitor.name
    words = {"service": threshold.service, "tag": threshold.tag}
    if threshold.service is not None and threshold.tag:
        return _("any %(service)s monitor tagged “%(tag)s”") % words
    if threshold.service is not None:
        return _("any %(service)s monitor") % words
    if threshold.tag:
        return _("any monitor tagged “%(tag)s”") % words
    return _("any monitor")


def say_series(name: str, labels: dict[str, str]) -> str:
    """Name a series with its labels: "cpu_percent (service=backend)"."""
    if not labels:
        return name
    shown = ", ".join(f"{label}={labels[label]}" for label in sorted(labels))
    return f"{name} ({shown})"


def _lasting(threshold: Threshold) -> str:
    words = {"count": threshold.for_count, "length": duration(threshold.for_s)}
    if threshold.for_count > 1 and threshold.for_s:
        return _(", %(count)s times in a row and for %(length)s") % words
    if threshold.for_count > 1:
        return _(", %(count)s times in a row") % words
    if threshold.for_s:
        return _(", for %(length)s") % words
    return ""


def _end(threshold: Threshold, spec: ThresholdSpec, level: Level, bound: float) -> str:
    end = spec.end_of(level)
    if end is None or end == bound:
        return ""
    frame = (
        _("; over when back under %(bound)s")
        if spec.is_above
        else _("; over when back above %(bound)s")
    )
    return frame % {"bound": say_value(threshold.measure, end)}


def _number(value: float) -> str:
    exact = Decimal(repr(round(value, 6))).normalize()
    return number_format(f"{exact:f}")


def _say_ms(value: float) -> str:
    if value >= 1000:
        return f"{_number(round(value / 1000, 2))}\u00a0{_('s')}"
    return f"{_number(round(value, 1))}\u00a0{_('ms')}"


def _say_percent(value: float) -> str:
    return f"{_number(round(value, 2))}\u00a0%"


def _say_days(value: float) -> str:
    count = round(value, 1)
    words = ngettext("%(count)s day", "%(count)s days", abs(int(count)))
    return words % {"count": _number(count)}


def _say_age(value: float) -> str:
    # Ages are said as lengths; a length has no fractions worth reading.
    return duration(value) if value < 1000 * DAY_S else _say_days(value / DAY_S)


_UNITS: dict[str, Callable[[float], str]] = {
    Measure.LATENCY: _say_ms,
    Measure.ERROR_RATIO: _say_percent,
    Measure.TLS_DAYS: _say_days,
    Measure.NO_DATA: _say_age,
}
