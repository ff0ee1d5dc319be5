"""One SMTP submission with a wall-clock limit and the server's own words as answer.

Django's own backend would drop the refusal of single recipients and the queue number.
The server comes from the environment, not from a form, so it may stand in any network.
"""

from __future__ import annotations

import smtplib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.mail.utils import DNS_NAME
from django.utils.translation import gettext as _

from notifications.transports.base import TransportError, shorten
from t4g_portal.lib.egress import ssl_context

# Greylisting and content filters take their time; a page doesn't have much.
DEADLINE_S = 30.0
_GOODBYE_S = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to the data, and the recipients that were refused, with their reply."""

    text: str
    refused: dict[str, str]


def submit(
    *,
    sender: str,
    recipients: list[str],
    content: bytes,
    deadline_s: float = DEADLINE_S,
) -> Answer:
    """Hand one mail to the SMTP server of the settings; raises TransportError.

    At least one recipient was accepted when it returns. `content`: 7-bit, with CRLF lines.
    """
    with _watched(deadline_s) as watch:
        try:
            with _connection(watch) as client:
                return _transaction(client, watch, sender, recipients, content)
        except (smtplib.SMTPException, TransportError, OSError, ValueError) as error:
            if watch.has_passed:
                # What was read of a reply when the connection was cut means nothing.
                problem = _("No answer within %(seconds)d s.") % {"seconds": deadline_s}
                raise TransportError(
                    problem, permanent=False, is_perhaps_taken=watch.has_left
                ) from None
            raise _as_transport_error(error, has_left=watch.has_left) from None


def _as_transport_error(error: Exception, *, has_left: bool) -> TransportError:
    if isinstance(error, TransportError):
        return error
    if isinstance(error, smtplib.SMTPAuthenticationError):
        # Our own mistake, and nothing wrong with the mail: it can wait for us.
        return _refusal(error.smtp_code, error.smtp_error, is_final=False)
    if isinstance(error, smtplib.SMTPResponseException):
        return _refusal(error.smtp_code, error.smtp_error)
    reason = _without_password(str(error)) or type(error).__name__
    problem = _("The mail server could not be used: %(reason)s") % {"reason": reason}
    return TransportError(problem, permanent=False, is_perhaps_taken=has_left)


def _transaction(
    client: smtplib.SMTP,
    watch: _Watch,
    sender: str,
    recipients: list[str],
    content: bytes,
) -> Answer:
    client.ehlo_or_helo_if_needed()
    code, reply = client.mail(sender)
    if code != 250:
        raise _refusal(code, reply)
    refused: dict[str, tuple[int, bytes]] = {}
    for recipient in recipients:
        code, reply = client.rcpt(recipient)
        if code not in {250, 251}:
            refused[recipient] = (code, reply)
    if len(refused) == len(recipients):
        # Temporary (4xx) for one of them is temporary for the mail.
        raise _refusal(*min(refused.values()))
    # Until its reply comes, nobody knows whether it was taken.
    watch.has_left = True
    code, reply = client.data(content)
    if code != 250:
        raise _refusal(code, reply)
    return Answer(
        text=_said(code, reply),
        refused={address: _said(*answer) for address, answer in refused.items()},
    )


class _Watch:
    """Ends a connection from outside: limits per read never stop a dripping server."""

    def __init__(self) -> None:
        self.has_passed = False
        self.has_left = False
        self.client: smtplib.SMTP | None = None
        self.done = threading.Event()

    def run(self, deadline_s: float) -> None:
        """Wait for the end or the deadline, then shut whatever socket there is."""
        if self.done.wait(deadline_s):
            return
        self.has_passed = True
        while not self.done.wait(0.2):
            sock = self.client.sock if self.client else None
            if sock is not None:
                with suppress(OSError):
                    # Not SSLSocket's own, which takes its state from under the reader.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


@contextmanager
def _watched(deadline_s: float) -> Iterator[_Watch]:
    watch = _Watch()
    thread = threading.Thread(target=watch.run, args=(deadline_s,), daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.done.set()
        thread.join()


class _Watched:
    """A client known to its watch before the server says its first word."""

    def __init__(self, watch: _Watch, *args: Any, **kwargs: Any) -> None:
        watch.client = self  # type: ignore[assignment]
        super().__init__(*args, **kwargs)


class _PlainClient(_Watched, smtplib.SMTP):
    pass


class _TlsClient(_Watched, smtplib.SMTP_SSL):
    pass


@contextmanager
def _connection(watch: _Watch) -> Iterator[smtplib.SMTP]:
    where: dict[str, Any] = {
        "host": settings.EMAIL_HOST,
        "port": settings.EMAIL_PORT,
        "timeout": settings.EMAIL_TIMEOUT,
        "local_hostname": DNS_NAME.get_fqdn(),
    }
    client: smtplib.SMTP = (
        _TlsClient(watch, context=ssl_context(), **where)
        if settings.EMAIL_USE_SSL
        else _PlainClient(watch, **where)
    )
    try:
        if settings.EMAIL_USE_TLS and not settings.EMAIL_USE_SSL:
            client.starttls(context=ssl_context())
        if settings.EMAIL_HOST_USER:
            client.login(settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD)
        yield client
    finally:
        _say_goodbye(client)


def _say_goodbye(client: smtplib.SMTP) -> None:
    """Close; the mail is taken or refused already, so no error matters any more."""
    with suppress(smtplib.SMTPException, OSError, ValueError):
        if client.sock is not None:
            client.sock.settimeout(_GOODBYE_S)
        client.quit()
    client.close()


def _refusal(
    code: int, reply: bytes | str, *, is_final: bool | None = None
) -> TransportError:
    permanent = 500 <= code < 600 if is_final is None else is_final
    return TransportError(_said(code, reply), permanent=permanent)


def _said(code: int, reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return shorten(_without_password(f"{code} {text}"), 300)


def _without_password(text: str) -> str:
    password = settings.EMAIL_HOST_PASSWORD
    return text.replace(password, "•••") if password else text
