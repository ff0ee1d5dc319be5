"""Import: idempotent, all or nothing, and every refusal names its line."""

from __future__ import annotations

from datetime import time

import pytest
from django.db import connection

from incidents.models import PriorityRule, Service, ServicePolicy
from monitors.models import Assertion, MaintenanceWindow, Monitor, Threshold
from notifications.models import Address, Channel, Contact
from tests.factories import make_channel, make_contact, make_monitor, make_service
from tests.t4g_portal.configuring import diff, refusals, take_in

pytestmark = pytest.mark.django_db

CANARY = "https://hooks.slack.com/services/T000/B000/canary7f3a"

SHOP = """
services:
  - slug: shop
    name: Shop
monitors:
  - name: Shop page
    service: shop
    kind: http
    target: https://example.org
    tags: [fast, on]
    assertions:
      - {subject: status, operator: equals, expected: 200}
      - {subject: body, operator: contains, expected: yes}
"""


def test_rows_are_created_with_their_references_and_parts():
    report = take_in(SHOP)

    monitor = Monitor.objects.get()
    assert (monitor.service.slug, monitor.tags) == ("shop", ["fast", "on"])
    assert list(
        monitor.assertions.order_by("position").values_list("subject", "expected")
    ) == [("status", "200"), ("body", "yes")]
    assert diff(report) == [
        "services: 1 created",
        "+ shop",
        "monitors: 1 created",
        "+ Shop page",
    ]


def test_second_import_changes_nothing():
    take_in(SHOP)
    revision = Monitor.objects.get().revision

    report = take_in(SHOP)

    assert report.is_empty
    assert diff(report) == ["services: 1 unchanged", "monitors: 1 unchanged"]
    assert Monitor.objects.get().revision == revision


def test_sections_may_stand_in_any_order():
    take_in(
        """
        monitors:
          - {name: A, service: shop, kind: tcp, target: "example.org:25"}
        services:
          - {slug: shop, name: Shop}
        """
    )

    assert Monitor.objects.get().service.name == "Shop"


def test_changed_fields_are_shown_old_and_new():
    take_in(SHOP)

    report = take_in(
        SHOP.replace("https://example.org", "https://example.net")
        .replace("[fast, on]", "[slow]")
        .replace("expected: 200", "expected: 204")
    )

    assert diff(report)[1:] == [
        "monitors: 1 changed",
        "~ Shop page",
        'target: "https://example.org" → "https://example.net"',
        'tags: ["fast", "on"] → ["slow"]',
        'assertions: [["status", "equals", "", "200"], '
        '["body", "contains", "", "yes"]] → '
        '[["status", "equals", "", "204"], ["body", "contains", "", "yes"]]',
    ]
    assert Monitor.objects.get().target == "https://example.net"
    assert Assertion.objects.count() == 2


def test_only_changed_columns_are_written():
    take_in(SHOP)
    monitor = Monitor.objects.get()

    statements: list[str] = []
    with connection.execute_wrapper(_remember(statements)):
        take_in(SHOP.replace("https://example.org", "https://example.net"))

    [update] = [sql for sql in statements if sql.startswith('UPDATE "monitors_monitor')]
    assert '"target" =' in update
    assert '"interval_s" =' not in update
    assert Monitor.objects.get().ping_key == monitor.ping_key


def _remember(statements: list[str]):
    def wrapper(execute, sql, params, many, context):
        statements.append(sql)
        return execute(sql, params, many, context)

    return wrapper


def test_fields_that_a_row_does_not_name_go_back_to_their_defaults():
    service = make_service(slug="shop", name="Shop", is_public=False, position=3)

    report = take_in("services: [{slug: shop, name: Shop}]")

    service.refresh_from_db()
    assert (service.is_public, service.position) == (True, 100)
    assert "is_public: false → true" in diff(report)


def test_rows_that_the_file_does_not_name_are_left_alone_and_counted():
    make_monitor(name="Mine")
    make_service(slug="other")

    report = take_in(SHOP)

    assert Monitor.objects.count() == 2
    assert diff(report)[0] == "services: 1 created, 2 not in the file, left alone"
    assert "monitors: 1 created, 1 not in the file, left alone" in diff(report)


