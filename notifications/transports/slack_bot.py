"""Slack with a bot token: buttons, one thread an incident, and edits in place.

A page that must be heard stands in the channel, everything else in its thread. When the
incident changes, what stands in the channel is edited, so that nobody presses a button
of yesterday.
"""

from __future__ import annotations

import json
import time
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from notifications.message import Message
from notifications.transports import api, slack
from notifications.transports.base import (
    Account,
    Destination,
    Posted,
    Receipt,
    TransportError,
)

# Names of the buttons; `incidents.inbound.slack` hears them.
ACTION_PREFIX = "incident_"
# The newest of what stands in a channel; half a minute of edits, within a lease.
MAX_EDITS = 30
_EDIT_FOR_S = 40.0
# The last lines of the thread's log, within one message.
_MAX_LOG = 2_900

# Our own access is at fault; another workspace may well take it.
_ACCESS = {
    "account_inactive",
    "ekm_access_denied",
    "invalid_auth",
    "missing_scope",
    "no_permission",
    "not_allowed_token_type",
    "not_authed",
    "org_login_required",
    "team_access_not_granted",
    "token_expired",
    "token_revoked",
}
_TEMPORARY = {
    "fatal_error",
    "internal_error",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
}
_SLOWED = {"rate_limited", "ratelimited"}
# What we wanted to answer or to edit is not there any more, or may not be edited.
_GONE = {
    "cannot_reply_to_message",
    "cant_update_message",
    "edit_window_closed",
    "message_not_found",
    "thread_not_found",
}


class SlackBotTransport:
    """`chat.postMessage` and `chat.update`, to channels and to people."""

    def send(
        self, *, destination: Destination, message: Message, idempotency_key: str
    ) -> Receipt:
        """Post, or edit what stands there when the message is an update."""
        bot = _Bot(destination)
        with override(message.language or settings.PORTAL_LANGUAGE):
            if message.edits:
                return bot.edit(message)
            return bot.post(message)


