"""`manage.py fill_demo`: a part of `make demo`'s start."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from t4g_portal.demo import filling


class Command(BaseCommand):
    help = "Fill a demo's database with its configuration, its people and a past."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.PORTAL_DEMO:
            raise CommandError("This is no demo. Run `make demo`.")
        began = time.monotonic()
        if filling.fill(now=timezone.now()):
            took_s = time.monotonic() - began
            self.stdout.write(f"Made up 90 days of history in {took_s:.1f} s.")
        self.stdout.write(
            "\n".join(
                [
                    "",
                    "  This is a demo: everything in it is made up.",
                    f"    user name  {filling.ADMIN}  (or anna, jules, sofia)",
                    f"    password   {filling.password()}",
                    f"    break it   {settings.PORTAL_URL}/demo/platform/",
                    "",
                ]
            )
        )
