"""When production doesn't start, and what to do then. Pure.

The settings ask at import, so no program of any kind starts with what is named here.
"""

from __future__ import annotations

import base64
import binascii
import math
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.http.request import validate_host

ENVIRONMENTS = ("development", "production")
# As Django's own check has it (security.W009).
MIN_KEY_CHARACTERS = 50
# A key of random characters has four to six bits each; words and repetitions less.
MIN_KEY_BITS = 128
MIN_DATA_KEY_BITS = 64
DATA_KEY_BYTES = 32
_KNOWN = (
    "django-insecure",
    "changeme",
    "change-me",
    "change_me",
    "secret",
    "password",
    "example",
    "placeholder",
    "0123456789",
    "abcdefghij",
)
_NEW_SECRET_KEY = "python -c 'import secrets; print(secrets.token_urlsafe(50))'"  # noqa: S105
_NEW_DATA_KEY = (
    "python -c 'import base64, secrets; "
    'print("k1:" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())\''
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the environment says about how the portal is run."""

    environment: str
    secret_key: str
    data_keys: str
    is_debug: bool
    allowed_hosts: tuple[str, ...]
    trusted_origins: tuple[str, ...]
    portal_url: str
    is_plain_http_accepted: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why production doesn't start; the sentence says what to do."""

    code: str
    sentence: str


def refusals(deployment: Deployment) -> list[Refusal]:
    """Return everything that is in the way; nothing outside production.

    An unknown environment is refused everywhere: a misspelt `production` would
    otherwise run with the habits of development.
    """
    if deployment.environment not in ENVIRONMENTS:
        return [
            Refusal(
                "E001",
                f"PORTAL_ENV is {deployment.environment!r}. Set it to one of: "
                f"{', '.join(ENVIRONMENTS)}.",
            )
        ]
    if deployment.environment != "production":
        return []
    return [
        *_of_secret_key(deployment.secret_key),
        *_of_data_keys(deployment.data_keys, secret_key=deployment.secret_key),
        *_of_addresses(deployment),
    ]


def _of_secret_key(key: str) -> Iterator[Refusal]:
    problem = ""
    if len(key) < MIN_KEY_CHARACTERS:
        problem = f"has {len(key)} characters; {MIN_KEY_CHARACTERS} is the least"
    elif any(word in key.lower() for word in _KNOWN):
        problem = "looks like one that others know"
    elif _bits(key) < MIN_KEY_BITS:
        problem = "is easily guessed"
    if problem:
        yield Refusal("E002", f"SECRET_KEY {problem}. Make one with: {_NEW_SECRET_KEY}")


def _of_data_keys(keys: str, *, secret_key: str) -> Iterator[Refusal]:
    problem = _problem_of_data_keys(keys, secret_key=secret_key)
    if problem:
        yield Refusal(
            "E003", f"PORTAL_DATA_KEYS {problem}. Make a key with: {_NEW_DATA_KEY}"
        )


def _problem_of_data_keys(keys: str, *, secret_key: str) -> str:
    entries = [entry.strip() for entry in keys.split(",") if entry.strip()]
    if not entries:
        return "holds no key"
    for entry in entries:
        name, _, encoded = entry.partition(":")
        try:
            key = base64.urlsafe_b64decode(encoded)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != DATA_KEY_BYTES:
            return f"has the key {name!r}, which isn't 32 bytes in base64 after `id:`"
        if _bits(key) < MIN_DATA_KEY_BITS:
            return f"has the key {name!r}, which is easily guessed"
        if encoded.rstrip("=") in secret_key:
            return (
                f"has the key {name!r}, which is also in SECRET_KEY; they must differ"
            )
    return ""


def _of_addresses(deployment: Deployment) -> Iterator[Refusal]:
    if deployment.is_debug:
        yield Refusal(
            "E004",
            "DEBUG is on, and error pages would show settings and code to anybody. "
            "Remove DEBUG, or set it to false.",
        )
    hosts = deployment.allowed_hosts
    open_ones = [host for host in hosts if _is_open(host)]
    if not hosts or open_ones:
        found = (
            f"names {open_ones[0]!r}, which is any host" if open_ones else "is empty"
        )
        yield Refusal(
            "E005",
            f"ALLOWED_HOSTS {found}. Set it to the names the portal answers to, such "
            "as portal.example.org.",
        )
    wide = [origin for origin in deployment.trusted_origins if _is_wide(origin)]
    if wide:
        yield Refusal(
            "E006",
            f"CSRF_TRUSTED_ORIGINS has {wide[0]!r}. Name each origin in full and with "
            "https, such as https://portal.example.org.",
        )
    yield from _of_portal_url(deployment)


def _of_portal_url(deployment: Deployment) -> Iterator[Refusal]:
    address = urlsplit(deployment.portal_url)
    if address.hostname in {None, "localhost"}:
        yield Refusal(
            "E007",
            "PORTAL_URL is not set to an address that people can reach, and the links "
            "in messages are made of it. Set it, such as https://portal.example.org.",
        )
        return
    if address.scheme != "https" and not deployment.is_plain_http_accepted:
        yield Refusal(
            "E008",
            "PORTAL_URL begins with http://, so passwords and sessions would travel in "
            "the clear. Put a proxy with TLS in front and use https://, or say with "
            "ALLOW_PLAIN_HTTP=true that the network is yours alone.",
        )
    hosts = [host for host in deployment.allowed_hosts if not _is_open(host)]
    if hosts and not validate_host(str(address.hostname), hosts):
        yield Refusal(
            "E009",
            f"ALLOWED_HOSTS doesn't have {address.hostname}, the host of PORTAL_URL: "
            "links in messages would be answered with an error. Add it.",
        )


def _is_open(host: str) -> bool:
    """Whether a pattern of hosts takes in names of others: `*`, `.`, `.com`."""
    return "*" in host or (host.startswith(".") and "." not in host[1:])


def _is_wide(origin: str) -> bool:
    return "*" in origin or not origin.startswith("https://")


def _bits(key: str | bytes) -> float:
    """Return Shannon's estimate of what one has to guess, for the whole key."""
    length = len(key)
    counts = Counter(key).values()
    return -sum(n * math.log2(n / length) for n in counts)


def is_only_checking() -> bool:
    """Whether this is `manage.py check`, which lists the refusals and serves nobody."""
    return Path(sys.argv[0]).name == "manage.py" and sys.argv[1:2] == ["check"]
