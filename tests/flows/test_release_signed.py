"""A release from the first question of its pipeline to the proof that outlives it.

Nobody has looked: the gate is closed. A monitor, a KPI of the business database and a
drill prove what they can, a pipeline adds what it found, two people sign in the web
pages: the gate opens, for this commit and no other. The next commit closes it again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from bench.portal import ROOT, Portal, manage, start
from tests.flows.forms import form
from tests.flows.portals import (
    ENVIRONMENT,
    import_config,
    prepared_workplace,
    press,
    rows,
    until,
)
from tests.flows.standins import MailHost, Shop
from tests.flows.stores import Postgres
from tests.kpis.business import GUIDE, READER_PASSWORD, TABLES, Business, make_business

PARIS = ZoneInfo("Europe/Paris")
FIRST, SECOND = "a1" * 20, "b2" * 20
PASSWORDS = {"ana": "an aubergine a day", "bo": "bo builds better boats"}

CONFIG = """
services:
  - {slug: shop, name: Shop}
contacts:
  - {name: Ana}
channels:
  - {name: Mail, kind: email, address: ops@example.org, is_enabled: true}
escalation_policies:
  - name: Everybody
    steps:
      - {channels: [Mail]}
priority_rules:
  - {priority: p0, response_s: 300, policy: Everybody}
thresholds:
  - {name: Down, measure: down, critical_priority: p0}
monitors:
  - name: Shop front
    service: shop
    kind: http
    target: %(shop)s
    interval_s: 2
    retry_interval_s: 1
    timeout_s: 1
    may_use_private_targets: true
data_sources:
  - name: Business database
    kind: postgres
    url: %(database)s
    secret_env: STORY_DATABASE
    allowed_tables: [%(tables)s]
    may_use_private_targets: true
kpis:
  - slug: lightning-transactions
    name: Lightning transactions
    source: Business database
    interval_s: 60
    sql: %(sql)s
checklist_templates:
  - {slug: release, name: Release, name_fr: Mise en production}
checklist_sections:
  - template: release
    key: live
    position: 10
    title: Live
    items:
      - {key: front-up, title: The shop front answers, kind: rule, owner: Ana,
         verifier: monitor_up, parameters: {monitors: [Shop front]}}
      - {key: drill, title: The P0 road was rehearsed, kind: rule, position: 110,
         verifier: drill_passed, required_role: On-call}
      - {key: figures, title: The figures are fresh, kind: rule, position: 120,
         verifier: kpi_fresh, parameters: {kpis: [lightning-transactions]}}
  - template: release
    key: people
    position: 20
    title: Judged by people
    items:
      - {key: tests, title: The test suite is green, kind: external,
         evidence_required: true, required_role: On-call}
      - {key: way-back, title: The way back was tried, position: 110,
         signatures_required: 2, forbid_self: true}
      - {key: letter, title: The newsletter is ready, position: 120,
         is_blocking: false}
"""
BLOCKING = ["front-up", "drill", "figures", "tests", "way-back"]

PEOPLE = f"""
from django.contrib.auth.models import Group, Permission, User
from django.utils import timezone
from checklists import services
from checklists.actors import person
from checklists.models import ChecklistTemplate
from t4g_portal.lib.api.issuing import issue
for name, role in (("ana", "On-call"), ("bo", "Manager")):
    user = User.objects.create_user(
        name, password={PASSWORDS!r}[name], first_name=name.title(), is_staff=True)
    user.groups.add(Group.objects.get(name=role))
ci = User.objects.create_user("ci")
for word in ("view_checklistrun", "add_checklistrun", "change_checklistrun",
             "view_evidence", "add_evidence"):
    ci.user_permissions.add(Permission.objects.get(
        content_type__app_label="checklists", codename=word))
_row, gate = issue(owner=ci, name="gate", scopes=["gates:read"], expires_at=None)
_row, build = issue(owner=ci, name="build", expires_at=None,
                    scopes=["checklists:read", "checklists:write"])
admin = person(User.objects.get(username="admin"))
version = services.templates.propose(
    template_id=ChecklistTemplate.objects.get(slug="release").pk,
    actor=admin, now=timezone.now())
services.templates.publish(version_id=version.pk, actor=admin, now=timezone.now())
print("KEYS", gate, build)
"""


class Pipeline:
    """What CI does, with its two keys."""

    def __init__(self, portal: Portal, *, gate: str, build: str) -> None:
        address = f"http://127.0.0.1:{portal.port}/api/v1/"
        self.gate, self.build = (
            httpx.Client(
                base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=30
            )
            for key in (gate, build)
        )

    def close(self) -> None:
        self.gate.close()
        self.build.close()

    def ask(self, sha: str) -> tuple[int, dict[str, Any]]:
        """The gate's status and what it said."""
        answer = self.gate.get(f"gates/shop/production?sha={sha}")
        return answer.status_code, answer.json()

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.build.post(path, json=body or {})
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def finds(self, run: int, key: str) -> bool:
        """Whether the portal looks at an item and finds what it should."""
        found = self.post(f"checklist-runs/{run}/items/{key}/verify/")
        assert found["sha256"]
        return bool(found["verdict"] == "passed")

    def states(self, run: int) -> dict[str, str]:
        """How each item stands."""
        body = self.build.get(f"checklist-runs/{run}/").json()
        return {item["key"]: item["state"] for item in body["items"]}


