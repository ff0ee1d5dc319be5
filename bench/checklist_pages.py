"""A run of 200 items, each proven and signed, and the list of runs: time, queries.

The filled database is kept in `var/bench-checklists` for the day.
"""

from __future__ import annotations

from bench.figures import Figure
from bench.kpi_pages import timed_pages
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
    return timed_pages(
        data_dir=_DATA_DIR,
        by="bench.checklist_history",
        pages=_PAGES,
        unbound=_UNBOUND,
    )
