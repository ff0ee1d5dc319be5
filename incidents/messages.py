"""What an incident says to people, in the language of whoever reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from incidents.models import Alert, Incident, IncidentEvent, Service
from incidents.timeline import by_way
from notifications.message import ACTS, Fact, Message, Tone
from t4g_portal.lib.priority import Priority, highest
from t4g_portal.lib.retelling import retold
from t4g_portal.lib.wording import clock, duration

# Stands before whatever a rehearsal says; the same in every language.
DRILL = "DRILL"

# More than these are counted, not listed: a message is read on a phone.
LISTED_ALERTS = 5


class Reason(StrEnum):
    """Why a message leaves. The values stand in the timeline."""

    OPENED = "opened"
    REMINDED = "reminded"
    # Somebody asked for the next step now.
    ESCALATED = "escalated"
    # Whoever had it let the acknowledgement run out.
    EXPIRED = "expired"
    RAISED = "raised"
    RETURNED = "returned"
    WOKEN = "woken"
    # Nobody could be told before; now somebody can.
    RETRIED = "retried"
    FLAPPING = "flapping"
    UNDELIVERED = "undelivered"
    # To those who heard that it was over.
    AGAIN = "again"
    RECOVERED = "recovered"
    RESOLVED = "resolved"
    # It goes on as a part of another incident.
    MERGED = "merged"
    # What stands in a chat says so; nobody is told.
    TAKEN = "taken"


_CLOSING = {Reason.RECOVERED, Reason.RESOLVED}


@dataclass(frozen=True, slots=True)
class Story:
    """All that the messages about one incident tell, gathered once."""

    incident: Incident
    service: Service
    # Firing now, the most urgent first; when all is over, the last ones.
    alerts: tuple[Alert, ...]
    reason: Reason
    now: datetime
    # In the subject of the thread. It stays when the priority is lowered, so that the
    # thread holds; a raise may well begin a new one.
    thread_priority: str
    # Whose act it was, and the priority before a raise; empty when it does not apply.
    actor: str = ""
    old: str = ""
    # Where it goes on, for one that was merged.
    into: Incident | None = None
    # By which way they did it, a value of IncidentEvent.Via.
    via: str = ""


def thread_key(*, incident: Incident) -> str:
    """Return what all messages about an incident share."""
    return f"incident:{incident.pk}"


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the rows around an incident say, for its messages."""

    # Firing now, the most urgent first; when all is over, the last one.
    alerts: tuple[Alert, ...] = ()
    past_priorities: tuple[str, ...] = ()


def gather(*, incidents: Sequence[Incident]) -> dict[int, Gathered]:
    """Read what the messages about some incidents tell; three queries at most."""
    ids = [incident.pk for incident in incidents]
    firing: dict[int, list[Alert]] = {pk: [] for pk in ids}
    for alert in Alert.objects.filter(
        incident__in=ids, status=Alert.Status.FIRING
    ).order_by("priority", "pk"):
        firing[alert.incident_id].append(alert)
    over = [pk for pk, alerts in firing.items() if not alerts]
    if over:
        last = Alert.objects.filter(incident__in=over).order_by("incident", "-pk")
        for alert in last.distinct("incident"):
            firing[alert.incident_id].append(alert)
    past: dict[int, list[str]] = {pk: [] for pk in ids}
    for pk, priority in IncidentEvent.objects.filter(
        incident__in=ids, kind=IncidentEvent.Kind.PRIORITY_CHANGED
    ).values_list("incident_id", "data__from"):
        past[pk].append(priority)
    return {
        pk: Gathered(alerts=tuple(firing[pk]), past_priorities=tuple(past[pk]))
        for pk in ids
    }


def story_of(
    *,
    incident: Incident,
    reason: Reason,
    now: datetime,
    actor: str = "",
    old: str = "",
    via: str = "",
    gathered: Gathered | None = None,
) -> Story:
    """Return what the messages tell; three queries at most, none with `gathered`."""
    gathered = gathered or gather(incidents=[incident])[incident.pk]
    return Story(
        incident=incident,
        service=incident.service,
        alerts=gathered.alerts,
        reason=reason,
        now=now,
        thread_priority=highest([*gathered.past_priorities, incident.priority]),
        actor=actor,
        old=old,
        via=via,
    )


