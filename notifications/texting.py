"""A message as an SMS and as a voice on the phone says it. Pure, but for the words."""

from __future__ import annotations

import re

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from notifications import gsm7
from notifications.message import Message
from t4g_portal.lib.priority import Priority

MAX_PARTS = 3
# A link without words tells nobody why they were woken.
_MIN_WORDS = 30
_MAX_SPOKEN = 600


def sms_text(message: Message, *, can_reply: bool) -> str:
    """Return the text in the 7-bit alphabet: one part for P0, at most three for others.

    What to answer and the acknowledge link come last, whole or not at all, however long
    the words are. The link gives way where an answer does the same; nobody is told to
    answer where nothing reads it.
    """
    part_count = 1 if message.priority == Priority.P0 else MAX_PARTS
    words = _spelled(_words(message))
    answer = _spelled(message.answer) if can_reply else ""
    link = message.ack_url or ("" if message.short else message.url)
    if link in words or not gsm7.is_gsm7(link):
        link = ""
    for end in (f"{answer} {link}".strip(), answer or link):
        if gsm7.parts(f"{words} {end}".strip()) <= part_count:
            return f"{words} {end}".strip()
    room = gsm7.capacity(part_count) - gsm7.width(end) - 1
    if not end or room < _MIN_WORDS:
        return gsm7.fit(words, part_count=part_count)
    return f"{_cut(words, room)} {end}"


def spoken_text(message: Message) -> str:
    """Return what the voice says first, with nothing that nobody can pronounce."""
    words = message.spoken or f"{message.marked_title}. {message.text}"
    if message.mark and message.mark not in words:
        words = f"{message.mark}. {words}"
    without_links = re.sub(r"https?://\S+", "", words).replace("·", ",")
    text = " ".join(without_links.split())
    return text if len(text) <= _MAX_SPOKEN else text[:_MAX_SPOKEN].rsplit(" ", 1)[0]


def keys_text(message: Message) -> str:
    """Return which keys do what, in the message's language."""
    with override(message.language or settings.PORTAL_LANGUAGE):
        return _("Press 1 to acknowledge. Press 2 to escalate.")


def _spelled(text: str) -> str:
    # What could not be spelled may leave two blanks where there was one.
    return re.sub(" {2,}", " ", gsm7.spell(text)).strip()


def _words(message: Message) -> str:
    words = message.short or ": ".join(
        filter(None, (message.marked_title, message.text))
    )
    return (
        f"{message.mark} {words}"
        if message.mark and message.mark not in words
        else words
    )


def _cut(spelled: str, room: int) -> str:
    room -= len(gsm7.ELLIPSIS)
    kept = ""
    for character in spelled:
        room -= gsm7.width(character)
        if room < 0:
            break
        kept += character
    return kept.rstrip() + gsm7.ELLIPSIS
