"""What must stay true of the road to people: judged as the engine pages, and told."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from incidents import intake, simulator
from incidents.expectations import foreseeing, keeping, occasions, pages, words
from incidents.expectations.judging import Reason, Status, judge
from incidents.models import (
    Absence,
    Alert,
    EscalationPolicy,
    Override,
    PriorityRule,
    ReachExpectation,
    ReachExpectationState,
    Schedule,
    Service,
    Team,
)
from notifications.models import Address, Contact
from tests.api.asking import Api
from tests.factories import (
    make_address,
    make_channel,
    make_contact,
    make_policy,
    make_service,
    make_user,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 10, 20, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PARIS = ZoneInfo("Europe/Paris")


def make_person(name: str, *kinds: str) -> Contact:
    contact = make_contact(name=name)
    for kind in kinds:
        value = "+33612345678" if kind == "phone" else f"{name.lower()}@example.org"
        make_address(contact=contact, kind=kind, value=value)
    return contact


def make_schedule(*shifts: tuple[Contact, datetime, datetime]) -> Schedule:
    schedule = Schedule.objects.create(name="On call", slug="on-call")
    for contact, start, end in shifts:
        Override.objects.create(
            schedule=schedule, contact=contact, starts_at=start, ends_at=end
        )
    return schedule


def make_expectation(**values: Any) -> ReachExpectation:
    return ReachExpectation.objects.create(**{"name": "It pages", **values})


def told_by(steps: dict[str, Any], *more: dict[str, Any]) -> EscalationPolicy:
    return make_policy(steps, *more, name="Urgent")


def test_wall_time_that_comes_twice_is_judged_twice():
    found = occasions.weekly(weekday=6, clock=time(2, 30), zone=PARIS, now=NOW)

    assert found == (
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
        datetime(2026, 11, 1, 1, 30, tzinfo=UTC),
    )


def test_wall_time_that_the_clock_skips_is_judged_at_the_skip():
    now = datetime(2026, 3, 23, 12, 0, tzinfo=UTC)

    found = occasions.weekly(weekday=6, clock=time(2, 30), zone=PARIS, now=now)

    assert found[0] == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize("minutes", range(0, 24 * 60, 360))
def test_every_moment_of_a_day_finds_two_weeks_of_moments(minutes):
    now = NOW + minutes * MINUTE

    for weekday in range(7):
        found = occasions.weekly(
            weekday=weekday, clock=time(12, 0), zone=PARIS, now=now
        )
        assert len(found) == 2
        assert all(now <= at < now + timedelta(days=14) for at in found)


class TestJudging:
    def judged(self, policy: EscalationPolicy, **values: Any) -> tuple[Any, ...]:
        verdict = judge(expectation=make_expectation(policy=policy, **values), now=NOW)
        return verdict.status, verdict.told_at and verdict.told_at - NOW, verdict.reason

    def test_somebody_is_told_when_anything_leaves(self):
        policy = told_by({"channels": [make_channel()]})

        assert self.judged(policy) == (Status.KEPT, 0 * MINUTE, "")

    def test_nobody_is_told_when_nothing_can_leave(self):
        policy = told_by({"contacts": [make_person("Ana")]})

        assert self.judged(policy) == (Status.BROKEN, None, Reason.NOBODY)

    def test_priority_that_waits_for_the_digest_tells_nobody(self):
        PriorityRule.objects.create(priority="p3", response_s=60, is_digest=True)
        expectation = make_expectation(service=make_service(), priority="p3")

        verdict = judge(expectation=expectation, now=NOW)

        assert (verdict.status, verdict.reason) == (Status.BROKEN, Reason.DIGEST)

    def test_service_is_judged_by_the_policy_that_a_real_incident_takes(self):
        ana = make_person("Ana", "email")
        PriorityRule.objects.create(
            priority="p0", response_s=60, policy=told_by({"contacts": [ana]})
        )
        expectation = make_expectation(service=make_service(), contact=ana)

        assert judge(expectation=expectation, now=NOW).status == Status.KEPT

    def test_person_of_a_later_step_is_told_in_time_or_not(self):
        ana, bo = make_person("Ana", "email"), make_person("Bo", "email")
        policy = told_by({"contacts": [ana]}, {"after_s": 600, "contacts": [bo]})

        assert self.judged(policy, contact=bo, within_s=600) == (
            Status.KEPT,
            10 * MINUTE,
            "",
        )
        assert self.judged(policy, name="Too late", contact=bo, within_s=599) == (
            Status.BROKEN,
            None,
            Reason.OTHERS,
        )

    def test_way_must_be_the_one_that_is_meant(self):
        ana = make_person("Ana", "email")
        policy = told_by({"contacts": [ana]})

        assert self.judged(policy, contact=ana, method="email")[0] == Status.KEPT
        assert self.judged(policy, name="By SMS", contact=ana, method="sms") == (
            Status.BROKEN,
            None,
            Reason.OTHERS,
        )

    def test_shared_phone_is_a_way_by_sms(self):
        phone = make_channel(name="Phone", kind="sms", address="+33612345678")
        policy = told_by({"channels": [phone]})

        status, _told, reason = self.judged(policy, method="sms")

        # No provider of SMS is set up here, so that nothing could leave.
        assert (status, reason) == (Status.BROKEN, Reason.NOBODY)
        mail = make_channel(name="Mail")
        other = make_policy({"channels": [mail]}, name="Mail")
        assert self.judged(other, name="Mail", method="email")[0] == Status.KEPT
        assert self.judged(other, name="SMS", method="sms")[2] == Reason.OTHERS

    def test_channel_is_told_itself(self):
        one, other = make_channel(name="One"), make_channel(name="Other")
        policy = told_by({"channels": [one]})

        assert self.judged(policy, channel=one)[0] == Status.KEPT
        assert self.judged(policy, name="Other", channel=other)[2] == Reason.OTHERS

    def test_schedule_is_told_through_whoever_is_on_call_then(self):
        ana = make_person("Ana", "email")
        schedule = make_schedule((ana, NOW - MINUTE, NOW + 60 * MINUTE))
        policy = told_by({"schedules": [schedule]})

        assert self.judged(policy, schedule=schedule)[0] == Status.KEPT

    def test_schedule_without_anybody_is_not_told(self):
        ana = make_person("Ana", "email")
        policy = told_by({"contacts": [ana]})

        assert self.judged(policy, schedule=make_schedule())[2] == Reason.UNOWNED

    def test_team_is_told_when_each_of_its_members_is(self):
        ana, bo = make_person("Ana", "email"), make_person("Bo")
        team = Team.objects.create(name="Backend")
        team.members.set([ana, bo])
        policy = told_by({"teams": [team]})

        assert self.judged(policy, team=team)[2] == Reason.OTHERS
        make_address(contact=bo, kind="email", value="bo@example.org")
        assert self.judged(policy, name="Both", team=team)[0] == Status.KEPT

    def test_weekly_moment_that_fails_is_the_one_that_is_told_of(self):
        ana = make_person("Ana", "email")
        second = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
        schedule = make_schedule((ana, NOW, second))
        policy = told_by({"schedules": [schedule]})
        expectation = make_expectation(
            policy=policy,
            schedule=schedule,
            occasion="weekly",
            weekday="sun",
            clock=time(2, 30),
        )

        verdict = judge(expectation=expectation, now=NOW)

        # 02:30 the second time that night: Ana's shift ended between the two.
        assert verdict.opens_at == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
        assert verdict.is_broken

    def test_moment_that_is_over_is_judged_no_more(self):
        expectation = make_expectation(
            policy=told_by({"contacts": []}), occasion="once", at=NOW - 6 * MINUTE
        )

        assert judge(expectation=expectation, now=NOW).status == Status.PAST

    def test_it_looks_no_further_than_it_must(self, django_assert_max_num_queries):
        policy = told_by({"channels": [make_channel()], "repeat_s": 60})
        expectation = make_expectation(policy=policy, within_s=4 * 3600)

        with django_assert_max_num_queries(25):
            judge(expectation=expectation, now=NOW)


class TestKeeping:
    @pytest.fixture
    def ana(self) -> Contact:
        return make_person("Ana", "email")

    @pytest.fixture
    def expectation(self, ana) -> ReachExpectation:
        policy = told_by({"contacts": [ana]})
        return make_expectation(policy=policy, contact=ana)

    def state(self) -> ReachExpectationState:
        return ReachExpectationState.objects.get()

    def lose_address(self) -> None:
        Address.objects.update(is_enabled=False)

    def test_older_look_changes_nothing_but_after_a_clock_was_set_back(
        self, expectation
    ):
        keeping.watch(now=NOW)
        self.lose_address()

        keeping.watch(now=NOW - MINUTE)
        assert self.state().status == Status.KEPT
        keeping.watch(now=NOW - 60 * MINUTE)
        assert self.state().status == Status.BROKEN

    def test_alert_comes_when_it_breaks_and_ends_when_it_holds_again(self, expectation):
        keeping.watch(now=NOW)
        assert (self.state().status, self.state().since) == (Status.KEPT, NOW)
        assert not Alert.objects.exists()

        self.lose_address()
        keeping.watch(now=NOW + MINUTE)
        keeping.watch(now=NOW + 2 * MINUTE)

        (alert,) = Alert.objects.all()
        assert self.state().since == NOW + MINUTE
        assert self.state().judged_at == NOW + 2 * MINUTE
        assert (alert.status, alert.priority) == (Alert.Status.FIRING, "p3")
        assert alert.title == "What must stay true no longer is: It pages"
        assert "tells Ana within 5" in alert.detail
        assert alert.source == f"expectation:{expectation.pk}"

        Address.objects.update(is_enabled=True)
        keeping.watch(now=NOW + 3 * MINUTE)

        alert.refresh_from_db()
        assert alert.status == Alert.Status.RESOLVED
        assert self.state().status == Status.KEPT

    @pytest.mark.parametrize("end", ["disabled", "deleted"])
    def test_alert_ends_with_the_expectation(self, expectation, end):
        self.lose_address()
        keeping.watch(now=NOW)

        if end == "deleted":
            expectation.delete()
        else:
            ReachExpectation.objects.update(is_enabled=False)
        keeping.watch(now=NOW + MINUTE)

        assert Alert.objects.get().status == Alert.Status.RESOLVED
        assert not ReachExpectationState.objects.exists()

    def test_alert_that_a_person_ended_does_not_come_back_each_minute(
        self, expectation
    ):
        self.lose_address()
        keeping.watch(now=NOW)
        intake.resolve(dedup_key=Alert.objects.get().dedup_key, now=NOW + MINUTE)

        keeping.watch(now=NOW + 2 * MINUTE)

        assert Alert.objects.get().status == Alert.Status.RESOLVED

    def test_one_that_cannot_be_judged_hides_no_other(self, expectation):
        ReachExpectation.objects.create(
            name="Bad zone",
            policy=expectation.policy,
            occasion="weekly",
            weekday="sun",
            clock=time(2, 30),
            time_zone="Nowhere/At all",
        )

        with pytest.raises(RuntimeError):
            keeping.watch(now=NOW)

        assert self.state().expectation_id == expectation.pk

    def test_older_look_does_not_undo_a_newer_one(self, expectation):
        early = judge(expectation=expectation, now=NOW)
        self.lose_address()
        keeping.watch(now=NOW + MINUTE)

        keeping.keep(verdict=early, now=NOW)

        assert self.state().status == Status.BROKEN

    def test_act_that_would_break_one_is_taken_back_and_told(self, expectation):
        keeping.watch(now=NOW)

        said = foreseeing.broken_by(act=self.lose_address, now=NOW)

        assert said == [
            "“It pages” no longer holds. If it breaks now: Nobody at all is told in this"
            " time."
        ]
        assert Address.objects.get().is_enabled

    def test_act_that_breaks_nothing_says_nothing(self, expectation):
        keeping.watch(now=NOW)

        assert foreseeing.broken_by(act=lambda: None, now=NOW) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "At any moment: a P0 on Shop tells somebody within 5\xa0min."),
        (
            {"occasion": "weekly", "weekday": "sun", "clock": time(2, 30)},
            "Every Sunday at 02:30 (Europe/Paris): a P0 on Shop tells somebody within"
            " 5\xa0min.",
        ),
        (
            {
                "occasion": "once",
                "at": datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
                "method": "sms",
                "within_s": 90,
            },
            "On 25 October 2026, 02:30 (CET): a P0 on Shop tells somebody by SMS within"
            " 1\xa0min\xa030\xa0s.",
        ),
    ],
)
def test_expectation_is_one_sentence(values, said):
    expectation = ReachExpectation(service=Service(name="Shop"), **values)

    assert words.sentence(expectation) == said


@pytest.mark.parametrize(
    "wrong",
    [
        {"service": None},
        {"within_s": 59},
        {"occasion": "weekly"},
        {"occasion": "once"},
        {"clock": time(2, 30)},
        {"priority": "p9"},
    ],
)
def test_database_refuses_half_an_expectation(wrong):
    values = {"service": make_service(), **wrong}

    with pytest.raises(IntegrityError), transaction.atomic():
        make_expectation(**values)


def test_database_refuses_two_receivers():
    ana = make_person("Ana")
    team = Team.objects.create(name="Team")

    with pytest.raises(IntegrityError), transaction.atomic():
        make_expectation(service=make_service(), contact=ana, team=team)


class TestApi:
    def test_it_is_written_and_says_at_once_whether_it_holds(self):
        ana = make_person("Ana", "email")
        policy = told_by({"contacts": [ana]})
        api = Api()

        made = api.post(
            "expectations/",
            {"name": "Ana", "policy": policy.pk, "contact": ana.pk, "within_s": 120},
        )

        assert made.status_code == 201
        row = made.json()
        assert row["state"]["status"] == "kept"
        assert row["state"]["told_at"] == row["state"]["opens_at"]
        address = f"expectations/{row['id']}/"
        changed = api.patch(address, {"method": "sms"}).json()
        assert (changed["state"]["status"], changed["state"]["reason"]) == (
            "broken",
            "others",
        )
        listed = api.get("expectations/?status=broken").json()["items"]
        assert [one["id"] for one in listed] == [row["id"]]
        assert api.delete(address).status_code == 204

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({}, "service"),
            ({"occasion": "weekly", "clock": "02:30"}, "weekday"),
            ({"occasion": "once"}, "at"),
            ({"clock": "02:30"}, "clock"),
            ({"time_zone": "Nowhere"}, "time_zone"),
            ({"within_s": 14401}, "within_s"),
            ({"method": "pigeon"}, "method"),
        ],
    )
    def test_what_makes_no_sense_is_refused_by_name(self, wrong, field):
        service = {"service": make_service().pk} if wrong else {}

        answer = Api().post("expectations/", {"name": "It", **service, **wrong})

        assert answer.status_code in (400, 422)
        assert field in answer.content.decode()

    def test_person_whom_one_names_is_not_deleted_unnoticed(self):
        ana = make_person("Ana", "email")
        make_expectation(policy=told_by({"contacts": [ana]}), contact=ana)

        assert Api().delete(f"contacts/{ana.pk}/").status_code == 409


class TestAdmin:
    @pytest.fixture
    def client(self, client):
        client.force_login(make_user(is_superuser=True, is_staff=True))
        return client

    def fields(self, **values: Any) -> dict[str, Any]:
        usual = {
            "name": "Night",
            "is_enabled": "on",
            "priority": "p0",
            "occasion": "always",
            "time_zone": "Europe/Paris",
            "within_s": "300",
        }
        return {**usual, **values}

    def test_expectation_is_judged_when_it_is_saved(self, client):
        policy = told_by({"channels": [make_channel()]})
        url = reverse("admin:incidents_reachexpectation_add")

        answer = client.post(url, self.fields(policy=policy.pk))

        assert answer.status_code == 302
        assert ReachExpectationState.objects.get().status == Status.KEPT
        listed = client.get(reverse("admin:incidents_reachexpectation_changelist"))
        assert "Holds" in listed.content.decode()

    def test_half_an_expectation_is_told_at_its_fields(self, client):
        url = reverse("admin:incidents_reachexpectation_add")

        answer = client.post(url, self.fields(occasion="weekly"))

        assert answer.status_code == 200
        text = answer.content.decode()
        assert "Choose a service or an escalation policy, not both." in text
        assert "Choose a day of the week." in text

    def test_edit_that_would_break_one_is_told_before_it_is_saved(self, client):
        one, other = make_channel(name="One"), make_channel(name="Other")
        policy = told_by({"channels": [one]})
        make_expectation(policy=policy, channel=one)
        keeping.watch(now=timezone.now())
        step = policy.steps.get()
        url = reverse("admin:incidents_escalationpolicy_change", args=[policy.pk])
        form = {
            "name": policy.name,
            "ack_expires_s": "0",
            "steps-TOTAL_FORMS": "1",
            "steps-INITIAL_FORMS": "1",
            "steps-0-id": step.pk,
            "steps-0-policy": policy.pk,
            "steps-0-after_s": "0",
            "steps-0-repeat_s": "0",
            "steps-0-repeat_limit": "0",
            "steps-0-time_zone": "Europe/Paris",
            "steps-0-channels": [other.pk],
        }

        page = client.post(url, form).content.decode()

        assert "“It pages” no longer holds." in page
        assert list(step.channels.all()) == [one]
        assert client.post(url, form | {"save_anyway": "on"}).status_code == 302
        assert list(step.channels.all()) == [other]


class TestPage:
    @pytest.fixture
    def client(self, client):
        client.force_login(make_user(is_superuser=True, is_staff=True))
        return client

    @pytest.fixture
    def query(self) -> str:
        ana = make_person("Ana", "email")
        schedule = make_schedule(
            (ana, timezone.now() - MINUTE, timezone.now() + timedelta(days=700))
        )
        PriorityRule.objects.create(
            priority="p0",
            response_s=300,
            policy=told_by({"schedules": [schedule], "channels": [make_channel()]}),
        )
        service = make_service(name="Backend")
        # A Sunday, whose clock is the one of Paris.
        sunday = timezone.now().date() + timedelta(days=60)
        sunday += timedelta(days=6 - sunday.weekday())
        return f"service={service.slug}&priority=p0&at={sunday}T02:30"

    def test_answer_is_saved_as_what_must_stay_true(self, client, query):
        page = client.get(f"{reverse('simulator')}?{query}")
        form = page.context["keep_form"]
        offered = dict(form.fields["whom"].choices)
        (duty,) = [key for key in offered if key.startswith("schedule:")]
        assert {"", duty} < offered.keys()
        assert "On call in “On call”" in offered.values()
        assert form["name"].value() == "P0 on Backend"

        answer = client.post(
            f"{reverse('simulator-keep')}?{query}",
            {
                "name": " Sunday night ",
                "whom": duty,
                "method": "email",
                "within": "5",
                "occasion": "weekly",
            },
            follow=True,
        )

        row = ReachExpectation.objects.get()
        assert row.clock == time(2, 30)
        assert (row.weekday, row.time_zone) == ("sun", "Europe/Paris")
        assert (row.service, row.policy, row.within_s) == (
            Service.objects.get(),
            None,
            300,
        )
        text = answer.content.decode()
        assert "“Sunday night” is watched from now on." in text
        assert "Every Sunday at 02:30 (Europe/Paris)" in text
        assert "Holds" in text

    def test_name_that_is_taken_is_told_with_the_answer_still_there(
        self, client, query
    ):
        make_expectation(service=Service.objects.get(), name="Taken")

        answer = client.post(
            f"{reverse('simulator-keep')}?{query}",
            {"name": "Taken", "whom": "", "within": "5", "occasion": "always"},
        )

        assert answer.status_code == 422
        assert "There is one of this name." in answer.content.decode()
        assert answer.context["run"].moments

    def test_whoever_is_not_told_is_not_offered(self, client, query):
        stranger = make_person("Stranger", "email")

        answer = client.post(
            f"{reverse('simulator-keep')}?{query}",
            {
                "name": "Stranger",
                "whom": f"contact:{stranger.pk}",
                "within": "5",
                "occasion": "always",
            },
        )

        assert answer.status_code == 422
        assert not ReachExpectation.objects.exists()

    @pytest.mark.parametrize("fold", ["0", "1"])
    def test_run_leads_to_the_very_moment_that_was_judged(self, client, query, fold):
        service = Service.objects.get()
        expectation = make_expectation(
            service=service, occasion="weekly", weekday="sun", clock=time(2, 30)
        )
        opens_at = datetime(2026, 10, 25, int(fold), 30, tzinfo=UTC)

        url = pages.run_url(expectation=expectation, opens_at=opens_at, service=service)

        assert client.get(url).context["run"].at == opens_at

    def test_what_no_longer_holds_comes_first_with_its_reason(self, client, query):
        service = Service.objects.get()
        make_expectation(service=service, name="A holds")
        bo = make_person("Bo", "email")
        make_expectation(service=service, name="B fails", contact=bo)
        keeping.watch(now=timezone.now())

        text = client.get(reverse("simulator")).content.decode()

        assert text.index("B fails") < text.index("A holds")
        assert "1 doesn't hold" in text or "1 doesn&#x27;t hold" in text
        assert "Others are told in this time." in text


def test_simulator_and_verdict_are_of_one_mind():
    ana = make_person("Ana", "email")
    schedule = make_schedule((ana, NOW, NOW + 60 * MINUTE))
    Absence.objects.create(
        contact=ana, starts_at=NOW + 5 * MINUTE, ends_at=NOW + 9 * MINUTE
    )
    policy = told_by({"schedules": [schedule], "repeat_s": 120})
    service = make_service()
    run = simulator.run(service=service, priority="p0", at=NOW, fixed=policy)
    first = min(
        delivery.not_before
        for moment in run.moments
        for delivery in moment.page.deliveries
        if delivery.contact_id == ana.pk
    )

    verdict = judge(expectation=make_expectation(policy=policy, contact=ana), now=NOW)

    assert verdict.told_at == first
