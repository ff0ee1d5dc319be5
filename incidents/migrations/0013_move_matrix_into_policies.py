from __future__ import annotations

from typing import Any

from django.db import migrations

# An incident's snapshot before there were policies; see incidents.escalation.policy.
_OLD_NAMES = ("priority", "response_s", "is_digest")


def into_policies(apps: Any, schema_editor: Any) -> None:
    """Make a policy of one step of each row's channels, repeat and mention."""
    policies = apps.get_model("incidents", "EscalationPolicy").objects
    for rule in apps.get_model("incidents", "PriorityRule").objects.all():
        channels = list(rule.channels.all())
        if rule.is_digest and not channels:
            continue
        policy, is_new = policies.get_or_create(name=rule.priority.upper())
        if is_new:
            step = policy.steps.create(
                repeat_s=rule.repeat_s, has_mention=rule.has_mention
            )
            step.channels.set(channels)
        rule.policy = policy
        rule.save(update_fields=["policy"])


def back_into_matrix(apps: Any, schema_editor: Any) -> None:
    """Give each row back what its policy tells; one row can't say more than that."""
    for rule in apps.get_model("incidents", "PriorityRule").objects.all():
        steps = list(rule.policy.steps.order_by("after_s", "pk")) if rule.policy else []
        rule.channels.set(
            {channel for step in steps for channel in step.channels.all()}
        )
        rule.repeat_s = steps[0].repeat_s if steps else 0
        rule.has_mention = any(step.has_mention for step in steps)
        rule.policy = None
        rule.save()
    incidents = apps.get_model("incidents", "Incident").objects
    for incident in incidents.exclude(status="resolved").iterator():
        steps = incident.policy.get("steps")
        if steps is not None:
            incident.policy = {
                **{name: incident.policy[name] for name in _OLD_NAMES},
                "repeat_s": steps[0]["repeat_s"] if steps else 0,
                "has_mention": any(step["has_mention"] for step in steps),
                "channel_ids": sorted({n for step in steps for n in step["channels"]}),
            }
            incident.save(update_fields=["policy"])


class Migration(migrations.Migration):
    """Whom a priority tells becomes a policy, which can have more than one step."""

    dependencies = [("incidents", "0012_escalation_policies")]

    operations = [migrations.RunPython(into_policies, back_into_matrix)]
