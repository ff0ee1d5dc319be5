"""Data sources, KPIs with their targets, and digests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace

from django.utils.translation import gettext as _

from incidents.models import Service
from kpis import validation
from kpis.models import DataSource, DigestPlan, Kpi, KpiTarget
from monitors.validation import leads_elsewhere
from notifications.models import Channel, Contact
from t4g_portal.configuration.tables import (
    Candidate,
    Fault,
    Part,
    Section,
    columns,
)
from t4g_portal.lib import faults as lib_faults


def _check_source(candidate: Candidate) -> Iterator[Fault]:
    values = {**candidate.values, "secret": candidate.secret("secret")}
    yield from _faults(validation.source_faults(values))
    if _takes_secret_elsewhere(candidate):
        yield Fault(
            "url",
            _(
                "It leads to another place, and the stored secret is not sent there."
                " Name the new one in secret_env, or clear the old one in the admin."
            ),
        )


def _takes_secret_elsewhere(candidate: Candidate) -> bool:
    if not candidate.before or candidate.values["secret"] is not None:
        return False
    is_moved = candidate.before["kind"] != candidate.values["kind"] or leads_elsewhere(
        old=candidate.before["url"], new=candidate.values["url"]
    )
    return is_moved and bool(candidate.secret("secret"))


def _check_kpi(candidate: Candidate) -> Iterator[Fault]:
    source = candidate.referred("source")
    values = {
        **candidate.values,
        "source": SimpleNamespace(**source) if source else None,
    }
    asked_of = values["measure_target"]
    for found in _faults(validation.kpi_faults(values)):
        # A service of the same file is not in the database yet.
        if found.column != "measure_target" or asked_of not in candidate.names(Service):
            yield found
    for index, target in enumerate(candidate.parts["targets"]):
        for fault in validation.target_faults(target):
            yield Fault(fault.field, fault.message, part="targets", index=index)


def _check_digest_plan(candidate: Candidate) -> Iterator[Fault]:
    yield from _faults(validation.digest_faults(candidate.values))


def _faults(found: Iterable[lib_faults.Fault]) -> Iterator[Fault]:
    for fault in found:
        yield Fault(fault.field, fault.message, inside=fault.inside)


DATA_SOURCES = Section(
    name="data_sources",
    model=DataSource,
    key=("name",),
    columns=columns(
        DataSource,
        "name kind is_enabled url secret header timeout_s allowed_tables"
        " may_use_private_targets",
    ),
    left_out=frozenset(),
    check=_check_source,
)

KPIS = Section(
    name="kpis",
    model=Kpi,
    key=("slug",),
    columns=columns(
        Kpi,
        "slug name description source service owner audience position is_enabled unit"
        " decimals direction grain window time_zone sql json_path measure"
        " measure_target interval_s lateness_s recompute_count stale_after_s"
        " overdue_after_s",
        references={DataSource: "name", Service: "slug", Contact: "name"},
    ),
    left_out=frozenset(),
    parts=(
        Part(
            name="targets",
            model=KpiTarget,
            parent="kpi",
            key=("month",),
            columns=columns(KpiTarget, "month value"),
            left_out=frozenset(),
        ),
    ),
    check=_check_kpi,
)

DIGEST_PLANS = Section(
    name="digests",
    model=DigestPlan,
    key=("name",),
    columns=columns(
        DigestPlan,
        "name cadence at weekday day time_zone audience channels contacts is_enabled",
        references={Channel: "name", Contact: "name"},
    ),
    left_out=frozenset(),
    check=_check_digest_plan,
)
