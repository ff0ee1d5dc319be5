"""What a key may be for. A key can do no more than its scopes and its owner both can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

READ, WRITE = "read", "write"
# Each resource belongs to one family; a view names its scope as "family:read".
FAMILIES: Mapping[str, Any] = {
    "services": gettext_lazy("Services"),
    "monitors": gettext_lazy("Monitors"),
    "thresholds": gettext_lazy("Thresholds"),
    "maintenance": gettext_lazy("Maintenance windows"),
    "series": gettext_lazy("Series and samples"),
    "incidents": gettext_lazy("Incidents and priority rules"),
    "drills": gettext_lazy("Drills"),
    "deployments": gettext_lazy("Deployments"),
    "on_call": gettext_lazy("On-call schedules"),
    "kpis": gettext_lazy("KPIs and data sources"),
    "checklists": gettext_lazy("Checklists, evidence and the audit chain"),
    "gates": gettext_lazy("Release gates"),
    "notifications": gettext_lazy("Contacts, channels and providers"),
}
# Families in which there is nothing to write.
READ_ONLY = frozenset({"gates"})


def scope_names() -> list[str]:
    """Return every scope, a family's reading before its writing."""
    return [
        f"{family}:{act}"
        for family in FAMILIES
        for act in (READ, WRITE)
        if act == READ or family not in READ_ONLY
    ]


def scope_choices() -> list[tuple[str, str]]:
    """Return (scope, label) for a form."""
    said = {READ: _("%(what)s: read"), WRITE: _("%(what)s: write")}
    return [
        (scope, said[act] % {"what": FAMILIES[family]})
        for scope in scope_names()
        for family, act in [scope.split(":")]
    ]
