"""`manage.py prepare`: what a start needs; quick when nothing has changed."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from t4g_portal.demo import filling
from t4g_portal.first_run import progress
from t4g_portal.lib.history import Via, acting

DATABASE_PATIENCE_S = 60.0
ADMIN_NAME = "admin"


class Command(BaseCommand):
    """Migrations, static files, roles, the guide's configuration and a first admin."""

    help = "Migrates, collects static files, seeds and makes the first admin."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError when the database does not answer."""
        self._wait_for_database()
        self.migrate()
        self._keep_apart()
        self.collect_static()
        with acting(via=Via.START):
            call_command("roles", verbosity=0)
            if settings.PORTAL_DEMO:
                call_command("fill_demo")
        if settings.PORTAL_SEED:
            call_command("seed")
        self._make_admin()

    def _wait_for_database(self) -> None:
        """The server starts while we import; after a crash it first recovers."""
        deadline = time.monotonic() + DATABASE_PATIENCE_S
        while True:
            try:
                connection.ensure_connection()
            except OperationalError as error:
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"The database does not answer: {error}"
                    ) from error
                time.sleep(0.05)
            else:
                return

    def migrate(self) -> None:
        """Bring the database's tables up to date."""
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stdout.write("Migrating the database.")
            call_command("migrate", interactive=False, verbosity=0)

    def _keep_apart(self) -> None:
        """Made-up and real data never meet, wherever the database is."""
        try:
            filling.check_database()
        except filling.UnableToFill as error:
            raise CommandError(str(error)) from error

    def collect_static(self) -> None:
        """Collect the static files anew where anything about them has changed."""
        stamp = settings.DATA_DIR / "static.stamp"
        digest = static_digest()
        is_collected = Path(settings.STATIC_ROOT).is_dir() and stamp.exists()
        if is_collected and stamp.read_text() == digest:
            return
        self.stdout.write("Collecting static files.")
        call_command("collectstatic", interactive=False, clear=True, verbosity=0)
        stamp.write_text(digest)

    def _make_admin(self) -> None:
        users = get_user_model()._default_manager
        if users.filter(is_superuser=True).exists():
            return
        if users.filter(username=ADMIN_NAME).exists():
            raise CommandError(
                f"Nobody is a superuser and the name '{ADMIN_NAME}' is taken. Run "
                "`manage.py createsuperuser`."
            )
        progress.begin(now=timezone.now())
        password = secrets.token_urlsafe(12)
        with acting(via=Via.START):
            users.create_superuser(username=ADMIN_NAME, email="", password=password)
        # Printed, never logged: this is the only time anybody sees it.
        self.stdout.write(
            "\n".join(
                [
                    "",
                    "  The first admin was made. This password is shown only once:",
                    f"    user name  {ADMIN_NAME}",
                    f"    password   {password}",
                    "",
                ]
            )
        )


def static_digest() -> str:
    """Changes whenever a source file, the target or the way of storing does.

    A data directory that is moved keeps what was collected in it.
    """
    backend = settings.STORAGES["staticfiles"]["BACKEND"]
    lines = [backend, os.path.relpath(settings.STATIC_ROOT, settings.DATA_DIR)]
    for finder in get_finders():
        for name, storage in finder.list([]):
            found = Path(storage.path(name)).stat()
            lines.append(f"{name} {found.st_size} {found.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
