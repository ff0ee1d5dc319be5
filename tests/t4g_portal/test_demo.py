"""The demo's rooms: marks, modes, the inbox, the banner, the past."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse, JsonResponse
from django.test import RequestFactory
from django.utils import timezone

from checklists import queries
from incidents import surroundings
from incidents.models import Incident
from kpis.models import Backfill, Kpi
from monitors.models import HourlyRollup, Monitor, StatusInterval
from notifications.models import Notification
from t4g_portal.demo import figures, filling, inbox, marking, parts
from t4g_portal.demo.banner import DemoBanner
from t4g_portal.lib.models import SeededKey
from tests.factories import make_user


class TestMarks:
    def check(self, data_dir, *, is_demo, is_production=False):
        marking.check(data_dir=data_dir, is_demo=is_demo, is_production=is_production)

    def test_a_fresh_directory_becomes_a_demo_for_ever(self, tmp_path):
        self.check(tmp_path, is_demo=True)
        self.check(tmp_path, is_demo=True)

        with pytest.raises(ImproperlyConfigured, match="holds demo data"):
            self.check(tmp_path, is_demo=False)

    @pytest.mark.parametrize("trace", ["pg", "keys", "broker"])
    def test_a_real_directory_is_refused(self, tmp_path, trace):
        (tmp_path / trace).mkdir()

        with pytest.raises(ImproperlyConfigured, match="real data"):
            self.check(tmp_path, is_demo=True)

        self.check(tmp_path, is_demo=False)

    def test_production_is_refused_and_left_unmarked(self, tmp_path):
        with pytest.raises(ImproperlyConfigured, match="never runs there"):
            self.check(tmp_path, is_demo=True, is_production=True)

        assert list(tmp_path.iterdir()) == []

    def test_ports_stay_the_same(self, tmp_path):
        assert marking.choose_ports(tmp_path) == marking.choose_ports(tmp_path)


class TestParts:
    def test_broken_and_mended(self, tmp_path):
        parts.turn(tmp_path, part="api", mode="hang")
        parts.turn(tmp_path, part="shop", mode="error")
        parts.turn(tmp_path, part="shop", mode="")

        assert parts.modes(tmp_path) == {"api": "hang"}

    @pytest.mark.parametrize(("part", "mode"), [("x", "hang"), ("api", "x"), ("", "")])
    def test_what_does_not_exist(self, tmp_path, part, mode):
        with pytest.raises(KeyError):
            parts.turn(tmp_path, part=part, mode=mode)

    def test_a_file_of_nonsense_means_all_is_well(self, tmp_path):
        (marking.folder(tmp_path) / "modes.json").write_text("{")

        assert parts.modes(tmp_path) == {}


class TestInbox:
    def test_slack_is_read_as_people_would(self, tmp_path):
        payload = {
            "text": "P0 Shop is down",
            "blocks": [
                {"type": "header", "text": {"text": "P0 Shop is down"}},
                {"type": "section", "text": {"text": "<!channel> HTTP &lt;500&gt;"}},
                {"type": "section", "fields": [{"text": "*Since*\n10:00"}]},
                {"type": "actions", "elements": [{"url": "http://x/1"}]},
            ],
        }
        inbox.keep_slack(tmp_path, channel="alerts", payload=payload)

        (message,) = inbox.newest(tmp_path, count=9)

        assert (message.to, message.title) == ("#alerts", "P0 Shop is down")
        assert message.text == "@channel HTTP <500>\nSince: 10:00"
        assert message.url == "http://x/1"

    def test_mail_is_decoded(self, tmp_path):
        content = (
            "Subject: =?utf-8?q?=C3=A9teinte?=\r\nContent-Type: text/plain;"
            ' charset="utf-8"\r\n\r\nBonjour\r\nhttp://x/2\r\n'
        )
        inbox.keep_mail(tmp_path, to="a@x.org", content=content.encode())

        (message,) = inbox.newest(tmp_path, count=9)

        assert (message.title, message.url) == ("éteinte", "http://x/2")

    def test_the_oldest_go(self, tmp_path, monkeypatch):
        monkeypatch.setattr(inbox, "KEPT", 2)
        for number in range(4):
            inbox.keep(tmp_path, via="mail", to="a", title=str(number), text="", url="")

        assert [one.title for one in inbox.newest(tmp_path, count=9)] == ["3", "2"]


class TestBanner:
    def answer(self, response):
        return DemoBanner(lambda _request: response)(RequestFactory().get("/"))

    def test_it_stands_at_the_top_of_the_body(self, client):
        page = HttpResponse("<html><body x='a => b' class=\"y\"><p>Hello</p>")

        text = self.answer(page).content.decode()

        assert "Demo data" in text
        assert text.index('class="y">') < text.index("Demo data") < text.index("<p>")

    def test_a_mail_in_a_frame_is_shown_as_it_is_sent(self):
        framed = HttpResponse("<html><body><p>Hello</p>")
        framed["X-Frame-Options"] = "SAMEORIGIN"

        assert "Demo data" not in self.answer(framed).content.decode()

    @pytest.mark.parametrize(
        "response", [HttpResponse("<p>part</p>"), JsonResponse({"a": "<body>"})]
    )
    def test_parts_and_data_are_left_alone(self, response):
        assert "Demo data" not in self.answer(response).content.decode()


@pytest.fixture
def demo(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    settings.PORTAL_DEMO = True
    marking.choose_ports(tmp_path)
    return tmp_path


@pytest.mark.django_db
class TestFilling:
    def test_ninety_days_are_made_up_once(self, demo):
        assert filling.fill(now=timezone.now())
        incidents = Incident.objects.count()
        assert not filling.fill(now=timezone.now())

        assert incidents == Incident.objects.count() >= 14
        assert not Incident.objects.open().exists()
        assert Incident.objects.filter(acknowledged_by__username="anna").exists()
        assert HourlyRollup.objects.count() > 5 * 89 * 24
        # A release of the past is what broke the shop last.
        broke = Incident.objects.filter(service__slug="shop").latest("started_at")
        told = surroundings.around(
            incident=broke, now=timezone.now(), may=lambda _permission: True
        )
        assert any("2026.12.1 deployed" in one.suspicion for one in told)
        starts = StatusInterval.objects.order_by("started_at")
        assert (timezone.now() - starts[0].started_at).days == 90
        assert User.objects.get(username="demo").check_password(filling.password())

    def test_one_release_lacks_a_signature_and_one_is_stuck(self, demo):
        now = timezone.now()
        filling.fill(now=now)

        stuck, ready = sorted(
            queries.open_runs(now=now), key=lambda one: -len(one.standing.blocking)
        )
        assert {one.key: one.state for one in ready.standing.blocking} == {
            "answers": "waiting"
        }
        assert ready.standing.of("logs").state == "waived"
        assert {one.key: one.state for one in stuck.standing.blocking} == {
            "answers": "stale",
            "figures": "waiting",
            "logs": "not_connected",
            "drill": "failed",
            "reviewed": "waiting",
            "rollback": "waiting",
        }
        assert not Notification.objects.filter(status="queued").exists()
        assert not Incident.objects.open().exists()

    def test_a_year_of_figures_is_made_up(self, demo):
        now = timezone.now()
        filling.fill(now=now)

        for slug in (
            "active-users",
            "lightning-transactions",
            "mentoring-sessions",
            "tokens-distributed",
        ):
            kpi = Kpi.objects.get(slug=slug)
            assert kpi.points.filter(is_complete=True).count() >= 365
            assert kpi.targets.count() >= 11
            newest = kpi.points.latest("start")
            assert newest.value == figures.at(newest.end)[kpi.json_path]
            assert newest.end > now - timedelta(days=1, hours=1)
        assert Backfill.objects.filter(status="queued").count() == 2

    def test_figures_grow_without_a_jump(self):
        at = timezone.now()

        found = [figures.at(at + timedelta(minutes=n)) for n in range(0, 3000, 10)]

        for name in found[0]:
            values = [one[name] for one in found]
            assert min(values) > 0
            steps = [abs(a - b) / a for a, b in itertools.pairwise(values)]
            assert max(steps) < 0.1

    def test_each_part_has_its_monitor(self, demo):
        filling.fill(now=timezone.now())

        names = set(Monitor.objects.values_list("name", flat=True))

        assert names == {part.monitor for part in parts.PARTS}

    def test_addresses_that_moved_are_followed(self, demo):
        filling.fill(now=timezone.now())
        path = marking.folder(demo) / "ports.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "database": 4}))

        filling.fill(now=timezone.now())

        assert Monitor.objects.get(name="Database").target == "127.0.0.1:4"

    def test_a_real_database_is_refused(self, demo):
        make_user(username="somebody")

        with pytest.raises(filling.UnableToFill, match="real portal"):
            filling.check_database()

    def test_a_real_portal_refuses_a_demo_database(self, settings):
        SeededKey.objects.create(key="demo", seeded_at=timezone.now())

        with pytest.raises(filling.UnableToFill, match="demo data"):
            filling.check_database()
