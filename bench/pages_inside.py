"""Asks pages inside this process: how many queries each takes. Prints JSON.

Run by `bench.pages` on its own database: `python -m bench.pages_inside ADDRESS…`.
"""

from __future__ import annotations

import json
import logging
import sys


def main() -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.db.models.functions import Now, Random
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from monitors.models import Monitor, MonitorState
    from t4g_portal.first_run import progress

    if sys.argv[1] == "--check-all":
        # As if each had just passed.
        MonitorState.objects.update(
            last_result_at=Now(), last_latency_ms=Random() * 300
        )
        return
    ids = list(Monitor.objects.order_by("pk").values_list("pk", flat=True))
    client = Client()
    admin = get_user_model().objects.get(username="admin")
    client.force_login(admin)
    # Nobody is led through the first steps any more.
    progress.end(user=admin, is_skipped=True, now=timezone.now())
    logging.disable(logging.INFO)
    counts = {}
    for address in sys.argv[1:]:
        path = address.format(pk=ids[7])
        # The first visit remembers what the second one counts without.
        client.get(path)
        with CaptureQueriesContext(connection) as asked:
            client.get(path)
        counts[address] = len(asked)
    name = settings.SESSION_COOKIE_NAME
    print(
        json.dumps(
            {
                "cookie": f"{name}={client.cookies[name].value}",
                "monitor_ids": ids,
                "queries": counts,
            }
        )
    )


if __name__ == "__main__":
    main()
