"""Writing monitors, thresholds and windows without a form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from monitors import validation
from monitors.drills.plans import plan_faults
from monitors.models import (
    Assertion,
    DrillPlan,
    MaintenanceWindow,
    Monitor,
    Threshold,
)
from monitors.probes import registry
from monitors.probes.base import AssertionSpec, UnableToParse
from t4g_portal.lib import editing
from t4g_portal.lib.editing import Values
from t4g_portal.lib.faults import Fault
from t4g_portal.lib.versions import locked


def create_monitor(
    *,
    values: Values,
    expectations: Sequence[AssertionSpec] = (),
    may_allow_private: bool,
) -> Monitor:
    """Store a new monitor with its assertions; raises UnableToSave.

    `values` may have a `secret`. `may_allow_private`: whether who asks may let a
    monitor into private networks.
    """
    merged = {**editing.defaults(Monitor), **values}
    editing.refuse(
        [
            *_monitor_faults(merged, expectations),
            *_private_faults(False, merged, may_allow_private),
        ]
    )
    with transaction.atomic():
        monitor = Monitor()
        editing.assign(monitor, _stored(merged["kind"], values))
        _replace(monitor, expectations)
    return monitor


def change_monitor(
    *,
    monitor_id: int,
    values: Values,
    expectations: Sequence[AssertionSpec] | None = None,
    may_allow_private: bool,
    expected: str | None = None,
) -> Monitor:
    """Change what `values` name, and replace the assertions unless None.

    A `secret` among the values is the new one, or clears it when empty. Raises
    UnableToSave, ChangedMeanwhile, Monitor.DoesNotExist.
    """
    with locked(_monitors(), pk=monitor_id, expected=expected) as monitor:
        before = editing.present(monitor)
        merged = {**before, **values}
        kept = _specs(monitor) if expectations is None else expectations
        editing.refuse(
            [
                *_kind_faults(before, values),
                *_monitor_faults(merged, kept),
                *validation.rerouting_faults(
                    kind=before["kind"],
                    old=before["options"],
                    new=merged["options"],
                    is_private=before["may_use_private_targets"],
                    may_allow_private=may_allow_private,
                ),
                *_private_faults(
                    before["may_use_private_targets"], merged, may_allow_private
                ),
                *validation.moving_faults(
                    old=before["target"],
                    new=merged["target"],
                    is_private=before["may_use_private_targets"],
                    may_allow_private=may_allow_private,
                    has_secret=bool(getattr(monitor, "has_secret", False)),
                    is_secret_given="secret" in values,
                ),
            ]
        )
        editing.assign(monitor, _stored(monitor.kind, values))
        if expectations is not None:
            _replace(monitor, expectations)
    return monitor


def set_enabled(*, monitor_id: int, is_enabled: bool) -> None:
    """Pause or resume a monitor; twice is the same as once.

    Raises Monitor.DoesNotExist.
    """
    with locked(_monitors(), pk=monitor_id) as monitor:
        if monitor.is_enabled != is_enabled:
            editing.assign(monitor, {"is_enabled": is_enabled})


def delete_monitor(*, monitor_id: int, expected: str | None = None) -> None:
    """Delete a monitor with its history."""
    editing.delete(rows=_monitors(), pk=monitor_id, expected=expected)


def create_threshold(*, values: Values) -> Threshold:
    """Store a new threshold; raises UnableToSave."""
    return editing.create(
        model=Threshold, values=values, check=validation.threshold_faults
    )


def change_threshold(
    *, threshold_id: int, values: Values, expected: str | None = None
) -> Threshold:
    """Change a threshold; raises UnableToSave, ChangedMeanwhile, DoesNotExist."""
    return editing.change(
        rows=Threshold.objects.all(),
        pk=threshold_id,
        values=values,
        check=validation.threshold_faults,
        expected=expected,
    )


def delete_threshold(*, threshold_id: int, expected: str | None = None) -> None:
    """Delete a threshold; what it raised is over at the next judgement."""
    editing.delete(rows=Threshold.objects.all(), pk=threshold_id, expected=expected)


def create_window(*, values: Values) -> MaintenanceWindow:
    """Store a new maintenance window; raises UnableToSave."""
    return editing.create(model=MaintenanceWindow, values=values, check=_window_faults)


def change_window(
    *, window_id: int, values: Values, expected: str | None = None
) -> MaintenanceWindow:
    """Change a window; raises UnableToSave, ChangedMeanwhile, DoesNotExist."""
    return editing.change(
        rows=MaintenanceWindow.objects.all(),
        pk=window_id,
        values=values,
        check=_window_faults,
        expected=expected,
    )


def delete_window(*, window_id: int, expected: str | None = None) -> None:
    """Delete a window; what it kept quiet is judged again at once."""
    rows = MaintenanceWindow.objects.all()
    editing.delete(rows=rows, pk=window_id, expected=expected)


def create_drill_plan(*, values: Values) -> DrillPlan:
    """Store a new plan of drills; raises UnableToSave."""
    return editing.create(model=DrillPlan, values=values, check=plan_faults)


def change_drill_plan(
    *, plan_id: int, values: Values, expected: str | None = None
) -> DrillPlan:
    """Change a plan; raises UnableToSave, ChangedMeanwhile, DoesNotExist."""
    return editing.change(
        rows=DrillPlan.objects.all(),
        pk=plan_id,
        values=values,
        check=plan_faults,
        expected=expected,
    )


def delete_drill_plan(*, plan_id: int, expected: str | None = None) -> None:
    """Delete a plan; the drills that it ran stay."""
    editing.delete(rows=DrillPlan.objects.all(), pk=plan_id, expected=expected)


def _monitors() -> QuerySet[Monitor]:
    # Never with its secret: what isn't read can't be written back.
    return Monitor.objects.defer("secret").annotate(has_secret=~Q(secret=""))


def _monitor_faults(
    values: Values, expectations: Sequence[AssertionSpec]
) -> Iterator[Fault]:
    yield from validation.timing_faults(values)
    kind = values["kind"]
    try:
        probe = registry.get(kind)
    except UnableToParse as error:
        yield Fault("kind", error.message)
        return
    if not probe.is_passive:
        yield from validation.target_faults(kind=kind, target=values.get("target", ""))
    elif values.get("target"):
        yield Fault("target", _("Leave it empty: it calls us."))
    yield from validation.option_faults(kind=kind, options=values["options"])
    for index, spec in enumerate(expectations):
        for fault in validation.assertion_faults(kind=kind, spec=spec):
            yield Fault("assertions", fault.message, inside=fault.field, index=index)


def _kind_faults(before: Values, values: Values) -> Iterator[Fault]:
    if values.get("kind", before["kind"]) != before["kind"]:
        yield Fault("kind", _("The kind stays. Create another monitor instead."))


def _private_faults(
    was_private: bool, values: Values, may_allow_private: bool
) -> Iterator[Fault]:
    if values["may_use_private_targets"] != was_private and not may_allow_private:
        yield Fault(
            "may_use_private_targets",
            _("Only people with the permission to watch private networks change this."),
        )


def _stored(kind: str, values: Values) -> dict[str, Any]:
    """Return values as they are kept: of the options what differs from the defaults."""
    stored = dict(values)
    if "options" in stored:
        usual = {one.name: one.default for one in registry.describe_options(kind)}
        stored["options"] = {
            name: value
            for name, value in stored["options"].items()
            if value != usual[name]
        }
    return stored


def _specs(monitor: Monitor) -> list[AssertionSpec]:
    return [
        AssertionSpec(row.subject, row.operator, row.argument, row.expected)
        for row in monitor.assertions.order_by("position", "pk")
    ]


def _replace(monitor: Monitor, expectations: Sequence[AssertionSpec]) -> None:
    monitor.assertions.all().delete()
    Assertion.objects.bulk_create(
        Assertion(
            monitor=monitor,
            position=position,
            subject=spec.subject,
            operator=spec.operator,
            argument=spec.argument,
            expected=spec.expected,
        )
        for position, spec in enumerate(expectations)
    )


def _window_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    yield from validation.window_faults(values)
    yield from validation.coverage_faults(values)
