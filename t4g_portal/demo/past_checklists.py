"""Two releases on their way: one that a single signature holds up, and one that is stuck.

Everything is done through the services, as people would have done it; only the clock of
the first acts is made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User

from checklists import queries, services, verifying
from checklists.actors import person
from checklists.models import ChecklistRun, ChecklistTemplate, RunItem, TemplateVersion
from incidents.models import Incident, Service
from incidents.services import acknowledge
from monitors.drills import running
from monitors.models import Monitor
from notifications.models import Notification
from t4g_portal.lib.reauthentication import Proof

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_REVIEW = "https://git.shop.example/shop/pulls/418"


def write(*, now: datetime, people: dict[str, User]) -> None:
    """Write the runs of the demo. After `past`, whose results they are proven by."""
    _rehearse(now - 2 * DAY, people)
    version = _publish(now - 2 * DAY, people["jules"])
    ready = _open(version, "api", "4f2a9c1e7b60", now - 5 * HOUR, people["jules"], now)
    stuck = _open(version, "shop", "91d3e07ab25c", now - 3 * HOUR, people["sofia"], now)
    _make_ready(_Release(ready, now, people))
    _get_stuck(_Release(stuck, now, people))


@dataclass(frozen=True, slots=True)
class _Release:
    """A run, and what people do to it now."""

    run: ChecklistRun
    now: datetime
    people: dict[str, User]

    def item(self, key: str) -> RunItem:
        return self.run.items.get(key=key)

    def verify(self, *keys: str) -> None:
        """Let the portal look, as the next tick would."""
        for key in keys:
            verifying.verify(
                run_id=self.run.pk, item_id=self.item(key).pk, now=self.now
            )

    def link(self, key: str, by: str, url: str, title: str) -> None:
        services.evidence.attach_link(
            run_id=self.run.pk,
            item_id=self.item(key).pk,
            url=url,
            title=title,
            actor=person(self.people[by]),
            now=self.now,
        )

    def note(self, key: str, by: str, text: str) -> None:
        services.evidence.attach_note(
            run_id=self.run.pk,
            item_id=self.item(key).pk,
            text=text,
            actor=person(self.people[by]),
            now=self.now,
        )

    def sign(self, key: str, by: str, *, meaning: str = "checked") -> None:
        """Sign what stands there now."""
        standing = queries.load_run(self.run.pk, now=self.now).standing.of(key)
        services.signing.sign(
            run_id=self.run.pk,
            item_id=self.item(key).pk,
            user=self.people[by],
            meaning=meaning,
            seen_statement_hash=standing.seen,
            proof=Proof(at=self.now, method="password"),
            now=self.now,
        )

    def ask_waiver(self, key: str, by: str) -> int:
        waiver = services.waivers.request(
            run_id=self.run.pk,
            item_id=self.item(key).pk,
            user=self.people[by],
            reason="Logs reach the portal with the next version of the platform.",
            risk="An error is found later than it could be.",
            compensating_control="Jules reads the platform's own log after the release.",
            expires_at=self.now + 7 * DAY,
            proof=Proof(at=self.now, method="password"),
            now=self.now,
        )
        return waiver.pk

    def approve_waiver(self, waiver_id: int, by: str) -> None:
        services.waivers.approve(
            run_id=self.run.pk,
            waiver_id=waiver_id,
            user=self.people[by],
            proof=Proof(at=self.now, method="password"),
            now=self.now,
        )


def _make_ready(release: _Release) -> None:
    """All that blocks is one signature, which anybody may give who may sign."""
    release.verify("answers", "figures", "logs", "on-call", "drill", "channel")
    release.approve_waiver(release.ask_waiver("logs", "jules"), "anna")
    release.sign("figures", "sofia")
    release.sign("on-call", "anna")
    release.sign("drill", "anna")
    release.link("reviewed", "jules", _REVIEW, "Review 418")
    release.sign("reviewed", "anna")
    release.sign("reviewed", "sofia", meaning="approved")
    release.note("rollback", "anna", "Back to 2026.10 on staging in 4 minutes.")
    release.sign("rollback", "jules")


def _get_stuck(release: _Release) -> None:
    """Nobody rehearsed, a waiver waits, and a new commit has made signatures stale."""
    release.verify("answers", "on-call")
    release.sign("answers", "anna")
    release.link("reviewed", "jules", _REVIEW, "Review 418")
    release.sign("reviewed", "anna")
    services.runs.move_to_commit(
        run_id=release.run.pk,
        git_sha="b7702fd41c9e",
        actor=person(release.people["jules"]),
        now=release.now,
    )
    release.verify("answers", "figures", "logs", "on-call", "drill", "channel")
    release.ask_waiver("logs", "jules")
    release.sign("on-call", "anna")


def _publish(now: datetime, by: User) -> TemplateVersion:
    template = ChecklistTemplate.objects.get(slug="release")
    version = services.templates.propose(
        template_id=template.pk, actor=person(by), now=now
    )
    return services.templates.publish(version_id=version.pk, actor=person(by), now=now)


def _open(
    version: TemplateVersion,
    service: str,
    git_sha: str,
    at: datetime,
    by: User,
    now: datetime,
) -> ChecklistRun:
    return services.runs.open_run(
        version=version,
        service=Service.objects.get(slug=service),
        environment="production",
        git_sha=git_sha,
        deployment=f"https://deploy.shop.example/{service}/{git_sha}",
        title="2026.11",
        deadline=now + 2 * DAY,
        actor=person(by),
        now=at,
    )


def _rehearse(at: datetime, people: dict[str, User]) -> None:
    """A drill of the API that Anna took after a minute and a half."""
    drill = running.start(
        monitor=Monitor.objects.get(name="Shop API"),
        priority="p0",
        now=at,
        user=people["jules"],
    )
    _arrive(drill.incident, at + timedelta(seconds=2))
    acknowledge(
        incident_id=drill.incident_id,
        user=people["anna"],
        via="web",
        now=at + timedelta(seconds=90),
    )
    running.advance(now=at + 3 * MINUTE)
    _arrive(drill.incident, at + 3 * MINUTE)


def _arrive(incident: Incident, at: datetime) -> None:
    """Let what the drill sent have arrived: nobody gets a page of two days ago now."""
    Notification.objects.filter(
        subject_key=f"incident:{incident.pk}", status=Notification.Status.QUEUED
    ).update(status=Notification.Status.SENT, ended_at=at)
