"""The timeline: writing its lines, and saying them in the reader's language.

A line keeps facts, not sentences, so that each reader gets their own language. Free
text (a note, an alert's title) is kept as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from incidents.models import Incident, IncidentEvent
from incidents.people import Actor
from t4g_portal.lib import bulk
from t4g_portal.lib.history import acts
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import retold
from t4g_portal.lib.wording import minute

Kind = IncidentEvent.Kind
# Under that name a sentence finds when its line was written: moments of that day are
# said without the day, which the line bears already.
_LINE_AT = "line_at"
# Ways that need no look at the portal.
_FROM_OUTSIDE = {
    IncidentEvent.Via.LINK,
    IncidentEvent.Via.SLACK,
    IncidentEvent.Via.SMS,
    IncidentEvent.Via.VOICE,
}


def add(
    *,
    incident: Incident,
    kind: str,
    now: datetime,
    actor: Actor | None = None,
    via: str = IncidentEvent.Via.ENGINE,
    text: str = "",
    data: dict[str, Any] | None = None,
) -> IncidentEvent:
    """Append one line; it can never be changed. Of the API's it keeps the key's name."""
    event = line(
        incident=incident,
        kind=kind,
        now=now,
        actor=actor,
        via=via,
        text=text,
        data=data,
    )
    event.save(force_insert=True)
    return event


def add_all(*, lines: Sequence[IncidentEvent]) -> None:
    """Append lines that were made by `line`, in their order."""
    bulk.insert_all(rows=lines)


def line(
    *,
    incident: Incident,
    kind: str,
    now: datetime,
    actor: Actor | None = None,
    via: str = IncidentEvent.Via.ENGINE,
    text: str = "",
    data: dict[str, Any] | None = None,
) -> IncidentEvent:
    """Return a line that is not stored yet."""
    if actor is not None:
        data = {**(data or {}), **actor.facts}
    if via == IncidentEvent.Via.API and acts.current().by:
        data = {**(data or {}), "key": acts.current().by}
    return IncidentEvent(
        incident=incident,
        at=now,
        kind=kind,
        actor=actor.user if actor else None,
        via=via,
        text=text,
        data=data or {},
    )


def sentence(*, event: IncidentEvent) -> str:
    """Say what a line tells, without who did it and without its free text."""
    speak = _SENTENCES.get(event.kind)
    if speak is None:
        return event.get_kind_display()
    return speak({**event.data, _LINE_AT: event.at})


def by_way(*, who: str, via: str) -> str:
    """Say who did it, and by which way where that was no page of the portal.

    "Ana via SMS"; empty for the portal itself.
    """
    if not who or via not in _FROM_OUTSIDE:
        return who
    way = IncidentEvent.Via(via).label
    return _("%(who)s via %(way)s") % {"who": who, "way": way}


def told(*, event: IncidentEvent) -> str:
    """Say a whole line for a message: what, and who by which way."""
    said = sentence(event=event)
    who = by_way(who=event.who, via=event.via)
    return f"{said} ({who})" if who else said


def words(*, event: IncidentEvent) -> str:
    """Return a line's free text: what the engine said is said again, a note is not."""
    is_ours = event.kind in {Kind.OPENED, Kind.ALERT_FIRED, Kind.ALERT_RESOLVED}
    return retold(event.text) if is_ours else event.text


def _short(data: dict[str, Any], key: str) -> str:
    return Priority(data[key]).short


def _moment(data: dict[str, Any], key: str) -> str:
    moment = parse_datetime(data[key])
    return minute(moment, now=data[_LINE_AT]) if moment else ""


def _opened(data: dict[str, Any]) -> str:
    return _("Opened as %(priority)s") % {"priority": _short(data, "priority")}


def _alert_fired(data: dict[str, Any]) -> str:
    return _("Alert fired, %(priority)s") % {"priority": _short(data, "priority")}


def _held_back(data: dict[str, Any]) -> str:
    words = {"time": _moment(data, "since")}
    return _("Held back since %(time)s by a deploy window") % words