def build(
    *,
    story: Story,
    language: str,
    is_first_in_thread: bool,
    has_mention: bool,
    ack_url: str = "",
    edits: str = "",
    log: str = "",
) -> Message:
    """Write the message in `language`; empty takes the portal's.

    `ack_url` is the receiver's own link (`inbound.links`); what several people read has
    none. `edits`: it takes the place of what was said before, where that can be edited,
    or of the `log` of what happened alone.
    """
    language = language or settings.PORTAL_LANGUAGE
    incident = story.incident
    with translation.override(language), timezone.override(zone_of(story.service)):
        return Message(
            title=_title(story),
            text=_text(story),
            tone=_tone(story),
            priority=incident.priority,
            facts=tuple(_facts(story)),
            url=settings.PORTAL_URL + reverse("incidents:detail", args=[incident.pk]),
            url_label=_("Open the incident"),
            thread_key=thread_key(incident=incident),
            is_first_in_thread=is_first_in_thread,
            thread_title=_name(story, story.thread_priority),
            has_mention=has_mention,
            language=language,
            short=_short(story),
            spoken=_spoken(story),
            answer=_answer(story),
            ack_url=ack_url,
            incident_id=incident.pk,
            service=story.service.name,
            acts=_acts(incident),
            edits=edits,
            log=log,
            mark=DRILL if incident.is_drill else "",
        )


def _acts(incident: Incident) -> tuple[str, ...]:
    """Return what may be done to it from a message."""
    match incident.status:
        case Incident.Status.RESOLVED:
            return ()
        case Incident.Status.ACKNOWLEDGED:
            return ("escalate", "resolve")
    return ACTS


def _short(story: Story) -> str:
    """Say it in a line, for an SMS; what to answer and the link follow it there."""
    mark = f"{DRILL} " if story.incident.is_drill else ""
    return f"{mark}{_title(story)}."


def _answer(story: Story) -> str:
    """Say how to acknowledge by SMS, while there is something to acknowledge."""
    code = story.incident.short_code
    if code is None or story.reason in _CLOSING:
        return ""
    return _(" Reply %(code)sa=ack") % {"code": code}


def _spoken(story: Story) -> str:
    """Say it so that a voice can read it out: no number of digits, no address."""
    incident = story.incident
    words = {
        "priority": Priority(incident.priority).short,
        "service": story.service.name,
        "title": retold(incident.title),
    }
    drill = _("This is a drill.") if incident.is_drill else ""
    said = _("%(priority)s on %(service)s. %(title)s.") % words
    return " ".join(filter(None, [drill, said, _occasion(story)]))


