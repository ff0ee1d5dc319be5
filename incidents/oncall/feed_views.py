"""The secret addresses that calendar programs read, and making new ones."""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseNotModified
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from incidents.models import CalendarFeed, Schedule
from incidents.models.oncall import new_feed_token
from incidents.oncall import feeds, publishing
from incidents.oncall.people import contact_of
from t4g_portal.lib.access import check, requires

# Calendar programs ask each hour at most.
_CACHE_S = 300


@require_safe
def feed(request: HttpRequest, token: str) -> HttpResponse:
    """The shifts of a person or of a schedule, for whoever knows the address."""
    found = publishing.usable_feeds().filter(token=token.replace("\x00", "")).first()
    if found is None:
        raise Http404
    language = found.contact.language if found.contact else ""
    with translation.override(language or settings.PORTAL_LANGUAGE):
        body = publishing.feed_of(feed=found, now=timezone.now())
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    response: HttpResponse
    if etag in request.headers.get("If-None-Match", ""):
        response = HttpResponseNotModified()
    else:
        response = HttpResponse(body, content_type=feeds.CONTENT_TYPE)
        response["Content-Disposition"] = 'inline; filename="on-call.ics"'
    response["ETag"] = etag
    # Its address is a secret: no shared cache keeps it, no search engine lists it.
    response["Cache-Control"] = f"private, max-age={_CACHE_S}"
    response["X-Robots-Tag"] = "noindex"
    return response


@require_POST
@requires("incidents.view_schedule")
def renew(request: HttpRequest) -> HttpResponse:
    """Make a new address, of oneself or of a schedule; or take it back.

    The old one stops working. A schedule's is everybody's, so it asks for more.
    """
    schedule_id = request.POST.get("schedule", "")
    owner: dict[str, Any]
    if schedule_id:
        check(request, "incidents.change_schedule")
        is_number = schedule_id.isdecimal() and len(schedule_id) < 19
        pk = int(schedule_id) if is_number else 0
        owner = {"schedule": get_object_or_404(Schedule, pk=pk)}
    else:
        me = contact_of(request)
        if me is None:
            raise Http404
        owner = {"contact": me}
    if request.POST.get("act") == "revoke":
        CalendarFeed.objects.filter(**owner).delete()
        messages.success(request, _("The link is revoked. It shows nothing any more."))
    else:
        CalendarFeed.objects.update_or_create(
            **owner,
            defaults={"token": new_feed_token(), "created_at": timezone.now()},
        )
        messages.success(request, _("The link is made. An older one no longer works."))
    return redirect(f"{reverse('oncall:page')}#feeds")


def address_of(found: CalendarFeed) -> str:
    """Return the whole address of a feed."""
    path = reverse("on-call-feed", args=[found.token])
    return f"{settings.PORTAL_URL}{path}"
