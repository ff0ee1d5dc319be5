"""Links with which somebody acknowledges from a message, without signing in.

A link names one incident and one address. It is short, because it travels by SMS; it
ends after a week, with the incident, and when its address is changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils.crypto import salted_hmac

from incidents.inbound.merged import going_on
from incidents.models import Incident
from notifications.models import Address

LIFE = timedelta(days=7)
# 128 bits: nobody guesses them, and an SMS has room for them.
_SIGNATURE_BYTES = 16
_TOKEN = re.compile(r"(\d{1,18})-(\d{1,18})\.[0-9A-Za-z]{1,12}\.[0-9A-Za-z]{1,22}")


class UnableToOpenLink(Exception):
    """Nobody of us wrote this link, or its address is not what it was."""


class LinkExpired(UnableToOpenLink):
    """It was ours, a week ago."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a link is about, and whose it is."""

    incident: Incident
    address: Address


class _ShortSigner(signing.TimestampSigner):
    """Django's, with a signature of letters and digits only.

    Phones leave a dash or an underscore at the end out of what they take for a link.
    """

    def signature(self, value: str | bytes, key: str | bytes | None = None) -> str:
        digest = salted_hmac(
            str(self.salt) + "signer", value, key or self.key, algorithm=self.algorithm
        ).digest()
        return signing.b62_encode(int.from_bytes(digest[:_SIGNATURE_BYTES], "big"))


def ack_url(*, incident: Incident, address: Address) -> str:
    """Return the link with which the person at this address acknowledges."""
    token = _signer(address).sign(f"{incident.pk}-{address.pk}")
    return f"{settings.PORTAL_URL}{reverse('ack-link', args=[token])}"


def open_link(*, token: str) -> Link:
    """Read a link; two queries. Raises UnableToOpenLink, or LinkExpired for an old one.

    A merged incident's link leads to the one that goes on.
    """
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise UnableToOpenLink("not a link of ours")
    incident_id, address_id = int(found[1]), int(found[2])
    try:
        address = (
            Address.objects.usable().select_related("contact__user").get(pk=address_id)
        )
        _signer(address).unsign(token, max_age=LIFE)
    except signing.SignatureExpired as error:
        raise LinkExpired("a week old") from error
    except (signing.BadSignature, Address.DoesNotExist) as error:
        raise UnableToOpenLink("not a link of ours") from error
    incident = going_on(incident_id)
    if incident is None:
        raise UnableToOpenLink("its incident is gone")
    return Link(incident=incident, address=address)


def _signer(address: Address) -> _ShortSigner:
    # The value is signed but not in the link: whoever has the address today may not
    # act with what was sent to somebody else.
    return _ShortSigner(sep=".", salt=f"incidents.ack:{address.kind}:{address.value}")
