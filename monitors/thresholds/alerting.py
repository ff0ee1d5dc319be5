"""What a round of judging has to say: which alerts begin, change and end, in words.

Decides on plain values and writes nothing; `monitors.thresholds.rounds` carries it out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import pgettext

from monitors.models import Threshold
from monitors.thresholds.assessing import Assessment, Assessor
from monitors.thresholds.judging import Level, Standing
from monitors.thresholds.sentences import alert_detail, alert_title, priority_of
from monitors.thresholds.standings import KEY_PREFIX, MONITOR, Place, Subject

Measure = Threshold.Measure

# A certificate that expires next week makes nothing slow or wrong today.
_DEGRADING = frozenset({Measure.LATENCY, Measure.ERROR_RATIO, Measure.FAILURES})
# What lasts for days stands in an incident of its own, or an acknowledged one would
# swallow the next outage of the service.
_GROUPS = {Measure.TLS_DAYS: "certificates"}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to tell `incidents.intake`. `is_over`: resolve; the rest is unused."""

    dedup_key: str
    is_over: bool
    detail: str
    service_id: int = 0
    title: str = ""
    priority: str = ""
    started_at: datetime | None = None
    source: str = ""
    grouping_key: str = ""
    # Whether it makes the monitor degraded, which its service may show.
    is_degrading: bool = False


@dataclass(frozen=True, slots=True)
class Degrading:
    """Whether thresholds complain of an up monitor, since when and about what."""

    is_degraded: bool
    since: datetime
    message: str


@dataclass(slots=True)
class Case:
    """Everything that is written together for one subject."""

    subject: Subject | None
    standings: dict[Place, Standing] = field(default_factory=dict)
    forgotten: list[Place] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    degrading: Degrading | None = None

    @property
    def is_plain(self) -> bool:
        """Whether only standings are to be written."""
        return not (self.forgotten or self.steps or self.degrading)


