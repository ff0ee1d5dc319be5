"""The login page: Django's own, with a pace (`throttle`) and a word in the log."""

from __future__ import annotations

import math
import secrets
from datetime import datetime
from typing import Any

import structlog
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from t4g_portal.lib import reauthentication
from t4g_portal.lib.client_address import client_address, client_network
from t4g_portal.lib.guessing import UnableToTry
from t4g_portal.trust import throttle
from t4g_portal.trust.login_form import LoginForm

logger = structlog.stdlib.get_logger(__name__)

_SALT = "t4g_portal.trust.device"
_DEVICE_AGE_S = 365 * 86400
# Django's own limit of a name.
_LONGEST_NAME = 150
# Of one browser, the accounts that signed in last.
_MAX_ACCOUNTS = 5


@sensitive_post_parameters()
@never_cache
@login_not_required
def login(request: HttpRequest) -> HttpResponse:
    """Show the form, or sign in; 429 with Retry-After when it is too early to try."""
    # Without the space around it, as the form reads it: padding must not hide a name.
    username = request.POST.get("username", "").strip()[:_LONGEST_NAME]
    if request.method != "POST" or not username:
        return admin.site.login(request)
    now = timezone.now()
    devices = _devices(request)
    words = {
        "account": throttle.account_of(username)[:12],
        "address": client_address(request),
    }
    try:
        attempt = throttle.begin(
            account=throttle.account_of(username),
            devices=devices,
            network=client_network(request),
            now=now,
        )
    except UnableToTry as refusal:
        logger.warning("sign-in refused", wait_s=refusal.wait_s, **words)
        return _refuse(request, username=username, wait_s=refusal.wait_s)
    words["device"] = "known" if attempt.is_known_device else "new"
    response = admin.site.login(request)
    if response.status_code != 302 or not request.user.is_authenticated:
        logger.warning("sign-in failed", **words)
        return response
    logger.info("signed in", user_id=request.user.pk, **words)
    attempt.succeeded(now=now)
    reauthentication.note_sign_in(request, now)
    _remember(response, devices, attempt.account)
    _clear_sessions(now)
    return response


def _refuse(request: HttpRequest, *, username: str, wait_s: int) -> HttpResponse:
    minutes = math.ceil(wait_s / 60)
    wait = (
        ngettext("%(count)d second", "%(count)d seconds", wait_s) % {"count": wait_s}
        if wait_s < 60
        else ngettext("%(count)d minute", "%(count)d minutes", minutes)
        % {"count": minutes}
    )
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Log in"),
        "app_path": request.get_full_path(),
        "form": LoginForm(request, initial={"username": username}),
        "next": request.POST.get("next", ""),
        "refusal": _(
            "There were too many attempts. Try again in %(wait)s. A browser that has "
            "signed in as you before isn't held up by them."
        )
        % {"wait": wait},
    }
    response = TemplateResponse(request, "admin/login.html", context, status=429)
    response["Retry-After"] = str(wait_s)
    return response


def _devices(request: HttpRequest) -> dict[str, str]:
    """Return account → number of this browser; nothing when nobody can be sure."""
    try:
        found = signing.loads(
            request.COOKIES.get(settings.DEVICE_COOKIE_NAME, ""),
            salt=_SALT,
            max_age=_DEVICE_AGE_S,
        )
    except signing.BadSignature:
        return {}
    return dict(found) if isinstance(found, dict) else {}


def _remember(response: HttpResponse, devices: dict[str, str], account: str) -> None:
    """Have the browser prove, next time, that it has signed in as this account."""
    others = [item for item in devices.items() if item[0] != account]
    number = devices.get(account) or secrets.token_urlsafe(12)
    response.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        signing.dumps(
            dict([*others[-_MAX_ACCOUNTS + 1 :], (account, number)]), salt=_SALT
        ),
        max_age=_DEVICE_AGE_S,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _clear_sessions(now: datetime) -> None:
    from django.contrib.sessions.models import Session

    Session.objects.filter(expire_date__lt=now).delete()
