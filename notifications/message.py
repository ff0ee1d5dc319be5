"""What is said, whatever carries it: one message, stored as JSON in the outbox."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from t4g_portal.lib.priority import Priority

Tone = Literal["alarm", "warning", "calm", "good"]
TONES: tuple[str, ...] = get_args(Tone)

# Acts on an incident that a message can offer.
ACTS = ("ack", "escalate", "resolve")

VERSION = 1
MAX_TITLE = 300
MAX_TEXT = 20_000
MAX_FACTS = 50
MAX_SECTIONS = 8
# Of all sections together.
MAX_LISTED = 300
MAX_FACT = 2_000
MAX_URL = 2_000
# Three parts of an SMS in the worst alphabet.
MAX_SHORT = 200

# Neither PostgreSQL's jsonb nor UTF-8 can hold the first and the last of these.
_UNSTORABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")

_LINES = (
    *("url_label", "thread_key", "thread_title", "language", "mark", "service"),
    "answer",
)


class UnableToReadMessage(ValueError):
    """A stored message is not one that this version of the portal understands."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the small table under a message: "Since", "09:00"."""

    label: str
    value: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", _one_line(self.label, MAX_FACT))
        object.__setattr__(self, "value", _paragraphs(self.value, MAX_FACT))


@dataclass(frozen=True, slots=True)
class Section:
    """Some facts under a heading of their own, for what is read rather than acted on."""

    heading: str
    facts: tuple[Fact, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "heading", _one_line(self.heading, MAX_TITLE))
        object.__setattr__(self, "facts", tuple(self.facts))


