"""What tests start from and none needs to make anew: migrated databases, static files.

Each is made once for a state of the code and copied from then on, which takes a
twentieth of the time. Whoever gets a copy migrates it and collects into it as usual, so
that an old one could do no harm.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from bench.portal import OWN_SETTINGS, ROOT
from t4g_portal.management.commands.prepare import static_digest

PREFIX = "migrated_"
# Of one PostgreSQL: who makes a template lets nobody else make one.
LOCK_KEY = zlib.crc32(b"tests.prepared")
# Of a data directory: what a start makes of the code alone. Its keys are its own.
PARTS = ("pg", "static", "static.stamp")
PREPARE = """
from t4g_portal.management.commands.prepare import Command
command = Command()
command.migrate()
command.collect_static()
"""

EMPTY = """
DO $$
DECLARE one regclass;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR one IN
        SELECT oid FROM pg_class
         WHERE relnamespace = 'public'::regnamespace
           AND relkind IN ('r', 'p') AND NOT relispartition
           AND relname NOT IN ('django_migrations', 'django_content_type', 'auth_permission')
    LOOP
        EXECUTE format('DELETE FROM %s', one);
    END LOOP;
END $$
"""


def state_of_migrations() -> str:
    """A hash of every migration's text: what a migrated database depends on."""
    loader = MigrationLoader(None)
    found = hashlib.sha256(f"{sys.version} {django.VERSION}".encode())
    for key, migration in sorted(loader.disk_migrations.items()):
        source = Path(str(sys.modules[type(migration).__module__].__file__))
        found.update(f"{key} ".encode() + source.read_bytes())
    return found.hexdigest()[:16]


def migrated_template(connection: BaseDatabaseWrapper) -> str:
    """Return the name of a migrated database to copy, made now if nobody has.

    Those of other states of the migrations go away: nobody copies them again.
    """
    name = PREFIX + state_of_migrations()
    # Beside all databases; what it locks is free again when it is closed.
    with connection._nodb_cursor() as cursor:
        # Who migrates on a busy machine takes longer than a page may wait for a row.
        cursor.execute("SET lock_timeout = 0")
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
        cursor.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX]
        )
        found = {row[0] for row in cursor.fetchall()}
        if name in found:
            return name
        for old in found:
            cursor.execute(f'DROP DATABASE "{old}" WITH (FORCE)')
        unfinished = f"{PREFIX}unfinished"
        cursor.execute(f'CREATE DATABASE "{unfinished}" TEMPLATE template0')
        _migrate(connection, unfinished)
        # Nobody copies a database that somebody, autovacuum too, is connected to.
        cursor.execute(f'ALTER DATABASE "{unfinished}" ALLOW_CONNECTIONS false')
        cursor.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')
    return name


def _migrate(connection: BaseDatabaseWrapper, name: str) -> None:
    own = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        call_command("migrate", database=connection.alias, verbosity=0)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = own


def empty_database(connection: BaseDatabaseWrapper) -> None:
    """Delete all rows but those that the migrations made: content types, permissions.

    Django truncates instead, a new file for each of a thousand tables and indexes, and
    makes its two tables anew. No trigger fires here and no key is checked, which is for
    a superuser to say: append-only tables stay so for everybody else.
    """
    with connection.cursor() as cursor:
        cursor.execute(EMPTY)


def fill_data_dir(data_dir: Path) -> None:
    """Put into a portal's new data directory the longest part of its first start.

    Migrated and with its static files, but nobody's yet: the start itself makes the
    keys, the roles and the first admin.
    """
    with _prepared_data_dir() as prepared:
        data_dir.mkdir()
        # Not shutil: the cluster belongs to PostgreSQL's account.
        parts = [str(prepared / name) for name in PARTS]
        subprocess.run(["cp", "-a", *parts, str(data_dir)], check=True)


@contextmanager
def _prepared_data_dir() -> Iterator[Path]:
    """The directory to copy from, made now if nobody has; others wait meanwhile."""
    home = Path(settings.DATA_DIR) / "prepared"
    home.mkdir(parents=True, exist_ok=True)
    state = f"{state_of_migrations()} {static_digest()}"
    made = home / hashlib.sha256(state.encode()).hexdigest()[:16]
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            for old in home.glob("*/"):
                shutil.rmtree(old)
            _prepare(home / "new")
            (home / "new").rename(made)
        yield made


def _prepare(data_dir: Path) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", PREPARE],
        cwd=ROOT,
        env={
            **os.environ,
            **OWN_SETTINGS,
            "PORTAL_DATA_DIR": str(data_dir),
            "PORTAL_DB_FAST": "1",
        },
        stdout=subprocess.DEVNULL,
        check=True,
    )


def make_all() -> None:
    """Make both before any test asks: `make ready`."""
    migrated_template(connections["default"])
    with _prepared_data_dir():
        pass
