"""Random acts on a run: the gate is open exactly when a plain model says so.

The model below keeps in a few sets what the portal keeps in tables and hashes. It
shares no code with `checklists.standing`, so that a fault has to be made twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from checklists import queries, services
from checklists.actors import engine, person
from checklists.models import ChecklistRun, RunItem, SignOff, Waiver
from checklists.services import Refused
from checklists.standing import LOOKED_WITHIN, RunStanding
from t4g_portal.lib.audit import verifying
from t4g_portal.roles import MANAGER, OPS
from tests.checklists.making import (
    Found,
    Proven,
    approve_waiver,
    ask_waiver,
    make_run,
    make_template,
    publish,
    verified,
)
from tests.factories import make_user

pytestmark = pytest.mark.django_db

# So many take some seconds, and most stories get as far as an open gate.
EXAMPLES = 8
STEPS = 25
START = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
COMMITS = ("a" * 40, "b" * 40)

ITEMS: list[dict[str, Any]] = [
    {
        "key": "both",
        "title": "Two of Ops looked",
        "signatures_required": 2,
        "forbid_self": True,
        "required_role": "Ops",
    },
    {
        "key": "rule",
        "title": "The monitor is up",
        "kind": "rule",
        "verifier": "monitor_up",
        "valid_for_s": 86_400,
    },
    {
        "key": "proof",
        "title": "A report is there",
        "evidence_required": True,
        "required_role": "Manager",
    },
    {"key": "extra", "title": "Nice to have", "is_blocking": False},
]
KEYS = [item["key"] for item in ITEMS]
NAMES = ["ana", "bo", "cy", "dee"]

names = st.sampled_from(NAMES)
keys = st.sampled_from(KEYS)


@dataclass
class Note:
    """Evidence that somebody brought."""

    by: str
    revision: int
    commit: str
    is_withdrawn: bool = False
    at: datetime = START


@dataclass
class Mark:
    """A signature: who, on what, when."""

    by: str
    basis: Any
    at: datetime


@dataclass
class Leave:
    """A waiver."""

    by: str
    commit: str
    revision: int
    at: datetime
    until: datetime
    approved_by: str = ""


@dataclass
class Line:
    """One item as the model sees it."""

    asked: dict[str, Any]
    revision: int = 1
    notes: dict[int, Note] = field(default_factory=dict)
    # Of this revision and commit: what was looked at, the verdict, and when.
    found: tuple[str, str, datetime] | None = None
    marks: dict[int, Mark] = field(default_factory=dict)
    leave: tuple[int, Leave] | None = None


class RunMachine(RuleBasedStateMachine):
    """One run, four people, and whatever they do."""

    # How many steps the gate was open after, over all stories.
    ready_count: ClassVar = [0]

    def __init__(self) -> None:
        super().__init__()
        self._transaction = transaction.atomic()
        self._transaction.__enter__()
        self.now = START
        self.is_open = True
        self.commit = COMMITS[0]
        self.lines = {item["key"]: Line(item) for item in ITEMS}
        self.people: dict[str, User] = {}
        self.groups = {
            "ana": {"Ops"},
            "bo": {"Ops", "Manager"},
            "cy": {"Ops"},
            # An admin, who has every permission and no role.
            "dee": set(),
        }
        self.active = dict.fromkeys(NAMES, True)
        self.deadline = START + 10 * DAY

    def teardown(self) -> None:
        try:
            assert verifying.verify().is_intact
        finally:
            transaction.set_rollback(True)
            self._transaction.__exit__(None, None, None)

    @initialize()
    def begin(self) -> None:
        for name in NAMES:
            user = make_user(username=name, is_superuser=name == "dee")
            for role in (OPS, MANAGER):
                if role.name in self.groups[name]:
                    user.groups.add(make_group(role))
            self.people[name] = user
        self.template = make_template(*ITEMS)
        self.run_row = make_run(
            now=self.now,
            version=publish(self.template, now=self.now),
            opened_by=self.people["ana"],
            git_sha=self.commit,
            deadline=self.deadline,
        )
        self.items = {item.key: item for item in self.run_row.items.all()}

    # Acts -----------------------------------------------------------------------------

    @rule(
        step=st.sampled_from(
            [
                *(timedelta(seconds=s) for s in (1, 59, 61)),
                *(timedelta(hours=h) for h in (1, 7, 25)),
                # A clock that is set back.
                *(timedelta(seconds=-s) for s in (30, 90, 7200, 100_000)),
            ]
        )
    )
    def wait(self, step: timedelta) -> None:
        self.now += step

    @rule(key=keys, by=names)
    def bring_note(self, key: str, by: str) -> None:
        row = self.attempt(
            lambda: services.evidence.attach_note(
                **self.on(key), text="Seen", actor=person(self.people[by])
            ),
            is_allowed=self.is_open,
        )
        if row:
            line = self.lines[key]
            line.notes[row.pk] = Note(by, line.revision, self.commit, at=self.now)

    @rule(key=keys, by=names)
    def withdraw_note(self, key: str, by: str) -> None:
        notes = self.lines[key].notes
        for number in sorted(notes)[-1:]:
            done = self.attempt(
                partial(
                    services.evidence.withdraw,
                    run_id=self.run_row.pk,
                    evidence_id=number,
                    reason="Wrong",
                    actor=person(self.people[by]),
                    now=self.now,
                ),
                is_allowed=self.is_open and not notes[number].is_withdrawn,
            )
            if done:
                notes[number].is_withdrawn = True

    @rule(
        thing=st.sampled_from(["one", "two"]),
        verdict=st.sampled_from(["passed", "passed", "passed", "failed", "unknown"]),
    )
    def verify(self, thing: str, verdict: str) -> None:
        found = Found(verdict=verdict, looked_at={"thing": thing})
        self.attempt(
            partial(verified, self.items["rule"], found, now=self.now, sha=self.commit),
            is_allowed=self.is_open,
        )
        if self.is_open:
            self.lines["rule"].found = (thing, verdict, self.now)

    @rule(key=keys, by=names, meaning=st.sampled_from(["checked", "approved"]))
    def sign(self, key: str, by: str, meaning: str) -> None:
        seen = self.standing().of(key).seen
        line = self.lines[key]
        is_allowed = (
            self.is_open
            and self.may_act(by)
            and self.fits(line, by)
            and self.evidence_passes(line)
            and not any(
                mark.by == by and self.counts(line, mark)
                for mark in line.marks.values()
            )
        )
        row = self.attempt(
            lambda: self.write_signature(key, by, meaning, seen), is_allowed=is_allowed
        )
        if row:
            for number in [n for n, mark in line.marks.items() if mark.by == by]:
                del line.marks[number]
            line.marks[row.pk] = Mark(by, self.basis(line), self.now)

    @rule(
        then=st.sampled_from(["account", "role", "move", "reopen", "note"]), who=names
    )
    def do_what_is_asked(self, then: str, who: str) -> None:
        """People do their work, so that there is a gate; then something closes it."""
        for name in NAMES:
            if not self.active[name]:
                self.switch_account(name)
        for name, role in (("bo", OPS), ("bo", MANAGER), ("cy", OPS)):
            if role.name not in self.groups[name]:
                self.switch_role(name, role)
        self.verify("one", "passed")
        self.bring_note("proof", "dee")
        for key in KEYS:
            for by in ("bo", "cy"):
                self.sign(key, by, "checked")
        self.gate_is_open_exactly_when_the_model_says_so()
        match then:
            case "account":
                self.switch_account(who)
            case "role":
                self.switch_role("bo" if who == "dee" else who, OPS)
            case "move":
                self.move(COMMITS[self.commit == COMMITS[0]])
            case "reopen":
                self.reopen("both")
            case "note":
                self.bring_note("both", who)

    @rule(key=keys, by=names)
    def sign_what_was_seen_before(self, key: str, by: str) -> None:
        seen = self.standing().of(key).seen
        self.bring_note(key, by)
        if self.is_open:
            self.attempt(
                lambda: self.write_signature(key, by, "checked", seen), is_allowed=False
            )

    @rule(key=keys, by=names)
    def sign_with_an_old_password(self, key: str, by: str) -> None:
        seen = self.standing().of(key).seen
        proof = Proven(self.now - 6 * MINUTE)
        self.attempt(
            lambda: self.write_signature(key, by, "checked", seen, proof),
            is_allowed=False,
        )

    @rule(key=keys)
    def revoke(self, key: str) -> None:
        marks = self.lines[key].marks
        for number in sorted(marks)[-1:]:
            done = self.attempt(
                partial(
                    services.signing.revoke,
                    run_id=self.run_row.pk,
                    sign_off_id=number,
                    reason="Wrong",
                    user=self.people[marks[number].by],
                    now=self.now,
                ),
                is_allowed=self.is_open,
            )
            if done:
                del marks[number]

    @rule(commit=st.sampled_from(COMMITS))
    def move(self, commit: str) -> None:
        done = self.attempt(
            lambda: services.runs.move_to_commit(
                run_id=self.run_row.pk, git_sha=commit, actor=engine(), now=self.now
            ),
            is_allowed=self.is_open and commit != self.commit,
        )
        if done:
            self.commit = commit
            for line in self.lines.values():
                # Of a commit that comes back nothing counts again.
                line.revision += 1
                line.leave = line.found = None

    @rule(key=keys)
    def reopen(self, key: str) -> None:
        done = self.attempt(
            lambda: services.items.reopen(
                **self.on(key), reason="Anew", actor=engine()
            ),
            is_allowed=self.is_open,
        )
        if done:
            line = self.lines[key]
            line.revision += 1
            line.leave = line.found = None

    @rule(key=keys, by=names, days=st.sampled_from([1, 7, 90, 91]))
    def ask_leave(self, key: str, by: str, days: int) -> None:
        line = self.lines[key]
        is_taken = line.leave is not None and self.now < line.leave[1].until
        waiver = self.attempt(
            lambda: ask_waiver(
                self.items[key], self.people[by], now=self.now, days=days
            ),
            is_allowed=self.is_open
            and self.may_act(by)
            and days <= 90
            and not is_taken,
        )
        if waiver:
            leave = Leave(
                by, self.commit, line.revision, self.now, self.now + days * DAY
            )
            line.leave = (waiver.pk, leave)

    @rule(key=keys, by=names)
    def approve_leave(self, key: str, by: str) -> None:
        line = self.lines[key]
        if line.leave is None:
            return
        number, leave = line.leave
        waiver = Waiver.objects.select_related("item").get(pk=number)
        done = self.attempt(
            lambda: approve_waiver(waiver, self.people[by], now=self.now),
            is_allowed=(
                self.is_open
                and self.may_act(by)
                and not leave.approved_by
                and by != leave.by
                and self.has_role(line, by)
                and not (line.asked.get("forbid_self") and by == "ana")
                and self.now < leave.until
            ),
        )
        if done:
            leave.approved_by = by

    @rule(key=keys, by=names)
    def end_leave(self, key: str, by: str) -> None:
        line = self.lines[key]
        if line.leave is None:
            return
        number = line.leave[0]
        done = self.attempt(
            lambda: services.waivers.end(
                run_id=self.run_row.pk,
                waiver_id=number,
                reason="Met",
                user=self.people[by],
                now=self.now,
            ),
            is_allowed=self.is_open and self.may_act(by),
        )
        if done:
            line.leave = None

    @rule(name=names)
    def switch_account(self, name: str) -> None:
        self.active[name] = not self.active[name]
        User.objects.filter(username=name).update(is_active=self.active[name])

    @rule(
        name=st.sampled_from(["ana", "bo", "cy"]), role=st.sampled_from([OPS, MANAGER])
    )
    def switch_role(self, name: str, role: Any) -> None:
        held, user = self.groups[name], self.people[name]
        if role.name in held:
            user.groups.remove(make_group(role))
        else:
            user.groups.add(make_group(role))
        held ^= {role.name}

    @rule()
    def edit_template(self) -> None:
        """What is in use is a copy."""
        for item in self.template.sections.get().items.all():
            item.title += "!"
            item.title = item.title[-50:]
            item.signatures_required = 1
            item.save()
        publish(self.template, now=self.now)

    @rule()
    def keep_house(self) -> None:
        services.waivers.expire_due(now=self.now)
        for line in self.lines.values():
            if self.is_open and line.leave and self.now >= line.leave[1].until:
                line.leave = None
        ended = services.runs.expire_due(now=self.now)
        assert bool(ended) == (self.is_open and self.now >= self.deadline)
        self.is_open = self.is_open and not ended

    @precondition(lambda self: self.is_ready())
    @rule(is_meant=st.integers(0, 5).map(lambda number: number == 0))
    def close(self, is_meant: bool) -> None:
        if is_meant:
            services.runs.close(run_id=self.run_row.pk, actor=engine(), now=self.now)
            self.is_open = False

    @precondition(lambda self: not self.is_ready())
    @rule()
    def close_too_early(self) -> None:
        self.attempt(
            lambda: services.runs.close(
                run_id=self.run_row.pk, actor=engine(), now=self.now
            ),
            is_allowed=False,
        )

    # What always holds ----------------------------------------------------------------

    @invariant()
    def gate_is_open_exactly_when_the_model_says_so(self) -> None:
        if not self.people:
            return
        standing = self.standing()
        assert standing.is_ready == self.is_ready()
        if self.is_open:
            for one in standing.items:
                assert one.passes == self.passes(self.lines[one.key]), one

        if standing.is_ready:
            self.ready_count[0] += 1
            self.check_until(standing.valid_until)

    def check_until(self, until: datetime | None) -> None:
        """Time alone closes the gate when it says."""
        assert until is not None
        assert until > self.now
        assert self.is_ready(at=until - timedelta(microseconds=1))
        assert not self.is_ready(at=until)

    @invariant()
    def nobody_signs_twice(self) -> None:
        present = SignOff.objects.filter(
            revoked_at__isnull=True, superseded_at__isnull=True, waiver__isnull=True
        ).values_list("item", "user")
        assert len(present) == len(set(present))

    # The model ------------------------------------------------------------------------

    def is_ready(self, *, at: datetime | None = None) -> bool:
        at = at or self.now
        return (
            self.is_open
            and at < self.deadline
            and all(
                self.passes(line, at=at)
                for line in self.lines.values()
                if line.asked.get("is_blocking", True)
            )
        )

    def passes(self, line: Line, *, at: datetime | None = None) -> bool:
        at = at or self.now
        signers = {
            mark.by for mark in line.marks.values() if self.counts(line, mark, at)
        }
        is_met = self.evidence_passes(line, at) and (
            len(signers) >= line.asked.get("signatures_required", 1)
        )
        return is_met or self.is_waived(line, at)

    def is_waived(self, line: Line, at: datetime) -> bool:
        if line.leave is None:
            return False
        leave = line.leave[1]
        return (
            bool(leave.approved_by)
            and at < leave.until
            and leave.at <= at + MINUTE
            and self.may_act(leave.by)
            and self.may_act(leave.approved_by)
            and self.has_role(line, leave.approved_by)
        )

    def counts(self, line: Line, mark: Mark, at: datetime | None = None) -> bool:
        at = at or self.now
        valid_for = line.asked.get("valid_for_s")
        return (
            mark.basis == self.basis(line)
            and self.may_act(mark.by)
            and self.fits(line, mark.by)
            and mark.at <= at + MINUTE
            and not (valid_for and at - mark.at >= timedelta(seconds=valid_for))
        )

    def evidence_passes(self, line: Line, at: datetime | None = None) -> bool:
        # Of a moment to come it is taken that the portal goes on looking till then.
        at = at or self.now
        looked_within = timedelta.max if at > self.now else LOOKED_WITHIN
        notes = self.notes(line)
        if any(note.at > at + MINUTE for note in notes.values()):
            return False
        valid_for = timedelta(seconds=line.asked.get("valid_for_s") or 10**9)
        if any(at - note.at >= valid_for for note in notes.values()):
            return False
        if line.asked.get("kind") == "rule":
            if line.found is None:
                return False
            _thing, verdict, found_at = line.found
            return (
                verdict == "passed"
                and found_at <= at + MINUTE
                and at - found_at < valid_for
                and at - found_at <= looked_within
            )
        return bool(notes) or not line.asked.get("evidence_required")

    def notes(self, line: Line) -> dict[int, Note]:
        return {
            number: note
            for number, note in line.notes.items()
            if not note.is_withdrawn
            and (note.revision, note.commit) == (line.revision, self.commit)
        }

    def basis(self, line: Line) -> Any:
        # Notes of one text are alike; that is how many there are.
        return (
            self.commit,
            line.revision,
            len(self.notes(line)),
            (line.found or ())[:2],
        )

    def fits(self, line: Line, name: str) -> bool:
        if line.asked.get("forbid_self") and (
            name == "ana" or any(note.by == name for note in self.notes(line).values())
        ):
            return False
        return self.has_role(line, name)

    def has_role(self, line: Line, name: str) -> bool:
        role = line.asked.get("required_role")
        return not role or role in self.groups[name]

    def may_act(self, name: str) -> bool:
        return self.active[name] and (name == "dee" or bool(self.groups[name]))

    # Inside ---------------------------------------------------------------------------

    def standing(self) -> RunStanding:
        return queries.load_run(self.run_row.pk, now=self.now).standing

    def on(self, key: str) -> dict[str, Any]:
        return {
            "run_id": self.run_row.pk,
            "item_id": self.items[key].pk,
            "now": self.now,
        }

    def write_signature(
        self, key: str, by: str, meaning: str, seen: str, proof: Proven | None = None
    ) -> SignOff:
        return services.signing.sign(
            **self.on(key),
            user=self.people[by],
            meaning=meaning,
            seen_statement_hash=seen,
            proof=proof or Proven(self.now),
        )

    def attempt(self, act: Callable[[], Any], *, is_allowed: bool) -> Any:
        """Do it, and see that it is refused exactly when it has to be."""
        before = self.rows()
        if is_allowed:
            return act()
        with pytest.raises(Refused), transaction.atomic():
            act()
        assert self.rows() == before
        return None

    def rows(self) -> list[int]:
        models = (SignOff, Waiver, ChecklistRun, RunItem)
        return [model._default_manager.count() for model in models]


def make_group(role: Any) -> Group:
    """The group of a role with what it may do."""
    group, is_new = Group.objects.get_or_create(name=role.name)
    if is_new:
        somebody = make_user(role=role)
        somebody.groups.clear()
    return group


def test_gate_opens_for_valid_signatures_alone_whatever_people_do(db: Any):
    run_state_machine_as_test(
        RunMachine,
        settings=hypothesis_settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            # A failing story is told as it was found: making it shorter takes minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    # A machine that never opens the gate would prove little.
    assert RunMachine.ready_count[0] >= EXAMPLES
