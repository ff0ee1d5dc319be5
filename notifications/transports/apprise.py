"""The long tail of services through Apprise: Teams, Telegram, Discord, ntfy and others.

Apprise says only yes or no, so there is no receipt and nothing to update.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

from django.utils.translation import gettext as _

from notifications.apprise_urls import apprise_problem
from notifications.message import Fact, Message
from notifications.transports.base import (
    Destination,
    Receipt,
    TransportError,
    shorten,
)
from t4g_portal.lib.egress import BlockedAddress, guarded_requests

_DEADLINE_S = 20.0
_TYPES = {"alarm": "failure", "warning": "warning", "calm": "info", "good": "success"}
# "…, error=401." is how its plugins name an HTTP status.
_STATUS = re.compile(r"error=(\d{3})\b")
_TEMPORARY_4XX = frozenset({408, 425, 429})


class AppriseTransport:
    """Hand the message to the plugin of the channel's URL, which is its secret."""

    def send(
        self, *, destination: Destination, message: Message, idempotency_key: str
    ) -> Receipt:
        """Send; a status that Apprise logs decides whether another try makes sense."""
        problem = apprise_problem(destination.secret)
        if problem or not destination.secret:
            raise TransportError(
                problem or _("The Apprise URL is missing. Enter it."), permanent=True
            )
        plugin = _plugin(destination.secret)
        if plugin is None:
            raise TransportError(
                _("Apprise can't read this URL. Paste it again."), permanent=True
            )
        with (
            guarded_requests(may_use_private=True, timeout_s=_DEADLINE_S) as borrowed,
            _complaints() as said,
        ):
            try:
                is_taken = plugin.notify(
                    title=message.marked_title,
                    body=body(message),
                    notify_type=_TYPES[message.tone],
                    body_format="text",
                )
            except BlockedAddress:
                is_taken = False
        if borrowed.blocked is not None:
            raise TransportError(
                _(
                    "%(reason)s. List its network in EGRESS_ALLOWED_NETWORKS to "
                    "allow it."
                )
                % {"reason": borrowed.blocked},
                permanent=True,
            )
        if is_taken:
            return Receipt(detail={"answer": str(plugin.service_name)})
        if borrowed.is_late:
            raise TransportError(
                _("No answer within %(seconds)d s.") % {"seconds": _DEADLINE_S},
                permanent=False,
                is_perhaps_taken=borrowed.is_answer_lost,
            )
        detail = destination.scrub(" ".join(said)) or _("Apprise does not say why.")
        raise TransportError(
            f"{plugin.service_name}: {detail}",
            permanent=_is_final(detail),
            is_perhaps_taken=borrowed.is_answer_lost,
        )


def body(message: Message) -> str:
    """Return the plain text below the title."""
    facts = _lines(message.facts)
    sections = [f"{one.heading}\n{_lines(one.facts)}" for one in message.sections]
    links = "\n".join(filter(None, (message.ack_url, message.url)))
    parts = (message.text, facts, *sections, links)
    return "\n\n".join(filter(None, parts)) or message.title


def _lines(facts: Iterable[Fact]) -> str:
    return "\n".join(f"{fact.label}: {fact.value}" for fact in facts)


@cache
def _apprise() -> Any:
    # Loaded by the first message that needs it: it takes 50 MB and a second.
    with warnings.catch_warnings():
        # Plugins that nobody uses here import what is on its way out of Python.
        warnings.simplefilter("ignore")
        apprise: Any = import_module("apprise")
        apprise.Apprise.instantiate("ntfys://loads-all-plugins")
    return apprise


def _plugin(url: str) -> Any:
    apprise = _apprise()
    asset = apprise.AppriseAsset(
        app_id="T4G",
        async_mode=False,
        http_redirects=False,
        # It would keep files of its own in somebody's home.
        storage_mode="memory",
        secure_logging=True,
    )
    with _complaints():
        return apprise.Apprise.instantiate(url, asset=asset)


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what Apprise logs in this thread: it tells the reasons nowhere else."""
    said: list[str] = []
    mine = threading.get_ident()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == mine:
                said.append(shorten(record.getMessage()))

    listener = Listener(level=logging.WARNING)
    logger = logging.getLogger("apprise")
    # What it says holds what a stranger's server said: it goes into the attempt only.
    logger.propagate = False
    logger.addHandler(listener)
    try:
        yield said
    finally:
        logger.removeHandler(listener)


def _is_final(detail: str) -> bool:
    found = _STATUS.search(detail)
    if found is None:
        return False
    status = int(found[1])
    return 300 <= status < 500 and status not in _TEMPORARY_4XX
