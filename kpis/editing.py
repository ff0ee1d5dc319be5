"""Writing KPIs without a form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from kpis import services, validation
from kpis.models import Kpi, KpiTarget
from t4g_portal.lib import editing
from t4g_portal.lib.editing import Values
from t4g_portal.lib.faults import Fault
from t4g_portal.lib.versions import locked

Targets = Mapping[date, Decimal]


def create_kpi(
    *, values: Values, targets: Targets | None = None, user: User, now: datetime
) -> Kpi:
    """Store a new KPI with its targets; raises UnableToSave."""
    targets = targets or {}
    editing.refuse(
        [
            *validation.kpi_faults({**editing.defaults(Kpi), **values}),
            *_target_faults(targets),
        ]
    )
    with transaction.atomic():
        kpi = Kpi()
        editing.assign(kpi, values)
        _set_targets(kpi, targets)
        services.definition_saved(kpi=kpi, user=user, now=now)
    return kpi


def change_kpi(
    *,
    kpi_id: int,
    values: Values,
    targets: Targets | None = None,
    user: User,
    now: datetime,
    expected: str | None = None,
) -> Kpi:
    """Change what `values` name, and replace the targets unless None.

    Raises UnableToSave, ChangedMeanwhile, Kpi.DoesNotExist.
    """
    with locked(_kpis(), pk=kpi_id, expected=expected) as kpi:
        editing.refuse(
            [
                *validation.kpi_faults({**editing.present(kpi), **values}),
                *_target_faults(targets or {}),
            ]
        )
        editing.assign(kpi, values)
        if targets is not None:
            _set_targets(kpi, targets)
        services.definition_saved(kpi=kpi, user=user, now=now)
    return kpi


def delete_kpi(*, kpi_id: int, expected: str | None = None) -> None:
    """Delete a KPI with its values."""
    editing.delete(rows=_kpis(), pk=kpi_id, expected=expected)


def _kpis() -> QuerySet[Kpi]:
    return Kpi.objects.all()


def _target_faults(targets: Targets) -> Iterator[Fault]:
    for index, (month, value) in enumerate(targets.items()):
        for fault in validation.target_faults({"month": month}):
            yield Fault("targets", fault.message, index=index)
        if abs(value) >= 10**20:
            yield Fault(
                "targets", _("Give a number of at most 20 digits."), index=index
            )


def _set_targets(kpi: Kpi, targets: Targets) -> None:
    """Let a KPI have these targets; one at a time, for its history."""
    stored = {target.month: target for target in kpi.targets.all()}
    for month in stored.keys() - targets.keys():
        stored[month].delete()
    for month, value in targets.items():
        target = stored.get(month)
        if target is None:
            KpiTarget.objects.create(kpi=kpi, month=month, value=value)
        elif target.value != value:
            target.value = value
            target.save(update_fields=["value"])


def targets_of(sent: Sequence[Mapping[str, Any]]) -> dict[date, Decimal]:
    """Return targets as sent, by month; of two for one month, the last."""
    return {one["month"]: Decimal(str(one["value"])) for one in sent}