def test_addresses_are_added_and_never_deleted():
    contact = make_contact(name="Ops")
    Address.objects.create(contact=contact, kind="email", value="old@example.org")
    Address.objects.create(contact=contact, kind="email", value="b@example.org")

    report = take_in(
        """
        contacts:
          - name: Ops
            addresses:
              - {kind: email, value: new@example.org}
              - {kind: email, value: b@example.org, is_enabled: false}
        """
    )

    assert set(contact.addresses.values_list("value", "is_enabled")) == {
        ("old@example.org", True),
        ("b@example.org", False),
        ("new@example.org", True),
    }
    assert diff(report) == [
        "contacts: 1 changed, 1 not in the file, left alone",
        "~ Ops",
        "addresses email:new@example.org: – → created",
        "addresses email:b@example.org, is_enabled: true → false",
    ]


def test_assertions_that_the_file_lacks_are_gone():
    take_in(SHOP)

    take_in(SHOP[: SHOP.index("    assertions")])

    assert not Assertion.objects.exists()


def test_steps_of_a_policy_follow_the_file():
    make_channel(name="A")
    make_channel(name="B")
    text = """
    escalation_policies:
      - name: Urgent
        steps:
          - {channels: [B, A], repeat_s: 300, has_mention: true}
          - after_s: 600
            channels: [B]
            only_weekdays: [mon, tue]
            only_from: 09:00
            only_until: "18:30"
    priority_rules:
      - {priority: p0, policy: Urgent, response_s: 300}
    """

    take_in(text)
    report = take_in(text.replace("[B, A]", "[B]"))

    assert "~ Urgent" in diff(report)
    again = take_in(text.replace("[B, A]", "[B]"))
    assert "escalation_policies: 1 unchanged" in diff(again)
    policy = PriorityRule.objects.get().policy
    assert policy is not None
    first, second = policy.steps.all()
    assert [c.name for c in first.channels.all()] == ["B"]
    assert (second.after_s, second.only_from, second.only_until) == (
        600,
        time(9),
        time(18, 30),
    )
    assert second.only_weekdays == ["mon", "tue"]


def test_service_has_a_policy_of_its_own():
    text = """
    services: [{slug: shop, name: The shop}]
    escalation_policies: [{name: Shop}]
    service_policies:
      - {service: shop, priority: p1, policy: Shop}
      - {service: shop, policy: Shop}
    """

    take_in(text)
    again = take_in(text)

    assert "service_policies: 2 unchanged" in diff(again)
    assert ServicePolicy.objects.count() == 2


def test_file_from_before_there_were_policies_is_told_what_to_do():
    text = """
    priority_rules:
      - {priority: p0, channels: [A], repeat_s: 300, response_s: 300}
    """

    assert [message for _line, message in refusals(text)] == [
        f'priority_rules "p0", {name}: It has moved: write it into a step of a row of '
        "escalation_policies, and name that row here as “policy”."
        for name in ("channels", "repeat_s")
    ]


def test_window_and_threshold_refer_to_rows_of_the_same_file():
    take_in(
        SHOP
        + """
thresholds:
  - name: Slow shop
    measure: latency
    monitor: Shop page
    critical_bound: 1500.5
maintenance_windows:
  - name: Night
    starts_at: 2026-03-01T02:00:00+01:00
    duration_s: 7200
    recurrence: FREQ=DAILY
    monitors: [Shop page]
    services: [shop]
"""
    )

    assert Threshold.objects.get().monitor == Monitor.objects.get()
    window = MaintenanceWindow.objects.get()
    assert window.starts_at.isoformat() == "2026-03-01T01:00:00+00:00"
    assert [m.name for m in window.monitors.all()] == ["Shop page"]


def test_null_clears_a_field_that_may_be_empty():
    text = """
    thresholds:
      - {name: A, measure: latency, warning_bound: 1, critical_bound: null}
    """

    take_in(text)

    assert Threshold.objects.get().critical_bound is None


# --- Secrets ------------------------------------------------------------------------

SLACK = """
channels:
  - name: Slack
    kind: slack
    secret_env: SLACK_URL
    is_enabled: true
"""


def test_secret_comes_from_the_environment_and_shows_nowhere():
    created = take_in(SLACK, environ={"SLACK_URL": CANARY})
    same = take_in(SLACK, environ={"SLACK_URL": CANARY})
    replaced = take_in(SLACK, environ={"SLACK_URL": CANARY + "2"})

    assert Channel.objects.get().secret == CANARY + "2"
    assert same.is_empty
    assert diff(replaced)[2:] == ["secret_env: … → from SLACK_URL"]
    for report in (created, same, replaced):
        assert "canary" not in repr(report)


