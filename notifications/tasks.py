"""The timed loops of the outbox."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from celery import shared_task
from celery.signals import worker_shutdown, worker_shutting_down
from django.conf import settings
from django.utils.translation import override

from notifications import delivery
from notifications.asking import ask_due
from notifications.delivery import deliver_due
from notifications.inbound import seen
from notifications.services import delete_ended
from t4g_portal.lib.loops import run_cycle

RETENTION = timedelta(days=400)
# Within the minute that a container gets to stop; under `make run` it is cut short.
_FINISH_WITHIN_S = 45.0


@shared_task(name="notifications.tasks.deliver")
def deliver() -> None:
    """Send what is due."""
    run_cycle(name="notifications.deliver", bound_s=30, cycle=_deliver)


@shared_task(name="notifications.tasks.ask")
def ask() -> None:
    """Ask providers what became of messages whose report has not come."""
    run_cycle(name="notifications.ask", bound_s=120, cycle=_ask)


@shared_task(name="notifications.tasks.keep_house")
def keep_house() -> None:
    """Delete ended notifications past their retention, and what has come in long ago."""
    run_cycle(name="notifications.keep_house", bound_s=7200, cycle=_keep_house)


def _deliver(now: datetime) -> None:
    # Outcomes and receivers' complaints are stored as text, in the portal's language.
    with override(settings.PORTAL_LANGUAGE):
        deliver_due(now=now)


def _ask(now: datetime) -> None:
    with override(settings.PORTAL_LANGUAGE):
        ask_due(now=now)


def _keep_house(now: datetime) -> None:
    delete_ended(before=now - RETENTION)
    seen.forget(now=now)


@worker_shutting_down.connect
def _stop_delivering(**_: Any) -> None:
    delivery.stop()


@worker_shutdown.connect
def _finish_sending(**_: Any) -> None:
    delivery.wait_for_senders(timeout_s=_FINISH_WITHIN_S)
