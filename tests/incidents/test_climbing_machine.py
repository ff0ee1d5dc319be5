"""Random policies, random acts, two engines: no page lost, none after, none doubled."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from incidents import intake, services
from incidents.advancing import advance_due
from incidents.models import Incident, IncidentEvent, PriorityRule
from notifications.models import Notification
from tests.factories import make_channel, make_policy, make_service, make_user
from tests.incidents.making import deliver, refuse, reread

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

_steps = st.lists(
    st.fixed_dictionaries(
        {
            "after_s": st.sampled_from((0, 0, 120, 300, 600)),
            "repeat_s": st.sampled_from((0, 60, 180, 300)),
            "repeat_limit": st.sampled_from((0, 0, 1, 3)),
            "channels": st.sets(st.integers(0, 3), max_size=2),
        }
    ),
    max_size=4,
)
# Some of them are outwaited: what ends by itself must end aloud.
_acts = st.lists(
    st.sampled_from(
        (
            ("tick",),
            ("wait",),
            ("deliver",),
            ("refuse",),
            ("acknowledge",),
            ("acknowledge", "wait"),
            ("acknowledge", "unacknowledge"),
            ("unacknowledge",),
            ("snooze",),
            ("snooze", "wait"),
            ("escalate",),
            ("raise",),
            ("lower",),
            ("recover",),
            ("recover", "fail"),
            ("fail",),
        )
    ),
    max_size=10,
).map(lambda acts: list(chain.from_iterable(acts)))


_ALIVE = ("queued", "sending", "sent")
# Why a page leaves in its turn, and not because another one came to nothing.
_IN_TURN = {"opened", "reminded", "returned", "woken", "expired", "retried"}


def _due(step: dict[str, Any], since: timedelta) -> bool:
    """Whether a step's run falls on a minute, counted from the beginning of the climb."""
    waited = since - timedelta(seconds=step["after_s"])
    if waited <= timedelta() or not step["repeat_s"]:
        return waited == timedelta()
    number, rest = divmod(waited, timedelta(seconds=step["repeat_s"]))
    return not rest and (not step["repeat_limit"] or number <= step["repeat_limit"])


