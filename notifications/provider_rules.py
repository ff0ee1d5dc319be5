"""What a provider's account may hold. Pure; forms, REST and `config import` share it."""

from __future__ import annotations

import re
from collections.abc import Collection

from django.utils.translation import gettext as _

from notifications.carriers import NEEDED
from notifications.models.provider import provider_kinds
from notifications.validation import phone_problem

_ACCOUNTS = {
    "twilio": re.compile(r"AC[0-9a-fA-F]{32}"),
    "ovh": re.compile(r"[A-Za-z0-9-]{3,60}"),
    "slack": re.compile(r"[TE][A-Z0-9]{2,20}"),
}
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
# GSM 03.40 leaves eleven characters for a name.
_SENDER_NAME = re.compile(r"[A-Za-z0-9 ]{3,11}")


def validate_provider(
    *, kind: str, account: str, sender: str, voice_sender: str
) -> dict[str, str]:
    """Check a provider's account; empty fields are allowed, see
    `missing_provider_fields`."""
    if kind not in dict(provider_kinds()):
        known = ", ".join(name for name, _label in provider_kinds())
        return {"kind": _("Unknown kind. Known are: %(known)s.") % {"known": known}}
    problems = {}
    if account and not _ACCOUNTS[kind].fullmatch(account):
        problems["account"] = {
            "twilio": _("Enter the account SID: AC and 32 digits or letters a to f."),
            "ovh": _("Enter the name of the SMS service, such as sms-ab12345-1."),
            "slack": _("Enter the workspace's id, such as T012AB3CD, or nothing."),
        }[kind]
    if sender and kind == "slack":
        problems["sender"] = _("Slack apps send no SMS. Leave it empty.")
    elif sender and not _is_sender(kind, sender):
        problems["sender"] = _(
            "Enter a number with its country code, or a name of at most 11 letters and "
            "digits."
        )
    if voice_sender and kind != "twilio":
        problems["voice_sender"] = _("Only Twilio makes calls. Leave it empty.")
    elif voice_sender and phone_problem(voice_sender):
        problems["voice_sender"] = phone_problem(voice_sender)
    return problems


def missing_provider_fields(*, kind: str, filled: Collection[str]) -> dict[str, str]:
    """Name what an account still needs before anything can go through it.

    `filled` names the fields that hold something.
    """
    ways = [needed for (_way, able), needed in NEEDED.items() if able == kind]
    lacks = [[name for name in needed if name not in filled] for needed in ways]
    if not lacks or not all(lacks):
        return {}
    # What the first way lacks; another way may need less.
    say = _("Enter it before you enable the provider.")
    return dict.fromkeys(sorted(lacks, key=len)[0], say)


def _is_sender(kind: str, sender: str) -> bool:
    if sender.startswith("+"):
        return not phone_problem(sender)
    if kind == "twilio" and _SERVICE.fullmatch(sender):
        return True
    # A name of digits alone would pass for a number.
    return bool(_SENDER_NAME.fullmatch(sender)) and not sender.isdigit()
