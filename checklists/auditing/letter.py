"""The daily letter with the head of the chain, in words.

In the active language and zone; whoever calls has set those of the reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.urls import reverse
from django.utils.formats import date_format, localize
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from checklists.auditing.checks import Seen
from notifications.message import Fact, Message
from t4g_portal.lib.audit.chain import Link


@dataclass(frozen=True, slots=True)
class Head:
    """What is told: the last entry, when it was written, and how the chain stood.

    `last_at` is None where the entry is gone, and only the head still tells of it.
    """

    link: Link
    last_at: datetime | None
    seen: Seen
    written_at: datetime


def compose(*, head: Head, language: str) -> Message:
    """Return the letter. It holds all that a later comparison needs."""
    number = localize(head.link.seq)
    is_bad = head.seen.check is not None and not head.seen.is_intact
    text = _(
        "Keep this message. As long as you have it, nobody can change what was recorded "
        "up to this entry without it being noticed, not even somebody who can write to "
        "the portal's database."
    )
    if is_bad:
        text = f"{head.seen.sentence}\n{text}"
    return Message(
        title=_("Audit chain: entry %(number)s is the last") % {"number": number},
        text=text,
        tone="alarm" if is_bad else "calm",
        facts=(
            Fact(_("Entry"), number),
            Fact(_("Hash"), head.link.hash),
            Fact(_("Recorded"), _moment(head.last_at) if head.last_at else "–"),
            Fact(_("Verified"), head.seen.sentence),
            Fact(
                _("To compare"),
                f"manage.py audit_verify --head {head.link.seq}:{head.link.hash}",
            ),
        ),
        url=settings.PORTAL_URL + reverse("admin:cellar_auditentry_changelist"),
        url_label=_("Open the audit entries"),
        short=_("Audit chain: entry %(number)d, hash %(hash)s")
        % {"number": head.link.seq, "hash": head.link.hash},
        language=language,
    )


def _moment(at: datetime) -> str:
    return date_format(localtime(at), "DATETIME_FORMAT")