class Portal:
    """One incident's story, minute by minute.

    Beside it runs a plain account of what the policies say: when the climb began, and so
    which steps must have been taken at this minute. It is silent (None) after acts that
    shift the clock, until the next climb begins.
    """

    def __init__(
        self, policies: list[Any], usable: set[int], expires: int, first: str
    ) -> None:
        self.steps = {
            priority: sorted(steps, key=lambda step: step["after_s"])
            for priority, steps in zip(("p0", "p1"), policies, strict=True)
        }
        self.is_anybody_usable = any(
            step["channels"] & usable for steps in policies for step in steps
        )
        self.expires, self.is_refused, self.usable = expires, False, usable
        self.began: datetime | None = None
        self.heard = 0
        channels = [make_channel(is_enabled=n in usable) for n in range(4)]
        self.channels = [channel.pk for channel in channels]
        for priority, steps in zip(("p0", "p1"), policies, strict=True):
            rows = [
                {**step, "channels": [channels[n] for n in step["channels"]]}
                for step in steps
            ]
            PriorityRule.objects.create(
                priority=priority,
                response_s=300,
                policy=make_policy(*rows, name=priority, ack_expires_s=expires),
            )
        self.user, self.service, self.now = make_user(), make_service(), START
        self.incident = self.fire(first).incident
        self.climb()

    def fire(self, priority: str) -> Any:
        return intake.trigger(
            dedup_key="k",
            service=self.service,
            title="Shop is down",
            priority=priority,
            started_at=self.now,
            now=self.now,
        )

    def do(self, act: str) -> None:
        before = reread(self.incident)
        if self.act(act):
            self.follow(act, before)

    def act(self, act: str) -> bool:
        """Do it; return whether the incident's state allowed it."""
        values: dict[str, Any] = {
            "incident_id": self.incident.pk,
            "user": self.user,
            "via": "web",
            "now": self.now,
        }
        try:
            match act:
                case "deliver":
                    deliver(now=self.now)
                case "refuse":
                    self.is_refused = True
                    refuse(now=self.now)
                case "acknowledge":
                    services.acknowledge(**values)
                case "unacknowledge":
                    services.unacknowledge(**values)
                case "snooze":
                    services.snooze(**values, until=self.now + 5 * MINUTE)
                case "escalate":
                    services.escalate_now(**values)
                case "raise" | "lower" if reread(self.incident).is_open:
                    self.fire("p0" if act == "raise" else "p1")
                case "recover":
                    intake.resolve(dedup_key="k", now=self.now)
                case "fail":
                    self.incident = self.fire("p0").incident
        except services.UnableToAct:
            return False
        return True

    def follow(self, act: str, before: Incident) -> None:
        """Keep the account of what an act sets off."""
        incident = reread(self.incident)
        if incident.pk != before.pk or act == "unacknowledge":
            self.climb()
        elif act == "escalate":
            self.began = None
            assert "escalated" in self.told() or incident.is_untold
        elif (incident.status, incident.priority) != (before.status, before.priority):
            self.began = None
        if act == "snooze":
            self.began = None
        if before.is_open and incident.priority < before.priority:
            self.check_raised(incident)
        if not before.is_open and incident.pk == before.pk:
            self.check_reopened(incident, before)
        if incident.status == Incident.Status.ACKNOWLEDGED:
            assert (incident.ack_expires_at is not None) == bool(self.expires)

    def check_raised(self, incident: Incident) -> None:
        """Whoever the higher priority tells at once knows, or is told."""
        wanted = {
            self.channels[n]
            for step in self.steps[incident.priority]
            if not step["after_s"]
            for n in step["channels"] & self.usable
        }
        assert wanted <= self.places(status__in=_ALIVE)

    def check_reopened(self, incident: Incident, before: Incident) -> None:
        """Whose page its end withdrew is told now, unless somebody has it."""
        if (incident.status, incident.priority) == ("triggered", before.priority):
            withdrawn = self.places(
                outcome="resolved", queued_at__gte=incident.escalation_began_at
            )
            assert incident.snoozed_until or withdrawn <= self.places(status__in=_ALIVE)

    def places(self, **values: Any) -> set[int]:
        """The channels of some pages."""
        return set(self.pages(**values).values_list("channel_id", flat=True))

    def climb(self) -> None:
        """A climb begins at this moment."""
        self.began = self.now
        self.check_steps()

    def check_steps(self) -> None:
        """What was told since the last look is what the policy says for this minute."""
        incident, told = reread(self.incident), self.told()
        steps = self.steps[incident.priority]
        if incident.is_untold:
            assert self.is_refused or not self.is_anybody_usable
            self.began = None
        if self.began is None or not steps:
            return
        expected = {
            place + 1
            for place, step in enumerate(steps)
            if _due(step, self.now - self.began)
        }
        in_turn = [steps for reason, steps in told.items() if reason in _IN_TURN]
        assert set().union(*in_turn) == expected

    def told(self) -> dict[str, set[int]]:
        """The steps that the timeline says were told since the last look, by reason."""
        lines = IncidentEvent.objects.filter(
            incident=self.incident,
            kind__in=["notified", "escalated"],
            pk__gt=self.heard,
        ).order_by("pk")
        found: dict[str, set[int]] = {}
        for line in lines:
            self.heard = line.pk
            if "steps" in line.data:
                found.setdefault(line.data["reason"], set()).update(line.data["steps"])
                # A line without a message would be a lie.
                assert self.pages(queued_at=line.at).exists()
        return found

    def tick(self) -> None:
        """Two engines in a row: what the first has done, the second finds done."""
        before_tick = reread(self.incident)
        is_over = before_tick.snoozed_until or before_tick.ack_expires_at
        is_asleep = is_over is not None and is_over > self.now
        advance_due(now=self.now)
        if before_tick.is_open and is_over is not None and not is_asleep:
            self.climb()
        elif before_tick.status == Incident.Status.TRIGGERED and not is_asleep:
            self.check_steps()
        before = self.pages().count()
        advance_due(now=self.now)
        assert self.pages().count() == before

    @property
    def subject(self) -> str:
        return f"incident:{self.incident.pk}"

    def pages(self, **values: Any) -> Any:
        return Notification.objects.filter(
            subject_key=self.subject, purpose="page", **values
        )

    def check(self, *, is_ticked: bool = False) -> None:
        """What must hold after every act and every tick."""
        incident = reread(self.incident)
        is_quiet = incident.status != Incident.Status.TRIGGERED or (
            incident.snoozed_until is not None and incident.snoozed_until > self.now
        )
        waiting = self.pages(status="queued")
        if is_quiet and incident.status != Incident.Status.ACKNOWLEDGED:
            assert not waiting.exists()
        if incident.status == Incident.Status.ACKNOWLEDGED:
            # A raise after the acknowledgement tells once who does not know yet.
            reasons = set(
                IncidentEvent.objects.filter(
                    incident=incident, kind="notified", at__gte=incident.acknowledged_at
                ).values_list("data__reason", flat=True)
            )
            assert not waiting.exists() or "raised" in reasons
        keys = [
            key.rsplit(":", 2)[1:]
            for key in self.pages().values_list("idempotency_key", flat=True)
        ]
        assert max(Counter(map(tuple, keys)).values(), default=1) == 1
        if incident.status == Incident.Status.TRIGGERED and not is_quiet:
            alive = self.pages(status__in=_ALIVE).exists()
            # Somebody knows, or will be looked for.
            assert alive or incident.next_escalation_at is not None
            due_at = incident.next_escalation_at
            # What is due has been done: nothing waits for a tick that has been.
            assert not is_ticked or due_at is None or due_at > self.now
            if is_ticked:
                self.check_refused(incident)

    def check_refused(self, incident: Incident) -> None:
        """What was refused went another way, or nobody is left and that is said."""
        began_at = incident.escalation_began_at or START
        pages = self.pages(queued_at__gte=began_at)
        if pages.filter(status="dead").exists() and not incident.is_untold:
            assert pages.filter(status__in=_ALIVE).exists()