def blocking(body: dict[str, Any]) -> list[str]:
    return [one["item"] or one["state"] for one in body["blocking"]]


@contextmanager
def browser_of(portal: Portal, name: str) -> Iterator[httpx.Client]:
    """Somebody's browser, signed in."""
    with httpx.Client(
        base_url=f"http://127.0.0.1:{portal.port}", follow_redirects=True, timeout=30
    ) as client:
        client.get("/admin/login/")
        press(
            client,
            "/admin/login/",
            username=name,
            password=PASSWORDS[name],
            next="/checklists/mine/",
        )
        assert "sessionid" in client.cookies
        yield client


def let_proof_age(portal: Portal) -> None:
    """Let the passwords of all sessions be entered long ago, as after a coffee."""
    manage(portal, "shell", "-c", AGE)


AGE = """
from django.contrib.sessions.models import Session
from t4g_portal.trust.sessions import SessionStore
for row in Session.objects.all():
    store = SessionStore(row.session_key)
    store["_reauthenticated"] = {
        **store["_reauthenticated"], "at": "2026-01-01T00:00:00+00:00"}
    store.save()
"""


def sign(browser: httpx.Client, run: int, key: str, password: str) -> httpx.Response:
    """Open an item's sheet, read it, say so, enter the password, sign."""
    sheet = browser.get(f"/checklists/{run}/items/{key}/")
    assert sheet.status_code == 200, sheet.text
    filled = form(sheet, action=f"/items/{key}/sign/")
    typed = {"meaning": "checked", "comment": "Looked at it"}
    if "password" in filled.fields:
        typed["password"] = password
    return filled.send(browser, **typed)


def fill(business: Business) -> None:
    """Yesterday, as the guide's backend would have written it."""
    yesterday = datetime.now(PARIS) - timedelta(days=1)
    for table in TABLES:
        business.run(f"TRUNCATE {table}")
    with business.connected() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO lightning_transactions (created_at) VALUES (%s)",
            [(yesterday.replace(hour=12),)] * 342,
        )


@pytest.fixture
def standins() -> Iterator[tuple[Shop, MailHost]]:
    found = Shop(), MailHost()
    yield found
    for standin in found:
        standin.stop()


def test_release_is_signed_by_named_people_on_live_evidence(standins):
    shop, mail = standins
    with prepared_workplace() as directory:
        (directory / "business").mkdir()
        server = Postgres(directory / "business")
        try:
            business = make_business(
                port=server.port, owner="portal", owner_password=server.password
            )
            fill(business)
            with start(
                directory,
                **ENVIRONMENT,
                EMAIL_HOST="127.0.0.1",
                EMAIL_PORT=str(mail.port),
                EMAIL_USE_TLS="false",
            ) as portal:
                _release(portal, business, shop, mail)
        finally:
            server.stop()


def _release(portal: Portal, business: Business, shop: Shop, mail: MailHost) -> None:
    config = CONFIG % {
        "shop": shop.url,
        "database": business.url,
        "tables": ", ".join(TABLES),
        "sql": json.dumps(GUIDE["lightning-transactions"]),
    }
    import_config(portal, config, STORY_DATABASE=READER_PASSWORD)
    printed = manage(portal, "shell", "-c", PEOPLE).split("KEYS ")[1].split()
    gate_key, build_key = printed[:2]
    with closing(Pipeline(portal, gate=gate_key, build=build_key)) as pipeline:
        _from_closed_to_closed(portal, pipeline, mail)