@dataclass(frozen=True, slots=True)
class Message:
    """One message in one language. Always storable: excerpts of hostile answers come in.

    Titles and labels become one line, control characters are dropped, and what is too
    long is cut with an ellipsis. Raises ValueError for an unknown tone or priority and
    for a URL that is not http(s).
    """

    title: str
    text: str = ""
    tone: Tone = "calm"
    # "" or a value of Priority.
    priority: str = ""
    facts: tuple[Fact, ...] = ()
    url: str = ""
    url_label: str = ""
    # Messages of one thread reach a destination in order; mail groups them.
    thread_key: str = ""
    is_first_in_thread: bool = False
    # What the thread is about. Mail programs split a thread whose subject changes.
    thread_title: str = ""
    has_mention: bool = False
    # "" means PORTAL_LANGUAGE.
    language: str = ""
    # What an SMS says, and what a voice says on the phone; empty: made from the title.
    short: str = ""
    spoken: str = ""
    # What an SMS says last, where an answer to it is read: "Reply 1a=ack".
    answer: str = ""
    # Personal: whoever opens it can acknowledge as the receiver.
    ack_url: str = ""
    # Lets Slack and SMS offer acts on the incident; None offers none.
    incident_id: int | None = None
    # What may be done to it now, in the order of the buttons; see `ACTS`.
    acts: tuple[str, ...] = ()
    # "all" or "log": what it takes the place of, where messages can be edited. Nobody is
    # told by it.
    edits: str = ""
    # What happened so far, for where a message has a thread of its own.
    log: str = ""
    # Stands before the title everywhere, such as "DRILL".
    mark: str = ""
    # The name of what is concerned: several messages about one place are told as one.
    service: str = ""
    # Below the facts, in this order.
    sections: tuple[Section, ...] = ()

    def __post_init__(self) -> None:
        if self.edits not in {"", "all", "log"}:
            raise ValueError(f"unknown edits {self.edits!r}")
        if self.tone not in TONES:
            raise ValueError(f"unknown tone {self.tone!r}")
        if self.priority and self.priority not in Priority.values:
            raise ValueError(f"unknown priority {self.priority!r}")
        for url in (self.url, self.ack_url):
            if url and not url.startswith(("http://", "https://")):
                raise ValueError("a message links to http(s) only")
        object.__setattr__(self, "title", _one_line(self.title, MAX_TITLE))
        object.__setattr__(self, "text", _paragraphs(self.text, MAX_TEXT))
        object.__setattr__(self, "facts", tuple(self.facts[:MAX_FACTS]))
        object.__setattr__(self, "sections", _bounded(self.sections))
        object.__setattr__(self, "acts", tuple(a for a in ACTS if a in self.acts))
        object.__setattr__(self, "log", _paragraphs(self.log, MAX_TEXT))
        object.__setattr__(self, "url", _url(self.url))
        object.__setattr__(self, "ack_url", _url(self.ack_url))
        object.__setattr__(self, "short", _one_line(self.short, MAX_SHORT))
        object.__setattr__(self, "spoken", _one_line(self.spoken, MAX_TEXT))
        for name in _LINES:
            object.__setattr__(self, name, _one_line(getattr(self, name), MAX_TITLE))

    @property
    def short_priority(self) -> str:
        """`P0` … `P3`, or nothing."""
        return Priority(self.priority).short if self.priority else ""

    def marked(self, title: str) -> str:
        """Put mark and priority before a title, unless the title names it itself."""
        short = self.short_priority
        said = title if not short or short in title else f"{short} · {title}"
        return f"{self.mark} · {said}" if self.mark else said

    @property
    def marked_title(self) -> str:
        """The title with the priority in it, for one-line places."""
        return self.marked(self.title)

    @property
    def tone_word(self) -> str:
        """The tone as words in the active language: never color alone."""
        return {
            "alarm": _("Act now"),
            "warning": _("Look soon"),
            "calm": _("For information"),
            "good": _("Nothing to do"),
        }[self.tone]

    def as_reminder(self) -> Message:
        """Return the message as it is sent again when it may have arrived already."""
        with override(self.language or settings.PORTAL_LANGUAGE):
            mark = _("Reminder")
        if self.mark:
            mark = f"{mark} · {self.mark}"
        return replace(self, mark=mark)

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        stored: dict[str, Any] = {"version": VERSION}
        for field in fields(self):
            stored[field.name] = getattr(self, field.name)
        stored["facts"] = _stored(self.facts)
        stored["sections"] = [
            [section.heading, _stored(section.facts)] for section in self.sections
        ]
        if not self.sections:
            # A worker of an older version knows no such thing and reads on.
            del stored["sections"]
        return stored

    @classmethod
    def from_json(cls, stored: object) -> Message:
        """Read the stored form; raises UnableToReadMessage."""
        if not isinstance(stored, dict) or stored.get("version") != VERSION:
            raise UnableToReadMessage("not a message of a known version")
        # What a newer version says beside the rest is no reason to say nothing: one that
        # has to be understood has another number.
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in stored.items() if name in known}
        try:
            values["facts"] = _facts(values.get("facts", ()))
            values["sections"] = tuple(
                Section(heading=heading, facts=_facts(facts))
                for heading, facts in values.get("sections", ())
            )
            return cls(**values)
        except (TypeError, ValueError, AttributeError) as error:
            raise UnableToReadMessage(f"not a message: {error}") from error


def _stored(facts: Iterable[Fact]) -> list[list[str]]:
    return [[fact.label, fact.value] for fact in facts]


def _facts(stored: Iterable[tuple[str, str]]) -> tuple[Fact, ...]:
    return tuple(Fact(label=label, value=value) for label, value in stored)


def _bounded(sections: Iterable[Section]) -> tuple[Section, ...]:
    """Keep so many sections, and so many facts in all of them together."""
    kept, room = [], MAX_LISTED
    for section in tuple(sections)[:MAX_SECTIONS]:
        kept.append(replace(section, facts=section.facts[:room]))
        room -= len(kept[-1].facts)
    return tuple(kept)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _one_line(text: str, limit: int) -> str:
    return _cut(" ".join(_UNSTORABLE.sub(" ", text).split()), limit)


def _paragraphs(text: str, limit: int) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _cut(_UNSTORABLE.sub("", text).strip(), limit)


def _url(url: str) -> str:
    url = "".join(_UNSTORABLE.sub("", url).split())
    # Half a link leads nowhere.
    return url if len(url) <= MAX_URL else ""
