"""Control targets, monitors with their assertions, thresholds, maintenance windows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from incidents.models import Service
from monitors.maintenance import UnableToRepeat, validate_recurrence
from monitors.models import (
    Assertion,
    ControlTarget,
    MaintenanceWindow,
    Monitor,
    Threshold,
)
from monitors.probes import assertions, registry, targets
from monitors.probes.base import AssertionSpec, UnableToParse
from notifications.validation import validate_time_zone
from t4g_portal.configuration.tables import (
    Candidate,
    Fault,
    Part,
    Section,
    columns,
)

_REFERENCES = {Service: "slug", Monitor: "name"}


def _check_control_target(candidate: Candidate) -> Iterator[Fault]:
    try:
        targets.ascii_host(candidate.values["host"])
    except UnableToParse as error:
        yield Fault("host", error.message)
    if not 1 <= candidate.values["port"] <= 65535:
        yield Fault("port", _("A port is a number from 1 to 65535."))


def _check_monitor(candidate: Candidate) -> Iterator[Fault]:
    values = candidate.values
    yield from _check_times(values)
    kind = values["kind"]
    try:
        registry.get(kind).check_target(values["target"])
    except UnableToParse as error:
        yield Fault("target", error.message)
    if _takes_secret_elsewhere(candidate):
        yield Fault(
            "target",
            _(
                "It leads to another host, and the stored secret is not sent there. Name"
                " the new one in secret_env, or clear the old one in the admin."
            ),
        )
    try:
        registry.parse_options(kind, values["options"])
    except UnableToParse as error:
        written = values["options"].get(error.field)
        is_unquoted = written is not None and not isinstance(written, str)
        hint = _(" (Text that looks like something else needs quotes.)")
        yield Fault("options", error.message + hint * is_unquoted, inside=error.field)
    for index, assertion in enumerate(candidate.parts["assertions"]):
        spec = AssertionSpec(**assertion)
        try:
            assertions.check(spec)
            registry.check_subject(kind, spec)
        except UnableToParse as error:
            yield Fault(error.field, error.message, part="assertions", index=index)


def _takes_secret_elsewhere(candidate: Candidate) -> bool:
    if not candidate.before or candidate.values["secret"] is not None:
        return False
    old, new = (
        _place(values["target"]) for values in (candidate.before, candidate.values)
    )
    return old != new and bool(candidate.secret("secret"))


def _place(target: str) -> str:
    """Return the part of a target that says who gets the secret."""
    parts = urlsplit(target)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else target


def _check_times(values: Any) -> Iterator[Fault]:
    if not 1 <= values["interval_s"] <= 86_400 * 366:
        yield Fault("interval_s", _("Give 1 second to 366 days."))
    elif not 1 <= values["retry_interval_s"] <= values["interval_s"]:
        yield Fault(
            "retry_interval_s",
            _("Give at least 1 second and no more than the interval (%(count)d s).")
            % {"count": values["interval_s"]},
        )
    if not 0 < values["timeout_s"] <= 120:
        yield Fault("timeout_s", _("Give more than 0 and at most 120 seconds."))
    for name in ("failures_to_down", "successes_to_up"):
        if values[name] < 1:
            yield Fault(name, _("Give at least 1."))


def _check_threshold(candidate: Candidate) -> Iterator[Fault]:
    values = candidate.values
    measure = values["measure"]
    if values["for_count"] < 1:
        yield Fault("for_count", _("Give at least 1."))
    if measure in {"series", "no_data"}:
        yield from _check_series(values)
    elif values["series_name"]:
        yield Fault("series_name", _("This measure is about monitors. Leave it out."))
    if measure != "down":
        yield from _check_bounds(values)


def _check_series(values: Any) -> Iterator[Fault]:
    if not values["series_name"]:
        yield Fault("series_name", _("Name the series."))
    if values["service"] is None:
        yield Fault("service", _("Name the service whose incident it opens."))
    for name in ("monitor", "tag"):
        if values[name]:
            yield Fault(name, _("A series has no monitor. Leave it out."))
    for label, value in values["series_labels"].items():
        if not isinstance(value, str):
            yield Fault("series_labels", _("Put it in quotes."), inside=label)


def _check_bounds(values: Any) -> Iterator[Fault]:
    # Turned round where low is bad, so that more is always worse.
    sign = -1 if values["comparison"] == "below" else 1
    critical, warning, clear = (
        None if values[name] is None else sign * values[name]
        for name in ("critical_bound", "warning_bound", "clear_bound")
    )
    bounds = [bound for bound in (critical, warning) if bound is not None]
    if not bounds:
        yield Fault("critical_bound", _("Give it, or a warning_bound, or both."))
        return
    if critical is not None and warning is not None and warning >= critical:
        yield Fault("warning_bound", _("The warning must come before the critical."))
    if clear is not None and clear > min(bounds):
        yield Fault("clear_bound", _("It must lie on the good side of the bounds."))


def _check_window(candidate: Candidate) -> Iterator[Fault]:
    values = candidate.values
    if not 60 <= values["duration_s"] <= 30 * 86_400:
        yield Fault("duration_s", _("Give 60 seconds to 30 days."))
    for column, message in validate_time_zone(time_zone=values["time_zone"]).items():
        yield Fault(column, message)
    try:
        if values["recurrence"]:
            validate_recurrence(values["recurrence"])
    except UnableToRepeat as error:
        yield Fault("recurrence", str(error))


CONTROL_TARGETS = Section(
    name="control_targets",
    model=ControlTarget,
    key=("host", "port"),
    columns=columns(ControlTarget, "host port is_enabled"),
    left_out=frozenset(),
    check=_check_control_target,
)

MONITORS = Section(
    name="monitors",
    model=Monitor,
    key=("name",),
    columns=columns(
        Monitor,
        "name service kind target options secret interval_s timeout_s"
        " failures_to_down successes_to_up retry_interval_s tags runbook_url"
        " may_use_private_targets is_enabled",
        references=_REFERENCES,
    ),
    # Whoever knows the ping key can speak for the monitor; the rest is the database's.
    left_out=frozenset({"ping_key", "created_at", "revision"}),
    parts=(
        Part(
            name="assertions",
            model=Assertion,
            parent="monitor",
            position="position",
            key=(),
            columns=columns(Assertion, "subject operator argument expected"),
            left_out=frozenset(),
        ),
    ),
    check=_check_monitor,
)

THRESHOLDS = Section(
    name="thresholds",
    model=Threshold,
    key=("name",),
    columns=columns(
        Threshold,
        "name is_enabled measure monitor service tag series_name series_labels"
        " aggregate window_s min_sample_count comparison critical_bound"
        " critical_priority warning_bound warning_priority for_count for_s clear_bound",
        references=_REFERENCES,
    ),
    left_out=frozenset(),
    check=_check_threshold,
)

MAINTENANCE_WINDOWS = Section(
    name="maintenance_windows",
    model=MaintenanceWindow,
    key=("name",),
    columns=columns(
        MaintenanceWindow,
        "name is_enabled starts_at duration_s recurrence time_zone monitors services"
        " tags note",
        references=_REFERENCES,
    ),
    left_out=frozenset(),
    check=_check_window,
)
