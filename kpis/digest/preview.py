"""What a plan would send now, as each of its readers would get it. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings

from kpis.digest.gathering import gather, timing_of
from kpis.digest.sending import readers, written
from kpis.digest.timing import Occasion, Timing, following
from kpis.models import DigestPlan
from notifications import preview as drawing
from notifications.carriers import carrier
from notifications.readers import Reader

_EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Shown:
    """One form of the digest, and who gets it so."""

    # Names of channels and people; empty: nobody can be reached now.
    receivers: tuple[str, ...]
    language: str
    preview: drawing.Preview


def previews(*, plan: DigestPlan, now: datetime) -> list[Shown]:
    """Return each form that the digest would leave in now: by kind, language and zone.

    Where nobody can be reached, as an e-mail in the portal's language.
    """
    digest = gather(plan=plan, occasion=_now(timing_of(plan), now), now=now)
    forms: dict[tuple[str, str, str], list[Reader]] = {}
    for one in readers(plan=plan) or [_nobody(plan)]:
        kind = (
            carrier(channel=one.channel, address=one.address, method=one.method)
            if one.channel or one.address
            else _EMAIL
        )
        forms.setdefault((kind, one.language, one.zone), []).append(one)
    return [
        Shown(
            receivers=_names(found),
            language=language,
            preview=drawing.preview_message(
                message=written(digest=digest, to=found[0]),
                kind=kind,
                key=f"preview:{plan.pk}",
                sent_at=now,
            ),
        )
        for (kind, language, _zone), found in forms.items()
    ]


def _now(timing: Timing, now: datetime) -> Occasion:
    """Return the next occasion as if it were due now, looking back as far."""
    coming = following(timing, now)
    return replace(
        coming,
        local_date=now.astimezone(ZoneInfo(timing.zone)).date(),
        since=now - (coming.due_at - coming.since),
        due_at=now,
    )


def _nobody(plan: DigestPlan) -> Reader:
    return Reader(
        channel=None,
        address=None,
        method="",
        language=settings.PORTAL_LANGUAGE,
        zone=plan.time_zone,
    )


def _names(found: Sequence[Reader]) -> tuple[str, ...]:
    names = [one.channel or (one.address and one.address.contact) for one in found]
    return tuple(str(name) for name in names if name is not None)
