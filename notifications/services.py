"""The doors to the outbox: enqueue, cancel, retry, test. Only they and delivery write it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.utils.translation import gettext as _
from django.utils.translation import override

from notifications.bundling import release
from notifications.carriers import NEEDED, carrier, needs_provider
from notifications.message import Fact, Message
from notifications.methods import DEFAULT_METHOD, methods_of, usable_methods
from notifications.models import Address, Attempt, Channel, Notification, Provider
from notifications.providers import nobody_carries, test_subject, usable
from notifications.transports import registry
from notifications.wakeup import wake_up_on_commit
from t4g_portal.lib import bulk
from t4g_portal.lib.secrets import has_secret

# Temporary failures are retried for this long.
GIVE_UP_AFTER = timedelta(hours=24)
# When the process that tests a channel dies, the worker sends the test after this.
_TEST_FALLBACK = timedelta(minutes=1)
TEST_PURPOSE = "test"
# Of a provider, used or not yet: it may go to any phone.
PROVIDER_TEST_PURPOSE = "provider_test"
# A code that proves an address: the one thing that an unverified address gets.
CODE_PURPOSE = "code"
# It becomes a header of webhooks and mails.
_KEY = re.compile(r"[\x21-\x7e]{1,200}")

# Channel.is_configured, without reading any secret.
_CONFIGURED = (
    (Q(kind="email") & ~Q(address=""))
    | (Q(kind="slack") & ~Q(secret=""))
    | (Q(kind="webhook") & ~Q(address="") & ~Q(secret=""))
    | (Q(kind__in=["sms", "slack_bot"]) & ~Q(address=""))
    | (Q(kind="apprise") & ~Q(secret=""))
)


class UnableToEnqueue(Exception):
    """The destination is disabled, not configured, or of a kind nothing can send to."""


class UnableToRetry(Exception):
    """Only a notification that was given up can be sent again."""


def enqueue(
    *,
    channel: Channel | None = None,
    address: Address | None = None,
    message: Message,
    purpose: str,
    subject_key: str,
    idempotency_key: str,
    now: datetime,
    lane: int = Notification.Lane.NORMAL,
    not_before: datetime | None = None,
    expires_at: datetime | None = None,
    method: str = "",
    route_key: str = "",
) -> Notification:
    """Write one message to one destination into the outbox, in the caller's transaction.

    Exactly one of `channel` and `address`. A known `idempotency_key` (printable ASCII
    without spaces, ≤ 200) writes nothing and returns the row that has it. After
    `expires_at` nobody wants it any more. `method` is how it gets there, where the kind
    of the destination leaves a choice ("sms" or "voice" to a phone). `route_key` is
    shared by the rows of one page to one person. Raises UnableToEnqueue, and ValueError for a
    malformed key or an unknown lane.
    """
    if (channel is None) == (address is None):
        raise ValueError("a notification has one channel or one address")
    problem = refusal(channel, address, method=method, purpose=purpose)
    if problem:
        # A replay of what was accepted before must not look like a refusal.
        known = Notification.objects.filter(idempotency_key=idempotency_key).first()
        if known is None:
            raise UnableToEnqueue(problem)
        return known
    return _insert(
        Notification(
            channel=channel,
            address=address,
            receiver=_receiver(channel, address),
            message=message.to_json(),
            purpose=purpose,
            subject_key=subject_key,
            idempotency_key=idempotency_key,
            lane=Notification.Lane(lane),
            queued_at=now,
            next_attempt_at=not_before or now,
            give_up_at=max(now, not_before or now) + GIVE_UP_AFTER,
            expires_at=expires_at,
            method=method,
            route_key=route_key,
        ),
        now=now,
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """One of several messages for `enqueue_all`; the fields are those of `enqueue`."""

    message: Message
    purpose: str
    subject_key: str
    idempotency_key: str
    channel: Channel | None = None
    address: Address | None = None
    lane: int = Notification.Lane.NORMAL
    not_before: datetime | None = None
    method: str = ""
    route_key: str = ""


def enqueue_all(*, drafts: Sequence[Draft], now: datetime) -> None:
    """Write several messages in one statement, in the caller's transaction.

    For whoever has just looked which destinations can be used: it does not ask again,
    delivery does. A known idempotency key writes nothing. Raises ValueError for a
    malformed key.
    """
    rows = [
        Notification(
            channel=draft.channel,
            address=draft.address,
            receiver=_receiver(draft.channel, draft.address),
            message=draft.message.to_json(),
            purpose=draft.purpose,
            subject_key=draft.subject_key,
            idempotency_key=_checked_key(draft.idempotency_key),
            lane=Notification.Lane(draft.lane),
            queued_at=now,
            next_attempt_at=draft.not_before or now,
            give_up_at=max(now, draft.not_before or now) + GIVE_UP_AFTER,
            method=draft.method,
            route_key=draft.route_key,
        )
        for draft in drafts
    ]
    bulk.insert_all(rows=rows)
    if any(row.next_attempt_at <= now for row in rows):
        wake_up_on_commit()


def cancel(
    *,
    subject_key: str,
    reason: str,
    now: datetime,
    purposes: Collection[str] | None = None,
) -> int:
    """Stop what is not sent yet about a subject; return how many rows that touched.

    One that is being sent stays `sending` until its sender knows whether it left: then
    it is `sent`, or `cancelled` and never tried again. The same holds for one that
    another carries. What a cancelled row carried about other subjects goes on.
    """
    about = Notification.objects.filter(subject_key=subject_key)
    if purposes is not None:
        about = about.filter(purpose__in=purposes)
    is_waiting = Q(
        status__in=[Notification.Status.QUEUED, Notification.Status.SENDING]
    ) | Q(status=Notification.Status.BUNDLED, ended_at=None)
    rows = about.filter(is_waiting, cancel_requested_at=None)
    carriers = Notification.objects.filter(
        pk=OuterRef("bundled_into"), status=Notification.Status.SENDING
    )
    is_unsent = Q(status=Notification.Status.QUEUED) | (
        Q(status=Notification.Status.BUNDLED) & ~Exists(carriers)
    )
    with transaction.atomic():
        # What was given up is wanted by nobody either: it can't be tried again.
        about.filter(status=Notification.Status.DEAD, cancel_requested_at=None).update(
            cancel_requested_at=now
        )
        # In the order in which everybody takes several rows. A row that goes from one
        # of these statuses to another meanwhile is still found.
        keys = list(
            rows.order_by("pk").select_for_update(no_key=True).values_list("pk")
        )
        Notification.objects.filter(pk__in=[key for (key,) in keys]).update(
            cancel_requested_at=now,
            outcome=reason,
            ended_at=Case(When(is_unsent, then=Value(now)), default=F("ended_at")),
            status=Case(
                When(is_unsent, then=Value(Notification.Status.CANCELLED)),
                default=F("status"),
            ),
        )
        if keys:
            release(
                carriers=about.filter(status=Notification.Status.CANCELLED), now=now
            )
    return len(keys)


def told_destinations(
    *, subject_key: str, purposes: Collection[str]
) -> list[tuple[Channel | None, Address | None]]:
    """Return who was told, perhaps told, or is being told, and can still be reached.

    One of the two is None in each pair; each destination comes once.
    """
    rows = (
        Notification.objects.filter(subject_key=subject_key, purpose__in=purposes)
        # Whose address was deleted since can't be reached.
        .exclude(channel=None, address=None)
        .filter(
            Q(status__in=[Notification.Status.SENT, Notification.Status.SENDING])
            | Q(status=Notification.Status.BUNDLED, ended_at__isnull=False)
            | Q(attempts__outcome=Attempt.Outcome.LOST)
        )
        .select_related("channel", "address__contact", "address__verification")
        .defer("channel__secret")
        .order_by("pk")
    )
    told: dict[tuple[int | None, int | None], tuple[Channel | None, Address | None]]
    told = {
        (row.channel_id, row.address_id): (row.channel, row.address) for row in rows
    }
    return [pair for pair in told.values() if not refusal(*pair)]


def usable_channels(queryset: QuerySet[Channel]) -> QuerySet[Channel]:
    """Keep the channels that are enabled and have what their kind needs."""
    has_provider = (
        ~Q(kind__in=["sms", "slack_bot"])
        | (Q(kind="sms") & Exists(usable("sms")))
        | (Q(kind="slack_bot") & Exists(usable("slack_bot")))
    )
    # Deferred: one secret that doesn't decrypt must not hide the other channels.
    return queryset.filter(_CONFIGURED, has_provider, is_enabled=True).defer("secret")


def retry(*, notification: Notification, now: datetime) -> None:
    """Queue a dead letter again, for another 24 h; raises UnableToRetry."""
    updated = Notification.objects.filter(
        pk=notification.pk,
        status=Notification.Status.DEAD,
        cancel_requested_at=None,
    ).update(
        status=Notification.Status.QUEUED,
        next_attempt_at=now,
        give_up_at=now + GIVE_UP_AFTER,
        expires_at=None,
        ended_at=None,
        outcome="",
        bundled_into=None,
    )
    if not updated:
        raise UnableToRetry(
            _(
                "Only a notification that was given up, and that somebody still wants, "
                "can be retried."
            )
        )
    wake_up_on_commit()


def send_test(
    *,
    channel: Channel | None = None,
    address: Address | None = None,
    method: str = "",
    now: datetime,
    requested_by: User,
) -> Notification:
    """Queue a test message to a channel, enabled or not, or to a verified address.

    It waits a minute for `delivery.deliver_one`, which shows the answer at once; the
    worker takes it after that. It is tried once. Raises UnableToEnqueue.
    """
    problem = refusal(channel, address, method=method, purpose=TEST_PURPOSE)
    if problem:
        raise UnableToEnqueue(problem)
    receiver = _receiver(channel, address)
    language = _language(channel, address)
    with override(language):
        message = _test_message(
            text=_("If you can read this, the channel works. There is nothing to do.")
            if channel is not None
            else _("If you get this, alerts reach you here. There is nothing to do."),
            facts=(
                Fact(label=_("Channel") if channel else _("To"), value=receiver),
                Fact(label=_("Sent by"), value=requested_by.get_username()),
            ),
            language=language,
        )
    about = f"channel:{channel.pk}" if channel else f"address:{address and address.pk}"
    return _insert(
        Notification(
            channel=channel,
            address=address,
            method=method,
            receiver=receiver,
            message=message.to_json(),
            subject_key=about,
            **_test_values(now, TEST_PURPOSE),
        ),
        now=now,
    )


def send_provider_test(
    *,
    provider: Provider,
    address: Address,
    method: str,
    now: datetime,
    requested_by: User,
) -> Notification:
    """Queue a test through one provider, enabled or not, to a person's phone.

    `method` is sms or voice. As `send_test` otherwise; raises UnableToEnqueue.
    """
    needed = NEEDED.get((method, provider.kind))
    lacks = [
        name
        for name in needed or ()
        if not (
            has_secret(provider, name)
            if name in provider.SECRETS
            else getattr(provider, name)
        )
    ]
    if needed is None or lacks:
        raise UnableToEnqueue(_("The provider is not configured for this yet."))
    problem = refusal(None, address, method=method, purpose=PROVIDER_TEST_PURPOSE)
    if problem:
        raise UnableToEnqueue(problem)
    language = address.contact.language or settings.PORTAL_LANGUAGE
    with override(language):
        text = _("%(portal)s: this is a test of %(name)s. There is nothing to do.") % {
            "portal": settings.PORTAL_NAME,
            "name": provider.name,
        }
        facts = (Fact(label=_("Sent by"), value=requested_by.get_username()),)
        message = _test_message(
            text=text, facts=facts, language=language, short=text, spoken=text
        )
    return _insert(
        Notification(
            address=address,
            receiver=_receiver(None, address),
            method=method,
            message=message.to_json(),
            subject_key=test_subject(provider),
            **_test_values(now, PROVIDER_TEST_PURPOSE),
        ),
        now=now,
    )


def _test_message(**values: Any) -> Message:
    return Message(
        title=_("Test message"),
        url=settings.PORTAL_URL,
        url_label=_("Open the portal"),
        **values,
    )


def _test_values(now: datetime, purpose: str) -> dict[str, Any]:
    return {
        "purpose": purpose,
        "idempotency_key": f"test:{uuid4()}",
        "lane": Notification.Lane.NORMAL,
        "queued_at": now,
        "next_attempt_at": now + _TEST_FALLBACK,
        "give_up_at": now,
    }


def delete_ended(*, before: datetime, batch_size: int = 1000) -> int:
    """Delete what ended before a moment, with its attempts; return how many rows.

    In batches, each its own transaction. What is not sent yet is never deleted.
    """
    ended = Notification.objects.filter(
        status__in=[
            Notification.Status.SENT,
            Notification.Status.DEAD,
            Notification.Status.CANCELLED,
            Notification.Status.BUNDLED,
        ],
        ended_at__lt=before,
    ).order_by("pk")
    count = 0
    while ids := list(ended.values_list("pk", flat=True)[:batch_size]):
        Notification.objects.filter(pk__in=ids).delete()
        count += len(ids)
    return count


def refusal(
    channel: Channel | None,
    address: Address | None,
    *,
    method: str = "",
    purpose: str = "",
    is_leaving: bool = False,
) -> str:
    """Say why nothing can be sent there, in words; empty when something can.

    `is_leaving`: not by whom, because the sender finds that out itself.

    A test may go to a disabled channel, a code to an address that isn't verified, the
    test of a provider to any phone.
    """
    if channel is not None:
        return _channel_refusal(channel, is_test=purpose == TEST_PURPOSE)
    if address is None:
        return _("The address was deleted.")
    if not address.is_enabled:
        return _("The address is disabled.")
    if not address.contact.is_enabled:
        return _("The contact is disabled.")
    if purpose == PROVIDER_TEST_PURPOSE:
        return ""
    if purpose != CODE_PURPOSE and not address.is_verified:
        return _("The address is not verified.")
    if is_leaving:
        return ""
    by = method or DEFAULT_METHOD.get(address.kind, "")
    if by not in methods_of(kind=address.kind, usable=usable_methods()):
        carried = carrier(channel=None, address=address, method=method)
        if needs_provider(carried) and registry.is_known(carried):
            return nobody_carries(carried)
        return _("Nothing here can send to %(kind)s yet.") % {"kind": address.kind}
    return ""


def _channel_refusal(channel: Channel, *, is_test: bool) -> str:
    if not channel.is_enabled and not is_test:
        return _("The channel is disabled.")
    if not Channel.objects.filter(_CONFIGURED, pk=channel.pk).exists():
        return _("The channel is not configured yet.")
    if not registry.is_known(channel.kind):
        return _("Nothing here can send to %(kind)s yet.") % {"kind": channel.kind}
    if needs_provider(channel.kind) and not usable(channel.kind).exists():
        return nobody_carries(channel.kind)
    return ""


def _language(channel: Channel | None, address: Address | None) -> str:
    own = channel.language if channel else address.contact.language if address else ""
    return own or settings.PORTAL_LANGUAGE


def _receiver(channel: Channel | None, address: Address | None) -> str:
    if address is not None:
        return f"{address.contact.name} ({address.value})"
    return str(channel)


def _checked_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError("an idempotency key is 1 to 200 printable ASCII characters")
    return key


def _insert(row: Notification, *, now: datetime) -> Notification:
    _checked_key(row.idempotency_key)
    Notification.objects.bulk_create([row], ignore_conflicts=True)
    stored = Notification.objects.get(idempotency_key=row.idempotency_key)
    is_waiting = stored.status == Notification.Status.QUEUED
    if is_waiting and stored.next_attempt_at <= now:
        wake_up_on_commit()
    return stored
