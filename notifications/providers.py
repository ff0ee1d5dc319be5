"""Which provider carries a message: the first by order that has not failed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from notifications import pacing
from notifications.carriers import NEEDED, needs_provider
from notifications.models import Attempt, Notification, Provider
from notifications.transports.base import Account

# A page does not wait longer for one provider where there is another.
_PATIENCE = timedelta(seconds=5)
_TEST_SUBJECT = "provider:"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The account that carries a message, from a moment on that is reserved for it."""

    account: Account
    at: datetime


@dataclass(frozen=True, slots=True)
class Later:
    """Every provider is used as fast as it may be: come back then."""

    at: datetime


class Move(Enum):
    """What follows when a provider has failed to take a message."""

    AT_ONCE = "at once"
    BACK_OFF = "back off"
    GIVE_UP = "give up"


def able(carrier: str) -> Q:
    """Return the condition for accounts that are enabled and can carry; no secret is read."""
    condition = Q(pk__in=[])
    for (one, kind), needed in NEEDED.items():
        if one == carrier:
            filled = Q(kind=kind)
            for name in needed:
                filled &= ~Q(**{name: ""})
            condition |= filled
    return Q(is_enabled=True) & condition


def usable(carrier: str) -> QuerySet[Provider]:
    """Return the accounts that can carry, in the order in which they are used."""
    return Provider.objects.filter(able(carrier)).order_by("position", "pk")


def reachable_carriers() -> frozenset[str]:
    """Return which of the carriers that need a provider have one; one query."""
    names = {carrier for carrier, _kind in NEEDED}
    counts = Provider.objects.aggregate(
        **{name: Count("pk", filter=able(name)) for name in names}
    )
    return frozenset(name for name, count in counts.items() if count)


def choose(*, row: Notification, carrier: str, now: datetime) -> Chosen | Later | None:
    """Return who carries a claimed row and when; None when nobody can.

    Raises UnableToDecrypt when the secret of the chosen account can't be read.
    """
    found = _candidates(row, carrier)
    failures = _failures(row) if row.attempt_count > 1 else Counter()
    found.sort(key=lambda one: (failures[one.pk], _is_set_back(one, now)))
    soonest: datetime | None = None
    for provider in found:
        moment = pacing.reserve(
            provider_id=provider.pk,
            rate_per_s=provider.rate_per_s,
            lane=row.lane,
            now=now,
        )
        if moment.is_ours:
            return Chosen(account=account_of(provider), at=moment.at)
        soonest = min(soonest or moment.at, moment.at)
        is_page = row.lane == Notification.Lane.PAGING
        if not (is_page and moment.at - now > _PATIENCE):
            break
    return None if soonest is None else Later(at=soonest)


def move_after(*, row: Notification, carrier: str, provider_id: int) -> Move:
    """Return what follows a failure that was the provider's own, once it is stored."""
    candidates = [one.pk for one in _candidates(row, carrier)]
    attempts = (
        Attempt.objects.filter(notification=row, provider_id__isnull=False)
        .order_by("pk")
        .values_list("provider_id", "outcome")
    )
    outcomes: dict[int, list[str]] = {}
    for one, outcome in attempts:
        outcomes.setdefault(one, []).append(outcome)
    return next_move(candidates=candidates, outcomes=outcomes, failed=provider_id)


def next_move(
    *,
    candidates: Collection[int],
    outcomes: Mapping[int, Sequence[str]],
    failed: int,
) -> Move:
    """Decide from what each provider did with a message so far. Pure.

    Somebody who failed it less often is asked at once. When all have had their turn, it
    waits as long as one of them may take it yet, and is given up otherwise.
    """
    turns = len(outcomes.get(failed, ()))
    if any(len(outcomes.get(one, ())) < turns for one in candidates if one != failed):
        return Move.AT_ONCE
    last = {one: list(outcomes.get(one, ()))[-1:] for one in {*candidates, failed}}
    if all(said == [Attempt.Outcome.PERMANENT] for said in last.values()):
        return Move.GIVE_UP
    return Move.BACK_OFF


def account_of(provider: Provider) -> Account:
    """Open a provider for its transport; raises UnableToDecrypt."""
    return Account(
        id=provider.pk,
        kind=provider.kind,
        name=provider.name,
        account=provider.account,
        key_id=provider.key_id,
        secret=provider.secret,
        second_secret=provider.second_secret,
        sender=provider.sender,
        voice_sender=provider.voice_sender,
    )


def nobody_carries(carrier: str) -> str:
    """Say that there is no provider, and what to do."""
    return {
        "sms": _("There is no SMS provider. Add and enable one."),
        "voice": _("There is no provider for calls. Enter one's calling number."),
        "slack_bot": _("There is no Slack app. Add and enable one as a provider."),
    }.get(carrier, _("There is no provider for this. Add and enable one."))


def test_subject(provider: Provider) -> str:
    """Return what a test of a provider is about: it goes through this one alone."""
    return f"{_TEST_SUBJECT}{provider.pk}"


def _candidates(row: Notification, carrier: str) -> list[Provider]:
    if not needs_provider(carrier):
        return []
    if row.subject_key.startswith(_TEST_SUBJECT):
        pk = row.subject_key.removeprefix(_TEST_SUBJECT)
        return list(Provider.objects.filter(pk=pk).select_related("state"))
    return list(usable(carrier).select_related("state"))


def _failures(row: Notification) -> Counter[int]:
    failed = Attempt.objects.filter(
        notification=row, provider_id__isnull=False
    ).exclude(outcome=Attempt.Outcome.SENT)
    return Counter(failed.values_list("provider_id", flat=True))


def _is_set_back(provider: Provider, now: datetime) -> bool:
    state = getattr(provider, "state", None)
    until = state.set_back_until if state is not None else None
    return until is not None and until > now
