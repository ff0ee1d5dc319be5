"""An address is watched: an enabled monitor asks it, often enough, and really does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from checklists.verifiers.base import (
    Finding,
    Parameter,
    Parameters,
    Subject,
    Verifier,
    failed,
    passed,
    together,
    unknown,
)
from checklists.verifiers.saying import instant
from monitors.models import Monitor

# A result may be late by one interval before anybody doubts that it is watched.
_PATIENCE = 2


def _look(_subject: Subject, wanted: Parameters, now: datetime) -> Finding:
    rows = (
        Monitor.objects.filter(kind="http").for_pages().defer("secret").order_by("pk")
    )
    by_address: dict[str, list[Monitor]] = {}
    for monitor in rows:
        by_address.setdefault(_address(monitor.target), []).append(monitor)
    found = [
        _judge(url, by_address.get(_address(url), []), wanted["max_interval_s"], now)
        for url in wanted["urls"]
    ]
    return together("monitors", found, code="all_watched")


def _address(url: str) -> str:
    """Write an address the one way: "https://Example.org" is "https://example.org/"."""
    parts = urlsplit(url.strip())
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path or '/'}{query}"


def _judge(
    url: str, monitors: Sequence[Monitor], max_interval_s: int, now: datetime
) -> Finding:
    # Several may watch it; the one that asks most often speaks.
    enabled = sorted(
        (one for one in monitors if one.is_enabled),
        key=lambda one: (one.interval_s, one.pk),
    )
    if not enabled:
        code = "paused" if monitors else "missing"
        return failed(code, {"url": url}, url=url)
    monitor = enabled[0]
    what = {
        "id": monitor.pk,
        "name": monitor.name,
        "url": url,
        "interval_s": monitor.interval_s,
    }
    said = {"url": url, "name": monitor.name}
    if monitor.interval_s > max_interval_s:
        return failed(
            "too_rare",
            what,
            interval_s=monitor.interval_s,
            bound_s=max_interval_s,
            **said,
        )
    state = getattr(monitor, "state", None)
    last_at = state.last_result_at if state is not None else None
    if last_at is None:
        return unknown("pending", what, **said)
    if now - last_at > timedelta(seconds=_PATIENCE * monitor.interval_s):
        return failed("silent", what, last_at=instant(last_at), **said)
    return passed("watched", what, last_at=instant(last_at), **said)


VERIFIER = Verifier(
    name="monitor_exists",
    label=_("Addresses are watched"),
    help=_("Each has an enabled HTTP monitor that asks it regularly, up or not."),
    parameters=(
        Parameter("urls", _("addresses"), "urls"),
        Parameter(
            "max_interval_s",
            _("checked at least every (s)"),
            "integer",
            default=300,
            minimum=1,
            maximum=86_400,
        ),
    ),
    look=_look,
    phrases={
        "all_watched": ngettext_lazy(
            "%(count)d address is watched.",
            "All %(count)d addresses are watched.",
            "count",
        ),
        "watched": _("%(url)s is watched by %(name)s."),
        "missing": _("No monitor watches %(url)s. Add one."),
        "paused": _("The monitor of %(url)s is switched off."),
        "too_rare": _(
            "%(name)s asks %(url)s every %(interval_s)s, and every %(bound_s)s is wanted."
        ),
        "pending": _("%(name)s has not asked %(url)s yet."),
        "silent": _("%(name)s has not asked %(url)s since %(last_at)s."),
    },
)
