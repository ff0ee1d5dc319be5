"""What an empty list of the admin says: what will appear in it, and the first step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from t4g_portal.lib.access import may_open

Words = str | Promise


@dataclass(frozen=True, slots=True)
class Empty:
    """A sentence on what appears in a list. `page`, `step`: where its rows come from."""

    words: Words
    page: str = ""
    step: Words = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A link to where the first row comes from."""

    url: str
    words: Words


_UNKNOWN = Empty(_("There is nothing here yet."))
_OVERVIEW = ("home", _("To the overview"))
_MONITORS = ("monitors:list", _("To the monitors"))
_KPIS = ("admin:kpis_kpi_changelist", _("To the KPIs"))
_SOURCES = ("admin:kpis_datasource_changelist", _("To the data sources"))
_INCIDENTS = ("incidents:list", _("To the incidents"))
_RUNS = ("checklists:runs", _("To the checklists"))
_TEMPLATES = ("admin:checklists_checklisttemplate_changelist", _("To the templates"))

_EMPTIES: Mapping[str, Empty] = {
    "incidents.service": Empty(
        _(
            "What users depend on: a frontend, an API, a database. Monitors belong to one."
        ),
        "first_run:start",
        _("First steps"),
    ),
    "incidents.reachexpectation": Empty(
        _(
            "What must stay true, such as “a P0 on Sunday night reaches somebody by SMS "
            "within 5 minutes”. The portal says when it no longer does."
        ),
        "simulator",
        _("To the simulator"),
    ),
    "monitors.drillplan": Empty(
        _("A drill that runs by itself, so that a broken road is found in time."),
        "drills:list",
        _("To the drills"),
    ),
    "monitors.drill": Empty(
        _("Each rehearsal of an alert, with who was told and who acknowledged."),
        "drills:list",
        _("To the drills"),
    ),
    "incidents.schedule": Empty(
        _("Who takes turns at being on call, such as “On call”. Policies page it.")
    ),
    "incidents.rotation": Empty(
        _("People who take turns by the day or the week. A schedule has one or more.")
    ),
    "incidents.override": Empty(
        _("Who is on call for a time instead of the rotations: a cover, a swap.")
    ),
    "incidents.absence": Empty(
        _("When somebody can't be on call. The next of the rotation stands in.")
    ),
    "incidents.swaprequest": Empty(
        _("Who asked whom to be on call instead, and the answers.")
    ),
    "incidents.oncallrecord": Empty(
        _("Who was on call when. It begins when the first schedule is made.")
    ),
    "monitors.monitor": Empty(
        _("What is watched: an address, a port, a certificate, a nightly job."),
        "first_run:start",
        _("First steps"),
    ),
    "monitors.threshold": Empty(
        _("When a measurement is a problem. Without one, nobody is told of anything.")
    ),
    "monitors.maintenancewindow": Empty(
        _("Planned quiet: what is down inside a window pages nobody.")
    ),
    "monitors.series": Empty(
        _("Measurements over time. Each appears with its first value, sent to the API.")
    ),
    "monitors.controltarget": Empty(
        _("Hosts that tell when we ourselves are offline. Name two or three.")
    ),
    "notifications.contact": Empty(
        _("People and shared mailboxes, with the ways to reach them.")
    ),
    "notifications.channel": Empty(
        _("Where alerts go: a Slack channel, a mailing list, a webhook."),
        "first_run:start",
        _("First steps"),
    ),
    "notifications.provider": Empty(
        _("Who carries text messages and calls: Twilio, OVHcloud, or both.")
    ),
    "incidents.team": Empty(_("People that a step of a policy tells together.")),
    "incidents.escalationpolicy": Empty(
        _("Who is told at once, who after some minutes, and how often again.")
    ),
    "incidents.priorityrule": Empty(
        _("Who is told at each priority, and how soon somebody must react.")
    ),
    "notifications.notification": Empty(
        _("Every message that leaves appears here, with its receipt."),
        "admin:notifications_channel_changelist",
        _("Send a test through a channel"),
    ),
    "incidents.incident": Empty(
        _("What broke, who took it, how long it lasted."), *_INCIDENTS
    ),
    "incidents.alert": Empty(_("Each condition that fired appears here."), *_INCIDENTS),
    "incidents.postmortem": Empty(
        _("What was learned from an incident: each P0 and P1 gets one."), *_INCIDENTS
    ),
    "incidents.actionitem": Empty(
        _("What is to be done so that it does not happen again."), *_INCIDENTS
    ),
    "incidents.handover": Empty(
        _("Each time somebody asked another to take an incident over."), *_INCIDENTS
    ),
    "incidents.incidentrole": Empty(
        _("Who led an incident, who spoke for it, who took notes."), *_INCIDENTS
    ),
    "incidents.auditfinding": Empty(
        _(
            "Each minute the portal looks for pages that could get lost. What it finds "
            "and repairs appears here."
        )
    ),
    "monitors.statusinterval": Empty(
        _("The ledger: since when each monitor is up, down or unknown."), *_MONITORS
    ),
    "monitors.resultdetail": Empty(
        _("What was seen when a check failed. Nothing has failed yet."), *_MONITORS
    ),
    "kpis.datasource": Empty(
        _("Where figures are read: a database, a JSON address, this portal, a person.")
    ),
    "kpis.kpi": Empty(
        _("Figures that managers follow: what counts, over which period, from where."),
        *_SOURCES,
    ),
    "kpis.kpitarget": Empty(
        _("What a KPI should reach from a month on, until a later target."), *_KPIS
    ),
    "kpis.digestplan": Empty(
        _("Who gets the figures as a message, on which days and when.")
    ),
    "kpis.kpirun": Empty(
        _("Each time a source was asked, with what came of it."), *_KPIS
    ),
    "kpis.kpipoint": Empty(_("The value of each period, once it is read."), *_KPIS),
    "kpis.kpiversion": Empty(
        _("Each way in which a KPI was computed. A change makes a new one."), *_KPIS
    ),
    "kpis.backfill": Empty(
        _("Past periods that somebody had read, and how far that is."), *_KPIS
    ),
    "kpis.kpinote": Empty(
        _("What people wrote beside a moment of the curve: a campaign, an outage.")
    ),
    "kpis.digestdelivery": Empty(
        _("Each digest that went out, with its day."),
        "admin:kpis_digestplan_changelist",
        _("To the digests"),
    ),
    "cellar.loopcycle": Empty(
        _("When each loop of the portal last came round. The worker writes it."),
        *_OVERVIEW,
    ),
    "cellar.auditentry": Empty(
        _("What was signed, waived and decided, chained so that no edit stays unseen.")
    ),
    "checklists.auditanchor": Empty(
        _("Who is mailed the head of the audit chain each day, to keep it outside.")
    ),
    "checklists.anchoredhead": Empty(
        _("Each head of the audit chain that was mailed, to compare with later."),
        "admin:checklists_auditanchor_changelist",
        _("To the audit anchors"),
    ),
    "checklists.auditcheck": Empty(
        _("Each night's verification of the audit chain, with what came of it.")
    ),
    "checklists.checklisttemplate": Empty(
        _("What must hold before a release. A published version can be copied.")
    ),
    "checklists.templatesection": Empty(
        _("The parts of a template, each with its items."), *_TEMPLATES
    ),
    "checklists.templateitem": Empty(
        _("What has to be looked at, by whom, and which verifier helps."), *_TEMPLATES
    ),
    "checklists.templateversion": Empty(
        _("Each version of a template that was proposed or published."), *_TEMPLATES
    ),
    "checklists.checklistrun": Empty(
        _("A copy of a template for each release, with its state."), *_RUNS
    ),
    "checklists.evidence": Empty(
        _("What verifiers found, people brought and programs sent."), *_RUNS
    ),
    "checklists.signoff": Empty(
        _("Who signed what, in which role and with which meaning."), *_RUNS
    ),
    "checklists.waiver": Empty(
        _("What a release went without, for how long, and which two people agreed."),
        *_RUNS,
    ),
    "checklists.gatedecision": Empty(
        _("Each time a pipeline asked whether it may release, and the answer."), *_RUNS
    ),
    "checklists.reminder": Empty(
        _("Who was told that something of a run ends soon."), *_RUNS
    ),
    "telemetry.deployment": Empty(
        _("Each deployment that a pipeline or a platform told of. Connect yours."),
        "deployments:list",
        _("To the deployments"),
    ),
    "incidents.deploywindow": Empty(
        _("When alerts below P0 waited, because a service was being deployed."), *_RUNS
    ),
    "incidents.heldalert": Empty(
        _("Alerts that a deploy window held back, and what came of them."), *_INCIDENTS
    ),
    "cellar.apikey": Empty(_("Keys with which programs use the API.")),
    "auditlog.logentry": Empty(
        _("Each change of the configuration appears here, with who made it.")
    ),
    "auth.user": Empty(_("People who may sign in.")),
    "auth.group": Empty(_("Roles: what a group of people may do.")),
}


def empty_of(label: str) -> Empty:
    """Return what the empty list of a model ("app.model") says."""
    return _EMPTIES.get(label, _UNKNOWN)


def first_step(*, empty: Empty, request: HttpRequest) -> Step | None:
    """Return where the first row comes from, for those who may go there."""
    if not empty.page or not _may_open(request, empty.page):
        return None
    return Step(url=reverse(empty.page), words=empty.step)


def _may_open(request: HttpRequest, page: str) -> bool:
    if not page.startswith("admin:"):
        return may_open(request, page)
    app, model, _list = page.removeprefix("admin:").rsplit("_", 2)
    return request.user.has_perm(f"{app}.view_{model}")
