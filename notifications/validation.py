"""What a channel or an address may hold. Pure; forms, REST and `config import` share it.

Each function returns field name → what to do about it, empty when all is well.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from notifications.apprise_urls import apprise_problem
from notifications.models.channel import channel_kinds
from notifications.models.contact import MAX_DELAY_S, address_kinds, method_kinds

MAX_RECIPIENTS = 20
MAX_NUMBERS = 10
SECRET_PREFIX = "whsec_"  # noqa: S105 the prefix of Standard Webhooks secrets
# Standard Webhooks 1.0.0, "Signature scheme": between 192 and 512 bits.
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
# Member ids of Slack: U for people of a workspace, W for those of an Enterprise grid.
_SLACK_CHANNEL = re.compile(r"[CG][A-Z0-9]{6,20}|#[\w.-]{1,80}")
_SLACK_USER = re.compile(r"[UW][A-Z0-9]{5,20}")
# Calls to these cost the caller, or reach nobody in particular.
_COSTLY = {
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
    phonenumbers.PhoneNumberType.SHARED_COST,
}


def recipients(address: str) -> list[str]:
    """Split a channel's e-mail addresses: "a@x.org, b@x.org"."""
    return [part.strip() for part in address.split(",") if part.strip()]


def signing_key(secret: str) -> bytes:
    """Decode a Standard Webhooks secret, with or without `whsec_`; raises ValueError."""
    encoded = secret.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValueError("not base64") from error
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ValueError("not 24 to 64 bytes")
    return key


def validate_channel(*, kind: str, address: str, secret: str) -> dict[str, str]:
    """Check what is filled in; empty fields are allowed, see `missing_fields`."""
    if kind not in dict(channel_kinds()):
        known = ", ".join(name for name, _label in channel_kinds())
        return {"kind": _("Unknown kind. Known are: %(known)s.") % {"known": known}}
    check = {
        "email": _check_email,
        "slack": _check_slack,
        "slack_bot": _check_slack_bot,
        "webhook": _check_webhook,
        "sms": _check_sms,
        "apprise": _check_apprise,
    }
    problems = check[kind](address.strip(), secret)
    return {field: text for field, text in problems.items() if text}


def missing_fields(*, kind: str, address: str, has_secret: bool) -> dict[str, str]:
    """Name what a channel still needs before anything can be sent through it."""
    missing = {}
    what = {
        "email": _("Enter an e-mail address before you enable the channel."),
        "webhook": _("Enter the webhook's URL before you enable the channel."),
        "sms": _("Enter a phone number before you enable the channel."),
        "slack_bot": _("Enter the Slack channel before you enable it."),
    }.get(kind)
    if what and not address.strip():
        missing["address"] = what
    if kind == "slack" and not has_secret:
        missing["secret"] = _(
            "Paste the webhook URL from Slack before you enable the channel."
        )
    if kind == "apprise" and not has_secret:
        missing["secret"] = _("Paste the Apprise URL before you enable the channel.")
    if kind == "webhook" and not has_secret:
        missing["secret"] = _("Enter the signing secret before you enable the channel.")
    return missing


def normal_value(*, kind: str, value: str) -> str:
    """Return an address as it is stored, as far as it can be read.

    Phone numbers in E.164, the domain of an e-mail address in lowercase, Slack ids in
    capitals. What makes no sense comes back as it is, for `validate_address` to refuse.
    """
    value = value.strip()
    if kind == "phone":
        number = _phone_number(value)
        if number is not None:
            form = phonenumbers.PhoneNumberFormat.E164
            return str(phonenumbers.format_number(number, form))
    elif kind == "email":
        local, at, domain = value.rpartition("@")
        return f"{local}{at}{domain.lower()}"
    elif kind == "slack":
        return value.upper()
    return value


def validate_address(*, kind: str, value: str) -> dict[str, str]:
    """Check one person's address of a kind, in its stored form."""
    if kind not in dict(address_kinds()):
        known = ", ".join(name for name, _label in address_kinds())
        return {"kind": _("Unknown kind. Known are: %(known)s.") % {"known": known}}
    check = {"email": _email_problem, "phone": phone_problem, "slack": _slack_problem}
    problem = check[kind](value)
    return {"value": problem} if problem else {}


def validate_rule(*, method: str, delay_s: int) -> dict[str, str]:
    """Check how a person wishes to be told."""
    problems = {}
    if method not in dict(method_kinds()):
        known = ", ".join(name for name, _label in method_kinds())
        problems["method"] = _("Unknown. Known are: %(known)s.") % {"known": known}
    if not 0 <= delay_s <= MAX_DELAY_S:
        problems["delay_s"] = _("Give 0 to %(most)d seconds.") % {"most": MAX_DELAY_S}
    return problems