def test_secret_stays_when_the_file_says_nothing_about_it():
    make_channel(name="Slack", kind="slack", address="", secret=CANARY)

    report = take_in(SLACK.replace("    secret_env: SLACK_URL\n", ""))

    assert report.is_empty
    assert Channel.objects.get().secret == CANARY


def test_wrong_secret_is_refused_without_showing_it():
    [(line, message)] = refusals(SLACK, environ={"SLACK_URL": "canary7f3a"})

    assert line == 4
    assert "https://" in message
    assert "canary" not in message


def test_unset_variable_is_refused():
    assert refusals(SLACK) == [
        (
            4,
            'channels "Slack", secret_env: The environment variable "SLACK_URL" is '
            "not set.",
        )
    ]


def test_channel_without_its_secret_can_not_be_enabled():
    [(line, message)] = refusals(SLACK.replace("    secret_env: SLACK_URL\n", ""))

    assert line == 2
    assert "secret_env" in message


def test_secret_in_the_file_is_refused_without_showing_it():
    [(line, message)] = refusals(SLACK.replace("_env: SLACK_URL", f": {CANARY}"))

    assert line == 4
    assert "secret_env" in message
    assert "canary" not in message


AUTHENTICATED = """
services: [{slug: s, name: S}]
monitors:
  - name: M
    service: s
    kind: http
    target: https://example.org/a
    options: {auth: bearer}
    secret_env: TOKEN
"""


def test_stored_secret_is_not_taken_to_another_host():
    take_in(AUTHENTICATED, environ={"TOKEN": "one"})
    without = AUTHENTICATED.replace("    secret_env: TOKEN\n", "")

    take_in(without.replace("/a", "/b"))
    [(line, message)] = refusals(without.replace("example.org", "example.net"))
    take_in(
        AUTHENTICATED.replace("example.org", "example.net"), environ={"TOKEN": "two"}
    )

    assert (line, "another host" in message) == (6, True)
    monitor = Monitor.objects.get()
    assert (monitor.target, monitor.secret) == ("https://example.net/a", "two")


def test_host_may_change_where_no_secret_is_stored():
    take_in(SHOP)

    take_in(SHOP.replace("example.org", "example.net"))

    assert Monitor.objects.get().target == "https://example.net"


def test_secret_whose_key_is_lost_is_replaced(settings):
    take_in(AUTHENTICATED, environ={"TOKEN": "one"})
    settings.PORTAL_DATA_KEYS = "k9:" + "A" * 43

    report = take_in(AUTHENTICATED, environ={"TOKEN": "one"})

    assert diff(report)[-1] == "secret_env: … → from TOKEN"
    assert Monitor.objects.get().secret == "one"


# --- Refusals -----------------------------------------------------------------------

