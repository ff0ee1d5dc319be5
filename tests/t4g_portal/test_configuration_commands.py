"""`manage.py config` as people type it."""

from __future__ import annotations

from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from incidents.models import Service
from t4g_portal.configuration.exporting import export
from tests.factories import make_monitor

pytestmark = pytest.mark.django_db

GOOD = "services:\n  - slug: shop\n    name: Shop\n"


def run_import(*arguments: str) -> str:
    out = StringIO()
    call_command("config", "import", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> tuple[str, str]:
    err = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("config", "import", *arguments, stderr=err)
    return err.getvalue(), str(caught.value)


def test_export_goes_to_the_terminal_or_a_file(tmp_path: Path):
    make_monitor(target="https://example.org")
    out, path = StringIO(), tmp_path / "portal.yaml"

    call_command("config", "export", stdout=out)
    call_command("config", "export", "--output", str(path))

    assert out.getvalue() == path.read_text() == export()


def test_unwritable_output_is_an_error_in_words(tmp_path: Path):
    with pytest.raises(CommandError, match="Is a directory"):
        call_command("config", "export", "--output", str(tmp_path))


def test_import_prints_the_diff(tmp_path: Path):
    path = tmp_path / "portal.yaml"
    path.write_text(GOOD)

    first, second = run_import(str(path)), run_import(str(path))

    assert first == "services: 1 created\n  + shop\n"
    assert second == "services: 1 unchanged\nNothing to change.\n"


def test_dry_run_says_so(tmp_path: Path):
    path = tmp_path / "portal.yaml"
    path.write_text(GOOD)

    out = run_import(str(path), "--dry-run")

    assert out.endswith("Dry run: nothing was written.\n")
    assert not Service.objects.exists()


def test_import_reads_standard_input(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(GOOD.encode())))

    run_import("-")

    assert Service.objects.get().slug == "shop"


def test_problems_are_printed_as_file_and_line(tmp_path: Path):
    path = tmp_path / "portal.yaml"
    path.write_text(GOOD + "    colour: red\n    position: x\n")

    err, error = refused(str(path))

    lines = err.splitlines()
    assert lines[0].startswith(f'{path}:4: services "shop": "colour" is unknown.')
    assert lines[1].startswith(f'{path}:5: services "shop", position: A whole number')
    assert error == "2 problems; nothing was written."


def test_missing_file_is_an_error_in_words(tmp_path: Path):
    err, error = refused(str(tmp_path / "nothing.yaml"))

    assert (err, error.endswith("nothing.yaml: No such file or directory.")) == (
        "",
        True,
    )


def test_endless_file_is_refused():
    err, error = refused("/dev/zero")

    assert "larger than 1024 KiB" in err
    assert error == "1 problem; nothing was written."
