"""The engine's tick over 1,000 open incidents: idle, and with steps due."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from bench.figures import Figure
from bench.portal import OWN_SETTINGS, ROOT, workplace

_BOUND_MS = 500.0


def escalation() -> list[Figure]:
    """1,000 open incidents: a tick with nothing due, with 100 due, and with all due."""
    from t4g_portal.embedded_db import EmbeddedDatabase

    with workplace() as directory:
        database = EmbeddedDatabase(data_dir=directory / "data")
        database.acquire()
        try:
            child(directory, "manage.py", "prepare")
            found = json.loads(child(directory, "-m", "bench.escalation_inside"))
        finally:
            database.release()
    return [
        Figure("tick, 1,000 open, nothing due: p50", found["idle_p50"], "ms"),
        Figure(
            "tick, 1,000 open, nothing due: max", found["idle_max"], "ms", _BOUND_MS
        ),
        Figure("tick, 1,000 open, 17 due as usual: p50", found["usual_p50"], "ms"),
        Figure(
            "tick, 1,000 open, 17 due as usual: max",
            found["usual_max"],
            "ms",
            _BOUND_MS,
        ),
        Figure("tick, 1,000 open, 100 due: p50", found["some_p50"], "ms"),
        Figure("tick, 1,000 open, 100 due: max", found["some_max"], "ms", _BOUND_MS),
        Figure("1,000 due at once, until the last is paged", found["all_s"], "s", 10),
        Figure(
            "a page to 3 people and 2 channels, one incident", found["one_ms"], "ms"
        ),
    ]


def child(directory: Path, *arguments: str) -> str:
    """Run a part of ours on the database in `directory`; return what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            **OWN_SETTINGS,
            "PORTAL_DATA_DIR": str(directory / "data"),
            "PORTAL_SEED": "off",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout)
    return done.stdout
