"""What the tests of the configuration share."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import pytest

from t4g_portal.configuration.importing import import_configuration
from t4g_portal.configuration.problems import UnableToImport
from t4g_portal.configuration.report import Report


def take_in(
    text: str, *, is_dry_run: bool = False, environ: Mapping[str, str] | None = None
) -> Report:
    """Import indented YAML; its first line is line 1."""
    return import_configuration(
        data=textwrap.dedent(text).lstrip("\n").encode(),
        environ=environ or {},
        is_dry_run=is_dry_run,
    )


def refusals(
    text: str, *, environ: Mapping[str, str] | None = None
) -> list[tuple[int, str]]:
    """Import what must be refused; return line and message of each problem."""
    with pytest.raises(UnableToImport) as caught:
        take_in(text, environ=environ)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def diff(report: Report) -> list[str]:
    """Return the diff as a terminal shows it, without indentation."""
    return [line.strip() for line in report.lines()]
