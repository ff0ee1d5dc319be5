"""The one door for deployments: recorded by whoever deploys, told twice counted once."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.validators import slug_re
from django.db import transaction
from django.utils.translation import gettext as _

from incidents.models import Service
from t4g_portal.lib.commits import COMMIT
from telemetry.models import (
    MAX_ACTOR,
    MAX_ENVIRONMENT,
    MAX_EXTERNAL_ID,
    MAX_SOURCE,
    MAX_URL,
    MAX_VERSION,
    Deployment,
)

logger = logging.getLogger(__name__)

KEPT = timedelta(days=400)
# Clocks of two hosts may differ by so much.
_CLOCK_TOLERANCE = timedelta(minutes=5)

State = Deployment.State
_ENDS = (State.SUCCEEDED, State.FAILED)


class UnableToRecord(Exception):
    """What is told can't be; the text says why and what to send instead."""


@dataclass(frozen=True, slots=True)
class Told:
    """A deployment as it stands now, and whether it is the first word of it."""

    deployment: Deployment
    is_new: bool


def record_deployment(
    *,
    service: Service,
    environment: str,
    git_sha: str,
    state: str,
    now: datetime,
    source: str = "api",
    external_id: str = "",
    version: str = "",
    url: str = "",
    actor: str = "",
    started_at: datetime | None = None,
    finished_at: datetime | None = None,
    rolled_back_at: datetime | None = None,
) -> Told:
    """Record that a deployment started, succeeded, failed or was rolled back.

    The same deployment is recognized by (`source`, `external_id`), or else by service,
    environment, commit and `started_at`; one of the two must be given. Words may come
    twice and in any order: an earlier state changes nothing any more, and what was left
    out before is filled in. A time left out is `now`. Commits and environments are kept
    in lowercase: some platforms call it "Production".

    Raises UnableToRecord, also when it ended otherwise already.
    """
    git_sha, environment = git_sha.strip().lower(), environment.lower()
    texts = {"version": version, "url": url, "actor": actor}
    texts = {name: text.replace("\x00", "").strip() for name, text in texts.items()}
    _refuse_misfits(environment, git_sha, state, source, external_id, texts)
    _refuse_times(started_at, finished_at, rolled_back_at, now)
    if not external_id and started_at is None:
        raise UnableToRecord(
            _(
                "Send external_id or started_at, so that the portal knows the same"
                " deployment when you tell of it again."
            )
        )
    about = {"service": service, "environment": environment, "git_sha": git_sha}
    if external_id:
        key: dict[str, Any] = {"source": source, "external_id": external_id}
    else:
        key = {**about, "started_at": started_at, "external_id": ""}
    first = _Word(State(state), started_at, finished_at, rolled_back_at, now)
    with transaction.atomic():
        # Of two that tell of it first at once, the second sees the first one's row.
        row, is_new = Deployment.objects.select_for_update().get_or_create(
            **key,
            defaults={
                **about,
                **texts,
                **first.times(),
                "source": source,
                "state": state,
                "recorded_at": now,
            },
        )
        if not is_new:
            _refuse_other(row, about)
            _go_on(row, first, texts)
    if is_new:
        logger.info("deployment %s of service %s: %s", row.pk, service.pk, state)
    return Told(deployment=row, is_new=is_new)


def forget(*, now: datetime) -> int:
    """Delete what is older than `KEPT`, but what is in place; return how many."""
    in_place = (
        Deployment.objects.deployed()
        .order_by("service_id", "environment", "-finished_at", "-pk")
        .distinct("service_id", "environment")
        .values("pk")
    )
    old = Deployment.objects.filter(started_at__lt=now - KEPT)
    count, _by_model = old.exclude(pk__in=in_place).delete()
    return count


