"""`make bench [ONLY=name]`: measure, print a table, keep `bench/results/latest.json`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from bench import (
    admin_lists,
    api,
    audit_chain,
    checklist_pages,
    digest,
    escalation,
    grouping,
    heartbeats,
    kpi_backfill,
    kpi_pages,
    outbox,
    pages,
    paging,
    paging_everywhere,
    probing,
)
from bench.figures import Figure, keep, show

MEASUREMENTS: dict[str, Callable[[], list[Figure]]] = {
    "http_100": probing.http_100,
    "https_50": probing.https_50,
    "saturated": probing.saturated,
    "grouping": grouping.grouping,
    "paging": paging.paging,
    "paging-everywhere": paging_everywhere.paging_everywhere,
    "escalation": escalation.escalation,
    "outbox": outbox.outbox,
    "heartbeats": heartbeats.heartbeats,
    "pages": pages.pages,
    "admin-lists": admin_lists.admin_lists,
    "api": api.api,
    "kpi-pages": kpi_pages.kpi_pages,
    "checklist-pages": checklist_pages.checklist_pages,
    "digest": digest.digest,
    "kpi-backfill": kpi_backfill.kpi_backfill,
    "audit-chain": audit_chain.audit_chain,
    "idle": probing.idle,
    "sustained": probing.sustained,
}


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "t4g_portal.settings")
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    if only and only not in MEASUREMENTS:
        print(f"{only} is none of: {', '.join(MEASUREMENTS)}", file=sys.stderr)
        return 2
    names = [only] if only else list(MEASUREMENTS)
    figures: list[Figure] = []
    for name in names:
        print(f"— {name}: {MEASUREMENTS[name].__doc__}", flush=True)
        found = MEASUREMENTS[name]()
        show(found)
        keep(found)
        figures += found
    missed = [figure.name for figure in figures if not figure.ok]
    print(f"{len(figures)} figures, {len(missed)} past their bound")
    return 0


if __name__ == "__main__":
    sys.exit(main())
