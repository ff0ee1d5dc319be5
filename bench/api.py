"""The REST API through the real web server, with a key of somebody without privileges."""

from __future__ import annotations

import http.client
import threading
import time

from bench.figures import Figure
from bench.portal import Portal, add_monitors, manage, running_portal, workplace

_CLIENTS = 4
_SECONDS = 8
_MONITORS = 100
_MAKE_KEY = """
from django.contrib.auth.models import Permission, User
from t4g_portal.lib.api.issuing import issue
user = User.objects.create(username="bench-api")
user.user_permissions.set(Permission.objects.filter(codename="view_monitor"))
print("KEY", issue(owner=user, name="bench", scopes=["monitors:read"], expires_at=None)[1])
"""


def api() -> list[Figure]:
    """Four clients read a monitor, then a page of 25, for 8 s each."""
    with (
        workplace() as directory,
        running_portal(directory, API_REQUESTS_PER_MINUTE="1000000000") as portal,
    ):
        add_monitors(
            portal, count=_MONITORS, target="http://127.0.0.1:9/", interval_s=86_400
        )
        with portal.connect() as connection:
            connection.execute("UPDATE monitors_monitor SET is_enabled = false")
            row = connection.execute("SELECT min(id) FROM monitors_monitor").fetchone()
        assert row is not None
        said = manage(portal, "shell", "--no-imports", "-c", _MAKE_KEY)
        key = next(line[4:] for line in said.splitlines() if line.startswith("KEY "))
        one = _measure(portal, key, f"/api/v1/monitors/{row[0]}/")
        page = _measure(portal, key, "/api/v1/monitors/")
        return [
            Figure(
                "API GETs of one a second of one core", one, "req/s", 300, None, True
            ),
            Figure("API GETs of a page of 25", page, "req/s", None, None, True),
        ]


def _measure(portal: Portal, key: str, path: str) -> float:
    """Return how many requests a core answers, web server and database together."""
    _ask(portal.port, key, path, seconds=1)
    before = portal.usage()
    answered = _ask(portal.port, key, path, seconds=_SECONDS)
    return answered / (portal.usage() - before).total_s


def _ask(port: int, key: str, path: str, *, seconds: float) -> int:
    answered = [0] * _CLIENTS
    until = time.monotonic() + seconds

    def ask(client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        headers = {"Authorization": f"Bearer {key}"}
        while time.monotonic() < until:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, body
            answered[client] += 1

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(answered)
