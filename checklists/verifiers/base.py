"""The shape of a verifier: what it is asked, and what it answers.

A verifier is one file beside this one, with a `VERIFIER`, and a line in `registry`. It
reads, it never writes; it runs outside any transaction, because some of them ask a host.
A finding is codes and values, never sentences: it is hashed, kept and signed, and each
reader reads it in their own language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from checklists.verifiers import saying


class Verdict(StrEnum):
    """What a verifier says. Only the first lets an item be signed as checked."""

    PASSED = "passed"
    FAILED = "failed"
    # Nobody can tell now: too little was seen, or the fault is ours.
    UNKNOWN = "unknown"
    # What would have to be looked at is not connected to the portal.
    NOT_CONNECTED = "not_connected"


# Of several things, the worst one speaks for all.
_WORST_FIRST = (
    Verdict.FAILED,
    Verdict.UNKNOWN,
    Verdict.NOT_CONNECTED,
    Verdict.PASSED,
)


@dataclass(frozen=True, slots=True)
class Subject:
    """The release that is asked about."""

    run_id: int
    service_id: int
    service_slug: str
    environment: str
    git_sha: str
    deployment: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """What a verifier saw.

    `looked_at`: what it was, with all that decides whether it is the same thing as last
    time; no figure and no moment, because a sign-off rests on it and lasts as long as
    it does. `observed`: the figures and moments of this time. `code` with `values` is a
    sentence of the verifier's `phrases`. All of it is JSON without floats.
    """

    verdict: Verdict
    code: str
    looked_at: Mapping[str, Any]
    values: Mapping[str, Any] = field(default_factory=dict)
    observed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that a template sets: `kind` is a name of `parameters.KINDS`.

    A default of None asks for a value.
    """

    name: str
    label: Any
    kind: str
    default: Any = None
    help: Any = ""
    minimum: int = 0
    maximum: int = 0
    choices: tuple[tuple[str, Any], ...] = ()

    @property
    def is_required(self) -> bool:
        """Whether a template must set it."""
        return self.default is None


Parameters = Mapping[str, Any]
Look = Callable[[Subject, Parameters, datetime], Finding]


@dataclass(frozen=True, slots=True)
class Verifier:
    """One way to prove something, and how it is said.

    `look` gets every parameter that is declared, checked and filled up with defaults.
    """

    name: str
    label: Any
    # What it proves, in a sentence for whoever writes a template.
    help: Any
    parameters: tuple[Parameter, ...]
    look: Look
    phrases: Mapping[str, Any]

    def words(self, code: str, values: Mapping[str, Any]) -> str:
        """Say a finding in the active language and time zone."""
        return saying.say(self.phrases, code, values)


def together(
    things: str, found: Sequence[Finding], *, code: str, **looked_at: Any
) -> Finding:
    """Return one finding about several things: the worst speaks, and all are kept.

    `things` names the list of them. `code` is said when all of them passed, with their
    `count`; a single one speaks for itself.
    """
    worst = min(found, key=lambda one: _WORST_FIRST.index(one.verdict))
    observed = [{"code": one.code, **one.values, **one.observed} for one in found]
    says_all = worst.verdict is Verdict.PASSED and len(found) > 1
    return Finding(
        verdict=worst.verdict,
        code=code if says_all else worst.code,
        values={"count": len(found)} if says_all else worst.values,
        looked_at={**looked_at, things: [dict(one.looked_at) for one in found]},
        observed={things: observed},
    )


def passed(code: str, looked_at: Mapping[str, Any], **values: Any) -> Finding:
    """Return that something is as it should be."""
    return Finding(Verdict.PASSED, code, looked_at, values)


def failed(code: str, looked_at: Mapping[str, Any], **values: Any) -> Finding:
    """Return that something is not as it should be."""
    return Finding(Verdict.FAILED, code, looked_at, values)


def unknown(code: str, looked_at: Mapping[str, Any], **values: Any) -> Finding:
    """Return that nobody can tell now."""
    return Finding(Verdict.UNKNOWN, code, looked_at, values)


def not_connected(code: str, looked_at: Mapping[str, Any], **values: Any) -> Finding:
    """Return that the portal gets nothing of the kind."""
    return Finding(Verdict.NOT_CONNECTED, code, looked_at, values)
