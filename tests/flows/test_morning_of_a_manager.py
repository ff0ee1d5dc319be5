"""A manager's morning, seen from outside: the business database is read, the page shows
its figures, the digest comes by Slack and mail, and the endpoint says the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from email.message import Message
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from bench.portal import Portal, manage, start
from tests.flows.portals import (
    ENVIRONMENT,
    import_config,
    prepared_workplace,
    press,
    rows,
    signed_in,
    until,
)
from tests.flows.standins import Backend, Inbox, MailHost
from tests.flows.stores import Postgres
from tests.kpis.business import GUIDE, READER_PASSWORD, TABLES, Business, make_business

PARIS = ZoneInfo("Europe/Paris")
DAY = timedelta(days=1)
PASSWORD = "coffee before anything else"

CONFIG = """
services:
  - {slug: backend, name: Backend}
channels:
  - {name: Slack, kind: slack, secret_env: STORY_SLACK, language: en, is_enabled: true}
  - {name: Mail, kind: email, address: board@example.org, language: fr, is_enabled: true}
data_sources:
  - name: Business database
    kind: postgres
    url: %(database)s
    secret_env: STORY_DATABASE
    allowed_tables: [%(tables)s]
    may_use_private_targets: true
  - {name: Backend, kind: http, url: "%(backend)s", may_use_private_targets: true}
kpis:
  - slug: active-users
    name: Active users
    source: Business database
    unit: users
    window: 7
    interval_s: 60
    sql: %(active-users)s
    targets: [{month: 2026-01-01, value: 10}]
  - slug: lightning-transactions
    name: Lightning transactions
    source: Business database
    interval_s: 60
    sql: %(lightning-transactions)s
  - slug: mentoring-sessions
    name: Mentoring sessions
    source: Business database
    window: 7
    interval_s: 60
    sql: %(mentoring-sessions)s
  - slug: tokens-distributed
    name: Tokens distributed
    source: Business database
    unit: tokens
    interval_s: 60
    sql: %(tokens-distributed)s
  - slug: open-requests
    name: Open requests
    source: Backend
    interval_s: 60
    json_path: queue.open
"""

DIGEST = """
digests:
  - {name: Morning, at: "%(at)s", time_zone: Europe/Paris, channels: [Slack, Mail]}
"""

# What another portal would have: the endpoint of this one as its source.
SECOND_PORTAL = """
data_sources:
  - name: The portal's own endpoint
    kind: http
    url: http://127.0.0.1:%(port)d/api/metrics/business
    secret_env: STORY_KEY
    may_use_private_targets: true
kpis:
  - slug: tokens-again
    name: Tokens again
    source: The portal's own endpoint
    interval_s: 60
    json_path: tokens_distributed_24h
"""

PEOPLE = f"""
from django.contrib.auth.models import Group, User
from t4g_portal.lib.api.issuing import issue
user = User.objects.create_user("manager", password="{PASSWORD}", is_staff=True)
user.groups.add(Group.objects.get(name="Manager"))
print("KEY", issue(owner=user, name="coffee", scopes=["kpis:read"], expires_at=None)[1])
"""


def noon(days_ago: int) -> datetime:
    """Noon in Paris, so many days ago."""
    day = datetime.now(PARIS).date() - days_ago * DAY
    return datetime.combine(day, time(12), tzinfo=PARIS)


def fill(business: Business) -> None:
    """Yesterday and the day before, as the guide's backend would have written them."""
    for table in TABLES:
        business.run(f"TRUNCATE {table}")
    with business.connected() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO user_activities (user_id, created_at) VALUES (%s, %s)",
            # 5 people in the 7 days to yesterday, 4 in those to the day before.
            [(user, noon(2)) for user in range(4)]
            + [(user, noon(1)) for user in range(5)]
            + [(user, noon(9)) for user in range(50)],
        )
        cursor.executemany(
            "INSERT INTO lightning_transactions (created_at) VALUES (%s)",
            [(noon(1),)] * 342 + [(noon(2),)] * 300,
        )
        cursor.executemany(
            "INSERT INTO mentoring_sessions (status, created_at) VALUES (%s, %s)",
            [("completed", noon(1))] * 87 + [("booked", noon(1))] * 9,
        )
        cursor.executemany(
            "INSERT INTO token_transactions (tokens_earned, created_at) VALUES (%s, %s)",
            [("5000.5", noon(1)), ("119.5", noon(1))],
        )


@pytest.fixture
def standins() -> Iterator[tuple[Backend, Inbox, MailHost]]:
    found = Backend({"queue": {"open": 17}}), Inbox(), MailHost()
    yield found
    for standin in found:
        standin.stop()


@contextmanager
def manager_of(portal: Portal) -> Iterator[httpx.Client]:
    """The manager's browser."""
    with httpx.Client(
        base_url=f"http://127.0.0.1:{portal.port}", follow_redirects=True, timeout=15
    ) as client:
        client.get("/admin/login/")
        press(client, "/admin/login/", username="manager", password=PASSWORD, next="/")
        assert "sessionid" in client.cookies
        yield client


def complete_values(portal: Portal) -> dict[str, float]:
    """The last complete value of each KPI."""
    found = rows(
        portal,
        "SELECT DISTINCT ON (k.slug) k.slug, p.value FROM kpis_kpipoint p"
        " JOIN kpis_kpi k ON k.id = p.kpi_id WHERE p.is_complete"
        " ORDER BY k.slug, p.start DESC",
    )
    return {slug: float(value) for slug, value in found}


