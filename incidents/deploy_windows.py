"""Deploy windows: for a bounded time, what fires below P0 at a service waits.

A window ends when its time is over, when somebody closes it, or early, when the service
is healthy again. Then `advance_windows` raises what still fires. Nothing rests on that
tick: a window that is over holds nothing back, whether or not it was written down, and
what waits is found by its window alone. Downtime in a window is downtime.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _

from incidents import intake
from incidents.acting import UnableToAct
from incidents.models import DeployWindow, HeldAlert, Service
from incidents.models.deploy_window import LONGEST
from incidents.people import Actor
from t4g_portal.lib.wording import clock

logger = logging.getLogger(__name__)

MAX_MINUTES = int(LONGEST.total_seconds()) // 60
MAX_REASON = 200
MAX_SUBJECT = 100
MAX_NAME = 150
# So long the service has to be healthy after it was disturbed, or without having been
# disturbed at all: a build takes minutes before anything changes.
SETTLED_AFTER = timedelta(minutes=5)
UNDISTURBED_FOR = timedelta(minutes=10)
# What is raised in one tick; the next one goes on.
_AT_ONCE = 200
# Clocks of two hosts may differ by so much.
_CLOCK_TOLERANCE = timedelta(seconds=30)

Cause = DeployWindow.Cause


class UnableToOpen(UnableToAct):
    """The window can't be opened; the text says why and what to do."""


class UnableToClose(UnableToAct):
    """The window can't be closed; the text says why."""


@dataclass(frozen=True, slots=True)
class Health:
    """A service whose every watch is well.

    `since`: when the last of them became so; `probed_at`: all were asked after that
    moment, or at it.
    """

    since: datetime
    probed_at: datetime


# Asked with the number of a service and the time; None: not well, or nobody knows.
Judge = Callable[[int, datetime], Health | None]

_judges: list[Judge] = []


def register_judge(judge: Judge) -> None:
    """Let a floor above say whether a service is healthy; the last one is asked."""
    _judges[:] = [judge]


def open_window(
    *,
    service: Service,
    minutes: int,
    reason: str,
    now: datetime,
    actor: Actor | None = None,
    key: str = "",
    subject: str = "",
    closes_when_healthy: bool = True,
) -> DeployWindow:
    """Hold back what fires at a service, for 1 to 60 minutes.

    `actor` is None for the portal itself and for a program, whose `key` is the name of
    its API key. `subject` is `kind:number` such as `run:12`, what it is opened for.
    Raises UnableToOpen, also when a window is open over the service already.
    """
    reason = reason.replace("\x00", "").strip()
    if not 1 <= minutes <= MAX_MINUTES:
        raise UnableToOpen(
            _("A deploy window lasts 1 to %(most)d minutes.") % {"most": MAX_MINUTES}
        )
    if not reason:
        raise UnableToOpen(_("Say what is deployed."))
    if len(reason) > MAX_REASON:
        raise UnableToOpen(
            _("Say it in %(most)d characters or fewer.") % {"most": MAX_REASON}
        )
    with transaction.atomic():
        # Of two that open at once the second sees the first one's.
        Service.objects.select_for_update(no_key=True).get(pk=service.pk)
        last = DeployWindow.objects.filter(service=service, ended_at=None).first()
        if last is not None and not _end_if_over(last, now):
            raise UnableToOpen(
                _("A deploy window of %(service)s is open until %(time)s already.")
                % {"service": service.name, "time": clock(last.ends_at, now=now)}
            )
        window = DeployWindow.objects.create(
            service=service,
            reason=reason,
            subject=subject[:MAX_SUBJECT],
            opened_at=now,
            ends_at=now + timedelta(minutes=minutes),
            seen_at=now,
            closes_when_healthy=closes_when_healthy,
            **_by("opened", actor, key),
        )
    logger.info("deploy window %s opened over service %s", window.pk, service.pk)
    return window