MONITOR = """
services: [{slug: s, name: S}]
monitors:
  - name: M
    service: s
    kind: http
    target: https://example.org
    %s
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("intervall_s: 5", "Is “interval_s” meant?"),
        ("colour: red", "Known are: name, service"),
        ("interval_s: 5m", 'A whole number is expected, not "5m"'),
        ("interval_s: 1.5", "A whole number is expected"),
        ("interval_s: true", "A whole number is expected"),
        ("interval_s: [1]", "A whole number is expected, not [1]"),
        ("interval_s: 99999999999", "less than or equal to"),
        ("interval_s: 0", "Give 1 second to 366 days."),
        ("interval_s:", "A whole number is expected"),
        ("timeout_s: soon", 'A number is expected, not "soon"'),
        ("timeout_s: .inf", "A number is expected"),
        ("timeout_s: 121", "at most 120 seconds"),
        ("retry_interval_s: 61", "no more than the interval (60 s)"),
        ("failures_to_down: 0", "Give at least 1."),
        ("is_enabled: yes", 'true or false is expected, not "yes"'),
        ("is_enabled: 'true'", "true or false is expected"),
        ("tags: fast", "A list is expected"),
        ("tags: [a, b, a]", '"a" stands in the list twice'),
        ("tags: [[a]]", "A name is expected"),
        ("tags: [" + "x" * 41 + "]", "40 characters"),
        ("runbook_url: wiki", "valid URL"),
        ("options: POST", "Names with values are expected"),
        ("options: {methode: POST}", "options.methode: There is no such option"),
        ("options: {method: FETCH}", "options.method: Choose one of"),
        ("options: {expected_statuses: 200}", "needs quotes"),
        ("options: {body: hi}", "options.body: This method has no body"),
        ("assertions: {subject: status}", "A list of rows is expected"),
        ("assertions: [status]", "A row with names and values is expected"),
        ("assertions: [{operator: equals}]", "“subject” is missing"),
        (
            "assertions: [{subject: colour, operator: equals}]",
            "assertions[1], subject: There is no such subject",
        ),
        (
            "assertions: [{subject: json, operator: exists, argument: '['}]",
            "assertions[1], argument: This is not a JMESPath",
        ),
        (
            "assertions: [{subject: answer, operator: exists}]",
            "no such thing",
        ),
        ("secret_env: NOT_THERE", "is not set"),
        ("name: N", "second time"),
    ],
)
def test_bad_monitor_line_is_refused_by_its_number(line: str, said: str):
    [(number, message)] = refusals(MONITOR % line)

    assert (number, said in message) == (7, True), message
    assert not Service.objects.exists()


@pytest.mark.parametrize(
    ("old", "new", "number", "said"),
    [
        ("kind: http", "kind: https", 5, '"https" is not one of http, heartbeat'),
        ("kind: http", "kind:", 5, "There is no value"),
        ("https://example.org", "ftp://example.org", 6, "target"),
        ("https://example.org", "https://me:pw@example.org", 6, "target"),
        ("service: s\n", "service: t\n", 4, 'There is no service "t"'),
        ("service: s\n", "service:\n", 4, "A name is expected"),
        ("    service: s\n", "", 3, "“service” is missing"),
        ("- name: M", "- nom: M", 3, "“name” is missing"),
        ("name: M", "name: ''", 3, "cannot be blank"),
        ("name: M", "name: " + "M" * 121, 3, "at most 120 characters"),
        ("name: M", "name: {a: b}", 3, "Text is expected"),
        ("services: [", "services: [5, ", 1, "A row with names and values"),
        ("services:", "service:", 1, "Is “services” meant?"),
        ("slug: s,", "slug: s s,", 1, "slug"),
        ("slug: s,", "slug: s, time_zone: Mars,", 1, "Europe/Paris"),
        ("slug: s,", "slug: s, time_zone: '',", 1, "cannot be blank"),
    ],
)
def test_bad_row_is_refused_by_its_number(old: str, new: str, number: int, said: str):
    text = (MONITOR % "is_enabled: true").replace(old, new, 1)

    problems = refusals(text)

    assert any(line == number and said in message for line, message in problems), (
        problems
    )
    assert not Monitor.objects.exists()


@pytest.mark.parametrize(
    ("text", "number", "said"),
    [
        (
            "channels:\n  - {name: A, kind: fax}",
            2,
            '"fax" is not one of email',
        ),
        (
            "channels:\n  - name: A\n    kind: email\n    address: ops",
            4,
            "not an e-mail address",
        ),
        (
            "channels:\n  - name: A\n    kind: email\n    is_enabled: true",
            2,
            "before you enable",
        ),
        (
            "contacts:\n  - name: A\n    addresses:\n"
            "      - kind: phone\n        value: 0612",
            5,
            "country code",
        ),
        (
            "contacts:\n  - name: A\n    addresses:\n"
            "      - {kind: email, value: a@example.org}\n"
            "      - {kind: email, value: a@example.org}",
            5,
            "second time; first in line 4",
        ),
        ("contacts:\n  - name: A\n    time_zone: Mars", 3, "Europe/Paris"),
        (
            "priority_rules:\n  - priority: p9\n    response_s: 5",
            2,
            "is not one of p0, p1, p2, p3",
        ),
        (
            "escalation_policies:\n  - name: A\n    steps:\n      - repeat_s: 30",
            4,
            "at least 60 seconds",
        ),
        (
            "escalation_policies:\n  - name: A\n    steps:\n"
            "      - channels: [Nowhere]",
            4,
            'no channel "Nowhere"',
        ),
        ("control_targets:\n  - host: a b\n    port: 443", 2, "host"),
        ("control_targets:\n  - host: a\n    port: 70000", 3, "1 to 65535"),
        (
            "control_targets:\n  - {host: a}\n  - {host: a, port: 443}",
            3,
            "second time; first in line 2",
        ),
        ("thresholds:\n  - name: A\n    measure: latency", 2, "critical_bound"),
        *(
            (f"thresholds:\n  - name: A\n    measure: {values}", line, said)
            for values, line, said in [
                ("down\n    series_name: a", 4, "about monitors"),
                (
                    "latency\n    critical_bound: 5\n    warning_bound: 5",
                    5,
                    "warning must come before",
                ),
                (
                    "tls_days\n    comparison: below\n    critical_bound: 7\n"
                    "    warning_bound: 3",
                    6,
                    "warning must come before",
                ),
                (
                    "latency\n    warning_bound: 5\n    clear_bound: 6",
                    5,
                    "good side",
                ),
                (
                    "tls_days\n    comparison: below\n    warning_bound: 5\n"
                    "    clear_bound: 4",
                    6,
                    "good side",
                ),
                (
                    "series\n    series_name: a\n    tag: b\n    warning_bound: 1",
                    5,
                    "has no monitor",
                ),
                (
                    "series\n    series_name: a\n    warning_bound: 1\n"
                    "    series_labels:\n      zone: 5",
                    7,
                    "series_labels.zone: Put it in quotes",
                ),
            ]
        ),
        (
            "thresholds:\n  - name: A\n    measure: down\n    for_count: 0",
            4,
            "at least 1",
        ),
        (
            "thresholds:\n  - name: A\n    measure: series\n    warning_bound: 1",
            2,
            "Name the series",
        ),
        (
            "thresholds:\n  - name: A\n    measure: series\n    warning_bound: 1\n"
            "    series_name: a",
            2,
            "Name the service",
        ),
        (
            "maintenance_windows:\n  - name: A\n    starts_at: 2026-03-01 02:00",
            3,
            "A time with its offset",
        ),
        (
            "maintenance_windows:\n  - name: A\n    starts_at: soon",
            3,
            "A time with its offset",
        ),
        (
            "maintenance_windows:\n  - name: A\n"
            "    starts_at: 2026-03-01T02:00:00Z\n    duration_s: 5",
            4,
            "60 seconds to 30 days",
        ),
        (
            "maintenance_windows:\n  - name: A\n"
            "    starts_at: 2026-03-01T02:00:00Z\n    recurrence: FREQ=SOMETIMES",
            4,
            "recurrence",
        ),
        (
            "maintenance_windows:\n  - name: A\n"
            "    starts_at: 2026-03-01T02:00:00Z\n    time_zone: Mars",
            4,
            "Europe/Paris",
        ),
        (
            "maintenance_windows:\n  - name: A\n"
            "    starts_at: 2026-03-01T02:00:00Z\n    monitors:\n      - Nothing",
            4,
            'no monitor "Nothing"',
        ),
        ("services: a", 1, "A list of rows"),
        (
            "services:\n  - {slug: a, name: A}\n  - {slug: a, name: B}",
            3,
            "second time; first in line 2",
        ),
    ],
)
def test_bad_value_of_any_section_names_its_line(text: str, number: int, said: str):
    problems = refusals(text)

    assert any(line == number and said in message for line, message in problems), (
        problems
    )


def test_all_problems_are_reported_at_once():
    lines = [
        line
        for line, _ in refusals(
            """
            services:
              - slug: a
                name: A
                colour: red
              - slug: b
            monitors:
              - name: M
                service: nowhere
                kind: http
                interval_s: often
                timeout_s: 500
            unknown: 1
            """
        )
    ]

    assert lines == [4, 5, 8, 10, 12]


def test_nothing_is_written_when_the_last_row_is_bad():
    make_service(slug="shop", name="Before")

    refusals(SHOP + "thresholds: [{name: A, measure: latency}]")

    assert Service.objects.get().name == "Before"
    assert not Monitor.objects.exists()


def test_what_only_the_database_refuses_names_the_line_and_writes_nothing():
    make_service(slug="old", name="Shop")

    problems = refusals(SHOP)

    assert problems == [
        (3, 'services "shop", name: Service with this Name already exists.')
    ]
    assert Service.objects.count() == 1


def test_rows_whose_names_collide_with_each_other_are_refused():
    problems = refusals("services:\n  - {slug: a, name: X}\n  - {slug: b, name: X}\n")

    assert problems == [
        (3, 'services "b", name: Service with this Name already exists.')
    ]
    assert not Service.objects.exists()


def test_dry_run_shows_the_same_diff_and_writes_nothing():
    make_contact(name="Ops", language="fr")
    text = SHOP + "contacts: [{name: Ops, language: en}]\n"

    dry = take_in(text, is_dry_run=True)

    assert not Service.objects.exists()
    assert not Monitor.objects.exists()
    assert Contact.objects.get().language == "fr"
    assert diff(dry) == diff(take_in(text))


def test_dry_run_finds_what_only_the_database_refuses():
    make_service(slug="old", name="Shop")

    with pytest.raises(Exception, match="already exists"):
        take_in(SHOP, is_dry_run=True)
