"""The roles: who may look at what, and who may change it. One table says it all.

The groups are made from it (`seed_roles`), docs/security.md shows it, and the test that
walks every address with every role compares the portal with it. A new model or a new
permission gets its line here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from t4g_portal.configuration.importing import lock_configuration
from t4g_portal.lib.models import SeededKey

# What the letters of the table mean; `x` is a permission of its own name.
VERBS = {"v": "view", "a": "add", "c": "change", "d": "delete"}


@dataclass(frozen=True, slots=True)
class Role:
    """A role, which is a group of this name."""

    name: str
    purpose: Any


OPS = Role("Ops", _("Sets everything up but access, and acts on incidents."))
ON_CALL = Role("On-call", _("Looks at operations, acts on incidents, plans windows."))
MANAGER = Role("Manager", _("Looks at services, monitors, incidents and uptime."))
AUDITOR = Role("Auditor", _("Looks at everything, history included. Changes nothing."))
ROLES: Sequence[Role] = (OPS, ON_CALL, MANAGER, AUDITOR)

# What                                  Ops     On-call  Manager  Auditor
_TABLE: Mapping[str, tuple[str, str, str, str]] = {
    "incidents.service":              ("vacd",  "v",     "v",     "v"),
    "incidents.priorityrule":         ("vacd",  "v",     "",      "v"),
    "incidents.escalationpolicy":     ("vacd",  "v",     "",      "v"),
    "incidents.escalationstep":       ("vacd",  "v",     "",      "v"),
    "incidents.servicepolicy":        ("vacd",  "v",     "",      "v"),
    "incidents.team":                 ("vacd",  "v",     "",      "v"),
    "incidents.reachexpectation":     ("vacd",  "v",     "",      "v"),
    "incidents.incident":             ("vc",    "vc",    "v",     "v"),
    "incidents.alert":                ("v",     "v",     "v",     "v"),
    "incidents.incidentevent":        ("v",     "v",     "v",     "v"),
    "incidents.deploywindow":         ("vac",   "vac",   "v",     "v"),
    "incidents.heldalert":            ("v",     "v",     "v",     "v"),
    "incidents.auditfinding":         ("v",     "v",     "",      "v"),
    "incidents.schedule":             ("vacd",  "v",     "v",     "v"),
    "incidents.rotation":             ("vacd",  "v",     "v",     "v"),
    "incidents.participant":          ("vacd",  "v",     "v",     "v"),
    "incidents.override":             ("vacd",  "v",     "v",     "v"),
    "incidents.absence":              ("vacd",  "v",     "v",     "v"),
    "incidents.swaprequest":          ("v",     "v",     "v",     "v"),
    "incidents.oncallrecord":         ("v",     "v",     "v",     "v"),
    "incidents.take_shift":           ("x",     "x",     "",      ""),
    "incidents.handover":             ("v",     "v",     "v",     "v"),
    "incidents.incidentrole":         ("v",     "v",     "v",     "v"),
    "incidents.postmortem":           ("vc",    "vc",    "vc",    "v"),
    "incidents.actionitem":           ("vac",   "vac",   "vac",   "v"),
    "monitors.monitor":               ("vacd",  "v",     "v",     "v"),
    "monitors.probe_now":             ("x",     "x",     "",      ""),
    "monitors.use_private_targets":   ("x",     "",      "",      ""),
    "monitors.assertion":             ("vacd",  "v",     "v",     "v"),
    "monitors.threshold":             ("vacd",  "v",     "v",     "v"),
    "monitors.thresholdstate":        ("v",     "v",     "v",     "v"),
    "monitors.maintenancewindow":     ("vacd",  "vac",   "v",     "v"),
    "monitors.controltarget":         ("vacd",  "v",     "",      "v"),
    "monitors.drillplan":             ("vacd",  "v",     "v",     "v"),
    "monitors.drill":                 ("vc",    "v",     "vc",    "v"),
    "monitors.run_drill":             ("x",     "x",     "",      ""),
    "monitors.locationstate":         ("v",     "v",     "",      "v"),
    "monitors.series":                ("va",    "v",     "",      "v"),
    "monitors.statusinterval":        ("v",     "v",     "v",     "v"),
    "monitors.resultdetail":          ("v",     "v",     "",      "v"),
    "monitors.heartbeatping":         ("v",     "v",     "",      "v"),
    "notifications.contact":          ("vacd",  "v",     "",      "v"),
    "notifications.address":          ("vacd",  "v",     "",      "v"),
    "notifications.personalrule":     ("vacd",  "v",     "",      "v"),
    "notifications.channel":          ("vacd",  "v",     "",      "v"),
    "notifications.provider":         ("vacd",  "v",     "",      "v"),
    "notifications.deliveryreport":   ("v",     "v",     "",      "v"),
    "notifications.notification":     ("vc",    "v",     "",      "v"),
    "notifications.attempt":          ("v",     "v",     "",      "v"),
    "telemetry.deployment":           ("va",    "va",    "v",     "v"),
    "kpis.datasource":                ("vacd",  "v",     "",      "v"),
    "kpis.kpi":                       ("vacd",  "v",     "v",     "v"),
    "kpis.view_sql":                  ("x",     "x",     "",      "x"),
    "kpis.change_sql":                ("x",     "",      "",      ""),
    "kpis.run_kpi":                   ("x",     "x",     "",      ""),
    "kpis.backfill_kpi":              ("x",     "",      "",      ""),
    "kpis.enter_value":               ("x",     "",      "x",     ""),
    "kpis.kpitarget":                 ("vacd",  "v",     "vacd",  "v"),
    "kpis.kpinote":                   ("va",    "va",    "va",    "v"),
    "kpis.kpiversion":                ("v",     "v",     "",      "v"),
    "kpis.kpipoint":                  ("v",     "v",     "v",     "v"),
    "kpis.kpirun":                    ("v",     "v",     "v",     "v"),
    "kpis.backfill":                  ("v",     "v",     "v",     "v"),
    "kpis.digestplan":                ("vacd",  "v",     "v",     "v"),
    "kpis.digestdelivery":            ("v",     "v",     "v",     "v"),
    "checklists.checklisttemplate":  ("vacd",  "v",     "v",     "v"),
    "checklists.templatesection":    ("vacd",  "v",     "v",     "v"),
    "checklists.templateitem":       ("vacd",  "v",     "v",     "v"),
    "checklists.templateversion":    ("v",     "v",     "v",     "v"),
    "checklists.publish_template":   ("x",     "",      "",      ""),
    "checklists.checklistrun":       ("vac",   "vac",   "vac",   "v"),
    "checklists.runitem":            ("v",     "v",     "v",     "v"),
    "checklists.evidence":           ("vac",   "vac",   "vac",   "v"),
    "checklists.signoff":            ("v",     "v",     "v",     "v"),
    "checklists.waiver":             ("v",     "v",     "v",     "v"),
    "checklists.sign":               ("x",     "x",     "x",     ""),
    "checklists.waive":              ("x",     "x",     "x",     ""),
    "checklists.open_deploy_window": ("x",     "x",     "",      ""),
    "checklists.gatedecision":       ("v",     "v",     "v",     "v"),
    "checklists.auditanchor":         ("vacd",  "v",     "v",     "v"),
    "checklists.anchoredhead":        ("v",     "v",     "v",     "v"),
    "checklists.auditcheck":          ("v",     "v",     "v",     "v"),
    "checklists.reminder":           ("v",     "v",     "v",     "v"),
    "cellar.loopcycle":               ("v",     "v",     "",      "v"),
    "cellar.auditentry":              ("v",     "",      "",      "v"),
    "auditlog.logentry":              ("v",     "v",     "",      "v"),
    "cellar.apikey":                  ("vacd",  "vacd",  "vacd",  "v"),
    "cellar.apikeyuse":               ("v",     "v",     "v",     "v"),
    "auth.user":                      ("",      "",      "",      "v"),
    "auth.group":                     ("",      "",      "",      "v"),
}  # fmt: skip


def permissions_of(role: Role) -> frozenset[str]:
    """Return what a role may do, as "app.codename"."""
    column = ROLES.index(role)
    return frozenset(
        permission
        for subject, letters in _TABLE.items()
        for letter in letters[column]
        for permission in [_permission(subject, letter)]
    )


def subjects() -> dict[str, dict[Role, str]]:
    """Return the table: by model or permission, the letters of each role."""
    return {
        subject: dict(zip(ROLES, letters, strict=True))
        for subject, letters in _TABLE.items()
    }


def seed_roles(*, now: datetime) -> list[str]:
    """Make the roles' groups and keep those up to date that nobody edited.

    What a role was given is remembered. A group that still has exactly that follows the
    table; one that was edited, renamed or deleted is left alone. Returns the names of
    the groups made or changed.
    """
    given = _given()
    if all(given.get(role.name) == permissions_of(role) for role in ROLES):
        return []
    with transaction.atomic():
        # Two starts at once: the second sees what the first has done.
        lock_configuration()
        return [role.name for role in ROLES if _seed(role, now)]


def edited_roles() -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """Return the roles' groups that differ from the table: what is more, what is less."""
    found = {}
    for role in ROLES:
        group = Group.objects.filter(name=role.name).first()
        if group is None:
            continue
        has, wanted = _permissions(group), permissions_of(role)
        if has != wanted:
            found[role.name] = (has - wanted, wanted - has)
    return found