def _at_once(channel: int) -> list[dict[str, Any]]:
    return [{"after_s": 0, "repeat_s": 0, "repeat_limit": 0, "channels": {channel}}]


# What chance finds only now and then: who a raise has to tell.
@example(
    policies=(_at_once(0), _at_once(1)),
    usable={0, 1},
    expires=0,
    first="p1",
    acts=["deliver", "raise"],
)
# Nobody was told yet, and the new policy names nobody.
@example(
    policies=([{**_at_once(0)[0], "after_s": 120, "channels": set()}], []),
    usable=set(),
    expires=0,
    first="p0",
    acts=["lower"],
)
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    policies=st.tuples(_steps, _steps),
    usable=st.sets(st.integers(0, 3)),
    expires=st.sampled_from((0, 300)),
    first=st.sampled_from(("p0", "p1")),
    acts=_acts,
)
def test_no_page_is_lost_none_follows_an_acknowledgement_and_none_is_doubled(
    policies, usable, expires, first, acts
):
    with transaction.atomic():
        portal = Portal(list(policies), usable, expires, first)
        portal.check()
        for act in acts:
            portal.do(act)
            portal.check()
            # Until a snooze and an acknowledgement have ended.
            for _ in range(5 if act == "wait" else 1):
                portal.now += MINUTE
                portal.tick()
                portal.check(is_ticked=True)
        transaction.set_rollback(True)
