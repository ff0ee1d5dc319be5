"""The first sentence of a monitor's page: how it is, since when, and why. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from monitors.status import Status
from t4g_portal.lib import wording
from t4g_portal.lib.retelling import retold


@dataclass(frozen=True, slots=True)
class Headline:
    """A status for icon and color, the sentence, and what follows it."""

    status: Status
    text: str
    # Phases, counts towards a change, an end; each a phrase of its own.
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Situation:
    """What the sentence is made of."""

    status: Status
    since: datetime | None
    message: str = ""
    configuration_error: str = ""
    is_heartbeat: bool = False
    is_flapping: bool = False
    # The last result's milliseconds by phase, in the order in which they passed.
    phases_ms: Mapping[str, float] | None = None
    failure_count: int = 0
    failures_to_down: int = 1
    success_count: int = 0
    successes_to_up: int = 1
    last_message: str = ""
    # When the open maintenance window ends.
    quiet_until: datetime | None = None


def phase_names() -> dict[str, str]:
    """Return what people call the phases, in the order in which they pass."""
    return {
        "dns_ms": _("DNS"),
        "connect_ms": _("connect"),
        "tls_ms": _("TLS"),
        "first_byte_ms": _("first byte"),
        "transfer_ms": _("transfer"),
    }


def headline(*, situation: Situation, now: datetime) -> Headline:
    """Return "Down since 14:02:10: HTTP 503, expected 200–299" with its notes."""
    status = situation.status
    return Headline(
        status=status, text=_sentence(situation, now), notes=_notes(situation, now)
    )


def _sentence(situation: Situation, now: datetime) -> str:
    if situation.configuration_error:
        return _("Misconfigured, so nobody looks: %(error)s") % {
            "error": retold(situation.configuration_error)
        }
    if situation.status == Status.PENDING:
        if situation.is_heartbeat:
            return _("Waiting for the first ping")
        return _("Waiting for the first result")
    if situation.since is None:
        said = str(situation.status.label)
    else:
        said = _("%(status)s since %(time)s") % {
            "status": situation.status.label,
            "time": wording.clock(situation.since, now=now),
        }
    why = retold(situation.message)
    if situation.status == Status.UNKNOWN and not why:
        why = _("nobody has looked since")
    return _("%(said)s: %(why)s") % {"said": said, "why": why} if why else said


def _notes(situation: Situation, now: datetime) -> list[str]:
    notes = []
    if situation.quiet_until is not None and situation.status == Status.MAINTENANCE:
        notes.append(
            _("until %(time)s")
            % {"time": wording.clock(situation.quiet_until, now=now)}
        )
    notes += [note for note in (_progress(situation), _phases(situation)) if note]
    if situation.is_flapping:
        notes.append(_("Flapping: it changes again and again"))
    return notes


def _progress(situation: Situation) -> str:
    """Say how near an unconfirmed change is."""
    if situation.failure_count and situation.status in (Status.UP, Status.DEGRADED):
        said = _("Failing now, down after %(needed)d in a row: %(count)d so far") % {
            "needed": situation.failures_to_down,
            "count": situation.failure_count,
        }
        if situation.last_message:
            return f"{said} ({retold(situation.last_message)})"
        return said
    if situation.success_count and situation.status == Status.DOWN:
        return _("Passing again, up after %(needed)d in a row: %(count)d so far") % {
            "needed": situation.successes_to_up,
            "count": situation.success_count,
        }
    return ""


def _phases(situation: Situation) -> str:
    """Return "DNS 3 ms, connect 12 ms, first byte 40 ms" of the last result."""
    names = phase_names()
    return ", ".join(
        f"{names[phase]} {wording.milliseconds(value)}"
        for phase, value in (situation.phases_ms or {}).items()
    )
