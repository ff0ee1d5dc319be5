"""`manage.py prepare`: the steps of a start, each only when it is needed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.contrib.staticfiles.finders import get_finder
from django.core.management.base import CommandError

from t4g_portal.management.commands import prepare


@pytest.fixture
def fresh_finders() -> Iterator[None]:
    """Finders read the settings once; these tests change them."""
    get_finder.cache_clear()  # type: ignore[attr-defined]
    yield
    get_finder.cache_clear()  # type: ignore[attr-defined]


def make_command() -> tuple[prepare.Command, io.StringIO]:
    out = io.StringIO()
    return prepare.Command(stdout=out), out


@pytest.mark.django_db
def test_first_admin_is_made_once_and_can_sign_in():
    command, out = make_command()

    command._make_admin()
    password = re.search(r"password {2,}(\S+)", out.getvalue())
    command._make_admin()

    assert password is not None
    user = authenticate(username="admin", password=password[1])
    assert user is not None
    assert user.is_superuser
    assert out.getvalue().count("The first admin was made") == 1


@pytest.mark.django_db
def test_nobody_is_made_admin_under_a_taken_name():
    get_user_model().objects.create_user(username="admin")

    with pytest.raises(CommandError, match="createsuperuser"):
        make_command()[0]._make_admin()


def test_static_files_are_collected_when_they_changed(
    tmp_path: Path, settings, fresh_finders
):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.css").write_text("a {}")
    settings.STATICFILES_DIRS = [source]
    settings.STATICFILES_FINDERS = [
        "django.contrib.staticfiles.finders.FileSystemFinder"
    ]
    settings.DATA_DIR = tmp_path
    settings.STATIC_ROOT = str(tmp_path / "static")
    command, out = make_command()

    command.collect_static()
    command.collect_static()
    assert out.getvalue().count("Collecting") == 1
    assert (tmp_path / "static" / "a.css").read_text() == "a {}"

    (source / "a.css").write_text("a { color: red }")
    command.collect_static()
    assert out.getvalue().count("Collecting") == 2


@pytest.mark.django_db
def test_migrated_database_is_left_alone():
    command, out = make_command()

    command.migrate()

    assert out.getvalue() == ""


def test_moved_data_directory_keeps_its_static_files(tmp_path: Path, settings):
    before, after = tmp_path / "before", tmp_path / "after"
    settings.DATA_DIR, settings.STATIC_ROOT = before, str(before / "static")
    digest = prepare.static_digest()

    settings.DATA_DIR, settings.STATIC_ROOT = after, str(after / "static")
    assert prepare.static_digest() == digest

    settings.STATIC_ROOT = str(after / "elsewhere")
    assert prepare.static_digest() != digest
