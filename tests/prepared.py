"""What most tests start from and none needs to make anew: a migrated database.

It is made once for each state of the migrations and copied from then on, which takes a
twentieth of the time. Copies are migrated as well, so that an old one could do no harm.
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from pathlib import Path

import django
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

PREFIX = "migrated_"
# Of one PostgreSQL: who makes a template lets nobody else make one.
LOCK_KEY = zlib.crc32(b"tests.prepared")


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
