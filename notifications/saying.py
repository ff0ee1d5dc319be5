"""Sending and verifying for pages: one call into the domain, and what is said of it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from notifications import verifying
from notifications.delivery import deliver_one
from notifications.models import Address, Notification
from notifications.verifying import UnableToSendCode, UnableToVerify


def say_sent(request: HttpRequest, *, address: Address) -> None:
    """Send a code to an address now, and say what became of it."""
    now = timezone.now()
    try:
        row = verifying.send_code(address=address, now=now)
    except UnableToSendCode as error:
        messages.error(request, str(error))
        return
    sent = deliver_one(notification=row, now=now)
    taken = _("A code went to %(value)s.") % {"value": address.value}
    say_delivered(request, sent, taken)


def say_verified(request: HttpRequest, *, address: Address) -> None:
    """Take the code of a form, and say whether it is the right one."""
    try:
        verifying.verify(
            address=address, code=request.POST.get("code", ""), now=timezone.now()
        )
    except UnableToVerify as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request, _("%(value)s is verified.") % {"value": address.value}
        )


def say_delivered(request: HttpRequest, row: Notification, taken: str) -> None:
    """Say what became of a message that was sent while somebody waits."""
    if row.receipt.get("kept"):
        messages.warning(
            request, _("No mail server is set (EMAIL_HOST), so it was only kept.")
        )
    elif row.status == Notification.Status.SENT:
        messages.success(request, taken)
    elif row.status == Notification.Status.SENDING:
        messages.info(request, _("It is on its way."))
    else:
        last = row.attempts.order_by("-pk").first()
        why = row.outcome or (last.detail if last else "")
        messages.error(request, _("It was not taken: %(why)s") % {"why": why})
