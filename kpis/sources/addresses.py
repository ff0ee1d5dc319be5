"""Where sources are, as people type it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from django.utils.translation import pgettext

from kpis.reading import Reason, UnableToRead
from monitors.probes.base import UnableToParse
from monitors.probes.targets import Endpoint, ascii_host, parse_endpoint

DEFAULT_PORT = 5432
# libpq's words; the last one is the rule, the others are for private networks.
ENCRYPTIONS = ("disable", "prefer", "require", "verify-full")
MAX_NAME = 63
# RFC 9110's token.
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
# What says how a request is framed or whom it is for is ours to write.
_OUR_HEADERS = frozenset(
    (
        *("host", "content-length", "transfer-encoding", "connection", "te", "upgrade"),
        *("accept", "accept-encoding", "user-agent", "expect", "trailer"),
    )
)
_SECRET = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Which database, who logs in, and how the way there is encrypted."""

    endpoint: Endpoint
    name: str
    user: str
    encryption: str

    @property
    def is_verified(self) -> bool:
        """Whether we make sure that nobody sits between."""
        return self.encryption == "verify-full"


def parse_database(url: str) -> DatabaseAddress:
    """`postgresql://user@host[:port]/database[?sslmode=…]`. Raises UnableToRead."""
    try:
        return _parsed_database(url)
    except UnableToParse as exc:
        raise _misconfigured(exc.message) from exc
    except ValueError as exc:
        raise _misconfigured(pgettext("stored", "This is not a URL")) from exc


def _parsed_database(url: str) -> DatabaseAddress:
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise _misconfigured(
            pgettext("stored", "Write it as postgresql://user@host:5432/database")
        )
    login, _at, place = parts.netloc.rpartition("@")
    user, colon, _password = login.partition(":")
    if colon:
        raise _misconfigured(
            pgettext("stored", "The password has a field of its own; leave it out here")
        )
    name = unquote(parts.path.removeprefix("/"))
    user = unquote(user)
    for text in (user, name):
        if not text or len(text) > MAX_NAME or not text.isprintable():
            raise _misconfigured(
                pgettext("stored", "Name user and database: user@host:port/database")
            )
    if "/" in name or parts.fragment:
        raise _misconfigured(
            pgettext("stored", "Name user and database: user@host:port/database")
        )
    return DatabaseAddress(
        endpoint=parse_endpoint(place, default_port=DEFAULT_PORT),
        name=name,
        user=user,
        encryption=_encryption(parts.query),
    )


def _encryption(query: str) -> str:
    options = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    names = [name for name, _value in options]
    if names not in ([], ["sslmode"]):
        raise _misconfigured(
            pgettext("stored", "Only sslmode can follow the question mark")
        )
    encryption = dict(options).get("sslmode", "verify-full")
    if encryption not in ENCRYPTIONS:
        raise _misconfigured(
            pgettext("stored", "sslmode is one of: %(names)s")
            % {"names": ", ".join(ENCRYPTIONS)}
        )
    return encryption


def check_url(url: str) -> None:
    """Raise UnableToRead unless this is the URL of something to fetch."""
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
        # Raises ValueError when out of range.
        is_web = is_web and parts.port != 0
        if is_web:
            ascii_host(str(parts.hostname))
    except UnableToParse as exc:
        raise _misconfigured(exc.message) from exc
    except ValueError as exc:
        raise _misconfigured(pgettext("stored", "This is not a URL")) from exc
    if not is_web or not url.isprintable() or " " in url:
        raise _misconfigured(
            pgettext("stored", "Write the whole URL, such as https://example.org/path")
        )
    if "@" in parts.netloc:
        raise _misconfigured(
            pgettext("stored", "The token has a field of its own; leave it out here")
        )
    if parts.fragment:
        raise _misconfigured(
            pgettext("stored", "Leave out the part after #: no server ever sees it")
        )


def check_header(name: str) -> None:
    """Raise UnableToRead unless a secret can be sent in a header of this name."""
    if not _HEADER.fullmatch(name) or name.lower() in _OUR_HEADERS:
        raise _misconfigured(
            pgettext("stored", "Name a header that may carry a token: Authorization")
        )


def check_secret(secret: str) -> None:
    """Raise UnableToRead unless a secret fits into a header."""
    if not _SECRET.fullmatch(secret) or secret != secret.strip():
        raise _misconfigured(
            pgettext("stored", "The token has spaces around it or unusual characters")
        )


def _misconfigured(message: str) -> UnableToRead:
    return UnableToRead(Reason.MISCONFIGURED, message)
