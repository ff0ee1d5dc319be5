"""Reads the whole chain again and names the first entry that isn't as it was written.

Any number of entries in the memory of a few hundred: they stream through a server-side
cursor, and each is forgotten once the next is tied to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.utils.translation import gettext_lazy as _

from t4g_portal.lib.audit.appending import head
from t4g_portal.lib.audit.chain import START, Actor, ActorKind, Link, body_of, hash_of
from t4g_portal.lib.audit.models import AuditEntry

_AT_ONCE = 500
_COLUMNS = (
    *("seq", "version", "at", "actor_kind", "actor_id", "actor_name"),
    *("action", "subject", "details", "prev_hash", "hash"),
)
_Row = tuple[int, int, datetime, str, str, str, str, str, Any, str, str]


class Wrong(models.TextChoices):
    """What can be wrong with an entry, in the order in which it is looked for."""

    MISSING = "missing", _("it is missing")
    UNLINKED = "unlinked", _("it does not follow on the entry before it")
    CHANGED = "changed", _("its contents are not what its hash says")
    NOT_THE_KNOWN = (
        "not_the_known",
        _("its hash is not the one that was noted when it was the last"),
    )
    BEYOND_HEAD = "beyond_head", _("it stands beyond the head of the chain")


@dataclass(frozen=True, slots=True)
class Fault:
    """The first entry that is wrong."""

    seq: int
    wrong: Wrong


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it: up to `link`, every entry is as it was written.

    That is the one before a wrong entry, except when the hash is `NOT_THE_KNOWN`: then
    the chain was written anew from somewhere after the last head that was right.
    """

    count: int
    link: Link
    fault: Fault | None = None
    # How many known heads were compared, that of the portal itself among them.
    compared_count: int = 0

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.fault is None


@dataclass(slots=True)
class _Walk:
    """How far it went, and what is known of the road."""

    known: dict[int, set[str]]
    link: Link = START
    # The last entry that a known head vouches for.
    vouched: Link = START
    compared_count: int = 0
    count: int = field(default=0)

    def step(self, row: _Row) -> Fault | None:
        """Go on to an entry; return what is wrong with it, if anything."""
        seq, previous, stated = row[0], row[9], row[10]
        expected = self.link.seq + 1
        if seq != expected:
            # Lower can't be: they come by number, and the first has none before it.
            return Fault(expected, Wrong.MISSING)
        if previous != self.link.hash:
            return Fault(seq, Wrong.UNLINKED)
        if _hash(row) != stated:
            return Fault(seq, Wrong.CHANGED)
        heads = self.known.get(seq)
        if heads is not None:
            if heads != {stated}:
                self.link = self.vouched
                return Fault(seq, Wrong.NOT_THE_KNOWN)
            self.compared_count += 1
            self.vouched = Link(seq, stated)
        self.link = Link(seq, stated)
        self.count += 1
        return None

    def report(self, fault: Fault | None) -> Report:
        """Return what came of it."""
        return Report(
            count=self.count,
            link=self.link,
            fault=fault,
            compared_count=self.compared_count,
        )


def verify(
    *,
    known: Iterable[Link] = (),
    on_way: Callable[[int], None] | None = None,
) -> Report:
    """Verify every entry, and that the heads of `known` are still in the chain.

    `known` are heads that were noted elsewhere, such as those that were mailed: they
    alone show a chain that somebody wrote anew from some entry on. `on_way` is told the
    number of entries every so often. Entries that come in meanwhile do no harm.
    """
    walk = _Walk(_by_number(known))
    # Before the entries: whatever is appended later lies beyond it, never short of it.
    before = head()
    walk.known.setdefault(before.seq, set()).add(before.hash)
    walk.known.pop(0, None)
    for row in _rows():
        fault = walk.step(row)
        if fault is not None:
            return walk.report(fault)
        if on_way is not None and walk.count % _AT_ONCE == 0:
            on_way(walk.count)
    last = walk.link.seq
    if any(seq > last for seq in walk.known):
        return walk.report(Fault(last + 1, Wrong.MISSING))
    now = head()
    if now.seq < last:
        walk.link = now
        return walk.report(Fault(now.seq + 1, Wrong.BEYOND_HEAD))
    return walk.report(None)


def _by_number(known: Iterable[Link]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for link in known:
        found.setdefault(link.seq, set()).add(link.hash)
    return found


def _rows() -> Iterator[_Row]:
    # Inside a transaction the cursor reads as it goes; outside, PostgreSQL would first
    # put the whole answer aside.
    with transaction.atomic():
        entries = AuditEntry.objects.order_by("seq").values_list(*_COLUMNS)
        yield from entries.iterator(chunk_size=_AT_ONCE)


def _hash(row: _Row) -> str:
    """Return the hash that the contents of an entry have; empty when they have none."""
    seq, version, at, kind, actor_id, name, action, subject, details, previous, _ = row
    try:
        body = body_of(
            version=version,
            seq=seq,
            at=at,
            actor=Actor(ActorKind(kind), actor_id, name),
            action=action,
            subject=subject,
            details=details,
        )
        return hash_of(version=version, previous=previous, body=body)
    except (ValueError, OverflowError):
        # An unknown kind, a number that isn't finite: nothing that was ever appended.
        return ""
