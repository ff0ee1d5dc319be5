"""The admin's lists over the filled database of `bench.pages`: time and queries."""

from __future__ import annotations

import json
import statistics

from bench.figures import Figure
from bench.pages import Browser, child, filled, web

_ROUNDS = 20
_BOUND_MS = 150.0
_LISTS = {
    "monitors": "/admin/monitors/monitor/",
    "monitors, searched and filtered": "/admin/monitors/monitor/?q=endpoint&kind=http",
    "incidents": "/admin/incidents/incident/",
    "incidents, searched": "/admin/incidents/incident/?q=Endpoint+77",
    "incidents, last page": "/admin/incidents/incident/?p=200",
    "alerts": "/admin/incidents/alert/",
    "thresholds": "/admin/monitors/threshold/",
    "services": "/admin/incidents/service/",
    "status ledger": "/admin/monitors/statusinterval/",
    "failure details": "/admin/monitors/resultdetail/",
    "outbox": "/admin/notifications/notification/",
    "changes": "/admin/auditlog/logentry/",
    "monitor form": "/admin/monitors/monitor/{pk}/change/",
}


def admin_lists() -> list[Figure]:
    """Server time and queries of the admin, 1,000 monitors and 10,000 incidents."""
    with filled(), web() as (port, _pid):
        inside = json.loads(child("-m", "bench.pages_inside", *_LISTS.values()))
        browser = Browser(port, inside["cookie"])
        figures = []
        for name, address in _LISTS.items():
            path = address.format(pk=inside["monitor_ids"][7])
            times = []
            for _ in range(_ROUNDS + 3):
                answer = browser.get(path)
                if answer.status != 200:
                    raise SystemExit(f"{path} answered {answer.status}")
                times.append(answer.took_ms)
            cuts = statistics.quantiles(times[3:], n=20)
            figures += [
                Figure(f"admin, {name}: p50", cuts[9], "ms"),
                Figure(f"admin, {name}: p95", cuts[18], "ms", _BOUND_MS),
                Figure(
                    f"admin, {name}: queries", inside["queries"][address], "queries"
                ),
            ]
        return figures
