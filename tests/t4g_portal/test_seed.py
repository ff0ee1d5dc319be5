"""The seed gives each row once and respects what people did with it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from incidents.models import EscalationStep, PriorityRule, Service
from monitors.models import Monitor
from notifications.models import Channel
from t4g_portal.configuration import seeding
from t4g_portal.configuration.exporting import export
from t4g_portal.configuration.problems import UnableToImport
from t4g_portal.configuration.sections import SECTIONS
from t4g_portal.lib.models import SeededKey
from tests.factories import make_monitor, make_service, only_step

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def run_seed() -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("seed", stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_first_seed_says_in_one_line_what_it_made():
    out, err = run_seed()

    assert out.startswith("Seeded from the guide: 6 services, 3 contacts, 5 channels,")
    assert (out.count("\n"), err) == (1, "")


def test_second_seed_is_quiet_and_asks_once(django_assert_num_queries):
    run_seed()
    before = export()

    with django_assert_num_queries(1):
        out, err = run_seed()

    assert (out, err) == ("", "")
    assert export() == before


def test_switched_off_seed_makes_nothing(settings):
    settings.PORTAL_SEED = False

    out, _ = run_seed()

    assert out == "PORTAL_SEED is off: nothing is seeded.\n"
    assert not SeededKey.objects.exists()


def test_edited_row_stays_edited():
    run_seed()
    Monitor.objects.filter(name="Frontend").update(interval_s=999, is_enabled=False)
    only_step(PriorityRule.objects.get(priority="p0")).channels.clear()

    run_seed()

    assert Monitor.objects.get(name="Frontend").interval_s == 999
    assert not only_step(PriorityRule.objects.get(priority="p0")).channels.exists()


def test_deleted_row_stays_deleted():
    run_seed()
    Monitor.objects.filter(name="Frontend").delete()
    Channel.objects.all().delete()

    out, _ = run_seed()

    assert out == ""
    assert not Monitor.objects.filter(name="Frontend").exists()
    assert not Channel.objects.exists()


def test_renamed_row_does_not_come_back():
    run_seed()
    Service.objects.filter(slug="frontend").update(slug="site", name="Site")

    run_seed()

    assert not Service.objects.filter(slug="frontend").exists()


def test_row_that_somebody_made_before_is_left_as_it_is():
    make_service(slug="frontend", name="Our site", is_public=False)

    run_seed()

    service = Service.objects.get(slug="frontend")
    assert (service.name, service.is_public) == ("Our site", False)
    assert service.monitors.filter(name="Frontend").exists()


def test_row_of_the_same_name_with_a_secret_of_its_own_is_no_obstacle():
    make_monitor(name="Frontend", secret="token", target="https://example.org")

    out, err = run_seed()

    assert ("6 services" in out, err) == (True, "")
    assert Monitor.objects.get(name="Frontend").target == "https://example.org"


def test_new_row_of_a_later_guide_is_added_without_what_was_deleted(tmp_path: Path):
    later = tmp_path / "later.yaml"
    later.write_text(
        "services: [{slug: a, name: A}]\nchannels: [{name: C, kind: slack}]\n"
    )
    seeding.seed(now=NOW, path=later)
    Service.objects.all().delete()
    Channel.objects.all().delete()
    later.write_text(
        later.read_text()
        + "escalation_policies: [{name: P0, steps: [{channels: [C]}]}]\n"
        "monitors:\n"
        "  - {name: M, service: a, kind: http, target: 'https://example.org'}\n"
    )

    seeded = seeding.seed(now=NOW, path=later)

    assert EscalationStep.objects.get().channels.count() == 0
    assert not Monitor.objects.exists()
    assert [(p.line, p.message) for p in seeded.left_out] == [
        (5, 'monitors "M", service: There is no service "a".')
    ]
    assert seeding.seed(now=NOW, path=later).left_out == ()


def test_row_without_room_is_left_out_and_the_rest_is_made():
    make_service(slug="web", name="Frontend")

    out, err = run_seed()

    assert "5 services" in out
    assert 'services "frontend", name: Service with this Name already exists.' in err
    assert Service.objects.filter(slug="backend").exists()
    assert run_seed() == ("", "")


def test_keys_fit_their_column():
    run_seed()

    sections = {section.name for section in SECTIONS}
    for row in SeededKey.objects.all():
        assert row.key.partition(":")[0] in sections
        assert len(row.key) <= 200


def test_wrong_file_is_refused_whole(tmp_path: Path):
    path = tmp_path / "wrong.yaml"
    path.write_text("services:\n  - {slug: a, name: A}\n  - {slug: b}\n")

    with pytest.raises(UnableToImport):
        seeding.seed(now=NOW, path=path)

    assert not SeededKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_seeds_at_once_make_every_row_once():
    barrier = threading.Barrier(2)
    errors: list[Exception] = []

    def run() -> None:
        barrier.wait()
        try:
            seeding.seed(now=NOW)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert Service.objects.filter(slug="frontend").count() == 1
    assert SeededKey.objects.filter(key="monitors:Frontend").count() == 1
