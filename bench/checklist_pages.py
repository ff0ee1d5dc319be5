"""A run of 200 items, each proven and signed, and the list of runs: time, queries.

The filled database is kept in `var/bench-checklists` for the day.
"""

from __future__ import annotations

import json

from bench.figures import Figure
from bench.kpi_pages import timed
from bench.pages import Browser, child, filled, web
from bench.portal import ROOT

_DATA_DIR = ROOT / "var" / "bench-checklists"
_PAGES = {
    "Run page, 200 items": "/checklists/1/",
    "Run page, 200 items, its refresh": "/checklists/1/?live",
    "Sheet of an item of 200": "/checklists/1/items/item-100/",
    "Checklists, 10 open runs": "/checklists/",
    "Printed run, 200 items": "/checklists/1/print/",
}
# Paper is no page: nobody waits for its first answer.
_UNBOUND = ("Printed run, 200 items",)


def checklist_pages() -> list[Figure]:
    """Server time and queries of the pages of checklists: 10 open runs, one of 200 items."""
    with (
        filled(data_dir=_DATA_DIR, by="bench.checklist_history"),
        web(data_dir=_DATA_DIR) as (port, pid),
    ):
        inside = json.loads(
            child("-m", "bench.kpi_inside", *_PAGES.values(), data_dir=_DATA_DIR)
        )
        browser = Browser(port, inside["cookie"])
        figures = []
        for name, address in _PAGES.items():
            is_bound = name not in _UNBOUND
            figures += timed(browser, name, address, pid, is_bound=is_bound)
            count = inside["queries"][address]
            figures.append(Figure(f"{name}: queries", count, "queries"))
        return figures
