"""Who asks is who signed in: a password given a moment ago, in this session.

For acts that count as a signature: a session left open, or stolen, must not be enough.
A page calls `confirm` or `proof_of` and hands the `Proof` on; services never see a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from t4g_portal.lib import guessing
from t4g_portal.lib.client_address import client_address, client_network
from t4g_portal.lib.guessing import Pace, UnableToTry
from t4g_portal.lib.wording import duration

logger = structlog.stdlib.get_logger(__name__)

# So long a proof counts.
VALID_FOR = timedelta(minutes=5)
_METHOD = "password"
# Of one account. Who holds the session can't get another without the password, so a thief
# can hold up its owner, who signs in again, but can't guess on.
ACCOUNT = Pace(free_count=5, first_wait_s=30, longest_wait_s=900)
# From one address, at any account: an office has one address for all.
ADDRESS = Pace(free_count=20, first_wait_s=30, longest_wait_s=900)

_PROOF = "_reauthenticated"
_SALT = "t4g_portal.lib.reauthentication"


@dataclass(frozen=True, slots=True)
class Proof:
    """When and how somebody proved to be who they are."""

    at: datetime
    method: str


class UnableToConfirm(Exception):
    """The password wasn't right, or it is too early for another try; `message` says so."""

    class Reason(StrEnum):
        """Why not."""

        WRONG = "wrong"
        TOO_EARLY = "too_early"

    def __init__(self, reason: Reason, *, wait_s: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s

    @property
    def message(self) -> str:
        """What the person reads."""
        if self.reason is self.Reason.WRONG:
            return _("This isn't your password. Mind capital letters.")
        return _(
            "There were too many wrong passwords. Try again in %(wait)s, or log out and "
            "in again."
        ) % {"wait": duration(self.wait_s)}


def confirm(request: HttpRequest, password: str, now: datetime) -> Proof:
    """Look at the password of who is signed in, and note the proof in the session.

    Raise UnableToConfirm when it is wrong or too early to try. It writes the count of
    attempts, so it must stand outside of any transaction that could be rolled back.
    """
    user = request.user
    if not user.is_authenticated:
        raise UnableToConfirm(UnableToConfirm.Reason.WRONG)
    words = {"user_id": user.pk, "address": client_address(request)}
    account, network = _account_key(user), client_network(request)
    paces = {account: ACCOUNT}
    if network:
        key = guessing.key_of("confirm-address", network, salt=_SALT)
        paces[key] = ADDRESS
    try:
        guessing.count_attempt(paces, now=now)
    except UnableToTry as refusal:
        logger.warning("confirmation refused", wait_s=refusal.wait_s, **words)
        raise UnableToConfirm(
            UnableToConfirm.Reason.TOO_EARLY, wait_s=refusal.wait_s
        ) from refusal
    # Not `user.check_password`, which may store a new hash and so end the session.
    if not check_password(password, user.password):
        logger.warning("confirmation failed", **words)
        raise UnableToConfirm(UnableToConfirm.Reason.WRONG)
    guessing.take_back(list(paces), now=now)
    guessing.begin_anew([account], now=now)
    logger.info("confirmed", **words)
    return _note(request, user, now)


def note_sign_in(request: HttpRequest, now: datetime) -> Proof:
    """Note that somebody has just signed in with a password: a proof like any other."""
    user = request.user
    if not user.is_authenticated:
        raise ValueError("nobody has signed in")
    guessing.begin_anew([_account_key(user)], now=now)
    return _note(request, user, now)


def proof_of(request: HttpRequest, now: datetime) -> Proof | None:
    """Return the proof of this session that still counts, or None.

    One of another password, of another person or of the future (the clock was set back)
    counts for nothing.
    """
    user = request.user
    noted = request.session.get(_PROOF)
    if not user.is_authenticated or not isinstance(noted, dict):
        return None
    try:
        at = datetime.fromisoformat(noted["at"])
        is_own = constant_time_compare(noted["of"], _of(user))
        proof = Proof(at=at, method=noted["method"])
    except (KeyError, TypeError, ValueError):
        return None
    return proof if is_own and timedelta(0) <= now - at <= VALID_FOR else None


def _note(request: HttpRequest, user: AbstractBaseUser, now: datetime) -> Proof:
    proof = Proof(at=now, method=_METHOD)
    request.session[_PROOF] = {
        "at": now.isoformat(),
        "method": proof.method,
        "of": _of(user),
    }
    return proof


def _of(user: AbstractBaseUser) -> str:
    """Return what changes with the person and with their password."""
    return f"{user.pk}:{user.get_session_auth_hash()}"


def _account_key(user: AbstractBaseUser) -> str:
    return guessing.key_of("confirm", str(user.pk), salt=_SALT)
