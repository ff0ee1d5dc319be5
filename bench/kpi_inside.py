"""Asks KPI pages inside this process: how many queries each takes. Prints JSON.

Run by `bench.kpi_pages` on its own database: `python -m bench.kpi_inside ADDRESS…`.
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
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client()
    client.force_login(get_user_model().objects.get(username="admin"))
    logging.disable(logging.INFO)
    counts = {}
    for address in sys.argv[1:]:
        # The first visit remembers what the second one counts without.
        client.get(address)
        with CaptureQueriesContext(connection) as asked:
            client.get(address)
        counts[address] = len(asked)
    name = settings.SESSION_COOKIE_NAME
    print(
        json.dumps(
            {"cookie": f"{name}={client.cookies[name].value}", "queries": counts}
        )
    )


if __name__ == "__main__":
    main()
