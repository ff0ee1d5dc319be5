"""A canary in every secret, then everything is done and everything read: none is found.

Encrypted fields are found by looking at the models, so a new one is covered by being there.
"""

from __future__ import annotations

import base64
import itertools
import logging
import re
import traceback
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from monitors.models import Monitor
from monitors.probes.base import ProbeRequest
from notifications.delivery import deliver_due
from notifications.models import Channel, Provider
from notifications.transports.base import Destination
from t4g_portal.lib.api.issuing import issue
from t4g_portal.lib.secrets.field import encrypted_fields
from tests.access.addresses import DECLARED, NOBODY, address, asks_of, routes
from tests.access.world import World, make_world
from tests.factories import make_monitor, make_user
from tests.notifications.making import make_notification

pytestmark = pytest.mark.django_db

_numbers = itertools.count(1)


class Canaries:
    """Secrets to plant, and all the text that none of them may be found in."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}
        # Where something is by its nature.
        self.at_home: dict[str, set[str]] = {}
        self.read: list[tuple[str, str]] = []

    def plant(self, name: str, text: str = "") -> str:
        """Remember a secret; without one, make one that needs no escaping anywhere."""
        text = text or f"Kanarienvogel{next(_numbers)}Zwitschert"
        self.planted[name] = text
        return text

    def look(self, where: str, text: Any) -> None:
        self.read.append((where, text if isinstance(text, str) else repr(text)))

    def found(self) -> list[str]:
        return sorted(
            {
                f"{name} is in {where}"
                for name, text in self.planted.items()
                for where, read in self.read
                if where not in self.at_home.get(name, ())
                and any(form in read for form in _forms(text))
            }
        )


def _forms(text: str) -> Iterator[str]:
    """A secret as it is, and as base64 and hexadecimal hide it from a search."""
    yield text
    raw = text.encode()
    yield raw.hex()
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + raw).decode()
        # Its ends depend on what stands beside it.
        inner = encoded[4:-4]
        yield inner
        yield inner.translate(str.maketrans("+/", "-_"))


class Told(logging.Formatter):
    """Tracebacks by their messages: no value of a run stands in a frame's source."""

    def formatException(self, ei: Any) -> str:
        told, error = [], ei[1]
        while error is not None:
            told += traceback.format_exception_only(error)
            error = error.__cause__ or error.__context__
        return "".join(told)


