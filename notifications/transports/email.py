"""E-mail over SMTP: plain text and HTML, one incident one thread, receipts kept."""

from __future__ import annotations

import hashlib
from email.charset import QP, Charset
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import override

from notifications.message import Message
from notifications.transports import smtp
from notifications.transports.base import Destination, Receipt, TransportError
from notifications.validation import recipients, validate_address

_COLORS = {
    "alarm": "#b91c1c",
    "warning": "#b45309",
    "calm": "#1d4ed8",
    "good": "#15803d",
}


class EmailTransport:
    """Send through the SMTP server of the settings, or keep when there is none."""

    def send(
        self, *, destination: Destination, message: Message, idempotency_key: str
    ) -> Receipt:
        """Send; SMTP 4xx and network errors are temporary, 5xx is permanent."""
        to = _checked_recipients(destination)
        mail = compose(
            destination=destination, message=message, idempotency_key=idempotency_key
        )
        message_id = mail.extra_headers["Message-ID"]
        if not settings.EMAIL_HOST:
            return Receipt(detail={"kept": True, "message_id": message_id})
        answer = smtp.submit(
            sender=_ascii_address(settings.DEFAULT_FROM_EMAIL),
            recipients=[_ascii_address(address) for address in to],
            content=mail.message().as_bytes(linesep="\r\n"),
        )
        return Receipt(
            detail={
                "message_id": message_id,
                "answer": answer.text,
                "refused": answer.refused,
            },
            warning=_refusals(answer.refused),
        )


def compose(
    *, destination: Destination, message: Message, idempotency_key: str
) -> EmailMultiAlternatives:
    """Build the mail: the first one of a thread lends the thread its Message-ID."""
    language = message.language or settings.PORTAL_LANGUAGE
    with override(language):
        context = {
            "message": message,
            "tone_line": _tone_line(message),
            "tone_color": _COLORS[message.tone],
            "portal_name": settings.PORTAL_NAME,
            "portal_url": settings.PORTAL_URL,
            # A person chooses how to be told; nobody unsubscribes from pages.
            "own_url": f"{settings.PORTAL_URL}/me/"
            if destination.key.startswith("address:")
            else "",
            "language": language,
        }
        plain = render_to_string("notifications/mail.txt", context)
        html = render_to_string("notifications/mail.html", context)
    mail = EmailMultiAlternatives(
        subject=_subject(message),
        body=plain.strip() + "\n",
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=recipients(destination.address),
        headers=_headers(destination, message, idempotency_key),
    )
    # Seven bits and short lines pass every server on the way.
    mail.encoding = Charset("utf-8")
    mail.encoding.body_encoding = QP
    mail.attach_alternative(html, "text/html")
    return mail


def _headers(
    destination: Destination, message: Message, idempotency_key: str
) -> dict[str, str]:
    domain = _domain()
    headers = {
        "Message-ID": _id("n", idempotency_key, domain),
        "List-Id": f"<alerts.{domain}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    if message.thread_key:
        # By destination: somebody who gets two copies must get two.
        thread = _id("t", f"{destination.key} {message.thread_key}", domain)
        if message.is_first_in_thread:
            headers["Message-ID"] = thread
        else:
            headers["In-Reply-To"] = headers["References"] = thread
    if message.tone == "alarm":
        headers["Importance"] = "high"
        headers["X-Priority"] = "1"
    return headers


def _id(kind: str, key: str, domain: str) -> str:
    return f"<{kind}.{hashlib.sha256(key.encode()).hexdigest()[:32]}@{domain}>"


def _domain() -> str:
    address = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    return _ascii_address(address).rpartition("@")[2] or "localhost"


def _subject(message: Message) -> str:
    subject = message.marked(message.thread_title or message.title)
    is_answer = message.thread_title and not message.is_first_in_thread
    return f"Re: {subject}" if is_answer else subject


def _tone_line(message: Message) -> str:
    is_named = message.marked_title == message.title
    parts = (
        [message.tone_word] if is_named else [message.short_priority, message.tone_word]
    )
    return " · ".join(parts)


def _checked_recipients(destination: Destination) -> list[str]:
    found = recipients(destination.address)
    wrong = [one for one in found if validate_address(kind="email", value=one)]
    if wrong or not found:
        raise TransportError(
            _("There is no usable e-mail address. Enter it again."), permanent=True
        )
    return found


def _ascii_address(value: str) -> str:
    """Return the bare address, an international domain in its ASCII form."""
    local, at, domain = parseaddr(value)[1].rpartition("@")
    return f"{local}{at}{domain.encode('idna').decode()}"


def _refusals(refused: dict[str, str]) -> str:
    if not refused:
        return ""
    said = "; ".join(f"{address}: {answer}" for address, answer in refused.items())
    return _("Some recipients were refused: %(said)s") % {"said": said}
