"""Services and the priority matrix."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from incidents.models import PriorityRule, Service
from notifications.models import Channel
from notifications.validation import validate_time_zone
from t4g_portal.configuration.tables import Candidate, Fault, Section, columns


def _check_service(candidate: Candidate) -> Iterator[Fault]:
    found = validate_time_zone(time_zone=candidate.values["time_zone"])
    for column, message in found.items():
        yield Fault(column, message)


def _check_priority_rule(candidate: Candidate) -> Iterator[Fault]:
    if 0 < candidate.values["repeat_s"] < 60:
        yield Fault("repeat_s", _("Give at least 60 seconds, or 0 to tell once."))


SERVICES = Section(
    name="services",
    model=Service,
    key=("slug",),
    columns=columns(
        Service,
        "slug name description runbook_url vendor_url time_zone is_public position",
    ),
    left_out=frozenset(),
    check=_check_service,
)

PRIORITY_RULES = Section(
    name="priority_rules",
    model=PriorityRule,
    key=("priority",),
    columns=columns(
        PriorityRule,
        "priority description channels response_s repeat_s has_mention is_digest",
        references={Channel: "name"},
    ),
    left_out=frozenset(),
    check=_check_priority_rule,
)
