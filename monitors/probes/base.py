"""What a probe is asked and what it answers. No ORM, no clock but the loop's.

A probe kind is one file beside this one: an options dataclass and a class with the
`Probe` shape, named in `monitors.probes.registry`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from t4g_portal.lib.egress import Stage


class UnableToParse(Exception):
    """A monitor's configuration makes no sense; `field` names where."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Outcome(enum.StrEnum):
    """What one probe says about its target."""

    PASSED = "passed"
    FAILED = "failed"
    # Our own fault (no network, a bug, no file handles): says nothing of the target.
    ERROR = "error"


class Reason(enum.IntEnum):
    """Why a result is what it is; stored as a small integer beside each result.

    HTTP status codes (100–599) stand for themselves and mean "this status was not
    expected".
    """

    OK = 0
    TIMEOUT = 1
    DNS = 2
    REFUSED = 3
    UNREACHABLE = 4
    CONNECTION_LOST = 5
    PROTOCOL = 6
    TLS = 10
    TLS_EXPIRED = 11
    TLS_NOT_YET_VALID = 12
    TLS_WRONG_HOST = 13
    TLS_UNTRUSTED = 14
    TOO_MANY_REDIRECTS = 20
    BAD_REDIRECT = 21
    ASSERTION = 30
    AUTHENTICATION = 31
    UNEXPECTED_ANSWER = 32
    BLOCKED_ADDRESS = 40
    MISCONFIGURED = 41
    HEARTBEAT_MISSED = 50
    HEARTBEAT_FAILED = 51
    # 90 to 99: ours, outcome ERROR.
    INTERNAL = 90
    OFFLINE = 91
    NO_RESOURCES = 92


@dataclass(frozen=True, slots=True)
class AssertionSpec:
    """One expectation on what a probe saw.

    `subject` is one of `monitors.probes.assertions.SUBJECTS`, `operator` one of its
    OPERATORS; `argument` is the header's name or the JMESPath; `expected` is text as
    typed by a person.
    """

    subject: str
    operator: str
    argument: str
    expected: str


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One question to one target. Times in seconds."""

    monitor_id: int
    kind: str
    target: str
    # The kind's own options dataclass, already parsed.
    options: Any
    timeout_s: float
    secret: str = field(default="", repr=False)
    assertions: tuple[AssertionSpec, ...] = ()
    # Whether private networks in EGRESS_ALLOWED_NETWORKS may be reached.
    may_use_private_targets: bool = False


@dataclass(slots=True)
class Phases:
    """Milliseconds spent in each phase; None where a phase did not happen.

    Filled while the probe runs, so a timeout can say how far it got: `stage` is what
    the probe is waiting for.
    """

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    transfer_ms: float | None = None
    stage: Stage = field(default=Stage.START, compare=False, repr=False)

    @property
    def total_ms(self) -> float:
        """The sum of the phases that happened."""
        return (
            (self.dns_ms or 0.0)
            + (self.connect_ms or 0.0)
            + (self.tls_ms or 0.0)
            + (self.first_byte_ms or 0.0)
            + (self.transfer_ms or 0.0)
        )


@dataclass(frozen=True, slots=True)
class Certificate:
    """The leaf certificate that a TLS target showed."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint_sha256: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one probe found out.

    `message` is one line for people ("HTTP 503, expected 200–299"), `excerpt` at most
    1 KiB of what was received, `failed_assertion` names the assertion with what was
    seen. `facts` holds extras for the monitor page (redirects, answers, versions).
    """

    outcome: Outcome
    reason: int
    message: str
    phases: Phases
    status_code: int | None = None
    failed_assertion: str = ""
    excerpt: str = ""
    certificate: Certificate | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Probe(Protocol):
    """The shape of a probe kind."""

    kind: ClassVar[str]
    # A translatable name for the admin.
    label: ClassVar[Any]
    # A frozen dataclass; every field has a default, and metadata label/help/choices.
    options_type: ClassVar[type[Any]]
    # An example for the target field, such as "https://example.org/health".
    target_example: ClassVar[str]
    # Subjects that an assertion on this kind may name.
    subjects: ClassVar[frozenset[str]]
    # True where the target comes to us; such a kind is never probed.
    is_passive: ClassVar[bool]

    def check_target(self, target: str) -> None:
        """Raise UnableToParse("target", …) when the target can't be probed."""

    async def probe(self, request: ProbeRequest, phases: Phases) -> ProbeResult:
        """Ask once. Expected failures are results; only bugs raise.

        The caller holds the deadline: `registry.run` cancels at `timeout_s` and makes
        a TIMEOUT result of the phases so far.
        """