def is_pytests(handler: logging.Handler) -> bool:
    return type(handler).__module__ == "_pytest.logging"


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Everything that is logged, at every level, tracebacks included."""
    kept = StringIO()
    handler = logging.StreamHandler(kept)
    handler.setFormatter(Told())
    # Not those that the settings keep quiet for good: httpx would log addresses.
    names = ["", "django", "django.db.backends"]
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    # pytest would keep hundreds of megabytes of it twice and send them on as a report.
    others = [
        (other, other.level) for other in loggers[0].handlers if is_pytests(other)
    ]
    for other, _level in others:
        other.setLevel(logging.WARNING)
    loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel("DEBUG")
    yield kept
    loggers[0].removeHandler(handler)
    for other, level in others:
        other.setLevel(level)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def canaries(log: StringIO, capfd: pytest.CaptureFixture[str]) -> Iterator[Canaries]:
    """What is logged, printed and stored is looked at as well, in the end."""
    connection.force_debug_cursor = True
    kept = Canaries()
    yield kept
    connection.force_debug_cursor = False
    kept.look("the log", log.getvalue())
    printed = capfd.readouterr()
    kept.look("what is printed", printed.out + printed.err)
    kept.look("the database", _dump())
    assert not kept.found()


def _dump() -> str:
    """Every row of every table, as text."""
    lines = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            name = connection.ops.quote_name(table)
            cursor.execute(f"SELECT row_to_json(t)::text FROM {name} t")
            lines += [row[0] for row in cursor.fetchall()]
    return "\n".join(lines)


@pytest.fixture
def world(now, canaries: Canaries) -> World:
    """The world, with a canary in each secret of each of its rows."""
    made = make_world(now=now)
    for encrypted in encrypted_fields():
        row = made[encrypted.model]
        setattr(row, encrypted.name, canaries.plant(str(encrypted)))
        row.save()
    return made


def test_every_encrypted_field_has_a_canary(world: World, canaries: Canaries):
    assert len(canaries.planted) == len(list(encrypted_fields())) >= 2


@pytest.mark.parametrize("who", ["superuser", "Auditor"])
def test_no_page_no_export_and_no_copy_has_one(who, world: World, canaries: Canaries):
    from t4g_portal.roles import AUDITOR

    password = canaries.plant("a password")
    user = (
        make_user(is_superuser=True, password=password)
        if who == "superuser"
        else make_user(role=AUDITOR, password=password)
    )
    client = Client(raise_request_exception=False)
    client.force_login(user)

    for route in routes():
        asks = asks_of(route)
        if asks is not None and asks.get != NOBODY:
            url = address(route, asks, world)
            canaries.look(f"GET {url}", client.get(url).content.decode())
    for command, arguments in (("config", ["export"]), ("dumpdata", [])):
        out = StringIO()
        call_command(command, *arguments, stdout=out)
        canaries.look(command, out.getvalue())
    for model, row in world.items():
        again = model._base_manager.get(pk=row.pk)
        canaries.look(f"repr of {model.__name__}", [again, vars(again), row])


def test_what_was_typed_is_not_shown_again(world: World, canaries: Canaries):
    client = Client()
    client.force_login(make_user(is_superuser=True))
    typed = canaries.plant("a typed secret")
    monitor, channel = world[Monitor], world[Channel]
    wrong = {"new_secret": typed, "clear_secret": "on", "name": ""}

    for url, form in (
        (reverse("admin:monitors_monitor_change", args=[monitor.pk]), wrong),
        (reverse("admin:monitors_monitor_add") + "?kind=http", wrong),
        (reverse("admin:notifications_channel_change", args=[channel.pk]), wrong),
        (reverse("admin:notifications_channel_add"), wrong),
        (
            reverse("admin:auth_user_add"),
            {"username": "x", "password1": typed, "password2": typed + "2"},
        ),
    ):
        answer = client.post(url, form)
        assert answer.status_code == 200
        canaries.look(f"POST {url}", answer.content.decode())
    answer = Client().post("/admin/login/", {"username": "x", "password": typed})
    canaries.look("the login", answer.content.decode())


def test_history_has_none(world: World, canaries: Canaries):
    client = Client()
    client.force_login(make_user(is_superuser=True))
    url = reverse("admin:notifications_channel_change", args=[world[Channel].pk])
    form = {
        "name": "Ops by chat",
        "kind": "slack",
        "new_secret": f"https://hooks.slack.example/{canaries.plant('a new secret')}",
    }

    assert client.post(url, form).status_code == 302

    canaries.look("history", client.get(url.replace("change", "history")).content)


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("method", ["get", "post"])
def test_error_page_has_none(
    debug, method, world: World, canaries: Canaries, settings, monkeypatch
):
    settings.DEBUG = debug
    settings.EMAIL_HOST_PASSWORD = canaries.plant("EMAIL_HOST_PASSWORD")
    for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"):
        secret = canaries.plant(name)
        setattr(settings, name, f"redis://portal:{secret}@db.example/0")
    canaries.plant("SECRET_KEY", settings.SECRET_KEY)
    canaries.plant("PORTAL_DATA_KEYS", settings.PORTAL_DATA_KEYS.split(":")[1])
    user = make_user(is_superuser=True)
    client = Client(raise_request_exception=False)
    client.force_login(user)
    canaries.plant("a session", client.cookies["sessionid"].value)
    # A row of theirs, found by it; statements are logged with DEBUG only.
    canaries.at_home["a session"] = {"the database", "the log"}
    _row, key = issue(owner=user, name="CI", scopes=["monitors:read"], expires_at=None)
    canaries.plant("an API key", key.rpartition("_")[2])
    monitor, channel = world[Monitor], world[Channel]

    def broken(*args: Any, **kwargs: Any) -> Any:
        url = f"https://hooks.slack.example/{channel.secret}"  # type: ignore[attr-defined]
        headers = {"X-Anything": monitor.secret}  # type: ignore[attr-defined]
        dsn = f"postgresql://portal:{monitor.secret}@db.example/x"  # type: ignore[attr-defined]
        raise RuntimeError(f"broken with {len(url) + len(headers) + len(dsn)}")

    monkeypatch.setattr("monitors.queries.page.MonitorPage", broken)
    monkeypatch.setattr("monitors.views.monitor_page", broken)
    monkeypatch.setattr("incidents.services.add_note", broken)
    pages = {
        "get": f"/monitors/{monitor.pk}/",
        "post": DECLARED_NOTE.format(pk=next(iter(_incidents(world)))),
    }
    typed = {"text": canaries.plant("a typed text"), "new_secret": "x"}

    answer = getattr(client, method)(
        pages[method],
        typed if method == "post" else {},
        headers={"Authorization": f"Bearer {key}"},
    )

    assert answer.status_code == 500
    canaries.look("the error page", answer.content.decode())


DECLARED_NOTE = "/incidents/{pk}/note/"
assert "incidents/<int:pk>/note/" in DECLARED


def _incidents(world: World) -> Iterator[Any]:
    yield from (row.pk for model, row in world.items() if model.__name__ == "Incident")


@pytest.mark.parametrize("kind", ["http", "postgres", "redis"])
def test_failing_probe_tells_none(kind, canaries: Canaries, monkeypatch, now, log):
    from monitors.probes import registry

    target = {
        "http": "http://127.0.0.1:9/",
        "postgres": "127.0.0.1:9/app",
        "redis": "127.0.0.1:9",
    }[kind]
    options = {"auth": "bearer"} if kind == "http" else {}
    monitor = make_monitor(
        kind=kind, target=target, options=options, secret=canaries.plant("a token")
    )
    client = Client(raise_request_exception=False)
    client.force_login(make_user(is_superuser=True))
    url = f"/monitors/{monitor.pk}/probe/"

    canaries.look("probing", client.post(url, follow=True).content.decode())

    async def broken(request: ProbeRequest, *args: Any) -> Any:
        raise RuntimeError(f"broken at {request.secret} of {request!r}")

    probe = registry.get(kind)
    monkeypatch.setattr(registry, "get", lambda kind: _Broken(probe, broken))
    # Another one: a monitor is not asked twice within a moment.
    other = make_monitor(
        kind=kind, target=target, options=options, secret=canaries.plant("a password")
    )
    answer = client.post(f"/monitors/{other.pk}/probe/", follow=True)
    canaries.look("a broken probe", answer.content.decode())
    assert "broken at" in log.getvalue()
    canaries.look("its page", client.get(f"/monitors/{monitor.pk}/").content.decode())


class _Broken:
    """A probe of which only the asking is replaced."""

    def __init__(self, whole: Any, probe: Any) -> None:
        self._whole, self.probe = whole, probe

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


@pytest.mark.parametrize("fault", ["refused", "gone", "broken"])
@pytest.mark.parametrize("kind", ["slack", "webhook", "sms", "apprise"])
def test_failing_delivery_tells_none(
    kind, fault, canaries: Canaries, monkeypatch, now, slack_url, log, settings
):
    secret = canaries.plant("a channel's secret")
    base = slack_url if fault == "refused" else "http://127.0.0.1:9"
    if kind == "slack":
        values = {"address": "", "secret": f"{base}/services/T0/{secret}"}
    elif kind == "apprise":
        settings.APPRISE_SCHEMES = ["ntfy"]
        host = base.removeprefix("http://")
        values = {"address": "", "secret": f"ntfy://{host}/{secret}?mode=private"}
    elif kind == "sms":
        settings.TWILIO_API_URL = base
        Provider.objects.create(
            name="Twilio",
            kind="twilio",
            account=f"AC{'0' * 32}",
            secret=secret,
            sender="+33757000000",
            is_enabled=True,
        )
        values = {"address": "+33612345678"}
    else:
        signing = base64.b64encode(secret.encode()).decode()
        canaries.plant("a signing secret", signing)
        values = {"address": f"{base}/hook", "secret": f"whsec_{signing}"}
    channel = Channel.objects.create(name="C", kind=kind, is_enabled=True, **values)
    if fault == "broken":
        from notifications.transports.registry import transport_for

        def broken(self: Any, *, destination: Destination, **kwargs: Any) -> Any:
            secret = destination.account.secret if destination.account else ""
            raise RuntimeError(
                f"broken at {destination.secret or secret} of {destination!r}"
            )

        transport = transport_for(kind, "twilio" if kind == "sms" else "")
        monkeypatch.setattr(type(transport), "send", broken)
    make_notification(now=now, channel=channel)

    deliver_due(now=now)

    assert fault != "broken" or "broken at" in log.getvalue()
    client = Client()
    client.force_login(make_user(is_superuser=True))
    for name in ("notification", "channel"):
        page = client.get(f"/admin/notifications/{name}/").content.decode()
        canaries.look(f"the list of {name}s", page)
        for found in set(re.findall(rf"/admin/notifications/{name}/\d+/change/", page)):
            canaries.look(found, client.get(found).content.decode())


@pytest.fixture
def slack_url() -> Iterator[str]:
    """A receiver that answers with what it was asked, secrets included."""
    with _receiver() as receiver:
        yield receiver


def _receiver() -> Any:
    from contextlib import contextmanager
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = f"no such hook: {self.path} {dict(self.headers)}".encode()
            self.send_response(404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Nothing: it would be our own printing."""

    @contextmanager
    def running() -> Iterator[str]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    return running()


def test_the_search_would_find_one_in_every_form():
    kept = Canaries()
    text = kept.plant("a secret")
    for where, shown in (
        ("plain", f"x{text}y"),
        ("hex", text.encode().hex()),
        ("base64", base64.b64encode(f"user:{text}".encode()).decode()),
        ("base64url", base64.urlsafe_b64encode(f"uxx:{text}\n".encode()).decode()),
    ):
        kept.look(where, shown)

    assert len(kept.found()) == 4
