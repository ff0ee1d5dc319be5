"""`manage.py run`: set everything up and run the whole portal until Ctrl-C."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Hands over to the launcher."""

    help = "Sets everything up, then runs web, worker and beat until Ctrl-C."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Replace this process: the launcher needs none of the apps we have loaded."""
        # A relative directory would mean another one after the change below.
        os.environ["PORTAL_DATA_DIR"] = str(settings.DATA_DIR)
        os.chdir(settings.BASE_DIR)
        program = [sys.executable, "-m", "t4g_portal.launcher"]
        os.execv(program[0], program)  # noqa: S606
