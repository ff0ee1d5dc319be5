"""A portal started as users start it, and ways to look at it from outside."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from bench.portal import Portal, manage, workplace
from tests.prepared import fill_data_dir

Seen = TypeVar("Seen")

# What every story starts with: no traffic but to this machine, English messages.
ENVIRONMENT = {
    "PORTAL_SEED": "off",
    "PORTAL_LANGUAGE": "en",
    "PORTAL_DB_FAST": "1",
}


@contextmanager
def prepared_workplace() -> Iterator[Path]:
    """A workplace whose portal needs neither migrate nor collect when it starts.

    `test_outage` and `test_demo` start from nothing, as users do.
    """
    with workplace() as directory:
        fill_data_dir(directory / "data")
        yield directory


def until(
    look: Callable[[], Seen], *, seconds: float, what: str, every_s: float = 0.1
) -> Seen:
    """Look again until there is something to see; fails naming what was awaited."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        seen = look()
        if seen:
            return seen
        time.sleep(every_s)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def rows(portal: Portal, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Read the portal's database."""
    with portal.connect() as connection:
        return connection.execute(sql.encode(), values or None).fetchall()


def import_config(portal: Portal, text: str, **environment: str) -> None:
    """`manage.py config import`, as the README says."""
    path = portal.data_dir.parent / "config.yaml"
    path.write_text(text)
    manage(portal, "config", "import", str(path), **environment)


def printed_password(log: Path) -> str:
    """The first admin's password, which `make run` prints once."""
    found = re.search(r"password {2,}(\S+)", log.read_text())
    assert found, log.read_text()
    return found.group(1)


@contextmanager
def signed_in(portal: Portal) -> Iterator[httpx.Client]:
    """A browser without a screen, signed in as the first admin."""
    with httpx.Client(
        base_url=f"http://127.0.0.1:{portal.port}", follow_redirects=True, timeout=15
    ) as client:
        client.get("/admin/login/")
        answer = client.post(
            "/admin/login/",
            data={
                "username": "admin",
                "password": printed_password(portal.data_dir.parent / "portal.log"),
                "csrfmiddlewaretoken": client.cookies["csrftoken"],
                "next": "/",
            },
        )
        assert answer.status_code == 200, answer.text
        assert "sessionid" in client.cookies
        yield client


def press(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Send a page's form."""
    return client.post(
        path, data={**fields, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
    )