class Round:
    """What was found in one round, turned into cases, one for each subject.

    `firing`: priorities of our firing alerts by dedup key. Texts are in the language
    that is active.
    """

    def __init__(
        self,
        *,
        thresholds: Iterable[Threshold],
        assessor: Assessor,
        known: Mapping[Place, Standing],
        assessments: Sequence[Assessment],
        firing: Mapping[str, str],
        now: datetime,
    ) -> None:
        self._thresholds = {threshold.pk: threshold for threshold in thresholds}
        self._assessor = assessor
        self._assessments = assessments
        self._known = known
        self._firing = firing
        self._now = now
        self._cases: dict[Subject | None, Case] = {}
        # How everything stands after this round.
        self._after = dict(known)
        self._after.update((found.place, found.after) for found in assessments)

    def newly_slow(self) -> set[int]:
        """Return the monitors whose latency fires since this round."""
        return {
            found.judged.subject.id
            for found in self._assessments
            if found.threshold.measure == Measure.LATENCY
            and any(change.level is not Level.OK for change in found.transitions)
        }

    def cases(self, *, phases: Mapping[int, str]) -> list[Case]:
        """Return everything to be written.

        `phases`: words on the slowest phase of the `newly_slow`.
        """
        for found in self._assessments:
            case = self._case(found.judged.subject)
            case.standings[found.place] = found.after
            case.steps.extend(self._steps(found, phases))
        self._forget_what_no_longer_applies()
        self._end_strays()
        self._heal()
        self._degrade()
        return list(self._cases.values())

    def _heal(self) -> None:
        """Raise what was lost or ended while it holds, and follow edited priorities."""
        for place, threshold, standing in list(self._firing_wrongly()):
            step = self._raise(place, threshold, standing, "")
            self._case(place.subject).steps.append(step)

    def _degrade(self) -> None:
        """Note which monitors thresholds complain of, where that is news."""
        complaints = defaultdict(list)
        for place, standing in self._after.items():
            threshold = self._thresholds.get(place.threshold_id)
            if (
                standing.level is not Level.OK
                and place.subject.kind == MONITOR
                and threshold is not None
                and threshold.measure in _DEGRADING
            ):
                complaints[place.subject.id].append((threshold, standing))
        for row in self._assessor.monitors.values():
            found = complaints.get(row.monitor_id, [])
            if bool(found) != row.is_degraded:
                subject = Subject(MONITOR, row.monitor_id)
                self._case(subject).degrading = self._degrading(subject, found)

    def _case(self, subject: Subject | None) -> Case:
        return self._cases.setdefault(subject, Case(subject=subject))

    def _steps(self, found: Assessment, phases: Mapping[int, str]) -> Iterator[Step]:
        """Say what an assessment changed.

        What began and ended within one round is said too, so that it depends on no
        tick whether a short breach is in the history.
        """
        raised = [
            change for change in found.transitions if change.level is not Level.OK
        ]
        if raised:
            newest = raised[-1]
            standing = Standing(
                level=newest.level, since=newest.since, value=newest.value
            )
            is_latency = found.threshold.measure == Measure.LATENCY
            more = phases.get(found.judged.subject.id, "") if is_latency else ""
            yield self._raise(found.place, found.threshold, standing, more)
        if found.transitions and found.after.level is Level.OK:
            yield Step(
                dedup_key=found.place.dedup_key,
                is_over=True,
                detail=alert_detail(
                    found.threshold,
                    level=found.after.level,
                    value=found.transitions[-1].value,
                    unit=found.judged.unit,
                ),
            )

    def _raise(
        self, place: Place, threshold: Threshold, standing: Standing, more: str
    ) -> Step:
        judged = self._assessor.judged(place.subject)
        detail = alert_detail(
            threshold,
            level=standing.level,
            value=standing.value or 0.0,
            unit=judged.unit,
        )
        return Step(
            dedup_key=place.dedup_key,
            is_over=False,
            detail=f"{detail}\n{more}".strip(),
            service_id=judged.service_id or threshold.service_id or 0,
            title=alert_title(threshold, judged.name),
            priority=priority_of(threshold, standing.level),
            started_at=standing.since or self._now,
            source=place.subject.source,
            grouping_key=_GROUPS.get(Measure(threshold.measure), ""),
            is_degrading=threshold.measure in _DEGRADING,
        )

    def _forget_what_no_longer_applies(self) -> None:
        for place, standing in self._known.items():
            threshold = self._thresholds.get(place.threshold_id)
            if threshold is not None and self._assessor.applies(place, threshold):
                continue
            del self._after[place]
            case = self._case(place.subject)
            case.forgotten.append(place)
            if standing.level is not Level.OK:
                case.steps.append(self._end(place.dedup_key))

    def _end_strays(self) -> None:
        """End alerts whose threshold or subject was deleted with its standing."""
        said = {step.dedup_key for case in self._cases.values() for step in case.steps}
        stands = {
            place.dedup_key
            for place, standing in self._after.items()
            if standing.level is not Level.OK
        }
        for key in self._firing:
            if key.startswith(KEY_PREFIX) and key not in stands and key not in said:
                self._case(None).steps.append(self._end(key))

    def _end(self, dedup_key: str) -> Step:
        return Step(
            dedup_key=dedup_key,
            is_over=True,
            detail=pgettext("stored", "The threshold was removed or applies no more"),
        )

    def _firing_wrongly(self) -> Iterator[tuple[Place, Threshold, Standing]]:
        """Find what fires under another priority than it should, or not at all."""
        said = {step.dedup_key for case in self._cases.values() for step in case.steps}
        for place, standing in self._after.items():
            threshold = self._thresholds.get(place.threshold_id)
            if standing.level is Level.OK or threshold is None:
                continue
            key = place.dedup_key
            wanted = priority_of(threshold, standing.level)
            if (
                key not in said
                and self._firing.get(key) != wanted
                and self._assessor.may_raise(place)
            ):
                yield place, threshold, standing

    def _degrading(
        self, subject: Subject, complaints: Sequence[tuple[Threshold, Standing]]
    ) -> Degrading:
        if not complaints:
            ended = [
                found.after.since
                for found in self._assessments
                if found.judged.subject == subject and found.after.since is not None
            ]
            return Degrading(False, max(ended, default=self._now), "")
        threshold, standing = max(complaints, key=lambda found: found[1].level.rank)
        return Degrading(
            is_degraded=True,
            since=min(
                standing.since or self._now for _threshold, standing in complaints
            ),
            message=alert_detail(
                threshold, level=standing.level, value=standing.value or 0.0
            ),
        )