def zone_of(service: Service) -> tzinfo:
    """Return the service's zone; a misspelt one must not stop a page."""
    try:
        return ZoneInfo(service.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return timezone.get_default_timezone()


def _name(story: Story, priority: str) -> str:
    return _("%(priority)s %(service)s: %(title)s") % {
        "priority": Priority(priority).short,
        "service": story.service.name,
        "title": retold(story.incident.title),
    }


def _title(story: Story) -> str:
    name = _name(story, story.incident.priority)
    match story.reason:
        case Reason.REMINDED | Reason.ESCALATED:
            return _("Still open: %(name)s") % {"name": name}
        case Reason.AGAIN:
            return _("Fails again: %(name)s") % {"name": name}
        case Reason.TAKEN:
            return _("Acknowledged: %(name)s") % {"name": name}
        case Reason.RECOVERED:
            return _("Over: %(name)s") % {"name": name}
        case Reason.RESOLVED:
            return _("Resolved: %(name)s") % {"name": name}
        case Reason.MERGED:
            return _("Merged: %(name)s") % {"name": name}
    return name


def _tone(story: Story) -> Tone:
    if story.reason in _CLOSING:
        return "good"
    if story.reason == Reason.MERGED:
        return "calm"
    if story.reason in {Reason.AGAIN, Reason.TAKEN}:
        return "warning"
    return "alarm" if story.incident.priority in {"p0", "p1"} else "warning"


def _text(story: Story) -> str:
    if story.reason in _CLOSING:
        return _closing(story)
    return "\n".join(filter(None, [_occasion(story), _trouble(story)]))


def _closing(story: Story) -> str:
    incident = story.incident
    ended_at = incident.resolved_at or story.now
    told = {
        "time": _clock(story, ended_at),
        "duration": duration(ended_at - incident.started_at),
        "actor": by_way(who=story.actor, via=story.via),
    }
    if story.reason == Reason.RESOLVED:
        return _("Resolved by %(actor)s at %(time)s, after %(duration)s.") % told
    return _("Over since %(time)s, after %(duration)s.") % told


def _occasion(story: Story) -> str:
    incident = story.incident
    waited = duration(story.now - incident.opened_at)
    match story.reason:
        case Reason.REMINDED:
            return _("Nobody has acknowledged for %(duration)s.") % {"duration": waited}
        case Reason.RAISED:
            return _("Raised from %(old)s to %(new)s.") % {
                "old": Priority(story.old).short,
                "new": Priority(incident.priority).short,
            }
        case Reason.ESCALATED:
            return _("%(actor)s asks for help.") % {"actor": story.actor}
        case Reason.EXPIRED:
            return _("%(actor)s had it and has not confirmed since: nobody has it.") % {
                "actor": story.actor
            }
        case Reason.RETURNED:
            return _("%(actor)s took the acknowledgement back: nobody has it.") % {
                "actor": story.actor
            }
        case Reason.WOKEN:
            return _("The snooze has ended and it still fails.")
        case Reason.FLAPPING:
            return _("It comes and goes.")
        case Reason.UNDELIVERED:
            return _("The channels that should carry this did not deliver.")
        case Reason.AGAIN:
            return _("It fails again.")
        case Reason.MERGED if story.into is not None:
            return _(
                "%(actor)s merged it into #%(number)d, where it goes on: %(title)s"
            ) % {
                "actor": story.actor,
                "number": story.into.pk,
                "title": retold(story.into.title),
            }
        case Reason.TAKEN:
            return _("Acknowledged by %(actor)s at %(time)s.") % {
                "actor": by_way(who=story.actor or incident.holder, via=story.via),
                "time": _clock(story, incident.acknowledged_at or story.now),
            }
    return ""


def _trouble(story: Story) -> str:
    alert = story.alerts[0] if story.alerts else None
    detail = retold(alert.detail) if alert else ""
    started_at = alert.started_at if alert else story.incident.started_at
    since = _clock(story, started_at)
    if detail:
        return _("Since %(time)s: %(detail)s") % {"time": since, "detail": detail}
    return _("Since %(time)s.") % {"time": since}


def _facts(story: Story) -> list[Fact]:
    incident = story.incident
    facts = [
        Fact(_("Service"), story.service.name),
        Fact(_("Priority"), str(Priority(incident.priority).label)),
        Fact(_("Since"), _clock(story, incident.started_at)),
    ]
    if story.reason not in _CLOSING:
        facts.append(Fact(_("Who has it"), _holder(story)))
        if len(story.alerts) > 1:
            facts.append(Fact(_("Alerts"), _alert_titles(story)))
        runbook_url = _runbook_url(story)
        if runbook_url:
            facts.append(Fact(_("Runbook"), runbook_url))
    return facts


def _runbook_url(story: Story) -> str:
    """Return the most urgent alert's own, else the service's."""
    own = next((alert.runbook_url for alert in story.alerts if alert.runbook_url), "")
    return own or story.service.runbook_url


def _holder(story: Story) -> str:
    incident = story.incident
    return incident.holder or _("nobody yet, due at %(time)s") % {
        "time": _clock(story, incident.response_due_at)
    }


def _alert_titles(story: Story) -> str:
    titles = [retold(alert.title) for alert in story.alerts[:LISTED_ALERTS]]
    more = len(story.alerts) - len(titles)
    if more:
        titles.append(_("%(count)d more") % {"count": more})
    return "\n".join(titles)


def _clock(story: Story, at: datetime) -> str:
    return clock(at, now=story.now)
