"""Asking providers what became of messages whose report has not come.

Not every report finds its way: an address that nobody can reach from outside, a restart,
OVHcloud's reports, which nobody signs and which therefore only say when to ask.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from notifications import receipts
from notifications.carriers import carrier
from notifications.models import Notification, Provider
from notifications.providers import account_of
from notifications.transports.base import Account, Reporting, Said, TransportError
from notifications.transports.registry import reporting_for
from t4g_portal.lib.secrets import UnableToDecrypt

logger = logging.getLogger(__name__)

_AT_ONCE = 4
# Whoever dies while asking has it asked again after this.
_LEASE = timedelta(minutes=2)

_CLAIM = """
UPDATE notifications_notification SET report_due_at = %(now)s + %(lease)s
WHERE id IN (
    SELECT id FROM notifications_notification
    WHERE report_due_at <= %(now)s
    ORDER BY report_due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class _Question:
    row: Notification
    account: Account
    reporting: Reporting
    message_id: str


def ask_due(*, now: datetime, limit: int = 20) -> int:
    """Ask about what is due and take in the answers; return how many were asked about."""
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"now": now, "lease": _LEASE, "limit": limit}
        cursor.execute(_CLAIM, values)
        claimed = [row[0] for row in cursor.fetchall()]
    rows = list(
        Notification.objects.filter(pk__in=claimed)
        .select_related("channel", "address")
        .defer("channel__secret")
        .order_by("pk")
    )
    questions = [question for row in rows for question in _questions(row)]
    # The threads only ask; what they hear is stored here.
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        answers = list(pool.map(_ask, questions))
    for question, said in zip(questions, answers, strict=True):
        if said is not None:
            receipts.apply(
                provider_id=question.account.id,
                message_id=question.message_id,
                status=said.status,
                detail=said.detail,
                notification_id=question.row.pk,
                now=now,
            )
    for row in rows:
        receipts.ask_later(row=row, now=now)
    return len(rows)


def _questions(row: Notification) -> list[_Question]:
    provider_id = receipts.provider_of(row)
    if provider_id is None or not (row.channel or row.address):
        return []
    provider = Provider.objects.filter(pk=provider_id).first()
    if provider is None:
        return []
    by = carrier(channel=row.channel, address=row.address, method=row.method)
    reporting = reporting_for(by, provider.kind)
    try:
        account = account_of(provider)
    except UnableToDecrypt:
        logger.error("the secrets of provider %s can't be read", provider.pk)
        return []
    if reporting is None:
        return []
    return [
        _Question(row, account, reporting, str(message_id))
        for message_id in row.receipt.get("message_ids", [])
    ]


def _ask(question: _Question) -> Said | None:
    try:
        return question.reporting.ask(question.account, question.message_id)
    except TransportError as error:
        logger.warning(
            "nobody says what became of notification %s: %s",
            question.row.pk,
            error.detail,
        )
    except Exception:
        logger.exception("asking about notification %s failed", question.row.pk)
    return None
