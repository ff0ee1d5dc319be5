"""Control targets, monitors with their assertions, thresholds, maintenance windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.utils.translation import gettext as _

from incidents.models import EscalationPolicy, Service
from monitors import validation
from monitors.drills.plans import plan_faults
from monitors.models import (
    Assertion,
    ControlTarget,
    DrillPlan,
    MaintenanceWindow,
    Monitor,
    Threshold,
)
from monitors.probes import targets
from monitors.probes.base import AssertionSpec, UnableToParse
from t4g_portal.configuration.tables import (
    Candidate,
    Fault,
    Part,
    Section,
    columns,
)
from t4g_portal.lib import faults as lib_faults

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
    yield from _faults(validation.timing_faults(values))
    kind = values["kind"]
    yield from _faults(validation.target_faults(kind=kind, target=values["target"]))
    if _takes_secret_elsewhere(candidate):
        yield Fault(
            "target",
            _(
                "It leads to another host, and the stored secret is not sent there. Name"
                " the new one in secret_env, or clear the old one in the admin."
            ),
        )
    for fault in validation.option_faults(kind=kind, options=values["options"]):
        written = values["options"].get(fault.inside)
        is_unquoted = written is not None and not isinstance(written, str)
        hint = _(" (Text that looks like something else needs quotes.)")
        yield Fault("options", fault.message + hint * is_unquoted, inside=fault.inside)
    for index, assertion in enumerate(candidate.parts["assertions"]):
        spec = AssertionSpec(**assertion)
        for fault in validation.assertion_faults(kind=kind, spec=spec):
            yield Fault(fault.field, fault.message, part="assertions", index=index)


def _takes_secret_elsewhere(candidate: Candidate) -> bool:
    if not candidate.before or candidate.values["secret"] is not None:
        return False
    is_moved = validation.leads_elsewhere(
        old=candidate.before["target"], new=candidate.values["target"]
    )
    return is_moved and bool(candidate.secret("secret"))


def _check_threshold(candidate: Candidate) -> Iterator[Fault]:
    yield from _faults(validation.threshold_faults(candidate.values))


def _check_window(candidate: Candidate) -> Iterator[Fault]:
    yield from _faults(validation.window_faults(candidate.values))


def _check_drill_plan(candidate: Candidate) -> Iterator[Fault]:
    yield from _faults(plan_faults(candidate.values))


def _faults(found: Iterable[lib_faults.Fault]) -> Iterator[Fault]:
    for fault in found:
        yield Fault(fault.field, fault.message, inside=fault.inside)


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
        " may_use_private_targets is_enabled counts_for_service",
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

DRILL_PLANS = Section(
    name="drill_plans",
    model=DrillPlan,
    key=("name",),
    columns=columns(
        DrillPlan,
        "name monitor priority policy schedule time_zone give_up_after_s is_enabled",
        references={Monitor: "name", EscalationPolicy: "name"},
    ),
    left_out=frozenset(),
    check=_check_drill_plan,
)

MAINTENANCE_WINDOWS = Section(
    name="maintenance_windows",
    model=MaintenanceWindow,
    key=("name",),
    columns=columns(
        MaintenanceWindow,
        "name is_enabled starts_at duration_s recurrence time_zone monitors services"
        " tags note public_note",
        references=_REFERENCES,
    ),
    left_out=frozenset(),
    check=_check_window,
)