_NOTIFIED = {
    "opened": gettext_lazy("Told %(channels)s"),
    "raised": gettext_lazy("Told %(channels)s that it is more urgent"),
    "returned": gettext_lazy("Told %(channels)s that nobody has it any more"),
    "woken": gettext_lazy("Told %(channels)s that the snooze has ended"),
    "escalated": gettext_lazy(
        "Told %(channels)s, because somebody asked for the next step"
    ),
    "expired": gettext_lazy("Told %(channels)s that nobody has confirmed to have it"),
    "retried": gettext_lazy("Told %(channels)s at last"),
    "flapping": gettext_lazy("Told %(channels)s that it comes and goes"),
    "undelivered": gettext_lazy("Told %(channels)s, since no other channel delivered"),
    "again": gettext_lazy("Told %(channels)s that it fails again"),
    "recovered": gettext_lazy("Told %(channels)s that it is over"),
    "resolved": gettext_lazy("Told %(channels)s that it is resolved"),
    "merged": gettext_lazy("Told %(channels)s that it goes on in another incident"),
}


def _notified(data: dict[str, Any]) -> str:
    said = str(_NOTIFIED[data["reason"]]) % {"channels": _listed(data["channels"])}
    if data.get("held_back_s"):
        return _("%(said)s, unless it comes back within %(count)d min") % {
            "said": said,
            "count": data["held_back_s"] // 60,
        }
    return _with_fallback(said, data)


def _escalated(data: dict[str, Any]) -> str:
    said = _("Paged again: %(channels)s") % {"channels": _listed(data["channels"])}
    return _with_fallback(said, data)


def _with_fallback(said: str, data: dict[str, Any]) -> str:
    if not data.get("is_fallback") or data.get("resort") not in {None, "matrix"}:
        # Other ways out have a line of their own, which says why.
        return said
    return _("%(said)s (no channel of its own priority can be used)") % {"said": said}


def _untold(data: dict[str, Any]) -> str:
    if data.get("reason") == "undelivered":
        return _("Nobody could be told: no channel delivered")
    return _("Nobody could be told: no channel is enabled and configured")


def _empty_step(data: dict[str, Any]) -> str:
    said = resort_sentence(step=data["step"], resort=data["resort"])
    troubles = [miss_sentence(miss=miss) for miss in data["misses"]]
    if not troubles:
        return said
    return _("%(said)s (%(why)s)") % {"said": said, "why": "; ".join(troubles)}


_RESORTS = {
    "step": gettext_lazy("Step %(step)d reaches nobody: the next one runs at once"),
    "catch_all": gettext_lazy("Step %(step)d reaches nobody: the catch-all is told"),
    "policy": gettext_lazy("Step %(step)d reaches nobody: the other steps are told"),
    "matrix": gettext_lazy("Step %(step)d reaches nobody: every channel is told"),
}


def resort_sentence(*, step: int, resort: str) -> str:
    """Say who is told in place of a step (counted from 1) that reaches nobody."""
    return str(_RESORTS[resort]) % {"step": step}


def miss_sentence(*, miss: dict[str, str]) -> str:
    """Say why something reaches nobody; `miss`: the facts of an `expanding.Miss`."""
    words = {"name": miss["name"], "via": miss["via"]}
    trouble = _TROUBLES[miss["trouble"]]
    if miss["via"]:
        return _("%(via)s: %(trouble)s") % {**words, "trouble": str(trouble) % words}
    return str(trouble) % words


_TROUBLES = {
    "unusable": gettext_lazy("%(name)s is disabled or not configured"),
    "nobody_on_call": gettext_lazy("nobody is on call for %(name)s"),
    "empty_team": gettext_lazy("%(name)s has no members"),
    "no_address": gettext_lazy("%(name)s has no verified address that can be used"),
    "failed": gettext_lazy("%(name)s did not get an earlier page"),
}


def _ack_expired(data: dict[str, Any]) -> str:
    return _("The acknowledgement of %(name)s has expired") % {"name": data["holder"]}


def _response_missed(data: dict[str, Any]) -> str:
    words = {"time": _moment(data, "due_at")}
    return _("Nobody had acknowledged by %(time)s") % words


def _listed(names: list[str]) -> str:
    return ", ".join(names)


def _priority_changed(data: dict[str, Any]) -> str:
    words = {"old": _short(data, "from"), "new": _short(data, "to")}
    if data["to"] < data["from"]:
        return _("Raised from %(old)s to %(new)s") % words
    return _("Lowered from %(old)s to %(new)s") % words


def _snoozed(data: dict[str, Any]) -> str:
    return _("Snoozed until %(until)s") % {"until": _moment(data, "until")}


def _woken(data: dict[str, Any]) -> str:
    if data["cause"] == "raised":
        return _("Snooze ended: it is more urgent now")
    if data.get("was_acknowledged"):
        return _("Snooze ended: somebody must acknowledge again")
    return _("Snooze ended")


