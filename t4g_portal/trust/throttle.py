"""Slows down who guesses passwords, without locking out whom they guess at.

After OWASP's device cookies: a browser that has signed in as somebody before has a
counter of its own. Whatever strangers do to the account slows down strangers only.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime

from t4g_portal.lib import guessing
from t4g_portal.lib.guessing import Pace

_SALT = "t4g_portal.trust.throttle"


# By a browser that knows the account: the owner who has forgotten the password.
DEVICE = Pace(free_count=10, first_wait_s=15, longest_wait_s=300)
# At one account, by everybody else together.
ACCOUNT = Pace(free_count=5, first_wait_s=30, longest_wait_s=900)
# By one address, at any account: an office has one address for all.
ADDRESS = Pace(free_count=20, first_wait_s=30, longest_wait_s=900)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that may go on, counted as a failure until it is not one."""

    account: str
    keys: tuple[str, ...]
    is_known_device: bool

    def succeeded(self, *, now: datetime) -> None:
        """Take the failure back, and forget counters that nobody needs any more."""
        own = [key for key in self.keys if not key.startswith("address:")]
        guessing.take_back(self.keys, now=now)
        guessing.begin_anew(own, now=now)


def account_of(username: str) -> str:
    """Return what stands for a name, whoever typed it however; it tells no name."""
    folded = unicodedata.normalize("NFKC", username).strip().casefold()
    return guessing.key_of("account", folded, salt=_SALT).removeprefix("account:")


def begin(
    *, account: str, devices: dict[str, str], network: str, now: datetime
) -> Attempt:
    """Count an attempt to sign in; raise UnableToTry when it is too early.

    `devices`: account → number, of the browser's cookie; `network`: where it comes
    from, "" when unknown. A name that nobody has is counted like any other.
    """
    device = devices.get(account)
    paces = {f"account:{account}": ACCOUNT}
    if device:
        paces = {guessing.key_of("device", account + device, salt=_SALT): DEVICE}
    elif network:
        paces = {guessing.key_of("address", network, salt=_SALT): ADDRESS, **paces}
    guessing.count_attempt(paces, now=now)
    return Attempt(account=account, keys=tuple(paces), is_known_device=bool(device))