def close_window(
    *, window_id: int, now: datetime, actor: Actor | None = None, key: str = ""
) -> DeployWindow:
    """End a window before its time; what still fires is raised at the next tick.

    Raises UnableToClose when it is over, DeployWindow.DoesNotExist for none.
    """
    with transaction.atomic():
        # Waits for alerts that are just being held back, so that none is left behind.
        window = (
            DeployWindow.objects.select_for_update(of=("self",))
            .select_related("service")
            .get(pk=window_id)
        )
        if not window.is_open_at(now):
            raise UnableToClose(_("This deploy window is over already."))
        _end(window, Cause.CLOSED, now, **_by("ended", actor, key))
    return window


def advance_windows(*, now: datetime) -> int:
    """End the windows whose time has come and raise what they held back.

    Returns how many alerts were raised. Each window and each alert in a transaction of
    its own, so that one that fails keeps nobody else; any number of engines at once.
    """
    for window in DeployWindow.objects.filter(ended_at=None).order_by("pk"):
        try:
            _advance(window, now)
        except Exception:
            logger.exception("deploy window %s could not go on", window.pk)
    return release_due(now=now)


def release_due(*, now: datetime, limit: int = _AT_ONCE) -> int:
    """Raise what waits for a window that is over, the most urgent first."""
    due = HeldAlert.objects.due(now=now).order_by("priority", "pk")
    count = 0
    for dedup_key in due.values_list("dedup_key", flat=True):
        try:
            count += intake.release(dedup_key=dedup_key, now=now) is not None
        except Exception:
            logger.exception("the alert %r could not be raised", dedup_key)
        if count >= limit:
            break
    return count


def _advance(window: DeployWindow, now: datetime) -> None:
    if _is_past(window, now):
        cause = Cause.CLOCK if _went_back(window, now) else Cause.BOUND
    elif window.closes_when_healthy and _is_settled(window, now):
        cause = Cause.HEALTHY
    else:
        DeployWindow.objects.filter(pk=window.pk, seen_at__lt=now).update(
            seen_at=Greatest("seen_at", now)
        )
        return
    with transaction.atomic():
        # Whoever is just holding back an alert goes first: then it does not end yet.
        mine = (
            DeployWindow.objects.select_for_update(skip_locked=True)
            .filter(pk=window.pk, ended_at=None)
            .first()
        )
        if mine is None:
            return
        if cause is Cause.HEALTHY and not _is_settled(mine, now):
            return
        _end(mine, cause, now)


def _end_if_over(window: DeployWindow, now: datetime) -> bool:
    """Write down that a window is over, when it is; the caller has locked the service."""
    if not _is_past(window, now):
        return False
    mine = DeployWindow.objects.select_for_update().get(pk=window.pk)
    if mine.ended_at is None:
        _end(mine, Cause.CLOCK if _went_back(mine, now) else Cause.BOUND, now)
    return True


def _is_past(window: DeployWindow, now: datetime) -> bool:
    return now >= window.ends_at or _went_back(window, now)


def _went_back(window: DeployWindow, now: datetime) -> bool:
    return now < window.seen_at - _CLOCK_TOLERANCE


def _end(window: DeployWindow, cause: Cause, now: datetime, **by: Any) -> None:
    window.ended_at = max(window.opened_at, min(now, window.ends_at))
    window.end_cause = cause
    for name, value in by.items():
        setattr(window, name, value)
    window.save()
    logger.info("deploy window %s ended: %s", window.pk, cause)


def _is_settled(window: DeployWindow, now: datetime) -> bool:
    """Whether the service has been healthy for long enough, and nothing waits."""
    held = HeldAlert.objects.filter(
        Q(window=window) | Q(service=window.service_id, status=HeldAlert.Status.HELD)
    )
    ends = list(held.values_list("ended_at", flat=True))
    if not _judges or None in ends:
        return False
    health = _judges[0](window.service_id, now)
    if health is None:
        return False
    calm_since = max([window.opened_at, health.since, *filter(None, ends)])
    is_disturbed = bool(ends) or health.since > window.opened_at
    wanted = SETTLED_AFTER if is_disturbed else UNDISTURBED_FOR
    return health.probed_at > calm_since and now - calm_since >= wanted


def _by(verb: str, actor: Actor | None, key: str) -> dict[str, Any]:
    name = actor.name if actor is not None else key
    return {
        f"{verb}_by": actor.user if actor is not None else None,
        f"{verb}_by_name": name[:MAX_NAME],
    }
