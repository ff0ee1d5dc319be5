"""The board of 50 KPIs with two years behind them, and the page of one: time, queries.

The filled database is kept in `var/bench-kpis` for the day.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from bench.figures import Figure
from bench.pages import Browser, child, filled, web
from bench.portal import ROOT
from bench.processes import usage

_DATA_DIR = ROOT / "var" / "bench-kpis"
_ROUNDS = 60
_WARM_UP = 5
_BOUND_MS = 100.0
_IDLE_KB = 2.0
# kpi-0 is daily, kpi-9 hourly (`bench.kpi_history`).
_PAGES = {
    "KPI board, 50 × 2 years": "/kpis/?audience=both",
    "KPI board, its refresh": "/kpis/?audience=both&live",
    "KPI wall screen": "/kpis/wall/?audience=both",
    "KPI page, daily, 90 d": "/kpis/kpi-0/",
    "KPI page, daily, 2 y": "/kpis/kpi-0/?range=2y",
    "KPI page, hourly, 30 d": "/kpis/kpi-9/?range=30d",
    "KPI export, hourly, 2 years": "/kpis/kpi-9/export.csv",
}
# A file is no page: nobody waits for its first answer.
_UNBOUND = ("KPI export, hourly, 2 years",)


def kpi_pages() -> list[Figure]:
    """Server time and queries of the KPI pages: 50 KPIs × 2 years, 5 of them hourly."""
    return timed_pages(
        data_dir=_DATA_DIR,
        by="bench.kpi_history",
        pages=_PAGES,
        unbound=_UNBOUND,
        then=_idle,
    )


def timed_pages(
    *,
    data_dir: Path,
    by: str,
    pages: Mapping[str, str],
    unbound: Collection[str],
    then: Callable[[Browser], list[Figure]] = lambda _browser: [],
) -> list[Figure]:
    """Time pages of a database that the module `by` fills; `then` asks for more."""
    with filled(data_dir=data_dir, by=by), web(data_dir=data_dir) as (port, pid):
        inside = json.loads(
            child("-m", "bench.kpi_inside", *pages.values(), data_dir=data_dir)
        )
        browser = Browser(port, inside["cookie"])
        figures = []
        for name, address in pages.items():
            is_bound = name not in unbound
            figures += _timed(browser, name, address, pid, is_bound=is_bound)
            count = inside["queries"][address]
            figures.append(Figure(f"{name}: queries", count, "queries"))
        return [*figures, *then(browser)]


def _timed(
    browser: Browser, name: str, address: str, pid: int, *, is_bound: bool
) -> list[Figure]:
    """Ask for a page again and again; return its times and its size."""
    times = []
    before = _cpu_s(pid)
    for round_ in range(_ROUNDS + _WARM_UP):
        if round_ == _WARM_UP:
            before = _cpu_s(pid)
        answer = browser.get(address)
        if answer.status != 200:
            raise SystemExit(f"{address} answered {answer.status}")
        times.append(answer.took_ms)
    used_s = _cpu_s(pid) - before
    cuts = statistics.quantiles(times[_WARM_UP:], n=20)
    bound = (_BOUND_MS,) if is_bound else ()
    return [
        Figure(f"{name}: p50", cuts[9], "ms"),
        Figure(f"{name}: p95", cuts[18], "ms", *bound),
        Figure(f"{name}: CPU", used_s / _ROUNDS * 1000, "ms"),
        Figure(f"{name}: on the wire", answer.size / 1024, "KB"),
    ]


def _cpu_s(pid: int) -> float:
    return usage(pid).portal_s + usage(os.getpid()).postgres_s


def _idle(browser: Browser) -> list[Figure]:
    """What a refresh sends when nothing but ages has changed."""
    address = "/kpis/?audience=both&live"
    first = browser.get(address)
    again = browser.get(address, If_None_Match=first.headers["ETag"])
    return [Figure("KPI board: idle refresh", again.size / 1024, "KB", _IDLE_KB)]