def reset_role(*, name: str, now: datetime) -> None:
    """Give a role's group exactly what the table says; raises KeyError for no role."""
    role = {role.name: role for role in ROLES}[name]
    with transaction.atomic():
        group, _made = Group.objects.get_or_create(name=role.name)
        _give(role, group, now)


def _seed(role: Role, now: datetime) -> bool:
    given, wanted = _given().get(role.name), permissions_of(role)
    if given == wanted:
        return False
    group = Group.objects.filter(name=role.name).first()
    if given is None and group is not None:
        # Somebody's own group of that name.
        return False
    if given is not None and (group is None or _permissions(group) != given):
        return False
    _give(role, group or Group.objects.create(name=role.name), now)
    return True


def _give(role: Role, group: Group, now: datetime) -> None:
    wanted = permissions_of(role)
    group.permissions.set(_rows(wanted))
    SeededKey.objects.filter(key__startswith=_key(role.name)).delete()
    SeededKey.objects.bulk_create(
        SeededKey(key=_key(role.name) + permission, seeded_at=now)
        for permission in sorted(wanted)
    )


def _rows(wanted: frozenset[str]) -> list[Permission]:
    rows = {
        f"{row.content_type.app_label}.{row.codename}": row
        for row in Permission.objects.select_related("content_type")
    }
    return [rows[permission] for permission in sorted(wanted)]


def _permissions(group: Group) -> frozenset[str]:
    pairs = group.permissions.values_list("content_type__app_label", "codename")
    return frozenset(f"{app}.{codename}" for app, codename in pairs)


def _given() -> dict[str, frozenset[str]]:
    given: dict[str, set[str]] = {}
    keys = SeededKey.objects.filter(key__startswith=_key(""))
    for key in keys.values_list("key", flat=True):
        _prefix, name, permission = key.split(":", 2)
        given.setdefault(name, set()).add(permission)
    return {name: frozenset(permissions) for name, permissions in given.items()}


def _key(name: str) -> str:
    return f"role:{name}:" if name else "role:"


def _permission(subject: str, letter: str) -> str:
    app, name = subject.split(".")
    return subject if letter == "x" else f"{app}.{VERBS[letter]}_{name}"
