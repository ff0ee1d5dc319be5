"""docs/security.md says what the roles are, and names commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

from django.core.management import get_commands

from t4g_portal.roles import ROLES, subjects

TEXT = (Path(__file__).parents[2] / "docs" / "security.md").read_text()


def test_table_of_roles_is_the_one_of_the_code():
    lines = [
        f"| {subject} | {' | '.join(letters[role] or '–' for role in ROLES)} |"
        for subject, letters in subjects().items()
    ]

    assert "\n".join(lines) in TEXT, "\n".join(["the table should be:", *lines])


def test_commands_exist():
    named = set(re.findall(r"manage\.py (\w+)", TEXT))

    assert named <= set(get_commands())