@dataclass(frozen=True, slots=True)
class _Word:
    """What was told: a state, and the times that came with it."""

    state: State
    started_at: datetime | None
    finished_at: datetime | None
    rolled_back_at: datetime | None
    now: datetime

    def times(self) -> dict[str, datetime | None]:
        """Return the times of a row of which nothing else is known."""
        ends = self.ends(None)
        known = [self.now, self.started_at, *ends.values()]
        first = min(time for time in known if time is not None)
        return {"started_at": self.started_at or first, **ends}

    def ends(self, finished_at: datetime | None) -> dict[str, datetime | None]:
        """Return when it ended, given when it had ended before."""
        if self.state is State.STARTED:
            return {"finished_at": None, "rolled_back_at": None}
        # A start may lie ahead of our clock.
        now = max(self.now, self.started_at or self.now)
        if self.state in _ENDS:
            return {"finished_at": self.finished_at or now, "rolled_back_at": None}
        back = self.rolled_back_at or now
        end = min(finished_at or self.finished_at or back, back)
        return {"finished_at": end, "rolled_back_at": back}


def _go_on(row: Deployment, word: _Word, texts: dict[str, str]) -> None:
    """Bring a locked row to where a word says it is, and fill in what it lacked."""
    changed: dict[str, Any] = {
        name: text for name, text in texts.items() if text and not getattr(row, name)
    }
    if _leads_on(row, word.state):
        changed |= {"state": word.state, **word.ends(row.finished_at)}
    # What it ended before may have been our guess, by our clock.
    begun = [row.started_at, word.started_at, changed.get("finished_at")]
    start = min(time for time in begun if time is not None)
    if start != row.started_at:
        changed["started_at"] = start
    for name, value in changed.items():
        setattr(row, name, value)
    if changed:
        row.save(update_fields=sorted(changed))
        logger.info("deployment %s: %s", row.pk, row.state)


def _leads_on(row: Deployment, told: State) -> bool:
    """Whether a state is news of a deployment; raises UnableToRecord."""
    if row.state == told or told is State.STARTED or row.state == State.ROLLED_BACK:
        return False
    if row.state in _ENDS and told in _ENDS:
        raise UnableToRecord(
            _(
                "This deployment ended already: %(state)s. Record another one, or that"
                " it was rolled back."
            )
            % {"state": row.state}
        )
    return True


def _refuse_other(row: Deployment, about: dict[str, Any]) -> None:
    if any(getattr(row, name) != value for name, value in about.items()):
        raise UnableToRecord(
            _(
                "%(source)s told of %(number)s before, as commit %(sha)s of"
                " %(service)s in %(environment)s. Give each deployment a number of"
                " its own."
            )
            % {
                "source": row.source,
                "number": row.external_id,
                "sha": row.short_sha,
                "service": row.service.slug,
                "environment": row.environment,
            }
        )


def _refuse_misfits(
    environment: str,
    git_sha: str,
    state: str,
    source: str,
    external_id: str,
    texts: dict[str, str],
) -> None:
    if not re.fullmatch(COMMIT.strip("^$"), git_sha):
        raise UnableToRecord(
            _("Give the commit's hash: 7 to 64 digits from 0 to 9 and a to f.")
        )
    if state not in State.values:
        raise UnableToRecord(
            _("Tell one of these states: %(states)s.")
            % {"states": ", ".join(State.values)}
        )
    for text, most in ((environment, MAX_ENVIRONMENT), (source, MAX_SOURCE)):
        if len(text) > most or not slug_re.match(text):
            raise UnableToRecord(
                _("Write %(text)s as letters, digits and hyphens, as in production.")
                % {"text": repr(text[:most])}
            )
    lengths = {"version": MAX_VERSION, "url": MAX_URL, "actor": MAX_ACTOR}
    too_long = [name for name, text in texts.items() if len(text) > lengths[name]]
    if len(external_id) > MAX_EXTERNAL_ID or "\x00" in external_id:
        too_long.append("external_id")
    if too_long:
        raise UnableToRecord(
            _("Too long: %(names)s. Shorten it.") % {"names": ", ".join(too_long)}
        )


def _refuse_times(
    started_at: datetime | None,
    finished_at: datetime | None,
    rolled_back_at: datetime | None,
    now: datetime,
) -> None:
    told = [time for time in (started_at, finished_at, rolled_back_at) if time]
    if any(time > now + _CLOCK_TOLERANCE for time in told):
        raise UnableToRecord(
            _("This lies in the future. Set the clock of what sends it.")
        )
    if any(time < now - KEPT for time in told):
        raise UnableToRecord(
            _("Deployments are kept for %(days)d days; this one is older.")
            % {"days": KEPT.days}
        )
    if told != sorted(told):
        raise UnableToRecord(_("It can't end before it started. Check the times."))
