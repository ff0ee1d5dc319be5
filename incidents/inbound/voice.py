"""`/hooks/twilio/voice`: a key was pressed during a call; 1 acknowledges, 2 escalates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from incidents.inbound import acting
from incidents.inbound.acting import Act
from incidents.inbound.merged import going_on
from incidents.models import Incident, IncidentEvent
from notifications import callbacks
from notifications.inbound import reports, seen, twilio_app
from notifications.inbound.receiving import callback, malformed
from notifications.message import Message, UnableToReadMessage
from notifications.models import Contact, Notification
from notifications.transports import twilio_voice
from notifications.transports.twilio_voice import twiml

_KEYS: Mapping[str, Act] = {"1": Act.ACKNOWLEDGE, "2": Act.ESCALATE}
_MAX_DIGITS = 18


@callback
def key_pressed(request: HttpRequest) -> HttpResponse:
    """Act for whoever was called, and say what became of it."""
    now = timezone.now()
    form = twilio_app.signed_form(request)
    row = _called(request.GET.get("n", ""))
    message = _message(row)
    incident = going_on(message.incident_id) if message.incident_id else None
    contact = _whom(row, form.get("To", ""), incident)
    language = (
        (contact.language if contact else "")
        or message.language
        or settings.PORTAL_LANGUAGE
    )
    key = form.get("Digits", "")
    act = _KEYS.get(key)
    if act is None:
        _note_person(form, row, now)
        # Another key: it is said once more.
        return twilio_app.as_twiml(
            twiml(message, keypress_url=callbacks.keypress_url(row.pk))
        )
    # Together: an act that fails in between is not remembered as done.
    with translation.override(language), transaction.atomic():
        said = f"voice:{form.get('CallSid', '')}:{key}"
        if not seen.is_new(key=said, now=now, within=seen.LONGEST):
            text = _("That is done already.")
        elif contact is None:
            text = _("Nobody in the portal has this number, so nothing was done.")
        elif incident is None:
            text = _("There is no such incident any more.")
        else:
            text = acting.perform(
                act=act,
                incident=incident,
                contact=contact,
                via=IncidentEvent.Via.VOICE,
                now=now,
            ).text
    # Not before: whatever is wrong with a report must stop no act.
    _note_person(form, row, now)
    with translation.override(language):
        return twilio_app.spoken(f"{text} {_('Goodbye.')}", language=language)


def _note_person(form: Mapping[str, str], row: Notification, now: datetime) -> None:
    """Note that a person took the call, though they sounded like a machine."""
    key = form.get("Digits", "")
    if key:
        said = twilio_voice.pressed(key[:1])
        reports.take_in(form=form, said=said, notification_id=row.pk, now=now)


def _called(number: str) -> Notification:
    """Return the row that the call was about; its number was signed with the address."""
    row = None
    if number.isascii() and number.isdecimal() and len(number) <= _MAX_DIGITS:
        row = (
            Notification.objects.select_related("address__contact__user")
            .filter(pk=int(number))
            .first()
        )
    if row is None:
        raise malformed("it is about no call of ours")
    return row


def _message(row: Notification) -> Message:
    try:
        return Message.from_json(row.message)
    except UnableToReadMessage as error:
        raise malformed("the call's message can't be read") from error


def _whom(row: Notification, number: str, incident: Incident | None) -> Contact | None:
    """Return who was called: whose address it was, else whose number it is."""
    if row.address is not None:
        return row.address.contact
    return acting.sender(kind="phone", value=number, incident=incident)
