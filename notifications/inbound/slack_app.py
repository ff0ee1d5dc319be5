"""Which Slack app posted to us, and the answer that only the one who pressed sees."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.http import HttpRequest

from notifications.inbound import seen, slack
from notifications.inbound.receiving import unproven
from notifications.models import Provider
from t4g_portal.lib.egress import BlockedAddress, guarded_client
from t4g_portal.lib.secrets import UnableToDecrypt

logger = logging.getLogger(__name__)

# Slack wants its own answer within three seconds.
_REPLY_WITHIN_S = 1.5
_REPLY_HOST = "hooks.slack.com"


def proven_app(*, request: HttpRequest, body: bytes, now: datetime) -> Provider:
    """Return the app that signed a request; raises Refused (401).

    A request counts once: the same signature again is a replay.
    """
    timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
    signature = request.headers.get("X-Slack-Signature", "")
    app = _signer(body, timestamp, signature)
    if app is None:
        raise unproven("no Slack app of ours has signed it")
    if not slack.is_fresh(timestamp=timestamp, now=now):
        raise unproven("it was signed more than five minutes ago")
    key = f"slack:{app.pk}:{signature}"
    if not seen.is_new(key=key, now=now, within=seen.LONGEST):
        raise unproven("it came before")
    return app


def _signer(body: bytes, timestamp: str, signature: str) -> Provider | None:
    for app in Provider.objects.filter(kind="slack", is_enabled=True).order_by(
        "position", "pk"
    ):
        try:
            secret = app.second_secret
        except UnableToDecrypt:
            logger.error("the signing secret of provider %s can't be read", app.pk)
            continue
        if slack.is_signed(
            body=body, timestamp=timestamp, signature=signature, secret=secret
        ):
            return app
    return None


def reply(*, url: str, text: str) -> bool:
    """Say something to the one who pressed, and to nobody else; return whether it went.

    The act has happened or has been refused already, so nothing is tried again.
    """
    if not text or not _is_slacks(url):
        return False
    content = {
        "response_type": "ephemeral",
        "replace_original": False,
        "text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
    }
    try:
        with guarded_client(timeout_s=_REPLY_WITHIN_S, may_use_private=True) as client:
            answer = client.post(
                url,
                content=json.dumps(content).encode(),
                headers={"Content-Type": "application/json"},
            )
    except (BlockedAddress, httpx.HTTPError, httpx.InvalidURL) as error:
        logger.warning("Slack did not take a reply: %s", type(error).__name__)
        return False
    if not answer.is_success:
        logger.warning("Slack did not take a reply: HTTP %s", answer.status_code)
    return answer.is_success


def _is_slacks(url: str) -> bool:
    """Whether an address is Slack's, or the stand-in's that the settings name."""
    try:
        parts, api = urlsplit(url), urlsplit(settings.SLACK_API_URL)
        if (parts.scheme, parts.hostname) == ("https", _REPLY_HOST):
            return True
        return (parts.scheme, parts.hostname, parts.port) == (
            api.scheme,
            api.hostname,
            api.port,
        )
    except ValueError:
        return False
