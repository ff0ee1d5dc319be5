"""The incidents as an Atom feed (RFC 4287) that a reader can subscribe to.

An incident is one entry under an id that never changes; `updated` moves with what the
public can see of it, so that readers show it again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.utils.html import escape, linebreaks
from django.utils.translation import gettext as _

from t4g_portal.lib import wording
from t4g_portal.public.incidents import PublicIncident

CONTENT_TYPE = "application/atom+xml; charset=utf-8"
ENTRY_COUNT = 30
# What XML 1.0 can't hold, however it is written.
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Nothing has happened yet.
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class _Feed(Atom1Feed):
    """Django's feed, whose `updated` stays the same while nothing happens."""

    def latest_post_date(self) -> datetime:
        """Return when the last change was."""
        return max((item["updateddate"] for item in self.items), default=_BEGINNING)


def updated_at(incidents: Sequence[PublicIncident]) -> datetime:
    """Return when what a feed of these says last changed."""
    return max((incident.updated_at for incident in incidents), default=_BEGINNING)


def atom(*, incidents: Sequence[PublicIncident], language: str) -> str:
    """Write the feed in the language that is active."""
    page = settings.PORTAL_URL + reverse("status")
    feed = _Feed(
        title=_fit(_("%(portal)s status") % {"portal": settings.PORTAL_NAME}),
        link=page,
        description="",
        language=language,
        author_name=_fit(settings.PORTAL_NAME),
        feed_url=f"{settings.PORTAL_URL}{reverse('status_atom')}?lang={language}",
        feed_guid=_tag("2026", "status"),
    )
    for incident in incidents:
        feed.add_item(
            title=_fit(_title(incident)),
            link=f"{page}#incident-{incident.number}",
            description=_fit(_words(incident)),
            unique_id=_tag(
                f"{incident.opened_at.astimezone(UTC):%Y-%m-%d}",
                f"incident/{incident.number}",
            ),
            pubdate=incident.opened_at,
            updateddate=incident.updated_at,
        )
    return str(feed.writeString("utf-8"))


def _tag(date: str, name: str) -> str:
    """Return a tag URI (RFC 4151), which outlives any address."""
    host = urlsplit(settings.PORTAL_URL).hostname or "localhost"
    return f"tag:{host},{date}:{name}"


def _title(incident: PublicIncident) -> str:
    named = {"service": incident.service_name, "effect": incident.effect.lower()}
    if incident.ended_at is not None:
        return _("Resolved: %(service)s was %(effect)s") % named
    return _("%(service)s: %(effect)s") % named


def _words(incident: PublicIncident) -> str:
    """Return HTML: when, what we do, and what somebody wrote."""
    said = f"<p>{escape(_when(incident))}</p>"
    if not incident.message:
        return said
    return said + linebreaks(incident.message, autoescape=True)


def _when(incident: PublicIncident) -> str:
    start = wording.absolute(incident.started_at)
    if incident.ended_at is not None:
        return _("From %(start)s until %(end)s, for %(length)s.") % {
            "start": start,
            "end": wording.absolute(incident.ended_at),
            "length": wording.duration(incident.length),
        }
    return _("Since %(start)s. %(state)s.") % {"start": start, "state": incident.state}


def _fit(text: str) -> str:
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)
