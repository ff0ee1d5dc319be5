"""Which answer gets which content policy, and what browsers report about it."""

from __future__ import annotations

import json
import logging

import pytest
from django.test import Client

from t4g_portal.lib.rate_limit import RateLimit
from t4g_portal.trust import csp_reports
from t4g_portal.trust.templates import fit
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def policy_of(response) -> dict[str, str]:
    parts = response["Content-Security-Policy"].split("; ")
    return {name: rest for name, _, rest in (part.partition(" ") for part in parts)}


@pytest.fixture
def admin(client):
    client.force_login(make_user(is_superuser=True))
    return client


class TestPolicy:
    @pytest.mark.parametrize(
        "address", ["/status/", "/health", "/ready", "/nowhere/", "/ping/unknown"]
    )
    def test_public_answers_may_load_only_styles_and_pictures_of_ours(
        self, client, address
    ):
        policy = policy_of(client.get(address))

        assert policy["default-src"] == "'none'"
        assert policy["style-src"] == policy["img-src"] == "'self'"
        assert policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert "script-src" not in policy
        assert "unsafe" not in str(policy)

    @pytest.mark.parametrize("address", ["/", "/monitors/", "/admin/", "/admin/login/"])
    def test_shell_may_evaluate_but_runs_nothing_inline(self, admin, address):
        if "login" in address:
            admin.logout()
        response = admin.get(address)
        policy = policy_of(response)

        nonce = policy["style-src"].removeprefix("'self' 'nonce-").rstrip("'")
        assert policy["script-src"] == f"'self' 'nonce-{nonce}' 'unsafe-eval'"
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
        assert "unsafe-inline" not in str(policy)
        assert f'<style nonce="{nonce}" id="unfold-theme' in response.content.decode()

    def test_nonce_is_new_for_each_page(self, admin):
        first, second = (policy_of(admin.get("/"))["style-src"] for _ in range(2))

        assert first != second

    def test_part_of_a_page_that_refreshes_carries_no_nonce(self, admin):
        response = admin.get("/?live")

        assert "nonce" not in response.content.decode()
        again = admin.get("/?live", headers={"If-None-Match": response["ETag"]})
        assert again.status_code == 304

    def test_breaches_are_reported_to_the_portal(self, client):
        response = client.get("/health")

        assert policy_of(response)["report-uri"] == "/csp-report"
        assert policy_of(response)["report-to"] == "csp"
        assert response["Reporting-Endpoints"] == 'csp="/csp-report"'


class TestTemplates:
    @pytest.mark.parametrize(
        ("source", "fitted"),
        [
            ("<style>", '<style nonce="{{ request.csp_nonce }}">'),
            ('<style id="a">', '<style nonce="{{ request.csp_nonce }}" id="a">'),
            ("<script>", '<script nonce="{{ request.csp_nonce }}">'),
            ('<script src="a.js" async>', '<script src="a.js" async>'),
            ('<script async src="a.js">', '<script async src="a.js">'),
            ('<script nonce="x">', '<script nonce="x">'),
            ("<styled>", "<styled>"),
            (
                """<p x-bind:style="'width: ' + w + 'px'">""",
                """<p x-bind:style="{'width': w + 'px'}">""",
            ),
        ],
    )
    def test_inline_elements_of_packages_get_a_nonce(self, source, fitted):
        assert fit(source) == fitted

    def test_typed_text_gets_no_nonce(self, admin):
        make_user(username="zoe", first_name="<style>p{}</style>")

        body = admin.get("/admin/auth/user/").content.decode()

        assert "&lt;style&gt;p{}" in body
        assert body.count("nonce=") == 1

    def test_json_is_shown_alike_with_and_without_pygments(self):
        import unfold.fields

        assert unfold.fields.prettify_json({"a": 1}, None) is None


OLD_FORMAT = {
    "csp-report": {
        "document-uri": "https://portal.example.org/monitors/?token=canary",
        "blocked-uri": "https://evil.example.org/x.js?secret=canary",
        "violated-directive": "script-src",
        "effective-directive": "script-src-elem",
        "source-file": "https://portal.example.org/static/a.js?v=1",
        "line-number": 7,
    }
}
NEW_FORMAT = [
    {
        "type": "csp-violation",
        "body": {
            "documentURL": "https://portal.example.org/monitors/",
            "blockedURL": "inline",
            "effectiveDirective": "style-src-attr",
            "lineNumber": 3,
        },
    }
]


class TestReports:
    @pytest.fixture(autouse=True)
    def _fresh_limit(self, monkeypatch):
        fresh = RateLimit(burst=3, per_second=0.001)
        monkeypatch.setattr(csp_reports, "_limit", fresh)

    def send(self, body, *, content_type="application/csp-report"):
        client = Client(enforce_csrf_checks=True)
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.post("/csp-report", sent, content_type=content_type)

    def test_report_is_logged_without_queries(self, caplog):
        assert self.send(OLD_FORMAT).status_code == 204

        assert caplog.messages == [
            "the content policy of https://portal.example.org/monitors/ blocked "
            "https://evil.example.org/x.js (script-src-elem) from "
            "https://portal.example.org/static/a.js:7"
        ]

    def test_reporting_api_is_understood(self, caplog):
        answer = self.send(NEW_FORMAT, content_type="application/reports+json")

        assert answer.status_code == 204
        assert "blocked inline (style-src-attr) from the page" in caplog.text

    def test_flood_fills_no_log(self, caplog):
        for _ in range(10):
            assert self.send(OLD_FORMAT).status_code == 204
        assert self.send(NEW_FORMAT * 80).status_code == 204

        assert len(caplog.messages) == 3

    def test_lines_can_not_be_forged(self, caplog):
        caplog.set_level(logging.WARNING)
        self.send({"csp-report": {"blocked-uri": "x\nCRITICAL root: down\x1b[31m"}})

        assert "\n" not in caplog.messages[0]
        assert "\x1b" not in caplog.messages[0]

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400),
            (b"{", 400),
            (b"\xff\xfe", 400),
            (b"[" * 16_000, 400),
            (b"7", 400),
            (b"{}", 400),
            (b'{"csp-report": 3}', 400),
            (b"[1, {}, null]", 204),
            (b'{"csp-report": {"blocked-uri": ["a"], "line-number": "x"}}', 204),
            (b'{"csp-report": {"document-uri": "http://[half"}}', 204),
            (b"x" * 16_385, 413),
        ],
    )
    def test_garbage_is_refused_and_never_an_error(self, body, status):
        assert self.send(body).status_code == status

    def test_only_reports_are_taken(self, client):
        assert client.get("/csp-report").status_code == 405
