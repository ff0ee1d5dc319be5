"""The first run: three steps, offered until somebody finishes or skips it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.utils import timezone

from incidents.models import PriorityRule, Service
from monitors.history import partitions
from monitors.models import Monitor
from notifications.models import Channel, Notification
from t4g_portal.first_run import progress
from t4g_portal.lib.models import FirstRun
from tests.factories import make_monitor, make_priority_rules, make_user, only_step
from tests.monitors.judged import make_result, make_threshold, make_watched

pytestmark = pytest.mark.django_db
START = "/first-steps/"


@pytest.fixture
def ops(client):
    user = make_user(username="ops", is_staff=True, is_superuser=True)
    client.force_login(user)
    return client


class TestOffered:
    def test_the_overview_leads_there_until_it_is_skipped(self, ops):
        progress.begin(now=timezone.now())

        assert ops.get("/").url == START
        ops.post(f"{START}end/", {"how": "skip"})

        assert ops.get("/").status_code == 200
        ended = FirstRun.objects.get()
        assert ended.is_skipped
        assert ended.ended_by == User.objects.get(username="ops")
        assert ops.get(START).status_code == 200

    def test_finishing_ends_it_for_everybody(self, ops):
        progress.begin(now=timezone.now())

        ops.post(f"{START}end/", {"how": "done"})
        progress.begin(now=timezone.now())

        assert not FirstRun.objects.get().is_skipped
        assert ops.get("/").status_code == 200

    def test_a_portal_that_has_always_run_is_left_alone(self, ops):
        assert ops.get("/").status_code == 200

    def test_a_live_refresh_of_the_overview_is_not_led_away(self, ops):
        progress.begin(now=timezone.now())

        assert ops.get("/?live").status_code == 200

    def test_who_may_not_set_up_sees_the_overview(self, client):
        call_command("roles", verbosity=0)
        progress.begin(now=timezone.now())
        user = make_user(username="manager", is_staff=True)
        user.groups.set(Group.objects.filter(name="Manager"))
        client.force_login(user)

        assert client.get("/").status_code == 200
        assert client.get(START).status_code == 403

    def test_ops_may(self, client):
        call_command("roles", verbosity=0)
        user = make_user(username="olga", is_staff=True)
        user.groups.set(Group.objects.filter(name="Ops"))
        client.force_login(user)

        assert client.get(START).status_code == 200


class TestWatch:
    def watch(self, client, service="Shop", url="https://shop.example/"):
        return client.post(f"{START}watch/", {"service": service, "url": url})

    def test_a_name_and_an_address_make_a_monitor(self, ops):
        answer = self.watch(ops, url="shop.example")

        monitor = Monitor.objects.get()
        assert (monitor.name, monitor.target) == ("Shop", "https://shop.example")
        assert (monitor.service.slug, monitor.kind) == ("shop", "http")
        assert (monitor.interval_s, monitor.failures_to_down) == (60, 3)
        assert monitor.is_enabled
        assert answer.url == f"{START}?monitor={monitor.pk}#see"

    def test_a_service_that_is_there_gets_one_more(self, ops):
        known = make_monitor(name="Shop")
        Service.objects.filter(pk=known.service_id).update(name="Shop")

        self.watch(ops, service="shop", url="https://two.example/")

        newest = Monitor.objects.order_by("-pk")[0]
        assert newest.service_id == known.service_id
        assert Service.objects.count() == 1

    def test_two_of_a_name_are_told_apart(self, ops):
        self.watch(ops)
        self.watch(ops, url="https://two.example/")

        names = set(Monitor.objects.values_list("name", flat=True))
        assert names == {"Shop", "Shop two.example"}

    @pytest.mark.parametrize(
        "url", ["https://", "ftp://shop.example/", "https://a b/", "http://[", "\0"]
    )
    def test_what_is_wrong_is_said_and_kept(self, ops, url):
        answer = self.watch(ops, url=url)

        assert answer.status_code == 422
        assert 'id="url_fault"' in answer.text
        assert 'value="Shop"' in answer.text
        assert not Monitor.objects.exists()
        assert not Service.objects.exists()


class TestTell:
    def tell(self, client, destination):
        return client.post(f"{START}tell/", {"destination": destination})

    def test_mail_is_tried_and_told_of_the_most_urgent(self, ops):
        make_priority_rules()

        answer = self.tell(ops, "ops@shop.example")

        channel = Channel.objects.get(address="ops@shop.example")
        assert (channel.kind, channel.is_enabled) == ("email", True)
        step = only_step(PriorityRule.objects.get(priority="p0"))
        assert channel in step.channels.all()
        assert Notification.objects.get(purpose="test").channel == channel
        page = ops.get(answer.url.partition("#")[0]).text
        assert "kept, not sent" in page

    def test_the_same_address_is_not_added_twice(self, ops):
        self.tell(ops, "ops@shop.example")
        self.tell(ops, "ops@shop.example")

        assert Channel.objects.filter(kind="email").count() == 1

    def test_a_slack_channel_that_waits_is_filled_in(self, ops, monkeypatch):
        monkeypatch.setattr(
            "t4g_portal.first_run.views.try_channel", lambda **_values: None
        )
        waiting = Channel.objects.create(name="Slack #alerts", kind="slack")

        self.tell(ops, "https://hooks.slack.com/services/T/B/secret")

        waiting.refresh_from_db()
        assert waiting.is_enabled
        assert waiting.secret.endswith("/secret")
        assert "services/T/B/secret" not in ops.get(START).text

    @pytest.mark.parametrize(
        "typed", ["nobody", "a@", "http://hooks.example/x", "https://u:p@x.example/"]
    )
    def test_what_is_no_destination_is_said(self, ops, typed):
        answer = self.tell(ops, typed)

        assert answer.status_code == 422
        assert 'id="destination_fault"' in answer.text
        assert not Channel.objects.exists()


class TestSee:
    def test_pending_then_the_first_result_with_its_phases(self, ops):
        now = timezone.now()
        partitions.ensure(now=now)
        monitor = make_watched(now, name="Shop front")
        address = f"{START}?monitor={monitor.pk}&live"

        before = ops.get(address).text
        make_result(monitor, now, ms=140)
        after = ops.get(address).text

        assert "Waiting for the first answer" in before
        assert "Answered in 140" in after
        assert "first byte" in after

    def test_who_would_be_told_is_said(self, ops):
        make_priority_rules()
        make_watched(timezone.now(), name="Shop front")

        nobody = ops.get(START).text
        make_threshold("down", critical_priority="p0")
        ops.post(f"{START}tell/", {"destination": "ops@shop.example"})
        somebody = ops.get(START).text

        assert "nobody is told" in nobody
        assert "a P0 incident opens" in somebody
        assert "<strong>E-mail ops@shop.example</strong>" in somebody

    @pytest.mark.parametrize("asked", ["x", "0", "999999999999999", "", "\0"])
    def test_an_unknown_monitor_is_no_error(self, ops, asked):
        answer = ops.get(START, {"monitor": asked})

        assert answer.status_code == 200
        assert "appears here" in answer.text
