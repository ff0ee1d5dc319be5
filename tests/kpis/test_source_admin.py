from __future__ import annotations

import re

import pytest
from django.urls import reverse

from kpis.models import DataSource, DataSourceState
from tests.factories import make_user
from tests.kpis.business import READER_PASSWORD, START, TABLES
from tests.kpis.making import make_source
from tests.monitors.probing import free_port

pytestmark = pytest.mark.django_db

EDIT = ("kpis.view_datasource", "kpis.add_datasource", "kpis.change_datasource")
ADD = reverse("admin:kpis_datasource_add")
LIST = reverse("admin:kpis_datasource_changelist")


@pytest.fixture
def editor(client):
    client.force_login(make_user(may=EDIT))
    return client


@pytest.fixture
def boss(client):
    client.force_login(make_user(may=(*EDIT, "monitors.use_private_targets")))
    return client


def edit_url(source):
    return reverse("admin:kpis_datasource_change", args=[source.pk])


def check_url(source):
    return f"{LIST}{source.pk}/check/"


POSTGRES = {
    "name": "Backend",
    "is_enabled": "on",
    "url": "postgresql://t4g_kpi@db.example:5432/app",
    "allowed_tables": "public.user_activities\nkpi.*",
    "timeout_s": "10",
    "new_secret": "s3cret-s3cret",
}


def faults_in(answer):
    return " ".join(re.findall(r"(?s)errorlist.*?</ul>", answer.content.decode()))


def test_a_newcomer_picks_a_kind_first(editor):
    page = editor.get(ADD).content.decode()

    for kind in ("postgres", "http", "portal", "manual"):
        assert f'href="?kind={kind}"' in page


@pytest.mark.parametrize(
    ("kind", "asked", "not_asked"),
    [
        ("postgres", {"url", "new_secret", "allowed_tables"}, {"header"}),
        ("http", {"url", "new_secret", "header"}, {"allowed_tables"}),
        ("portal", {"timeout_s"}, {"url", "new_secret", "header"}),
        ("manual", {"name"}, {"url", "new_secret", "timeout_s"}),
    ],
)
def test_a_kind_is_asked_for_what_it_needs(editor, kind, asked, not_asked):
    page = editor.get(f"{ADD}?kind={kind}").content.decode()

    assert all(f'name="{name}"' in page for name in asked)
    assert not any(f'name="{name}"' in page for name in not_asked)


def test_a_source_is_saved_and_its_secret_never_shown(editor):
    answer = editor.post(f"{ADD}?kind=postgres", POSTGRES)

    assert answer.status_code == 302, faults_in(answer)
    source = DataSource.objects.get()
    assert source.kind == "postgres"
    assert source.allowed_tables == ["public.user_activities", "kpi.*"]
    assert source.secret == "s3cret-s3cret"
    for url in (edit_url(source), LIST, check_url(source)):
        assert "s3cret-s3cret" not in editor.get(url).content.decode()


@pytest.mark.parametrize("kind", ["portal", "manual"])
def test_a_source_without_an_address_is_saved(editor, kind):
    values = {"name": "Ours", "is_enabled": "on", "timeout_s": "10"}

    answer = editor.post(f"{ADD}?kind={kind}", values)

    assert answer.status_code == 302, faults_in(answer)
    assert DataSource.objects.get().kind == kind


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "postgresql://u:pw@h/d"}, "a field of its own"),
        ({"url": "nonsense"}, "Write it as postgresql"),
        ({"url": ""}, "Write it as postgresql"),
        ({"allowed_tables": "DROP TABLE; x"}, "Write tables as"),
        ({"timeout_s": "600"}, "60"),
    ],
)
def test_what_makes_no_sense_is_told_at_its_field(editor, changes, words):
    answer = editor.post(f"{ADD}?kind=postgres", {**POSTGRES, **changes})

    assert answer.status_code == 200
    assert words in faults_in(answer)
    assert not DataSource.objects.exists()


def test_a_source_that_is_off_may_wait_for_its_address(editor):
    values = {**POSTGRES, "url": "", "is_enabled": ""}

    answer = editor.post(f"{ADD}?kind=postgres", values)

    assert answer.status_code == 302, faults_in(answer)


