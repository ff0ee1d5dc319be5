"""What the log says about a request, and how its lines belong together."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import RequestFactory

from t4g_portal.lib.logs.formatting import make_formatter
from t4g_portal.trust.request_log import request_log_middleware
from tests.factories import make_monitor, make_user

pytestmark = pytest.mark.django_db


class Lines:
    """What production would write."""

    def __init__(self, stream: io.StringIO) -> None:
        self.stream = stream

    @property
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [line for line in self.all if line["event"] == "request"]


@pytest.fixture
def lines() -> Iterator[Lines]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(make_formatter(is_json=True))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield Lines(stream)
    root.removeHandler(handler)
    root.setLevel(level)


def test_request_is_one_line_without_its_query(client, lines):
    user = make_user(is_superuser=True)
    client.force_login(user)
    monitor = make_monitor()

    client.get(f"/monitors/{monitor.pk}/?token=canary")

    (line,) = lines.requests
    assert line["method"] == "GET"
    assert line["path"] == f"/monitors/{monitor.pk}/"
    assert line["status"] == 200
    assert line["ms"] > 0
    assert line["user_id"] == user.pk
    assert line["pk"] == monitor.pk
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")
    assert "canary" not in lines.stream.getvalue()


@pytest.mark.parametrize("address", ["/ping/canary-key", "/health", "/?live"])
def test_what_machines_ask_all_the_time_is_not_told(client, lines, address):
    client.force_login(make_user(is_superuser=True))

    client.get(address)

    assert lines.requests == []
    assert "canary" not in lines.stream.getvalue()


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [
        ("0123456789abcdef", True),
        ("req-1.a_B:9", False),
        ("short", False),
        ("x" * 65, False),
        ("a b c d e f g h", False),
        ("aaaaaaaa\nforged", False),
        ("", False),
    ],
)
def test_id_of_a_proxy_is_taken_when_it_is_one(client, lines, given, is_taken):
    response = client.get("/status/", headers={"X-Request-ID": given})

    assert (response["X-Request-ID"] == given) is is_taken
    assert len(response["X-Request-ID"]) >= 8
    assert lines.requests[0]["request_id"] == response["X-Request-ID"]


def test_lines_written_meanwhile_carry_the_id(lines):
    def view(request):
        logging.getLogger("elsewhere").warning("seen %s", "something")
        from django.http import HttpResponse

        return HttpResponse("")

    response = request_log_middleware(view)(RequestFactory().get("/a"))

    first, second = lines.all
    assert first["event"] == "seen something"
    assert first["logger"] == "elsewhere"
    assert first["request_id"] == second["request_id"] == response["X-Request-ID"]


def test_ids_do_not_stay_behind(client, lines):
    client.get("/status/")
    logging.getLogger("elsewhere").warning("later")

    assert "request_id" not in lines.all[-1]


def test_traceback_is_one_scrubbed_line(lines):
    try:
        raise ValueError("postgresql://portal:canary@db/portal")
    except ValueError:
        logging.getLogger("elsewhere").exception("failed")

    (line,) = lines.all
    assert "Traceback" in line["exception"]
    assert "canary" not in lines.stream.getvalue()


def test_words_of_strangers_forge_no_line(client, lines):
    client.get("/no\nwhere/%0a{}")

    assert all(isinstance(line, dict) for line in lines.all)


def test_development_writes_for_readers():
    record = logging.LogRecord(
        "t4g_portal.lib.loops", logging.ERROR, "", 1, "loop %s failed", ("probe",), None
    )

    line = make_formatter(is_json=False).format(record)

    assert "loop probe failed" in line
    assert "t4g_portal.lib.loops" in line
    assert "\n" not in line
