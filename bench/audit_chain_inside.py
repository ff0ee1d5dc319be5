"""Fills an audit chain and verifies it, watching the memory. Prints JSON.

Run by `bench.audit_chain` on a database of its own: `python -m bench.audit_chain_inside`.
"""

from __future__ import annotations

import json
import resource
import time

_COUNT = 30_000
# So many of them one by one through the door; the others in longer transactions.
_MEASURED = 2_000
_A_TRANSACTION = 500


def main() -> None:
    import django

    django.setup()
    from django.db import transaction
    from django.utils import timezone

    from t4g_portal.lib.audit import Actor, append
    from t4g_portal.lib.audit.verifying import verify

    def sign(number: int) -> None:
        statement = {
            "version": 1,
            "run": number % 50,
            "item": "railway-health",
            "revision": 1,
            "content_hash": "ab" * 32,
            "service": "backend",
            "environment": "production",
            "git_sha": "cd" * 20,
            "evidence": ["ef" * 32, "01" * 32],
            "meaning": "checked",
        }
        append(
            action="checklist.signed",
            subject=f"run:{number % 50}",
            actor=Actor.engine("bench"),
            details={
                "item": "railway-health",
                "printed_name": "Ada Byron",
                "role": "Ops",
                "meaning": "checked",
                "statement": statement,
                "statement_hash": "23" * 32,
                "comment": "Vu à la console",
                "auth_at": timezone.now(),
            },
            now=timezone.now(),
        )

    began = time.perf_counter()
    for number in range(_MEASURED):
        with transaction.atomic():
            sign(number)
    appended_per_s = _MEASURED / (time.perf_counter() - began)
    for start in range(_MEASURED, _COUNT, _A_TRANSACTION):
        with transaction.atomic():
            for number in range(start, start + _A_TRANSACTION):
                sign(number)
    before = _peak_mib()
    report = verify()
    print(
        json.dumps(
            {
                "count": report.count,
                "appended_per_s": appended_per_s,
                "grown_mib": _peak_mib() - before,
            }
        )
    )


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