def validate_time_zone(*, time_zone: str) -> dict[str, str]:
    """Check the name of a time zone; empty means the portal's."""
    if time_zone and time_zone not in _time_zones():
        return {"time_zone": _("Enter a time zone's name, such as Europe/Paris.")}
    return {}


def url_problem(url: str) -> str:
    """Say what is wrong with a receiver's URL; nothing when it is usable or empty."""
    if not url:
        return ""
    wrong = _("Enter a full URL that starts with https://.")
    if url != url.strip() or not url.isascii() or not url.isprintable() or " " in url:
        return wrong
    try:
        parts = urlsplit(url)
        _port = parts.port
    except ValueError:
        return wrong
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        return wrong
    if parts.username is not None:
        return _("Leave the user name and password out of the URL.")
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        return _("Use https://. Plain http:// is for this machine only.")
    return ""


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _is_email(value: str) -> bool:
    # SMTPUTF8 is rare among receivers, so the part before the @ must be ASCII; Django
    # sees to that. International domains are sent in their ASCII form.
    try:
        validate_email(value)
        value.rpartition("@")[2].encode("idna")
    except (ValidationError, UnicodeError):
        return False
    return True


def _email_problem(value: str) -> str:
    if not _is_email(value):
        return _("Enter one e-mail address, such as ana@example.org.")
    return ""


def phone_problem(value: str) -> str:
    """Say what is wrong with a phone number; nothing when it can be sent to."""
    number = _phone_number(value)
    # Lengths only: lists of number ranges age, and the code proves that it rings.
    if number is None or not phonenumbers.is_possible_number(number):
        return _("Enter the number with its country code, such as +33612345678.")
    if phonenumbers.number_type(number) in _COSTLY:
        return _("Enter a number that costs no more than a usual call.")
    if value != normal_value(kind="phone", value=value):
        return _("Write the number without blanks, such as +33612345678.")
    return ""


def _slack_problem(value: str) -> str:
    if _SLACK_USER.fullmatch(value):
        return ""
    return _(
        "Enter the member ID, such as U012AB3CD: in Slack, open the profile, then ⋮ "
        "and Copy member ID."
    )


def _phone_number(value: str) -> phonenumbers.PhoneNumber | None:
    """Read a number with its country code; a national one could be anybody's."""
    if not value.startswith("+"):
        return None
    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        return None
    return None if number.extension else number


def _check_email(address: str, secret: str) -> dict[str, str]:
    found = recipients(address)
    wrong = [one for one in found if not _is_email(one)]
    problem = ""
    if wrong:
        problem = _("“%(value)s” is not an e-mail address.") % {"value": wrong[0]}
    elif len(found) > MAX_RECIPIENTS:
        problem = _("At most %(count)d addresses. Use a mailing list for more.") % {
            "count": MAX_RECIPIENTS
        }
    elif len({one.lower() for one in found}) < len(found):
        problem = _("An address stands here twice. Remove one.")
    return {
        "address": problem,
        "secret": _("E-mail channels have no secret. Leave it empty.")
        if secret
        else "",
    }


def _check_slack(address: str, secret: str) -> dict[str, str]:
    return {
        "address": _("Leave the address empty. Slack's webhook URL is a secret.")
        if address
        else "",
        "secret": url_problem(secret),
    }


def _check_sms(address: str, secret: str) -> dict[str, str]:
    found = recipients(address)
    problem = next(filter(None, (phone_problem(one) for one in found)), "")
    if not problem and len(found) > MAX_NUMBERS:
        problem = _("At most %(count)d numbers.") % {"count": MAX_NUMBERS}
    elif not problem and len(set(found)) < len(found):
        problem = _("A number stands here twice. Remove one.")
    return {
        "address": problem,
        "secret": _("SMS channels have no secret. Leave it empty.") if secret else "",
    }


def _check_slack_bot(address: str, secret: str) -> dict[str, str]:
    return {
        "address": ""
        if not address or _SLACK_CHANNEL.fullmatch(address)
        else _(
            "Enter the channel's ID, such as C012AB3CD (at the bottom of its details "
            "in Slack), or its name, such as #alerts."
        ),
        "secret": _("The token belongs to the provider. Leave it empty.")
        if secret
        else "",
    }


def _check_apprise(address: str, secret: str) -> dict[str, str]:
    return {
        "address": _("Leave the address empty. An Apprise URL is a secret.")
        if address
        else "",
        "secret": apprise_problem(secret),
    }


def _check_webhook(address: str, secret: str) -> dict[str, str]:
    problem = ""
    if secret:
        try:
            signing_key(secret)
        except ValueError:
            problem = _(
                "Enter whsec_ followed by 24 to 64 bytes in base64, such as from: "
                "openssl rand -base64 32"
            )
    return {"address": url_problem(address), "secret": problem}


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
