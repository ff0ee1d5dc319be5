"""Writing services and whom priorities tell, without a form."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import transaction

from incidents.models import EscalationPolicy, EscalationStep, PriorityRule, Service
from notifications.models import Channel
from notifications.validation import validate_time_zone
from t4g_portal.lib import editing
from t4g_portal.lib.editing import Values
from t4g_portal.lib.faults import Fault
from t4g_portal.lib.priority import Priority


def create_service(*, values: Values) -> Service:
    """Store a new service; raises UnableToSave."""
    return editing.create(model=Service, values=values, check=service_faults)


def change_service(
    *, service_id: int, values: Values, expected: str | None = None
) -> Service:
    """Change a service; raises UnableToSave, ChangedMeanwhile, Service.DoesNotExist."""
    return editing.change(
        rows=Service.objects.all(),
        pk=service_id,
        values=values,
        check=service_faults,
        expected=expected,
    )


def delete_service(*, service_id: int, expected: str | None = None) -> None:
    """Delete a service that nothing needs; raises ProtectedError when something does."""
    editing.delete(rows=Service.objects.all(), pk=service_id, expected=expected)


def service_faults(values: Values) -> Iterator[Fault]:
    """Check what a service holds beyond the limits of its columns."""
    found = validate_time_zone(time_zone=values.get("time_zone", ""))
    for field, message in found.items():
        yield Fault(field, message)


def tell_at_once(*, channel: Channel, priority: str) -> None:
    """Let what a priority follows tell a channel in its first step.

    Nothing happens when nobody has set up the priority; a priority without a policy
    gets one.
    """
    with transaction.atomic():
        rule = (
            PriorityRule.objects.select_for_update().filter(priority=priority).first()
        )
        if rule is None:
            return
        if rule.policy is None:
            name = Priority(priority).short
            rule.policy, _new = EscalationPolicy.objects.get_or_create(name=name)
            rule.save(update_fields=["policy"])
        step = rule.policy.steps.order_by("after_s", "position", "pk").first()
        if step is None:
            step = EscalationStep.objects.create(policy=rule.policy)
        step.channels.add(channel)
