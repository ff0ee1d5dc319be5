"""Channels and ways to people work: the last message arrived, with a receipt.

Any message proves it, a test as well as a page: what counts is what became of the last
one since the channel leads where it leads now.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from checklists.verifiers.base import (
    Finding,
    Parameter,
    Parameters,
    Subject,
    Verdict,
    Verifier,
    failed,
    together,
    unknown,
)
from checklists.verifiers.saying import instant
from notifications.carriers import REPORTED
from notifications.models import Channel, Notification
from notifications.models.contact import method_kinds
from notifications.receipts import FINAL
from t4g_portal.lib.history.reading import last_changed_at

Status = Notification.Status

# What decides where a channel's messages go.
_PLACE = ("kind", "address", "secret")


def _look(_subject: Subject, wanted: Parameters, now: datetime) -> Finding:
    found = list(_each(wanted, now))
    if not found:
        return failed("nothing_named", {"channels": []})
    return together("channels", found, code="all_received")


def _each(wanted: Parameters, now: datetime) -> Iterator[Finding]:
    since = now - timedelta(days=wanted["max_age_days"])
    rows = Channel.objects.filter(name__in=wanted["channels"]).defer("secret")
    named = {channel.name: channel for channel in rows}
    for name in wanted["channels"]:
        if name in named:
            yield _channel(named[name], since, wanted["max_age_days"])
        else:
            yield failed("missing", {"name": name}, name=name)
    for method in wanted["methods"]:
        yield _method(method, since, wanted["max_age_days"])


def _channel(channel: Channel, since: datetime, days: int) -> Finding:
    what: dict[str, Any] = {
        "id": channel.pk,
        "name": channel.name,
        "kind": channel.kind,
        "address": channel.address,
    }
    if not channel.is_enabled:
        return failed("disabled", what, name=channel.name)
    sent = Notification.objects.filter(channel=channel)
    moved_at = last_changed_at(channel, _PLACE)
    if moved_at is not None and moved_at > since:
        last = _last(sent, moved_at, channel.kind)
        if last is None:
            return failed(
                "untested_since_moved",
                what,
                name=channel.name,
                since_at=instant(moved_at),
            )
    else:
        last = _last(sent, since, channel.kind)
    return _judge(what, channel.name, channel.kind, last, days)


def _method(method: str, since: datetime, days: int) -> Finding:
    """Judge a way to people: the last message to anybody that went this way."""
    sent = Notification.objects.filter(method=method, channel__isnull=True)
    label = dict(method_kinds()).get(method, method)
    return _judge({"method": method}, label, method, _last(sent, since, method), days)


def _last(
    rows: QuerySet[Notification], since: datetime, kind: str
) -> Notification | None:
    """Return the last message whose fate is known; else one that is under way.

    Those bundled share another's fate. A new page must not make the proof of the one
    before it doubtful for as long as it takes.
    """
    tried = (
        rows.filter(status__in=[Status.SENT, Status.DEAD], ended_at__gte=since)
        .defer("message")
        .order_by("-ended_at", "-pk")
    )
    if kind not in REPORTED:
        return tried.first()
    settled = Q(status=Status.DEAD) | Q(delivery_status__in=FINAL)
    return tried.filter(settled).first() or tried.first()


def _judge(
    what: dict[str, Any], name: str, kind: str, last: Notification | None, days: int
) -> Finding:
    if last is None:
        return failed("untested", what, name=name, days=days)
    values = {"name": name, "sent_at": instant(last.ended_at)}
    observed = {
        "notification": last.pk,
        "receiver": last.receiver,
        "message_id": str(last.receipt.get("message_id", ""))
        or last.provider_message_id,
    }
    if last.status == Status.DEAD:
        return failed("refused", what, message=last.outcome, **values)
    if last.receipt.get("kept"):
        return failed("kept", what, **values)
    if last.delivery_status == "failed":
        return failed("lost", what, **values)
    if kind in REPORTED and last.delivery_status != "delivered":
        return unknown("awaited", what, **values)
    return Finding(Verdict.PASSED, "received", what, values, observed)


VERIFIER = Verifier(
    name="channel_receipt",
    label=_("Messages arrive"),
    help=_(
        "The last message through each channel, and by each way to people, was taken"
        " by who carries it; an SMS was delivered."
    ),
    parameters=(
        Parameter("channels", _("channels"), "texts", default=[], help=_("By name.")),
        Parameter(
            "methods",
            _("ways to people"),
            "choices",
            default=[],
            choices=tuple((name, name) for name in ("email", "sms", "slack", "voice")),
        ),
        Parameter(
            "max_age_days",
            _("at most so old (days)"),
            "integer",
            default=30,
            minimum=1,
            maximum=365,
        ),
    ),
    look=_look,
    phrases={
        "all_received": ngettext_lazy(
            "%(count)d way was tested, and the message arrived.",
            "All %(count)d ways were tested, and the messages arrived.",
            "count",
        ),
        "received": _("%(name)s: a message arrived, %(sent_at)s."),
        "nothing_named": _("The template names no channel and no way to look at."),
        "missing": _("There is no channel called “%(name)s”."),
        "disabled": _("%(name)s is switched off."),
        "untested": ngettext_lazy(
            "%(name)s: no message was sent in the last day. Send a test.",
            "%(name)s: no message was sent in the last %(days)d days. Send a test.",
            "days",
        ),
        "untested_since_moved": _(
            "%(name)s leads elsewhere since %(since_at)s, and nothing was sent there"
            " yet. Send a test."
        ),
        "refused": _("%(name)s: the last message did not arrive: %(message)s"),
        "kept": _(
            "%(name)s: no mail server is set (EMAIL_HOST), so the last message was only"
            " kept here."
        ),
        "lost": _("%(name)s: the last message was not delivered, says its provider."),
        "awaited": _(
            "%(name)s: a message left, %(sent_at)s; its provider has not said yet that"
            " it arrived."
        ),
    },
)
