"""`/hooks/twilio/sms`: "1a" acknowledges the incident with the short number 1."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Value, When
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from incidents.inbound import acting
from incidents.inbound.acting import Act
from incidents.inbound.merged import going_on
from incidents.models import Incident, IncidentEvent
from notifications import gsm7
from notifications.inbound import seen, twilio_app
from notifications.inbound.receiving import callback, malformed
from notifications.models import Contact
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import retold

HELP_EVERY = timedelta(hours=1)
# Whose code stands in the help: more does not fit.
_LISTED = 3
# Of how many that is chosen; looking costs a query or two each.
_LOOKED_AT = 50
_PARTS = 2

# Some type all that the message says: "1a=ack".
_REPLY = re.compile(r"(?:(\d{1,4})\s*([a-z]+)|([a-z]+)\s*(\d{1,4}))(?:\s*=\s*[a-z]+)?")
_WORDS: Mapping[str, Act] = {
    **dict.fromkeys(("a", "ack", "acknowledge", "acq", "acquitter"), Act.ACKNOWLEDGE),
    **dict.fromkeys(("e", "esc", "escalate", "escalader"), Act.ESCALATE),
    **dict.fromkeys(("r", "res", "resolve", "resoudre"), Act.RESOLVE),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody wants done to which incident, by its short number."""

    act: Act
    short_code: int


def read(text: str) -> Reply | None:
    """Read "1a", "1 A", "a1", "1 ack." or "1a=ack"; None for anything else.

    Without the marks of letters: French phones make "1 à" of what was typed.
    """
    bare = "".join(
        one
        for one in unicodedata.normalize("NFKD", text)
        if not unicodedata.combining(one)
    )
    found = _REPLY.fullmatch(bare.strip().strip(".!\"'“”«»’").strip().casefold())
    if found is None:
        return None
    act = _WORDS.get(found[2] or found[3])
    return Reply(act, int(found[1] or found[4])) if act else None


@callback
def incoming(request: HttpRequest) -> HttpResponse:
    """Act for whoever wrote, and answer them by SMS."""
    now = timezone.now()
    form = twilio_app.signed_form(request)
    sid, number = form.get("MessageSid", ""), form.get("From", "")
    if not (sid and number):
        raise malformed("it is no SMS")
    # Together: an act that fails in between is not remembered as done.
    with transaction.atomic():
        if not seen.is_new(key=f"sms:{sid}", now=now, within=seen.LONGEST):
            # Twilio asks again when our answer was lost: the act is done.
            return twilio_app.text_message("")
        text = _answer(number=number, text=form.get("Body", ""), now=now)
    return twilio_app.text_message(
        gsm7.fit(gsm7.spell(text), part_count=_PARTS) if text else ""
    )


def _answer(*, number: str, text: str, now: datetime) -> str:
    reply = read(text)
    incident = _by_short_code(reply.short_code) if reply else None
    contact = acting.sender(kind="phone", value=number, incident=incident)
    with translation.override(
        (contact.language if contact else "") or settings.PORTAL_LANGUAGE
    ):
        if contact is None:
            return _once_an_hour(number, now, _unknown_number())
        if reply is None:
            return _once_an_hour(number, now, _help(contact))
        if incident is None:
            return _("No incident has the number %(number)d.") % {
                "number": reply.short_code
            }
        answer = acting.perform(
            act=reply.act,
            incident=incident,
            contact=contact,
            via=IncidentEvent.Via.SMS,
            now=now,
        )
        # What became of it stands first: a long title is cut.
        return f"{answer.text} {_name(incident)}"


def _by_short_code(short_code: int) -> Incident | None:
    """Return the open incident of a short number, else the one that had it last."""
    is_over = Case(When(status=Incident.Status.RESOLVED, then=Value(1)), default=0)
    pk = (
        Incident.objects.filter(short_code=short_code)
        .order_by(is_over, "-pk")
        .values_list("pk", flat=True)
        .first()
    )
    return None if pk is None else going_on(pk)


def _once_an_hour(number: str, now: datetime, text: str) -> str:
    """Say it unless this number heard such a thing within the hour.

    Two machines that answer each other stop at that.
    """
    key = f"sms-help:{number}"
    return text if seen.is_new(key=key, now=now, within=HELP_EVERY) else ""


def _unknown_number() -> str:
    return _(
        "The portal does not know this number, so nothing was done. Add it to your "
        "contact details: %(url)s"
    ) % {"url": f"{settings.PORTAL_URL}/me/"}


def _help(contact: Contact) -> str:
    own = (
        incident
        for incident in Incident.objects.open()
        .filter(short_code__isnull=False)
        .select_related("service")
        .order_by("priority", "pk")[:_LOOKED_AT]
        if not acting.refusal(contact=contact, incident=incident)
    )
    waiting = [f"{one.short_code} = {_name(one)}" for one in islice(own, _LISTED)]
    said = _("Reply 1a to acknowledge, 1e to escalate, 1r to resolve incident 1.")
    return " ".join([said, *waiting])


def _name(incident: Incident) -> str:
    name = _("%(priority)s %(service)s: %(title)s") % {
        "priority": Priority(incident.priority).short,
        "service": incident.service.name,
        "title": retold(incident.title),
    }
    return f"DRILL {name}" if incident.is_drill else name