def _from_closed_to_closed(portal: Portal, pipeline: Pipeline, mail: MailHost) -> None:
    # Nothing is open: the gate says so, and no key signs its way past it.
    assert pipeline.ask(FIRST)[0] == 409
    run = pipeline.post(
        "checklist-runs/",
        {
            "template": "release",
            "service": "shop",
            "environment": "production",
            "git_sha": FIRST,
        },
    )["id"]
    status, body = pipeline.ask(FIRST)
    assert (status, body["verdict"]) == (409, "block")
    assert blocking(body) == BLOCKING
    assert body["blocking"][0]["owner"] == "Ana"
    assert pipeline.build.get(f"gates/shop/production?sha={FIRST}").status_code == 403

    _prove(portal, pipeline, run, mail)
    _sign_all(portal, pipeline, run)

    status, body = pipeline.ask(FIRST)
    assert (status, blocking(body)) == (200, [])
    assert body["runs"] == [run]
    assert pipeline.ask(SECOND)[0] == 409

    # What is signed lasts while the portal goes on looking and finds the same.
    pipeline.post(f"checklist-runs/{run}/items/front-up/verify/")
    assert pipeline.ask(FIRST)[0] == 200

    bundle = pipeline.build.get(f"checklist-runs/{run}/bundle/")
    _verify_offline(portal, bundle)

    # The next commit: what was signed was signed for another.
    pipeline.post(f"checklist-runs/{run}/move/", {"git_sha": SECOND})
    status, body = pipeline.ask(SECOND)
    assert status == 409
    assert blocking(body) == BLOCKING
    states = {one["item"]: one["state"] for one in body["blocking"]}
    assert states["way-back"] == "stale"
    status, body = pipeline.ask(FIRST)
    assert (status, blocking(body)) == (409, ["other_commit"])

    verdicts = rows(portal, "SELECT verdict FROM checklists_gatedecision ORDER BY id")
    assert [verdict for (verdict,) in verdicts] == [
        *["block"] * 4,
        *("pass", "block", "pass"),
        *["block"] * 2,
    ]
    report = json.loads(manage(portal, "audit_verify", "--json"))
    assert (report["is_intact"], report["fault"]) == (True, None)
    assert report["count"] > len(BLOCKING)


def _prove(portal: Portal, pipeline: Pipeline, run: int, mail: MailHost) -> None:
    """Let the portal look, rehearse an outage, and push what the build found."""
    until(
        lambda: (
            rows(portal, "SELECT 1 FROM monitors_monitorstate WHERE status = 'up'")
            and rows(portal, "SELECT 1 FROM kpis_kpipoint WHERE is_complete")
        ),
        seconds=90,
        what="the shop to be up and yesterday's figure",
    )
    with browser_of(portal, "ana") as ana:
        page = ana.get("/drills/")
        ((monitor,),) = rows(portal, "SELECT id FROM monitors_monitor")
        drill = form(page, having="monitor").send(ana, monitor=str(monitor))
        assert drill.status_code == 200, drill.text
        until(lambda: mail.messages, seconds=30, what="the page of the drill")
        ((incident,),) = rows(portal, "SELECT id FROM incidents_incident")
        press(ana, f"/incidents/{incident}/acknowledge/")
    until(
        lambda: rows(portal, "SELECT 1 FROM monitors_drill WHERE status = 'proven'"),
        seconds=60,
        what="the drill to be proven",
    )
    pipeline.post(
        f"checklist-runs/{run}/items/tests/evidence/",
        {
            "git_sha": FIRST,
            "title": "Test suite",
            "payload": {"tests": 412, "failed": 0},
        },
    )
    for key in ("front-up", "drill", "figures"):
        until(
            partial(pipeline.finds, run, key),
            seconds=60,
            every_s=2,
            what=f"{key} to be verified",
        )
    # Evidence alone opens nothing.
    assert blocking(pipeline.ask(FIRST)[1]) == BLOCKING


def _sign_all(portal: Portal, pipeline: Pipeline, run: int) -> None:
    with browser_of(portal, "ana") as ana, browser_of(portal, "bo") as bo:
        assert "The P0 road was rehearsed" in ana.get("/checklists/mine/").text
        # Not Bo's to sign: he is not on call.
        sheet = bo.get(f"/checklists/{run}/items/drill/")
        assert "/items/drill/sign/" not in sheet.text
        let_proof_age(portal)
        # A stolen session signs nothing.
        sign(ana, run, "drill", "a guess")
        assert pipeline.states(run)["drill"] == "waiting"
        for key in ("front-up", "drill", "figures", "tests", "way-back"):
            answer = sign(ana, run, key, PASSWORDS["ana"])
            assert answer.status_code == 200, answer.text
        # One signature of two.
        assert pipeline.states(run) == {
            **dict.fromkeys(BLOCKING, "met"),
            "way-back": "waiting",
            "letter": "waiting",
        }
        assert blocking(pipeline.ask(FIRST)[1]) == ["way-back"]
        sign(bo, run, "way-back", PASSWORDS["bo"])
        page = bo.get(f"/checklists/{run}/print/").text
        for said in ("Ana", "Bo", FIRST):
            assert said in page


def _verify_offline(portal: Portal, answer: httpx.Response) -> None:
    """The bundle holds together without the portal, and not when a byte is changed."""
    assert answer.status_code == 200, answer.text
    path = portal.data_dir.parent / "bundle.json"
    path.write_bytes(answer.content)
    assert _verified(path) == 0
    assert b"Looked at it" in answer.content
    path.write_bytes(answer.content.replace(b"Looked at it", b"Looked at us", 1))
    assert _verified(path) == 1


def _verified(path: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-I", ROOT / "scripts" / "verify_bundle.py", path],
        capture_output=True,
        text=True,
        check=False,
        cwd=path.parent,
    )
    return done.returncode
