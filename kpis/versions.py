"""How a KPI is computed now, and since when. The one door to `KpiVersion`."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from incidents import people
from kpis.buckets import Shape
from kpis.models import Kpi, KpiVersion
from kpis.models.kpi import CALCULATED


def calculation(kpi: Kpi) -> dict[str, Any]:
    """Return all that the values of a KPI depend on, as JSON.

    Names and units are how it is shown.
    """
    found: dict[str, Any] = {"source": kpi.source_id, "kind": kpi.source.kind}
    return found | {name: getattr(kpi, name) for name in CALCULATED}


def fingerprint(calculated: dict[str, Any]) -> str:
    """Return the SHA-256 of a calculation."""
    text = json.dumps(calculated, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def shape_of(version: KpiVersion) -> Shape:
    """Return how a version cuts time."""
    values = version.calculation
    return Shape(
        grain=values["grain"], window=values["window"], zone=values["time_zone"]
    )


def latest(kpi: Kpi) -> KpiVersion | None:
    """Return the newest version, which may be older than the present definition."""
    return KpiVersion.objects.filter(kpi=kpi).order_by("-number").first()


def current(kpi: Kpi, *, now: datetime, user: User | None = None) -> KpiVersion:
    """Return the version of a KPI as it is stored, making it when it is new.

    `user` is noted on a new one. Whoever reads for a version asks what *it* says, not
    what the row says, which somebody may edit meanwhile. Raises Kpi.DoesNotExist.
    """
    found = latest(kpi)
    if found is not None and found.fingerprint == fingerprint(calculation(kpi)):
        return found
    with transaction.atomic():
        # One maker at a time, and from what is stored: `kpi` may be an old copy.
        stored = (
            Kpi.objects.select_for_update(of=["self"], no_key=True)
            .select_related("source")
            .defer("source__secret")
            .get(pk=kpi.pk)
        )
        found = latest(stored)
        calculated = calculation(stored)
        if found is not None and found.fingerprint == fingerprint(calculated):
            return found
        return KpiVersion.objects.create(
            kpi=stored,
            number=found.number + 1 if found else 1,
            calculation=calculated,
            fingerprint=fingerprint(calculated),
            created_at=now,
            created_by=user,
            created_by_name=people.name(user=user) if user else "",
        )