def failing(portal: Portal) -> list[str]:
    found = rows(
        portal,
        "SELECT k.slug FROM kpis_kpistate s JOIN kpis_kpi k ON k.id = s.kpi_id"
        " WHERE s.failure_count > 0",
    )
    return [slug for (slug,) in found]


def sections_of(body: dict[str, Any]) -> dict[str, list[str]]:
    """What stands under each heading of a message in Slack."""
    found: dict[str, list[str]] = {}
    heading = ""
    for block in body["blocks"]:
        if block["type"] == "section" and "text" in block:
            heading = block["text"]["text"]
        for field in block.get("fields", ()):
            found.setdefault(heading, []).append(field["text"])
    return found


def html_of(mail: Message) -> str:
    for part in mail.walk():
        if part.get_content_type() == "text/html":
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            return content.decode()
    raise AssertionError("no HTML in the mail")


def test_figures_from_the_database_to_the_managers_morning(standins):
    backend, slack, mail = standins
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
                _morning(portal, business, backend, slack, mail)
        finally:
            server.stop()


def _morning(
    portal: Portal, business: Business, backend: Backend, slack: Inbox, mail: MailHost
) -> None:
    secrets = {"STORY_SLACK": slack.url, "STORY_DATABASE": READER_PASSWORD}
    config = CONFIG % {
        "database": business.url,
        "tables": ", ".join(TABLES),
        "backend": backend.url,
        **{slug: json.dumps(sql) for slug, sql in GUIDE.items()},
    }
    import_config(portal, config, **secrets)
    expected = {
        "active-users": 5,
        "lightning-transactions": 342,
        "mentoring-sessions": 87,
        "tokens-distributed": 5120,
    }
    until(
        lambda: complete_values(portal) == expected,
        seconds=60,
        what="the four figures of yesterday",
    )
    until(lambda: backend.ask_count, seconds=30, what="the backend to be asked")

    # One source breaks; nobody else is stopped by it.
    backend.status = 500
    until(lambda: failing(portal), seconds=120, what="the failure", every_s=0.5)
    assert failing(portal) == ["open-requests"]

    key = manage(portal, "shell", "-c", PEOPLE).split("KEY ")[1].split()[0]
    with manager_of(portal) as manager:
        board = manager.get("/kpis/").text
        for said in ("Active users", "342", "87", "5,120", "Open requests", "17"):
            assert said in board
        assert "Failing" in board
        page = manager.get("/kpis/lightning-transactions/").text
        assert "342" in page
        for text in (board, page):
            assert "SELECT" not in text
            assert business.url not in text
        answer = manager.get("/kpis/lightning-transactions/export.csv")
        assert "342" in answer.text
        assert manager.get("/admin/kpis/datasource/").status_code == 403

    business_metrics = httpx.get(
        f"http://127.0.0.1:{portal.port}/api/metrics/business",
        headers={"Authorization": f"Bearer {key}"},
    ).json()
    assert business_metrics.pop("generated_at").endswith("Z")
    assert business_metrics == {
        "active_users_7d": 5,
        "lightning_transactions_24h": 342,
        "mentoring_sessions_7d": 87,
        "tokens_distributed_24h": 5120,
    }
    # A second portal could read that one's figures instead of the backend's.
    import_config(portal, SECOND_PORTAL % {"port": portal.port}, STORY_KEY=key)
    until(
        lambda: rows(
            portal,
            "SELECT 1 FROM kpis_kpipoint p JOIN kpis_kpi k ON k.id = p.kpi_id"
            " WHERE k.slug = 'tokens-again' AND p.value = 5120",
        ),
        seconds=30,
        what="the figure through the portal's own endpoint",
    )

    at = datetime.now(PARIS) + timedelta(seconds=45)
    import_config(portal, DIGEST % {"at": f"{at:%H:%M:%S}"}, **secrets)
    until(lambda: slack.received, seconds=90, what="the digest in Slack", every_s=0.5)
    until(lambda: mail.messages, seconds=30, what="the digest by mail")
    assert datetime.now(PARIS) >= at

    (posted,) = slack.received
    text = json.dumps(posted.body, ensure_ascii=False)
    first, *others = list(sections_of(posted.body).items())
    assert first[0] == "*Look at these first*"
    (trouble,) = first[1]
    assert "Open requests" in trouble
    assert "500" in trouble
    assert "17" in trouble
    values = dict(others)["*Values*"]
    assert next(value.split("\n")[0] for value in values if "5,120" in value) in (
        "*Tokens distributed*",
        "*Tokens again*",
    )
    (lightning,) = [value for value in values if "Lightning" in value]
    assert "342" in lightning
    assert "▲ 14\u00a0% on the day before" in lightning
    (users,) = [value for value in values if "Active users" in value]
    assert "50\u00a0% of 10\u00a0users" in users
    assert "Sent late" not in text
    assert "<!channel>" not in text

    (letter,) = mail.messages
    html = html_of(letter)
    assert 'lang="fr"' in html
    assert html.index("Open requests") < html.index("Lightning transactions")
    assert "342" in html

    # Once, whatever ticks since: two messages of one digest.
    assert rows(portal, "SELECT message_count, is_late FROM kpis_digestdelivery") == [
        (2, False)
    ]
    assert len(slack.received) == len(mail.messages) == 1
    with signed_in(portal) as admin:
        ((plan,),) = rows(portal, "SELECT id FROM kpis_digestplan")
        preview = admin.get(f"/admin/kpis/digestplan/{plan}/preview/").text
        assert "Lightning transactions" in preview
        assert len(slack.received) == 1