def test_a_secret_is_kept_replaced_and_cleared(editor):
    source = make_source(
        kind="postgres", url=POSTGRES["url"], secret="s3cret-s3cret", name="Backend"
    )
    kept = {**POSTGRES, "new_secret": ""}

    editor.post(edit_url(source), kept)
    assert DataSource.objects.get().secret == "s3cret-s3cret"
    editor.post(edit_url(source), {**kept, "new_secret": "another"})
    assert DataSource.objects.get().secret == "another"
    editor.post(edit_url(source), {**kept, "clear_secret": "on"})
    assert DataSource.objects.get().secret == ""


def test_a_secret_is_not_sent_to_another_host(editor):
    source = make_source(
        kind="postgres", url=POSTGRES["url"], secret="s3cret-s3cret", name="Backend"
    )
    moved = {**POSTGRES, "url": "postgresql://t4g_kpi@evil.example/app"}

    answer = editor.post(edit_url(source), {**moved, "new_secret": ""})

    assert "it isn&#x27;t sent there" in faults_in(answer)
    assert editor.post(edit_url(source), moved).status_code == 302


def test_private_networks_ask_for_the_permission(editor):
    editor.post(f"{ADD}?kind=postgres", {**POSTGRES, "may_use_private_targets": "on"})
    source = DataSource.objects.get()
    assert not source.may_use_private_targets
    DataSource.objects.update(may_use_private_targets=True)

    moved = {**POSTGRES, "url": "postgresql://t4g_kpi@10.0.0.1/app"}
    answer = editor.post(edit_url(source), moved)

    assert "you may not point it elsewhere" in faults_in(answer)


def test_private_networks_are_open_to_whoever_may(boss):
    boss.post(f"{ADD}?kind=postgres", {**POSTGRES, "may_use_private_targets": "on"})

    assert DataSource.objects.get().may_use_private_targets


def test_the_list_says_what_works(editor, django_assert_max_num_queries):
    for number, state in enumerate(
        [
            None,
            {"problem": "x"},
            {"failing_since": START},
            {"checked_at": START, "last_ok_at": START},
        ]
    ):
        source = make_source(kind="postgres", name=f"S{number}")
        if state is not None:
            DataSourceState.objects.create(source=source, **state)
    make_source(kind="manual", is_enabled=False)

    with django_assert_max_num_queries(15):
        page = editor.get(LIST).content.decode()

    for word in ("Not checked", "Not safe", "Failing", "Works", "Off"):
        assert word in page


@pytest.mark.django_db(transaction=True)
def test_the_check_says_that_a_source_is_safe(boss, business):
    source = make_source(
        kind="postgres",
        url=business.url,
        secret=READER_PASSWORD,
        allowed_tables=list(TABLES),
        may_use_private_targets=True,
    )

    before = boss.get(check_url(source)).content.decode()
    after = boss.post(check_url(source)).content.decode()

    assert "Check now" in before
    assert "Safe to ask" not in before
    assert "Safe to ask" in after
    assert "Everything that must be refused was refused." in after


@pytest.mark.django_db(transaction=True)
def test_the_check_says_what_is_not_safe(boss, business):
    source = make_source(
        kind="postgres",
        url=business.url_of(business.owner),
        secret=business.owner_password,
        may_use_private_targets=True,
    )

    page = boss.post(check_url(source)).content.decode()

    assert "Not safe: it is asked nothing" in page
    assert "SUPERUSER" in page
    # It is remembered, and a later look asks nobody.
    assert "SUPERUSER" in boss.get(check_url(source)).content.decode()
    assert business.owner_password not in page


@pytest.mark.django_db(transaction=True)
def test_the_check_says_why_nobody_answers(boss):
    source = make_source(
        kind="http",
        url=f"http://127.0.0.1:{free_port()}/x",
        may_use_private_targets=True,
    )

    page = boss.post(check_url(source)).content.decode()

    assert "No answer" in page
    assert "The source can&#x27;t be reached" in page


def test_the_last_document_is_shown_as_text(editor):
    source = make_source(kind="http", url="https://kpi.example/x")
    DataSourceState.objects.create(
        source=source, checked_at=START, last_sample={"n": "<script>"}
    )

    page = editor.get(check_url(source)).content.decode()

    assert "&quot;n&quot;: &quot;&lt;script&gt;&quot;" in page


def test_who_may_only_look_cannot_check(client):
    client.force_login(make_user(may=("kpis.view_datasource",)))
    source = make_source()

    assert client.get(check_url(source)).status_code == 403
    assert client.post(check_url(source)).status_code == 403
    assert client.get(edit_url(source)).status_code == 200
