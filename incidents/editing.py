"""Writing services, teams, policies and whom priorities tell, without a form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from incidents.models import (
    EscalationPolicy,
    EscalationStep,
    PriorityRule,
    Service,
    ServicePolicy,
    Team,
)
from incidents.policy_rules import policy_faults, step_faults
from notifications.models import Channel
from notifications.validation import validate_time_zone
from t4g_portal.lib import editing
from t4g_portal.lib.editing import Values
from t4g_portal.lib.faults import Fault
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.versions import locked


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


def create_policy(*, values: Values, steps: Sequence[Values] = ()) -> EscalationPolicy:
    """Store a new policy with its steps; raises UnableToSave."""
    full = [_with_defaults(step) for step in steps]
    editing.refuse(
        [
            *policy_faults({**editing.defaults(EscalationPolicy), **values}),
            *_step_faults(full),
        ]
    )
    with transaction.atomic():
        policy = EscalationPolicy()
        editing.assign(policy, values)
        _replace_steps(policy, full)
    return policy


def change_policy(
    *,
    policy_id: int,
    values: Values,
    steps: Sequence[Values] | None = None,
    expected: str | None = None,
) -> EscalationPolicy:
    """Change what `values` name, and replace the steps unless None.

    Running incidents keep what they began with. Raises UnableToSave, ChangedMeanwhile,
    EscalationPolicy.DoesNotExist.
    """
    full = None if steps is None else [_with_defaults(step) for step in steps]
    with locked(
        EscalationPolicy.objects.all(), pk=policy_id, expected=expected
    ) as policy:
        editing.refuse(
            [
                *policy_faults({**editing.present(policy), **values}),
                *_step_faults(full or ()),
            ]
        )
        editing.assign(policy, values)
        if full is not None:
            _replace_steps(policy, full)
    return policy


def delete_policy(*, policy_id: int, expected: str | None = None) -> None:
    """Delete a policy that nothing follows; raises ProtectedError when something does."""
    rows = EscalationPolicy.objects.all()
    editing.delete(rows=rows, pk=policy_id, expected=expected)


def create_team(*, values: Values) -> Team:
    """Store a new team; raises UnableToSave."""
    return editing.create(model=Team, values=values, check=_nothing_to_check)


def change_team(*, team_id: int, values: Values, expected: str | None = None) -> Team:
    """Change a team; raises UnableToSave, ChangedMeanwhile, Team.DoesNotExist."""
    return editing.change(
        rows=Team.objects.all(),
        pk=team_id,
        values=values,
        check=_nothing_to_check,
        expected=expected,
    )


def delete_team(*, team_id: int, expected: str | None = None) -> None:
    """Delete a team; steps that named it go on without it."""
    editing.delete(rows=Team.objects.all(), pk=team_id, expected=expected)


def create_service_policy(*, values: Values) -> ServicePolicy:
    """Let a service follow another policy; raises UnableToSave."""
    return editing.create(
        model=ServicePolicy, values=values, check=_service_policy_faults
    )


def delete_service_policy(
    *, service_policy_id: int, expected: str | None = None
) -> None:
    """Let a service follow the matrix again."""
    rows = ServicePolicy.objects.all()
    editing.delete(rows=rows, pk=service_policy_id, expected=expected)


def _service_policy_faults(values: Values) -> Iterator[Fault]:
    rows = ServicePolicy.objects.filter(
        service=values["service"], priority=values.get("priority", "")
    )
    if rows.exists():
        yield Fault(
            "priority", _("The service has a policy for that. Delete it first.")
        )


def _nothing_to_check(values: Values) -> Iterator[Fault]:
    yield from ()


def _with_defaults(step: Values) -> Values:
    return {**editing.defaults(EscalationStep), **step}


def _step_faults(steps: Sequence[Values]) -> Iterator[Fault]:
    for index, step in enumerate(steps):
        for fault in step_faults(step):
            yield Fault("steps", fault.message, inside=fault.field, index=index)


def _replace_steps(policy: EscalationPolicy, steps: Sequence[Values]) -> None:
    for row in policy.steps.all():
        # One by one: the policy's history tells of each.
        row.delete()
    for position, step in enumerate(steps):
        editing.assign(
            EscalationStep(), {**step, "policy": policy, "position": position}
        )
