"""A dead connection is noticed without asking a living one."""

from __future__ import annotations

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

pytestmark = pytest.mark.django_db(transaction=True)


def pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def begin_request() -> None:
    """What Django does to a connection before each request."""
    connection.settings_dict["CONN_HEALTH_CHECKS"] = True
    connection.health_check_enabled = True  # type: ignore[attr-defined]
    connection.close_if_unusable_or_obsolete()


def test_living_connection_is_kept_and_not_asked():
    first = pid()

    with CaptureQueriesContext(connection) as asked:
        begin_request()
        assert pid() == first

    assert [query["sql"] for query in asked] == ["SELECT pg_backend_pid()"]


def test_connection_that_the_server_ended_is_replaced():
    first = pid()
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    other.close()

    begin_request()

    assert pid() != first
