"""`/hooks/slack/actions`: somebody pressed a button of a message in Slack."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from incidents.inbound import acting
from incidents.inbound.acting import Act
from incidents.inbound.merged import going_on
from incidents.models import Incident, IncidentEvent
from notifications.inbound import slack_app
from notifications.inbound.receiving import body_of, callback, unproven
from notifications.inbound.slack import Press, press_of
from notifications.transports.slack_bot import ACTION_PREFIX

_MAX_DIGITS = 18


@callback
def actions(request: HttpRequest) -> HttpResponse:
    """Act for whoever pressed, or tell them alone why not. Slack waits three seconds."""
    now = timezone.now()
    body = body_of(request)
    app = slack_app.proven_app(request=request, body=body, now=now)
    press = press_of(body)
    if press is None:
        return HttpResponse()
    if app.account and press.team_id != app.account:
        raise unproven("it comes from another workspace")
    try:
        act = Act(press.action_id.removeprefix(ACTION_PREFIX))
    except ValueError:
        # A button that leads to a page: Slack reports it all the same.
        return HttpResponse()
    slack_app.reply(url=press.response_url, text=_answer(press, act))
    return HttpResponse()


def _answer(press: Press, act: Act) -> str:
    """Return what to say to whoever pressed; nothing where the message shows it."""
    incident = _incident(press.value)
    contact = acting.sender(kind="slack", value=press.user_id, incident=incident)
    language = (contact.language if contact else "") or settings.PORTAL_LANGUAGE
    with translation.override(language):
        if contact is None:
            return _unknown(press)
        if incident is None:
            return _("There is no such incident any more.")
        answer = acting.perform(
            act=act,
            incident=incident,
            contact=contact,
            via=IncidentEvent.Via.SLACK,
            now=timezone.now(),
        )
        is_shown = answer.is_done and act != Act.ESCALATE
        return "" if is_shown else answer.text


def _incident(value: str) -> Incident | None:
    if not (value.isascii() and value.isdecimal() and len(value) <= _MAX_DIGITS):
        return None
    return going_on(int(value))


def _unknown(press: Press) -> str:
    return _(
        "The portal does not know who you are in Slack, so nothing was done. Open "
        "%(url)s, add your Slack member ID %(id)s to your contact details, and enter "
        "the code that you get here."
    ) % {"url": f"{settings.PORTAL_URL}/me/", "id": press.user_id}
