"""From a claimed row to a letter, and from a letter to a try: before, then off the database."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from notifications import callbacks, providers
from notifications.bundling import bundled, gather
from notifications.carriers import carrier, needs_provider
from notifications.claiming import LONGEST_SEND, Claim, held
from notifications.fallthrough import bring_forward
from notifications.message import Message, UnableToReadMessage
from notifications.models import Attempt, Notification
from notifications.recording import Try, end, postpone, record
from notifications.services import CODE_PURPOSE, refusal
from notifications.transports.base import (
    Account,
    Destination,
    Earlier,
    Posted,
    TransportError,
)
from notifications.transports.registry import transport_for
from notifications.verifying import with_code
from t4g_portal.lib.secrets import UnableToDecrypt

logger = logging.getLogger(__name__)

# An older look says nothing any more: a process may stand still between the two, and
# somebody acknowledge or take the row over meanwhile.
_LOOK_HOLDS_FOR = timedelta(seconds=5)


class _NobodyCarries(Exception):
    """There is no provider that could carry the row."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A claimed notification, ready to be sent without the database."""

    claim: Claim
    destination: Destination
    message: Message
    idempotency_key: str
    # Later it must not begin: see `send`.
    send_by: datetime
    # Not before; a moment of the provider's that is reserved for it.
    at: datetime | None = None

    @property
    def is_repeat(self) -> bool:
        """Whether it may have arrived before; then it says that it is a reminder."""
        return self.destination.earlier is not None


def prepare(*, claim: Claim, now: datetime) -> Letter | Notification.Status | None:
    """Look at a claimed row directly before it is sent.

    Returns the status it ended with when it can't or need not be sent any more, None
    when somebody else has it or its turn has not come.
    """
    row = held(claim=claim)
    if row is None:
        return None
    try:
        unwanted = _why_unwanted(row, now)
        if unwanted:
            return _end_unsent(claim, now, unwanted)
        refused = refusal(
            row.channel,
            row.address,
            method=row.method,
            purpose=row.purpose,
            is_leaving=True,
        )
        if refused:
            # Wanted all the same: the next way to the person is for it to find.
            return _end_unsent(claim, now, refused, goes_on=True)
        by = carrier(channel=row.channel, address=row.address, method=row.method)
        account, at = None, None
        if needs_provider(by):
            chosen = providers.choose(row=row, carrier=by, now=now)
            if isinstance(chosen, providers.Later):
                return postpone(claim=claim, until=chosen.at)
            if chosen is None:
                raise _NobodyCarries
            account, at = chosen.account, chosen.at
        message: Message | None = Message.from_json(row.message)
        if message is not None and row.purpose == CODE_PURPOSE:
            message = with_code(notification=row, message=message)
        if message is None:
            return _end_unsent(claim, now, _("The code counts no more."))
        others = gather(claim=claim, message=message, now=now)
        if others is None:
            return None
        message = bundled([message, *others])
        return Letter(
            claim=claim,
            destination=_destination(row, by, account, message),
            message=message,
            idempotency_key=row.idempotency_key,
            send_by=min(now + _LOOK_HOLDS_FOR, claim.lease_until - LONGEST_SEND),
            at=at,
        )
    except UnableToDecrypt:
        problem = _("The stored secret can't be read. Enter it again.")
    except UnableToReadMessage as error:
        problem = str(error)
    except _NobodyCarries:
        problem = providers.nobody_carries(by)
    unsent = Try(
        started_at=now,
        duration_ms=0,
        outcome=Attempt.Outcome.PERMANENT,
        detail=problem,
    )
    return record(claim=claim, result=unsent, now=now)


def _why_unwanted(row: Notification, now: datetime) -> str:
    if row.cancel_requested_at is not None:
        return row.outcome or _("It was cancelled.")
    if row.expires_at is not None and row.expires_at <= now:
        return _("It expired before it could be sent.")
    return ""


def _end_unsent(
    claim: Claim, now: datetime, why: str, *, goes_on: bool = False
) -> Notification.Status | None:
    with transaction.atomic():
        row = held(claim=claim, is_locked=True)
        if row is None:
            return None
        if goes_on:
            bring_forward(route_key=row.route_key, now=now)
        return end(row=row, status=Notification.Status.CANCELLED, now=now, outcome=why)


