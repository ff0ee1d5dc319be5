"""What a monitor, a threshold or a window may hold; forms, API and import share it.

Pure. Each function yields what is wrong, with the field at fault and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from monitors.maintenance import UnableToRepeat, validate_recurrence
from monitors.probes import assertions, registry
from monitors.probes.base import AssertionSpec, UnableToParse
from notifications.validation import validate_time_zone
from t4g_portal.lib.faults import Fault

MAX_INTERVAL_S = 366 * 86_400
MAX_TIMEOUT_S = 120
MIN_WINDOW_S, MAX_WINDOW_S = 60, 30 * 86_400
# Measures that are about series, not about monitors.
SERIES_MEASURES = frozenset({"series", "no_data"})
# Series whose samples stand for whole periods, and come some time after their ends.
PERIODIC_PREFIX = "kpi:"


def timing_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check the times and counts of a monitor; what is missing is not checked."""
    interval_s, retry_s = values.get("interval_s"), values.get("retry_interval_s")
    if interval_s is not None and not 1 <= interval_s <= MAX_INTERVAL_S:
        yield Fault("interval_s", _("Give 1 second to 366 days."))
    elif (
        interval_s is not None
        and retry_s is not None
        and not 1 <= retry_s <= interval_s
    ):
        yield Fault(
            "retry_interval_s",
            _("Give at least 1 second and no more than the interval (%(count)d s).")
            % {"count": interval_s},
        )
    timeout_s = values.get("timeout_s")
    # Written so that NaN is out of range too.
    if timeout_s is not None and not 0 < timeout_s <= MAX_TIMEOUT_S:
        yield Fault("timeout_s", _("Give more than 0 and at most 120 seconds."))
    for name in ("failures_to_down", "successes_to_up"):
        if values.get(name) is not None and values[name] < 1:
            yield Fault(name, _("Give at least 1."))


def target_faults(*, kind: str, target: str) -> Iterator[Fault]:
    """Check a target as the probe of its kind will read it."""
    try:
        registry.get(kind).check_target(target)
    except UnableToParse as error:
        yield Fault("target", error.message)


def option_faults(*, kind: str, options: Mapping[str, Any]) -> Iterator[Fault]:
    """Check the options of a kind; `inside` names the option."""
    try:
        registry.parse_options(kind, options)
    except UnableToParse as error:
        inside = "" if error.field == "options" else error.field
        yield Fault("options", error.message, inside=inside)


def assertion_faults(*, kind: str, spec: AssertionSpec) -> Iterator[Fault]:
    """Check an expectation against what the kind sees."""
    try:
        assertions.check(spec)
        registry.check_subject(kind, spec)
    except UnableToParse as error:
        yield Fault(error.field, error.message)


def leads_elsewhere(*, old: str, new: str) -> bool:
    """Whether somebody else than before would get the secret of a monitor."""
    return bool(old) and _place(old) != _place(new)


def moving_faults(
    *,
    old: str,
    new: str,
    is_private: bool,
    may_allow_private: bool,
    has_secret: bool,
    is_secret_given: bool,
) -> Iterator[Fault]:
    """Check a change of target: a secret and a way into private networks stay behind.

    `is_secret_given`: a new secret was entered, or the old one is cleared.
    """
    if not leads_elsewhere(old=old, new=new):
        return
    if is_private and not may_allow_private:
        yield Fault(
            "target",
            _(
                "This monitor may reach private networks, and you may not point it"
                " elsewhere. Ask somebody with that permission."
            ),
        )
    if has_secret and not is_secret_given:
        yield Fault(
            "secret",
            _(
                "The target is a different one now. Enter its secret, or clear the"
                " old one: it isn't sent there."
            ),
        )


def rerouting_faults(
    *,
    kind: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    is_private: bool,
    may_allow_private: bool,
) -> Iterator[Fault]:
    """Check a change of options that say whom a monitor talks to, as its target does."""
    if not is_private or may_allow_private or kind not in registry.kinds():
        return
    for option in registry.describe_options(kind):
        if option.is_place and old.get(option.name, option.default) != new.get(
            option.name, option.default
        ):
            message = _(
                "This monitor may reach private networks, and you may not point it"
                " elsewhere. Ask somebody with that permission."
            )
            yield Fault("options", message, inside=option.name)


def _place(target: str) -> str:
    """Return where a target sends a secret: scheme and host, or all of it."""
    try:
        parts = urlsplit(target)
    except ValueError:
        # No address at all; that is said by who checks the target itself.
        return target
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else target


def threshold_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check what belongs together in a threshold; what is missing is not checked."""
    if values.get("for_count") is not None and values["for_count"] < 1:
        yield Fault("for_count", _("Give at least 1."))
    measure = values.get("measure", "")
    if measure in SERIES_MEASURES:
        yield from _series_faults(values)
    elif values.get("series_name"):
        yield Fault("series_name", _("Leave it empty: this measure is about monitors."))
    if measure and measure != "down":
        yield from _bound_faults(values)


def _series_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    if not values.get("series_name"):
        yield Fault("series_name", _("Name the series."))
    elif (
        values["series_name"].startswith(PERIODIC_PREFIX)
        and values.get("measure") == "series"
        and values.get("window_s")
        and values.get("aggregate", "last") != "last"
    ):
        yield Fault(
            "window_s",
            _(
                "Give 0: a value of a KPI sums up its period already, and comes when a"
                " window may be over. Choose the periods it looks back over in the KPI."
            ),
        )
    if values.get("service") is None:
        yield Fault("service", _("Name the service whose incident it opens."))
    for name in ("monitor", "tag"):
        if values.get(name):
            yield Fault(name, _("Leave it empty: a series has no monitor."))
    labels = values.get("series_labels")
    if not isinstance(labels, Mapping):
        yield Fault(
            "series_labels", _('Write an object of texts: {"service": "backend"}')
        )
        return
    for label, value in labels.items():
        if not isinstance(value, str):
            yield Fault(
                "series_labels",
                _('Put it in quotes: {"service": "backend"}'),
                inside=str(label),
            )


def _bound_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    # Turned round where low is bad, so that more is always worse.
    sign = -1 if values.get("comparison") == "below" else 1
    critical, warning, clear = (
        None if values.get(name) is None else sign * values[name]
        for name in ("critical_bound", "warning_bound", "clear_bound")
    )
    bounds = [bound for bound in (critical, warning) if bound is not None]
    if not bounds:
        yield Fault("critical_bound", _("Give at least one of the bounds."))
        return
    if critical is not None and warning is not None and warning >= critical:
        yield Fault("warning_bound", _("The warning must come before the critical."))
    if clear is not None and clear > min(bounds):
        yield Fault("clear_bound", _("It must lie on the good side of the bounds."))


def window_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check length, zone and recurrence of a window; what is missing is not checked."""
    length_s = values.get("duration_s")
    if length_s is not None and not MIN_WINDOW_S <= length_s <= MAX_WINDOW_S:
        yield Fault("duration_s", _("Give 60 seconds to 30 days (2592000 s)."))
    found = validate_time_zone(time_zone=values.get("time_zone", ""))
    for field, message in found.items():
        yield Fault(field, message)
    try:
        if values.get("recurrence"):
            validate_recurrence(values["recurrence"])
    except UnableToRepeat as error:
        yield Fault("recurrence", str(error))


def coverage_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check that a window covers something."""
    if not any(values.get(name) for name in ("monitors", "services", "tags")):
        yield Fault("monitors", _("Choose what it covers: monitors, services or tags."))
