"""Slack incoming webhooks: Block Kit, within Slack's limits, and its answers in words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from notifications.message import Fact, Message
from notifications.transports import http
from notifications.transports.base import Destination, Receipt, TransportError

# Block Kit reference; the total is undocumented (slackapi/bolt-js issue 2509).
MAX_HEADER, MAX_SECTION, MAX_FIELD, MAX_FIELDS = 150, 3_000, 2_000, 10
MAX_BUTTON, MAX_URL, MAX_FALLBACK = 75, 3_000, 500
MAX_TOTAL = 13_200
# Room for the words that we add around the facts.
_RESERVE = 700
# Slack takes 50 blocks; this many facts fill some 30.
_MAX_LISTED = 180
# Characters and facts that each later section of a message keeps to itself.
_KEPT, _KEPT_COUNT = 1_200, 15
# A field is half a phone wide; longer values belong into the text.
_MAX_LABEL, _MAX_VALUE = 100, 600

_SIGNS = {"alarm": "🔴", "warning": "🟠", "calm": "🔵", "good": "🟢"}


class SlackTransport:
    """POST to the incoming webhook, whose URL is the channel's secret."""

    def send(
        self, *, destination: Destination, message: Message, idempotency_key: str
    ) -> Receipt:
        """Send; only 408, 425, 429 and 5xx are tried again."""
        answer = http.post(
            url=destination.secret,
            content=json.dumps(payload(message)).encode(),
            # Slack ignores it; relays that speak Slack's protocol may not.
            headers={"Idempotency-Key": idempotency_key},
            destination=destination,
        )
        if answer.is_taken:
            return Receipt(detail={"http_status": answer.status, "answer": answer.text})
        raise TransportError(
            _said(answer),
            permanent=answer.is_permanent,
            retry_after_s=answer.retry_after_s,
        )


