"""Proving that an address reaches its person: a code goes there and comes back.

The code is stored nowhere, neither here nor in the outbox, which others may read: it is
made from a nonce and the portal's key, and put into the message when that leaves.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, override

from notifications import services
from notifications.message import Message
from notifications.methods import DEFAULT_METHOD
from notifications.models import Address, AddressVerification, Notification
from notifications.services import CODE_PURPOSE, UnableToEnqueue
from t4g_portal.lib import history

CODE_LIFE = timedelta(minutes=10)
MAX_TRIES = 5
PAUSE = timedelta(minutes=1)
# A stranger's phone must not ring all day because somebody mistyped a number.
MAX_CODES_AN_HOUR = 10
# Stands in the stored message where the code goes.
HIDDEN = "••••••"
_DIGITS = 6


class UnableToSendCode(Exception):
    """It was just sent, too many were, or nothing can be sent there."""


class UnableToVerify(Exception):
    """The code is wrong, too old, or for another value; the message says what to do."""


def send_code(*, address: Address, now: datetime) -> Notification:
    """Queue a new code to an address; earlier ones are worth nothing from now on.

    Raises UnableToSendCode.
    """
    with transaction.atomic():
        proof = _locked(address)
        _check_road(address)
        _check_pace(address, proof, now)
        proof.code_nonce = secrets.token_hex(16)
        proof.code_value = address.value
        proof.code_sent_at = now
        proof.code_expires_at = now + CODE_LIFE
        proof.tries_left = MAX_TRIES
        proof.save()
        subject_key = _subject_key(address)
        services.cancel(
            subject_key=subject_key,
            reason=_("A newer code replaces it."),
            now=now,
            purposes=[CODE_PURPOSE],
        )
        try:
            return services.enqueue(
                address=address,
                method=DEFAULT_METHOD[address.kind],
                message=_message(address),
                purpose=CODE_PURPOSE,
                subject_key=subject_key,
                idempotency_key=_key(proof),
                now=now,
                expires_at=proof.code_expires_at,
            )
        except UnableToEnqueue as error:
            raise UnableToSendCode(str(error)) from error


def verify(*, address: Address, code: str, now: datetime) -> None:
    """Take the code that somebody typed; each wrong one uses up a try.

    Raises UnableToVerify. Call it outside of a transaction, which would forget the try.
    """
    typed = "".join(code.split())
    with transaction.atomic():
        proof = _locked(address)
        _check_open(address, proof, now)
        is_right = constant_time_compare(_code(proof), typed)
        if is_right:
            _prove(address, proof, now, how=_("by a code"))
        else:
            proof.tries_left -= 1
            proof.save(update_fields=["tries_left"])
    if not is_right:
        raise UnableToVerify(_wrong(proof.tries_left))


def verify_by_hand(*, address: Address, now: datetime) -> None:
    """Count an address as verified because somebody answers for it."""
    with transaction.atomic():
        _prove(address, _locked(address), now, how=_("by hand"))


def with_code(*, notification: Notification, message: Message) -> Message | None:
    """Put the code into its message as it leaves; None when it counts no more."""
    proof = (
        AddressVerification.objects.filter(
            pk=notification.address_id, code_value=F("address__value")
        )
        .exclude(code_nonce="")
        .first()
    )
    if proof is None or notification.idempotency_key != _key(proof):
        return None
    code = _code(proof)
    return replace(
        message,
        title=message.title.replace(HIDDEN, code),
        text=message.text.replace(HIDDEN, code),
        short=message.short.replace(HIDDEN, code),
    )


def _locked(address: Address) -> AddressVerification:
    AddressVerification.objects.get_or_create(address=address)
    proof = AddressVerification.objects.select_for_update().get(address=address)
    # What it is now, not what it was when the page was opened.
    address.refresh_from_db(fields=["kind", "value", "is_enabled"])
    return proof


def _check_road(address: Address) -> None:
    if address.kind == "email" and not settings.EMAIL_HOST:
        raise UnableToSendCode(
            _(
                "No mail server is set (EMAIL_HOST), so no code can get there. Whoever "
                "edits contacts can mark the address as verified."
            )
        )


def _check_pace(address: Address, proof: AddressVerification, now: datetime) -> None:
    if proof.code_sent_at is not None and now < proof.code_sent_at + PAUSE:
        wait_s = int((proof.code_sent_at + PAUSE - now).total_seconds()) + 1
        raise UnableToSendCode(
            ngettext(
                "A code was just sent. Ask for a new one in %(count)d second.",
                "A code was just sent. Ask for a new one in %(count)d seconds.",
                wait_s,
            )
            % {"count": wait_s}
        )
    sent_count = Notification.objects.filter(
        purpose=CODE_PURPOSE,
        # Not by address: one that is removed and added again is a new one.
        subject_key__startswith=_subject_key(address, of_contact=True),
        queued_at__gt=now - timedelta(hours=1),
    ).count()
    if sent_count >= MAX_CODES_AN_HOUR:
        raise UnableToSendCode(
            _("Too many codes were sent within an hour. Try again later.")
        )


def _check_open(address: Address, proof: AddressVerification, now: datetime) -> None:
    is_sent = proof.code_nonce and proof.code_expires_at is not None
    if not is_sent or proof.code_value != address.value:
        raise UnableToVerify(_("No code was sent to this address. Send one first."))
    if proof.code_expires_at is None or now >= proof.code_expires_at:
        raise UnableToVerify(_("The code is too old. Send a new one."))
    if proof.tries_left < 1:
        raise UnableToVerify(_("Too many wrong tries. Send a new code."))


def _prove(
    address: Address, proof: AddressVerification, now: datetime, *, how: str
) -> None:
    proof.verified_value = address.value
    proof.verified_at = now
    proof.code_nonce = proof.code_value = ""
    proof.code_expires_at = None
    proof.tries_left = 0
    proof.save()
    history.note(row=address, fields={"verification": [None, how]})


def _code(proof: AddressVerification) -> str:
    said = f"{proof.address_id}:{proof.code_value}:{proof.code_nonce}"
    key = hashlib.sha256(b"notifications.verifying" + settings.SECRET_KEY.encode())
    digest = hmac.digest(key.digest(), said.encode(), "sha256")
    return f"{int.from_bytes(digest[:8]) % 10**_DIGITS:0{_DIGITS}d}"


def _key(proof: AddressVerification) -> str:
    return f"code:{proof.address_id}:{proof.code_nonce}"


def _subject_key(address: Address, *, of_contact: bool = False) -> str:
    contact = f"contact:{address.contact_id}:code:"
    return contact if of_contact else f"{contact}{address.pk}"


def _message(address: Address) -> Message:
    language = address.contact.language or settings.PORTAL_LANGUAGE
    with override(language):
        return Message(
            title=_("%(code)s is your code") % {"code": HIDDEN},
            text=_(
                "Enter it in the portal within 10 minutes, or say it to whoever asked "
                "you for it: then alerts can reach you here. If you know nothing about "
                "it, there is nothing to do."
            ),
            short=_("%(code)s is your code for %(portal)s. Valid for 10 minutes.")
            % {"code": HIDDEN, "portal": settings.PORTAL_NAME},
            language=language,
        )


def _wrong(tries_left: int) -> str:
    if not tries_left:
        return _("That is not the code, for the fifth time. Send a new one.")
    return ngettext(
        "That is not the code. %(count)d try is left.",
        "That is not the code. %(count)d tries are left.",
        tries_left,
    ) % {"count": tries_left}
