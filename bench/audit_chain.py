"""How fast the audit chain is verified, and how fast it grows."""

from __future__ import annotations

import json

from bench.escalation import child
from bench.figures import Figure
from bench.portal import workplace


def audit_chain() -> list[Figure]:
    """`audit_verify` over 30,000 entries of signatures, and appending them one by one."""
    from t4g_portal.embedded_db import EmbeddedDatabase

    with workplace() as directory:
        database = EmbeddedDatabase(data_dir=directory / "data")
        database.acquire()
        try:
            child(directory, "manage.py", "prepare")
            filled = json.loads(child(directory, "-m", "bench.audit_chain_inside"))
            found = json.loads(child(directory, "manage.py", "audit_verify", "--json"))
        finally:
            database.release()
    assert found["is_intact"], found
    assert found["count"] >= filled["count"], found
    rate = found["count"] / found["took_s"]
    return [
        Figure("audit_verify", rate, "entries/s", 20_000.0, is_rate=True),
        Figure("audit_verify: growth of its memory", filled["grown_mib"], "MiB", 8.0),
        Figure("audit append, one writer", filled["appended_per_s"], "entries/s"),
    ]