def _resolved(data: dict[str, Any]) -> str:
    closed = data.get("closed_alert_count", 0)
    if not closed:
        return _("Resolved")
    return ngettext(
        "Resolved while %(count)d alert was still firing",
        "Resolved while %(count)d alerts were still firing",
        closed,
    ) % {"count": closed}


def _reopened(_data: dict[str, Any]) -> str:
    return _("It fires again: flapping")


def _published(data: dict[str, Any]) -> str:
    if not data["is_public"]:
        return _("Taken off the status page")
    if data["has_message"]:
        return _("Told the public")
    return _("Shown on the status page")


def _handover_asked(data: dict[str, Any]) -> str:
    if data["direction"] == "offer":
        return _("Asked %(name)s to take over") % {"name": data["asked"]}
    return _("Asked %(name)s to hand over") % {"name": data["asked"]}


def _handover_ended(data: dict[str, Any]) -> str:
    if data["status"] == "withdrawn":
        return _("Asks %(name)s no longer") % {"name": data["asked"]}
    if data["direction"] == "offer":
        return _("Does not take over")
    return _("Does not hand over to %(name)s") % {"name": data["asker"]}


def _handed_over(data: dict[str, Any]) -> str:
    if data["from"]:
        return _("Handed over from %(giver)s to %(taker)s") % {
            "giver": data["from"],
            "taker": data["to"],
        }
    return _("%(taker)s has taken over") % {"taker": data["to"]}


def _merged(data: dict[str, Any]) -> str:
    return _("Merged into #%(number)d: %(title)s") % {
        "number": data["into"],
        "title": retold(data["title"]),
    }


def _took_in(data: dict[str, Any]) -> str:
    return _("Took in #%(number)d: %(title)s") % {
        "number": data["from"],
        "title": retold(data["title"]),
    }


_ROLES = {
    "commander": gettext_lazy("%(name)s is commander"),
    "communications": gettext_lazy("%(name)s handles communications"),
    "scribe": gettext_lazy("%(name)s is scribe"),
}
_ROLES_ENDED = {
    "commander": gettext_lazy("%(name)s is commander no longer"),
    "communications": gettext_lazy("%(name)s handles communications no longer"),
    "scribe": gettext_lazy("%(name)s is scribe no longer"),
}


def _role_changed(data: dict[str, Any]) -> str:
    if data["name"]:
        return str(_ROLES[data["role"]]) % {"name": data["name"]}
    return str(_ROLES_ENDED[data["role"]]) % {"name": data["old"]}


def _postmortem(data: dict[str, Any]) -> str:
    match data["act"]:
        case "owner":
            return _("%(name)s writes the postmortem") % {"name": data["name"]}
        case "finished":
            return _("Postmortem finished")
        case "waived":
            return _("No postmortem needed")
    return _("Postmortem opened again")


_ACTION_ITEMS = {
    "added": gettext_lazy("Action item added: %(text)s"),
    "changed": gettext_lazy("Action item changed: %(text)s"),
    "done": gettext_lazy("Action item done: %(text)s"),
    "dropped": gettext_lazy("Action item dropped: %(text)s"),
    "open": gettext_lazy("Action item open again: %(text)s"),
}


def _action_item(data: dict[str, Any]) -> str:
    return str(_ACTION_ITEMS[data["act"]]) % {"text": data["item"]}


_SENTENCES: dict[str, Callable[[dict[str, Any]], str]] = {
    Kind.OPENED: _opened,
    Kind.ALERT_FIRED: _alert_fired,
    Kind.HELD_BACK: _held_back,
    Kind.NOTIFIED: _notified,
    Kind.ESCALATED: _escalated,
    Kind.UNTOLD: _untold,
    Kind.EMPTY_STEP: _empty_step,
    Kind.ACK_EXPIRED: _ack_expired,
    Kind.RESPONSE_MISSED: _response_missed,
    Kind.PRIORITY_CHANGED: _priority_changed,
    Kind.SNOOZED: _snoozed,
    Kind.WOKEN: _woken,
    Kind.RESOLVED: _resolved,
    Kind.REOPENED: _reopened,
    Kind.PUBLISHED: _published,
    Kind.HANDOVER_ASKED: _handover_asked,
    Kind.HANDOVER_ENDED: _handover_ended,
    Kind.HANDED_OVER: _handed_over,
    Kind.MERGED: _merged,
    Kind.TOOK_IN: _took_in,
    Kind.ROLE_CHANGED: _role_changed,
    Kind.POSTMORTEM: _postmortem,
    Kind.ACTION_ITEM: _action_item,
}
