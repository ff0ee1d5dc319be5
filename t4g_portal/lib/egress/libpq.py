"""Logging in to other people's PostgreSQL on addresses that the guard has checked."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import psycopg
from django.utils.translation import pgettext

from t4g_portal.lib.egress.tls import authorities_file

# libpq puts the address it resolved in front of what the server said.
_PREFIX = re.compile(r"^.*?\bport \d+ failed: ", re.DOTALL)
_REFUSALS_OF_LOGIN = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "authentication method requirement",
    'role "',
)

T = TypeVar("T")


def login(
    *,
    host: str,
    addresses: Sequence[str],
    port: int,
    database: str,
    user: str,
    password: str,
    encryption: str,
    timeout_s: float,
    application_name: str,
) -> dict[str, Any]:
    """Return what psycopg connects with: checked addresses only, nothing of this machine.

    `encryption` is libpq's sslmode. Without TLS that is required, the password itself
    never crosses the wire.
    """
    count = len(addresses)
    found = {
        "host": ",".join([host] * count),
        "hostaddr": ",".join(addresses),
        "port": ",".join([str(port)] * count),
        "dbname": database,
        "user": user,
        "password": password or None,
        # Nothing of this machine's own logins may leak into a probe. (libpq warns of
        # a password file that exists and isn't a plain file.)
        "passfile": "/dev/null/none",
        "application_name": application_name,
        "gssencmode": "disable",
        "sslmode": encryption,
        "sslcertmode": "disable",
        "connect_timeout": max(2, math.ceil(timeout_s / count)),
    }
    if encryption == "verify-full":
        found["sslrootcert"] = authorities_file()
    elif encryption != "require":
        # Anybody could read along: the password itself must not cross the wire.
        found["require_auth"] = "!password"
    return found


async def undeterred(work: Coroutine[Any, Any, T]) -> T:
    """`work`, ended at once when we are cancelled.

    On a first cancellation psycopg asks the server to stop and waits up to ten
    seconds; a deadline can't wait, so it is cancelled until it is done.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait((task,))
    finally:
        await end(task)
    return task.result()


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task of psycopg's until it is over, whatever it waits for."""
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    if not task.cancelled():
        task.exception()


def told(exc: psycopg.Error, addresses: Sequence[str]) -> str:
    """Return what the server or libpq said, without the addresses behind a name."""
    text = _PREFIX.sub("", str(exc))
    for address in addresses:
        text = text.replace(address, pgettext("stored", "(address)"))
    return text.removeprefix("FATAL: ")


def is_refusal_of_login(text: str) -> bool:
    """Whether what was `told` says that this user may not come in."""
    return any(words in text for words in _REFUSALS_OF_LOGIN)
