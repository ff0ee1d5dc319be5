"""The portal's own alert about escalations that reach nobody.

It compares what fires with what should, so a crash between the two costs a tick. It
never raises one about the incident that such an alert opened.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db.models import Q
from django.utils.translation import pgettext

from incidents import escalation, intake
from incidents.models import Alert, Incident, IncidentEvent, Service
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import source_language

logger = logging.getLogger(__name__)

# What these alerts share, so that they are one incident.
GROUPING_KEY = "portal:escalation"
_KEY = "portal:escalation:"
_LIMIT = 100


def raise_for_empty_steps(*, now: datetime) -> None:
    """Let an alert fire for each open incident whose escalation met a step that reached
    nobody, and end those whose incident is over. Two queries when there is none.
    """
    wanted = set(
        Incident.objects.open()
        .filter(has_empty_step=True)
        .exclude(grouping_key=GROUPING_KEY)
        .order_by("pk")
        .values_list("pk", flat=True)[:_LIMIT]
    )
    firing = {
        int(key.removeprefix(_KEY))
        for key in Alert.objects.filter(
            dedup_key__startswith=_KEY, status=Alert.Status.FIRING
        ).values_list("dedup_key", flat=True)
    }
    for pk in sorted(firing - wanted):
        _end(pk, now)
    for pk in sorted(wanted - firing):
        _raise(pk, now)


def own_service() -> Service:
    """Return the service that stands for the portal, made when there is none."""
    return find_own_service() or Service.objects.create(
        slug="portal", name="Portal", is_public=False
    )


def find_own_service() -> Service | None:
    """Return the service that stands for the portal, if there is one yet."""
    known = Service.objects.filter(Q(slug="portal") | Q(name="Portal"))
    return known.order_by("pk").first()


def _end(pk: int, now: datetime) -> None:
    is_over = not Incident.objects.open().filter(pk=pk, has_empty_step=True).exists()
    if is_over:
        intake.resolve(dedup_key=f"{_KEY}{pk}", now=now)


def _raise(pk: int, now: datetime) -> None:
    incident = Incident.objects.select_related("service").get(pk=pk)
    try:
        with source_language():
            intake.trigger(
                dedup_key=f"{_KEY}{pk}",
                service=own_service(),
                title=_title(incident),
                priority=str(Priority.P1),
                started_at=now,
                now=now,
                detail=pgettext(
                    "stored",
                    "Incident #%(number)d went to whoever else can be told. Look at the "
                    "policy's steps, the schedules and the people's addresses.",
                )
                % {"number": pk},
                source=f"incident:{pk}",
                grouping_key=GROUPING_KEY,
                is_public=False,
            )
    except Exception:
        # One that can't be raised must not keep the engine from the others.
        logger.exception("no alert about incident %s, which reached nobody", pk)


def _title(incident: Incident) -> str:
    step = (
        incident.events.filter(kind=IncidentEvent.Kind.EMPTY_STEP)
        .order_by("-pk")
        .values_list("data__step", flat=True)
        .first()
    )
    name = escalation.read(incident.policy).name or Priority(incident.priority).short
    if step is None:
        return pgettext("stored", "The policy %(policy)s reaches nobody") % {
            "policy": name
        }
    return pgettext(
        "stored", "Step %(step)d of the policy %(policy)s reaches nobody"
    ) % {
        "step": step,
        "policy": name,
    }
