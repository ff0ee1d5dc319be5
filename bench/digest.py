"""The morning's digest of 200 KPIs, from due to its rows in the outbox."""

from __future__ import annotations

import json

from bench.escalation import child
from bench.figures import Figure
from bench.portal import workplace

_BOUND_MS = 2000.0


def digest() -> list[Figure]:
    """200 KPIs × 2 years, 4 receivers in 2 languages: daily, weekly, monthly."""
    from t4g_portal.embedded_db import EmbeddedDatabase

    with workplace() as directory:
        database = EmbeddedDatabase(data_dir=directory / "data")
        database.acquire()
        try:
            child(directory, "manage.py", "prepare")
            found = json.loads(child(directory, "-m", "bench.digest_inside"))
        finally:
            database.release()
    return [
        figure
        for cadence, took in found.items()
        for figure in (
            Figure(f"{cadence} digest of 200 KPIs: p50", took["p50"], "ms"),
            Figure(f"{cadence} digest of 200 KPIs: max", took["max"], "ms", _BOUND_MS),
        )
    ]
