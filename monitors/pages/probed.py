"""What one probe saw, as a page says it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from monitors.pages.headline import phase_names
from monitors.pages.reasons import reason_words
from monitors.probes.base import Certificate, Outcome, ProbeResult
from monitors.status import Status
from t4g_portal.lib import wording
from t4g_portal.lib.retelling import retold


@dataclass(frozen=True, slots=True)
class PhaseLine:
    """One phase that happened."""

    name: str
    ms: float


@dataclass(frozen=True, slots=True)
class ProbedPage:
    """A result in words and figures."""

    at: datetime
    status: Status
    headline: str
    # What failed it, where the headline doesn't say so.
    failed_assertion: str
    excerpt: str
    total_ms: float | None
    phases: list[PhaseLine]
    certificate: Certificate | None
    facts: list[tuple[str, str]]
    is_recorded: bool


_STATUSES = {
    Outcome.PASSED: Status.UP,
    Outcome.FAILED: Status.DOWN,
    Outcome.ERROR: Status.UNKNOWN,
}


def probed_page(*, at: datetime, result: ProbeResult, is_recorded: bool) -> ProbedPage:
    """Return what the page shows of a result."""
    words = retold(result.message) or reason_words(result.reason)
    said = {
        Outcome.PASSED: _("Passed: %(words)s"),
        Outcome.FAILED: _("Failed: %(words)s"),
        Outcome.ERROR: _("Not judged: %(words)s"),
    }[result.outcome] % {"words": words}
    phases = [
        PhaseLine(name=name, ms=ms)
        for phase, name in phase_names().items()
        if (ms := getattr(result.phases, phase)) is not None
    ]
    return ProbedPage(
        at=at,
        status=_STATUSES[result.outcome],
        headline=said,
        failed_assertion=(
            assertion if (assertion := retold(result.failed_assertion)) != words else ""
        ),
        excerpt=result.excerpt,
        total_ms=result.phases.total_ms if phases else None,
        phases=phases,
        certificate=result.certificate,
        facts=_facts(result.facts),
        is_recorded=is_recorded,
    )


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what else was seen; a name without a label here is shown as it is."""
    labels = {
        "http_version": _("HTTP version"),
        "size_bytes": _("size of the answer"),
        "redirects": _("redirects followed"),
        "is_truncated": _("cut off"),
        "tls_version": _("TLS version"),
        "cipher": _("cipher"),
        "days_left": _("days left"),
        "answers": _("answers"),
        "loss_percent": _("pings lost"),
        "min_ms": _("fastest"),
        "max_ms": _("slowest"),
        "server_version": _("version of the server"),
    }
    return [(labels.get(name, name), _shown(name, facts[name])) for name in facts]


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value) or wording.NOTHING
    if value in ("", None):
        return wording.NOTHING
    if name.endswith("_ms"):
        return wording.milliseconds(value)
    if name.endswith("_bytes"):
        return f"{value}\u00a0B"
    if name.endswith("_percent"):
        return f"{value:g}\u00a0%"
    return str(value)
