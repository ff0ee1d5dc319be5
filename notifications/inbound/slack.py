"""What Slack posts when somebody presses a button: its signature and its form. Pure.

https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifications.inbound.receiving import form_of, malformed

# Seconds after which a signed request is no longer taken.
WINDOW_S = 300


@dataclass(frozen=True, slots=True)
class Press:
    """One press of one button. Ids are Slack's own."""

    user_id: str
    team_id: str
    action_id: str
    value: str
    # Where an answer goes that only this person sees.
    response_url: str


def is_signed(*, body: bytes, timestamp: str, signature: str, secret: str) -> bool:
    """Say whether whoever knows the signing secret sent this body at this time."""
    if not (secret and timestamp.isascii() and signature.isascii()):
        return False
    base = b"v0:" + timestamp.encode() + b":" + body
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v0={digest}", signature)


def is_fresh(*, timestamp: str, now: datetime) -> bool:
    """Say whether a request was signed within five minutes of now."""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return False
    return abs(now.timestamp() - int(timestamp)) <= WINDOW_S


def press_of(body: bytes) -> Press | None:
    """Read what was pressed; None for what is no press. Raises Refused.

    A list of several actions is Slack's format for one: it never holds more.
    """
    try:
        payload = json.loads(form_of(body).get("payload", ""))
    except (ValueError, RecursionError) as error:
        raise malformed("the payload is no JSON") from error
    if not isinstance(payload, dict):
        raise malformed("the payload is no object")
    if payload.get("type") != "block_actions":
        return None
    actions = payload.get("actions")
    if not isinstance(actions, list) or not actions:
        raise malformed("the payload has no actions")
    user, team, action = (
        _object(found)
        for found in (payload.get("user"), payload.get("team"), actions[0])
    )
    user_id = _text(user, "id")
    if not user_id:
        raise malformed("the payload names nobody")
    return Press(
        user_id=user_id,
        team_id=_text(team, "id") or _text(user, "team_id"),
        action_id=_text(action, "action_id"),
        value=_text(action, "value"),
        response_url=_text(payload, "response_url"),
    )


def _object(found: object) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _text(found: dict[str, Any], name: str) -> str:
    # Ids and addresses: what no column takes (a NUL, half a surrogate) is none.
    text = found.get(name)
    return text if isinstance(text, str) and text.isprintable() else ""