class _Bot:
    """One message to one destination, with what stands there already."""

    def __init__(self, destination: Destination) -> None:
        assert destination.account is not None  # noqa: S101 letters.prepare sees to it
        self._account: Account = destination.account
        self._channel = destination.address
        self._tops = [one for one in destination.posted if not one.is_log]
        self._log = next((one for one in destination.posted if one.is_log), None)

    def post(self, message: Message) -> Receipt:
        if self._tops and not self._must_be_heard(message):
            said = slack.payload(message)
            try:
                answer = self._call(
                    "chat.postMessage",
                    {
                        "channel": self._tops[0].channel,
                        "thread_ts": self._tops[0].ts,
                        **said,
                    },
                )
                return _receipt(answer, is_top=False)
            except _Gone:
                # Somebody deleted it. It must be heard all the same.
                pass
        said = slack.payload(message, buttons=_buttons(message))
        answer = self._call("chat.postMessage", {"channel": self._channel, **said})
        return _receipt(answer, is_top=True)

    def edit(self, message: Message) -> Receipt:
        """Edit what stands in the channel, the newest first, and the thread's log."""
        detail: dict[str, Any] = {}
        if not self._tops:
            return Receipt(detail=detail)
        if message.edits == "all":
            detail["edited"] = self._edit_tops(message)
        log = self._write_log(message)
        if log is not None:
            detail |= {"channel": log.channel, "log_ts": log.ts}
        return Receipt(detail=detail)

    def _edit_tops(self, message: Message) -> int:
        """Return how many were edited; those that are gone are passed over."""
        said = slack.payload(message, buttons=_buttons(message))
        until = time.monotonic() + _EDIT_FOR_S
        count = 0
        for top in self._tops[: -MAX_EDITS - 1 : -1]:
            if time.monotonic() > until:
                raise TransportError(
                    _("Slack is too slow to edit everything."), permanent=False
                )
            count += self._edit(top, said)
        return count

    def _must_be_heard(self, message: Message) -> bool:
        """Whether it rings: with a mention, or to a person who has to act."""
        is_personal = self._channel.startswith(("U", "W", "D"))
        return message.has_mention or (is_personal and "ack" in message.acts)

    def _edit(self, posted: Posted, said: dict[str, Any]) -> bool:
        try:
            self._call(
                "chat.update", {"channel": posted.channel, "ts": posted.ts, **said}
            )
        except _Gone:
            return False
        return True

    def _write_log(self, message: Message) -> Posted | None:
        """Keep the log in the thread; begun only while somebody has to act.

        After an acknowledgement nothing new appears anywhere.
        """
        if not message.log:
            return None
        said = _log_payload(message)
        if self._log is not None:
            return self._log if self._edit(self._log, said) else None
        if "ack" not in message.acts:
            return None
        root = self._tops[0]
        try:
            answer = self._call(
                "chat.postMessage",
                {"channel": root.channel, "thread_ts": root.ts, **said},
            )
        except _Gone:
            return None
        return Posted(channel=answer["channel"], ts=answer["ts"], is_log=True)

    def _call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask Slack for something; raises _Gone and TransportError."""
        answer = api.call(
            account=self._account,
            method="POST",
            url=f"{settings.SLACK_API_URL}/{method}",
            headers={
                "Authorization": f"Bearer {self._account.secret}",
                "Content-Type": "application/json; charset=utf-8",
            },
            content=json.dumps(body).encode(),
        )
        found = answer.json if isinstance(answer.json, dict) else {}
        if answer.is_taken and found.get("ok") is True:
            return found
        error = found.get("error")
        if isinstance(error, str) and error in _GONE:
            raise _Gone(error)
        raise _refusal(self._account, answer, error if isinstance(error, str) else "")


class _Gone(Exception):
    """What we wanted to answer or to edit is not there any more."""


def _receipt(answer: dict[str, Any], *, is_top: bool) -> Receipt:
    channel, ts = str(answer.get("channel", "")), str(answer.get("ts", ""))
    detail: dict[str, Any] = {"channel": channel}
    # Only what can be edited and answered later is found again by its `ts`.
    detail["ts" if is_top else "reply_ts"] = ts
    return Receipt(detail=detail, message_id=f"{channel}:{ts}")


def _buttons(message: Message) -> list[dict[str, Any]]:
    """Return the buttons that act, for the incident of the message."""
    if message.incident_id is None:
        return []
    labels = {
        "ack": (_("Acknowledge"), "primary"),
        "escalate": (_("Escalate"), ""),
        "resolve": (_("Resolve"), "danger"),
    }
    buttons = []
    for act in message.acts:
        label, style = labels[act]
        button: dict[str, Any] = {
            "type": "button",
            "action_id": f"{ACTION_PREFIX}{act}",
            "text": _plain(label, slack.MAX_BUTTON),
            "value": str(message.incident_id),
        }
        if style:
            button["style"] = style
        if act == "resolve":
            button["confirm"] = {
                "title": _plain(_("Resolve it?"), 100),
                "text": _plain(_("Everybody who was told hears that it is over."), 300),
                "confirm": _plain(_("Resolve"), 30),
                "deny": _plain(_("Cancel"), 30),
            }
        buttons.append(button)
    return buttons


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": slack.fit(text, limit)}


def _log_payload(message: Message) -> dict[str, Any]:
    title = _("What happened so far")
    lines = message.log.splitlines()
    while len(lines) > 1 and len(slack.fit("\n".join(lines), 100_000)) > _MAX_LOG:
        del lines[0]
    text = f"*{title}*\n{slack.fit(chr(10).join(lines), _MAX_LOG)}"
    return {
        "text": title,
        "blocks": [{"type": "section", "text": slack.mrkdwn(text)}],
        "unfurl_links": False,
    }


def _refusal(account: Account, answer: api.ApiAnswer, error: str) -> TransportError:
    """Return the error that Slack's answer means, in words that say what to do."""
    is_slowed = answer.status == 429 or error in _SLOWED
    is_temporary = is_slowed or answer.is_temporary or error in _TEMPORARY
    said = _advice(error) or error or answer.text
    number = "" if answer.is_taken else f"HTTP {answer.status}: "
    return TransportError(
        f"{account.name}: {number}{said}",
        permanent=not is_temporary,
        retry_after_s=answer.retry_after_s,
        # Slack slows down one method or channel, not the app.
        is_providers_fault=(is_temporary and not is_slowed) or error in _ACCESS,
    )


def _advice(error: str) -> str:
    if error in _ACCESS:
        advice = _(
            "Slack refuses our token. Install the app again and enter its token."
        )
    else:
        advice = {
            "channel_not_found": _("Slack knows no such channel or person here."),
            "not_in_channel": _("Invite the app into the channel."),
            "is_archived": _("The channel is archived. Choose another one."),
            "restricted_action": _("A Slack admin has forbidden it. Ask them."),
            "user_not_found": _("Slack knows no such person. Enter the member ID."),
            "messages_tab_disabled": _("Switch on the messages tab of the app's home."),
        }.get(error, "")
    return f"{error}: {advice}" if advice else ""
