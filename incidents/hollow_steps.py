"""Tells of steps that name nobody any more before an incident has to climb past them.

A small alert of the portal's own for each policy that is followed, so that it is in the
daily digest; it ends when somebody is named again. The form refuses such a step: it is
what is left when a person, a channel, a schedule or a team is deleted or switched off.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet
from django.utils.translation import pgettext

from incidents import alarms, intake
from incidents.models import Alert, EscalationPolicy, EscalationStep
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import source_language

SOURCE = "policy"
_GROUPING_KEY = "portal:policies"
_KEY = "portal:policy:"


def watch_policies(*, now: datetime) -> None:
    """Raise an alert for each followed policy with a step that names nobody, or without
    any step; end those of the others. Four queries where nothing is wrong.
    """
    wanted = {f"{_KEY}{pk}": title for pk, title in _titles().items()}
    firing = Alert.objects.filter(
        dedup_key__startswith=_KEY, status=Alert.Status.FIRING
    ).values_list("dedup_key", "title")
    told = dict(firing)
    for key in sorted(told.keys() - wanted.keys()):
        intake.resolve(dedup_key=key, now=now)
    for key, title in sorted(wanted.items()):
        if told.get(key) != title:
            _raise(key, title, now)


def _titles() -> dict[int, str]:
    """Say what is wrong, by policy."""
    policies = EscalationPolicy.objects.filter(
        Q(priority_rules__is_digest=False) | Q(service_policies__isnull=False)
    )
    names = dict(policies.order_by("pk").values_list("pk", "name"))
    hollow = set(_hollow().values_list("pk", flat=True))
    places: dict[int, list[bool]] = {pk: [] for pk in names}
    # As `priorities.steps_of` orders them.
    steps = EscalationStep.objects.filter(policy__in=names)
    rows = steps.order_by("after_s", "position", "pk").values_list("policy", "pk")
    for policy_id, pk in rows:
        places[policy_id].append(pk in hollow)
    with source_language():
        return {
            pk: _title(names[pk], is_hollow)
            for pk, is_hollow in places.items()
            if not is_hollow or any(is_hollow)
        }


def _hollow() -> QuerySet[EscalationStep]:
    return (
        EscalationStep.objects.filter(channels=None, schedules=None)
        .exclude(contacts__is_enabled=True)
        .exclude(teams__members__is_enabled=True)
    )


def _title(name: str, is_hollow: list[bool]) -> str:
    if not is_hollow:
        return pgettext("stored", "The policy %(policy)s reaches nobody") % {
            "policy": name
        }
    return pgettext(
        "stored", "Step %(step)d of the policy %(policy)s reaches nobody"
    ) % {"step": is_hollow.index(True) + 1, "policy": name}


def _raise(key: str, title: str, now: datetime) -> None:
    with source_language():
        detail = pgettext(
            "stored",
            "Whoever it named was deleted or switched off. Choose somebody else in the "
            "policy.",
        )
    intake.trigger(
        dedup_key=key,
        service=alarms.own_service(),
        title=title,
        priority=str(Priority.P3),
        started_at=now,
        now=now,
        detail=detail,
        source=f"{SOURCE}:{key.removeprefix(_KEY)}",
        grouping_key=_GROUPING_KEY,
        is_public=False,
    )