def payload(
    message: Message, *, buttons: Iterable[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Return the JSON that Slack takes. Nothing in a message can mention anybody.

    `buttons` stand before those that lead to pages.
    """
    with override(message.language or settings.PORTAL_LANGUAGE):
        title = f"{_SIGNS[message.tone]} {message.marked_title}"
        opening = [
            {
                "type": "header",
                "text": {"type": "plain_text", "text": fit(title, MAX_HEADER)},
            }
        ]
        mention = "<!channel>" if message.has_mention else ""
        room = MAX_SECTION - len(mention) - 1
        said = " ".join(filter(None, (mention, fit(message.text, room))))
        if said:
            opening.append({"type": "section", "text": mrkdwn(said)})
        closing = _closing(message, [*buttons])
        budget = MAX_TOTAL - _RESERVE - _size(opening) - _size(closing)
        listed = _listed(message, budget)
        blocks = [*opening, *listed, *closing]
        # What phones show in the notification and screen readers read.
        fallback = fit(title, MAX_FALLBACK)
    return {"text": fallback, "blocks": blocks, "unfurl_links": False}


def _closing(message: Message, buttons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    links = _links(message)
    if links and not buttons and message.tone == "alarm":
        links[0]["style"] = "primary"
    if buttons or links:
        blocks.append({"type": "actions", "elements": [*buttons, *links]})
    origin = _("%(name)s operations portal") % {"name": settings.PORTAL_NAME}
    context = mrkdwn(fit(origin, MAX_BUTTON))
    return [*blocks, {"type": "context", "elements": [context]}]


def _links(message: Message) -> list[dict[str, Any]]:
    """Return the buttons that lead to pages, the one that matters most first."""
    label = message.url_label or _("Open in the portal")
    return [
        {
            "type": "button",
            "action_id": action_id,
            "text": {"type": "plain_text", "text": fit(said, MAX_BUTTON)},
            "url": url,
        }
        for action_id, said, url in (
            ("acknowledge", _("Acknowledge"), message.ack_url),
            ("open", label, message.url),
        )
        if url and len(url) <= MAX_URL
    ]


def _listed(message: Message, budget: int) -> list[dict[str, Any]]:
    """Put facts, then sections, into blocks; a long section leaves room for the others."""
    blocks: list[dict[str, Any]] = []
    parts = [("", message.facts), *((s.heading, s.facts) for s in message.sections)]
    kept = [min(_room(heading, facts), _KEPT) for heading, facts in parts]
    counts = [min(len(facts), _KEPT_COUNT) for _heading, facts in parts]
    most = _MAX_LISTED
    for position, (heading, facts) in enumerate(parts):
        found: list[dict[str, Any]] = []
        if heading:
            line = mrkdwn(f"*{fit(heading, MAX_HEADER)}*")
            found.append({"type": "section", "text": line})
        budget -= _size(found)
        count = most - sum(counts[position + 1 :])
        listed = _fact_sections(facts, budget - sum(kept[position + 1 :]), count)
        blocks += [*found, *listed]
        fields = [field for block in listed for field in block["fields"]]
        budget -= sum(len(field["text"]) for field in fields)
        most -= min(len(fields), count)
    return blocks


def _room(heading: str, facts: Iterable[Fact]) -> int:
    """Count about what a section needs: its words, and the names of its markup."""
    return len(heading) + sum(len(f.label) + len(f.value) + 20 for f in facts) + 60


def _fact_sections(
    facts: Iterable[Fact], budget: int, most: int
) -> list[dict[str, Any]]:
    """Put facts into sections of ten until `budget` characters or `most` are used."""
    facts = tuple(facts)
    fields: list[dict[str, Any]] = []
    for position, fact in enumerate(facts):
        label = fit(fact.label, _MAX_LABEL)
        field = f"*{label}*\n{fit(fact.value, _MAX_VALUE) or '–'}"
        budget -= len(field)
        if budget < 0 or position >= most:
            left_out = len(facts) - position
            more = _("and %(count)d more, see the portal") % {"count": left_out}
            fields.append(mrkdwn(f"_{more}_"))
            break
        fields.append(mrkdwn(field))
    return [
        {"type": "section", "fields": fields[start : start + MAX_FIELDS]}
        for start in range(0, len(fields), MAX_FIELDS)
    ]


def mrkdwn(text: str) -> dict[str, Any]:
    """Return a text in which only what we write ourselves is markup."""
    # verbatim: a hostile page title must not become a link, a channel or a person.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def fit(text: str, limit: int) -> str:
    """Escape `text` for Slack and cut it to `limit` characters, never inside an entity."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if len(escaped) <= limit:
        return escaped
    kept = escaped[: limit - 1]
    ampersand = kept.rfind("&")
    if ampersand > kept.rfind(";"):
        kept = kept[:ampersand]
    return kept.rstrip() + "…"


def _size(blocks: Iterable[Any]) -> int:
    """Count the characters of every text in some blocks."""
    total = 0
    for block in blocks:
        if isinstance(block, dict):
            total += _size(block.values())
        elif isinstance(block, list):
            total += _size(block)
        elif isinstance(block, str):
            total += len(block)
    return total


def _said(answer: http.Answer) -> str:
    """Say what Slack answered and what to do about it."""
    advice = {
        "no_service": _("Slack no longer knows this webhook. Make a new one."),
        "invalid_token": _("Slack no longer knows this webhook. Make a new one."),
        "channel_not_found": _("The Slack channel is gone. Make a new webhook."),
        "channel_is_archived": _("The Slack channel is archived. Make a new webhook."),
        "action_prohibited": _("A Slack admin has forbidden it. Ask them."),
        "posting_to_general_channel_denied": _(
            "Slack lets nobody post to this channel. Choose another one."
        ),
    }
    for word, text in advice.items():
        if word in answer.text:
            return f"HTTP {answer.status} {word}: {text}"
    return f"HTTP {answer.status}: {answer.text}"