def _destination(
    row: Notification, by: str, account: Account | None, message: Message
) -> Destination:
    if row.channel is not None:
        key, address = f"channel:{row.channel.pk}", row.channel.address
        secret = row.channel.secret
    else:
        assert row.address is not None  # noqa: S101 refused before otherwise
        key, address, secret = f"address:{row.address.pk}", row.address.value, ""
    return Destination(
        key=key,
        kind=by,
        address=address,
        secret=secret,
        account=account,
        status_url=callbacks.status_url(row.pk) if account else "",
        keypress_url=callbacks.keypress_url(row.pk) if account else "",
        earlier=_earlier(row, message),
        posted=_posted(row) if by == "slack_bot" else (),
    )


def _posted(row: Notification) -> tuple[Posted, ...]:
    """Return what stands at a row's destination about its subject; one query."""
    there = Q(channel=row.channel) if row.channel else Q(address=row.address)
    receipts = (
        Notification.objects.filter(
            there,
            subject_key=row.subject_key,
            status=Notification.Status.SENT,
            receipt__has_any_keys=["ts", "log_ts"],
        )
        .order_by("pk")
        .values_list("receipt", flat=True)
    )
    return tuple(
        Posted(channel=receipt["channel"], ts=receipt[name], is_log=name == "log_ts")
        for receipt in receipts
        for name in ("ts", "log_ts")
        if name in receipt
    )


def _earlier(row: Notification, message: Message) -> Earlier | None:
    """Return the first try of a row whose outcome nobody knows."""
    if row.attempt_count < 2:
        return None
    lost = Attempt.objects.filter(notification=row, outcome=Attempt.Outcome.LOST)
    first = lost.order_by("pk").values_list("started_at", flat=True).first()
    return None if first is None else Earlier(at=first, message=message)


def send(*, letter: Letter, clock: Callable[[], datetime]) -> Try:
    """Send and return what became of it; never raises.

    After `send_by` it is not sent but tried again: a page that left then could come
    after an acknowledgement, or twice.
    """
    if letter.at is not None:
        time.sleep(max(0.0, (letter.at - clock()).total_seconds()))
    started_at, started = clock(), time.monotonic()
    account = letter.destination.account
    message = letter.message.as_reminder() if letter.is_repeat else letter.message

    def result(outcome: Attempt.Outcome, **values: object) -> Try:
        return Try(
            started_at=started_at,
            duration_ms=round((time.monotonic() - started) * 1000),
            outcome=outcome,
            provider_id=account.id if account else None,
            via=account.name if account else "",
            carrier=letter.destination.kind,
            **values,  # type: ignore[arg-type]
        )

    if started_at > letter.send_by:
        logger.error(
            "notification %s was held up before it could be sent",
            letter.claim.notification_id,
        )
        return result(
            Attempt.Outcome.TEMPORARY,
            detail=_("The portal stood still before it could be sent."),
        )
    try:
        transport = transport_for(
            letter.destination.kind, account.kind if account else ""
        )
        receipt = transport.send(
            destination=letter.destination,
            message=message,
            idempotency_key=letter.idempotency_key,
        )
    except TransportError as error:
        logger.warning(
            "notification %s not taken: %s", letter.claim.notification_id, error.detail
        )
        return result(
            _outcome_of(error),
            detail=error.detail,
            retry_after_s=error.retry_after_s,
            is_providers_fault=error.is_providers_fault,
        )
    except Exception as error:  # noqa: BLE001 the edge of a sender
        logger.error(
            "notification %s failed in our own code: %s",
            letter.claim.notification_id,
            letter.destination.scrub("".join(traceback.format_exception(error))),
        )
        return result(
            Attempt.Outcome.TEMPORARY,
            detail=_("The portal failed to send it (%(error)s). See the log.")
            % {"error": type(error).__name__},
        )
    return result(
        Attempt.Outcome.SENT,
        receipt=receipt.detail,
        warning=receipt.warning,
        message_id=receipt.message_id,
    )


def _outcome_of(error: TransportError) -> Attempt.Outcome:
    if error.is_perhaps_taken:
        return Attempt.Outcome.LOST
    return Attempt.Outcome.PERMANENT if error.permanent else Attempt.Outcome.TEMPORARY
