"""The daily digest: what is too small to page for, once a day, to whom its policy names.

The window is fixed (from one morning to the next), so it may be asked for as often as
anybody likes and by several processes: a destination has one digest a day.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

from django.conf import settings
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incidents import priorities
from incidents.escalation import GUIDE
from incidents.escalation.expanding import Delivery, decide
from incidents.models import Incident, PriorityRule
from incidents.reach import Worlds
from notifications import services as outbox
from notifications.message import Fact, Message
from notifications.models import Notification
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import retold
from t4g_portal.lib.wording import clock, duration

# Before the day begins, in the portal's own zone.
AT = time(8)
PURPOSE = "digest"
_MAX_LISTED = 20


def send_due(*, now: datetime) -> int:
    """Write the digests of this morning into the outbox; return how many messages.

    Nothing to tell, nothing sent. A portal that was away sends it later that day.
    """
    local = timezone.localtime(now, timezone.get_default_timezone())
    until = local.replace(hour=AT.hour, minute=AT.minute, second=0, microsecond=0)
    if local < until:
        return 0
    # A wall time of the day before: the night may have 23 or 25 hours.
    since = until - timedelta(days=1)
    count = 0
    rules = PriorityRule.objects.filter(is_digest=True, policy__isnull=False)
    for rule in rules.select_related("policy").order_by("priority"):
        count += _send(rule, since=since, until=until, now=now)
    return count


def _send(
    rule: PriorityRule, *, since: datetime, until: datetime, now: datetime
) -> int:
    subject = f"digest:{rule.priority}:{until:%Y-%m-%d}"
    if Notification.objects.filter(subject_key=subject).exists():
        return 0
    found = list(
        Incident.objects.filter(
            Q(opened_at__gte=since) | Q(resolved_at__isnull=True),
            priority=rule.priority,
            opened_at__lt=until,
            policy__is_digest=True,
            is_drill=False,
            merged_into__isnull=True,
        )
        .select_related("service", "acknowledged_by")
        .order_by("resolved_at", "-opened_at")
    )
    if not found:
        return 0
    assert rule.policy is not None  # noqa: S101 the query asks for it
    steps = priorities.steps_of(policy=rule.policy)
    policy = replace(GUIDE[rule.priority], is_digest=False, steps=steps)
    worlds = Worlds(at=now)
    page = decide(policy=policy, steps=range(len(steps)), world=worlds.of(policy))
    drafts = [
        _draft(delivery, worlds, subject, rule.priority, found, since, now)
        for delivery in page.deliveries
    ]
    outbox.enqueue_all(drafts=drafts, now=now)
    return len(drafts)


def _draft(
    delivery: Delivery,
    worlds: Worlds,
    subject: str,
    priority: str,
    found: list[Incident],
    since: datetime,
    now: datetime,
) -> outbox.Draft:
    channel = address = None
    if delivery.channel_id is not None:
        channel = worlds.channel(delivery.channel_id)
        where, language = f"channel:{channel.pk}", channel.language
    else:
        assert delivery.address_id is not None  # noqa: S101 it is one or the other
        address = worlds.address(delivery.address_id)
        where = f"address:{address.pk}:{delivery.method}"
        language = address.contact.language
    return outbox.Draft(
        channel=channel,
        address=address,
        message=_message(
            priority=priority, found=found, since=since, now=now, language=language
        ),
        purpose=PURPOSE,
        subject_key=subject,
        idempotency_key=f"{subject}:{where}",
        lane=Notification.Lane.BULK,
        method=delivery.method,
    )


def _message(
    *,
    priority: str,
    found: list[Incident],
    since: datetime,
    now: datetime,
    language: str,
) -> Message:
    language = language or settings.PORTAL_LANGUAGE
    fresh = sum(one.opened_at >= since for one in found)
    still_open = sum(one.is_open for one in found)
    with translation.override(language):
        return Message(
            title=_("%(priority)s digest: %(fresh)s, %(open)s")
            % {
                "priority": Priority(priority).short,
                "fresh": ngettext("%(count)d new", "%(count)d new", fresh)
                % {"count": fresh},
                "open": ngettext("%(count)d open", "%(count)d open", still_open)
                % {"count": still_open},
            },
            text=_("What needs nobody at once. Nothing here was paged."),
            facts=tuple(
                Fact(
                    _("%(service)s: %(title)s")
                    % {"service": one.service.name, "title": retold(one.title)},
                    _state(one, now),
                )
                for one in found[:_MAX_LISTED]
            ),
            url=settings.PORTAL_URL
            + reverse("incidents:list")
            + f"?priority={priority}",
            url_label=_("Open the incidents"),
            language=language,
        )


def _state(incident: Incident, now: datetime) -> str:
    since = clock(incident.started_at, now=now)
    if incident.resolved_at is not None:
        return _("from %(since)s, lasted %(length)s") % {
            "since": since,
            "length": duration(incident.resolved_at - incident.started_at),
        }
    if incident.holder:
        return _("since %(since)s, %(name)s has it") % {
            "since": since,
            "name": incident.holder,
        }
    return _("since %(since)s, nobody has it yet") % {"since": since}
