"""`/a/<token>`: the page behind the link in a message. No session, no script.

GET shows, POST acts: mail scanners and previews of chats open links.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from incidents.acting import has
from incidents.collaboration import handovers
from incidents.inbound import acting
from incidents.inbound.links import Link, LinkExpired, UnableToOpenLink, open_link
from incidents.models import Alert, Incident, IncidentEvent
from incidents.people import Actor
from notifications.models import Contact

_SEE_OTHER = 303


# No form token: whoever has the link may act, and browsers inside of chat and SMS
# programs keep no cookies.
@csrf_exempt
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def acknowledge(request: HttpRequest, token: str) -> HttpResponse:
    """Show the incident and one button, in the contact's language; act on POST."""
    try:
        link = open_link(token=token)
    except LinkExpired:
        return _page(request, {"problem": "expired"}, status=410)
    except UnableToOpenLink:
        return _page(request, {"problem": "unknown"}, status=404)
    contact = link.address.contact
    with (
        translation.override(contact.language or settings.PORTAL_LANGUAGE),
        timezone.override(_zone(link)),
    ):
        if request.method == "POST":
            acting.perform(
                act=acting.Act.ACKNOWLEDGE,
                incident=link.incident,
                contact=contact,
                via=IncidentEvent.Via.LINK,
                now=timezone.now(),
            )
            # What became of it is what the page says next.
            return HttpResponseRedirect(request.path, status=_SEE_OTHER)
        return _page(request, _context(link))


def _context(link: Link) -> dict[str, Any]:
    incident, contact = link.incident, link.address.contact
    alert = (
        incident.alerts.filter(status=Alert.Status.FIRING)
        .order_by("priority", "pk")
        .first()
    )
    refusal = acting.refusal(contact=contact, incident=incident)
    return {
        "incident": incident,
        "incident_url": reverse("incidents:detail", args=[incident.pk]),
        "contact": contact,
        "alert": alert,
        "runbook_url": (alert.runbook_url if alert else "")
        or incident.service.runbook_url,
        "refusal": refusal,
        "is_mine": _has(incident, contact),
        "is_offered": not refusal and _is_offered(incident, contact),
        "now": timezone.now(),
    }


def _has(incident: Incident, contact: Contact) -> bool:
    """Whether this person has the incident, by account or as a contact."""
    is_taken = incident.status == Incident.Status.ACKNOWLEDGED
    return is_taken and has(incident, Actor(contact.user, contact))


def _is_offered(incident: Incident, contact: Contact) -> bool:
    """Whether somebody has it and asks this person to take it over."""
    is_taken = incident.status == Incident.Status.ACKNOWLEDGED
    return is_taken and handovers.is_offered(
        incident=incident, to=Actor(contact.user, contact)
    )


def _zone(link: Link) -> tzinfo:
    """Return the person's zone, else the service's; a misspelt one is passed over."""
    for name in (link.address.contact.time_zone, link.incident.service.time_zone):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            continue
    return timezone.get_default_timezone()


def _page(
    request: HttpRequest, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    language = translation.get_language() or settings.LANGUAGE_CODE
    response = render(
        request,
        "inbound/acknowledge.html",
        {
            **context,
            "language": language,
            "portal_name": settings.PORTAL_NAME,
            "title": _title(context),
        },
        status=status,
    )
    response["Content-Language"] = language
    response["Cache-Control"] = "no-store"
    # The address of this page is a key: no runbook's server needs to see it.
    response["Referrer-Policy"] = "no-referrer"
    return response


def _title(context: dict[str, Any]) -> str:
    incident = context.get("incident")
    if incident is None:
        return _("Acknowledge")
    return _("Incident #%(number)d") % {"number": incident.pk}
