"""Whether a service is well again after a deployment, for deploy windows."""

from __future__ import annotations

from datetime import datetime

from incidents import deploy_windows
from incidents.deploy_windows import Health
from monitors.models import MonitorState
from monitors.status import Status


def register() -> None:
    """Let deploy windows ask."""
    deploy_windows.register_judge(health)


def health(service_id: int, now: datetime) -> Health | None:
    """Return since when every monitor of a service is up, None when one is not.

    None also without a monitor that probes, and when the last result of one no longer
    speaks for it. Heartbeats have to be up; whether they came since is their own affair.
    One query.
    """
    rows = MonitorState.objects.filter(
        monitor__service=service_id, monitor__is_enabled=True
    ).values_list("status", "since", "last_result_at", "fresh_until", "monitor__kind")
    since: list[datetime] = []
    probed: list[datetime] = []
    for status, up_since, probed_at, fresh_until, kind in rows:
        if status != Status.UP or (fresh_until is not None and fresh_until < now):
            return None
        since.append(up_since)
        if kind == "heartbeat":
            continue
        if probed_at is None:
            return None
        probed.append(probed_at)
    return Health(since=max(since), probed_at=min(probed)) if probed else None
