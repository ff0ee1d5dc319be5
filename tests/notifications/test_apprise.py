"""Apprise, with a real plugin of its own against a server on loopback."""

from __future__ import annotations

import socket
import threading
import time

import pytest
import requests

from notifications.apprise_urls import apprise_problem
from notifications.transports.apprise import AppriseTransport
from notifications.transports.base import Destination, TransportError
from t4g_portal import settings as defaults
from tests.notifications.making import make_message
from tests.notifications.servers import Answer, Receiver, running


@pytest.fixture(autouse=True)
def _plain_ntfy(settings):
    # What is allowed by default speaks TLS only.
    settings.APPRISE_SCHEMES = ["ntfy", "tgram"]


@pytest.fixture
def ntfy():
    with running(Receiver("/")) as server:
        yield server


def url_of(server, topic="ops-topic-canary", **query):
    host = server.url.removeprefix("http://").rstrip("/")
    extra = "".join(f"&{name}={value}" for name, value in query.items())
    return f"ntfy://{host}/{topic}?mode=private{extra}"


def send(url, message=None):
    return AppriseTransport().send(
        destination=Destination("channel:1", "apprise", "", url),
        message=message or make_message(),
        idempotency_key="k",
    )


def test_the_plugin_sends_title_and_text(ntfy):
    message = make_message(mark="DRILL", ack_url="https://ops.example/a/token")

    receipt = send(url_of(ntfy), message)

    (request,) = ntfy.requests
    assert request.json["title"] == "DRILL · P0 · Backend is down"
    assert "HTTP 502 three times in a row" in request.json["message"]
    assert "Since: 10:00:14" in request.json["message"]
    assert "https://ops.example/a/token" in request.json["message"]
    assert receipt.detail == {"answer": "ntfy"}


@pytest.mark.parametrize(
    ("status", "is_permanent"),
    [(401, True), (404, True), (429, False), (500, False), (503, False)],
)
def test_the_status_decides_whether_another_try_makes_sense(ntfy, status, is_permanent):
    ntfy.answers.append(Answer(status, "{}"))

    with pytest.raises(TransportError) as caught:
        send(url_of(ntfy))

    assert caught.value.permanent is is_permanent
    assert str(status) in caught.value.detail


def test_a_refused_connection_may_do_later():
    with pytest.raises(TransportError) as caught:
        send("ntfy://127.0.0.1:9/topic?mode=private")

    assert caught.value.permanent is False


def test_a_private_network_is_reached_only_when_listed(ntfy, settings):
    settings.EGRESS_ALLOWED_NETWORKS = []

    with pytest.raises(TransportError, match="EGRESS_ALLOWED_NETWORKS") as caught:
        send(url_of(ntfy))

    assert caught.value.permanent
    assert ntfy.requests == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_leads_nowhere(ntfy, status):
    with running(Receiver("/stolen")) as elsewhere:
        ntfy.answers.append(Answer(status, "", {"Location": elsewhere.url}))

        with pytest.raises(TransportError):
            send(url_of(ntfy))

        assert elsewhere.requests == []


def test_an_endless_answer_ends(ntfy, monkeypatch):
    """A receiver that sends a byte now and then holds its sender for a while only."""
    monkeypatch.setattr("notifications.transports.apprise._DEADLINE_S", 1.0)
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection, _peer = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            try:
                for _turn in range(200):
                    connection.sendall(b" ")
                    time.sleep(0.05)
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    started = time.monotonic()

    with pytest.raises(TransportError, match="No answer within") as caught:
        send(f"ntfy://127.0.0.1:{listener.getsockname()[1]}/topic?mode=private")

    thread.join()
    listener.close()
    assert time.monotonic() - started < 5
    assert not caught.value.permanent


def test_a_huge_answer_is_not_read(ntfy):
    ntfy.answers.append(Answer(200, "x" * 5_000_000))

    assert send(url_of(ntfy)).detail == {"answer": "ntfy"}


def test_the_url_is_a_secret(ntfy):
    ntfy.answers.append(Answer(401, "ops-topic-canary is not yours"))

    with pytest.raises(TransportError) as caught:
        send(url_of(ntfy))

    assert "ops-topic-canary" not in caught.value.detail


def test_others_who_use_requests_are_left_alone(ntfy):
    send(url_of(ntfy))
    ntfy.answers.append(Answer(302, "", {"Location": ntfy.url}))

    answer = requests.post(ntfy.url, data=b"x", timeout=5, allow_redirects=False)

    assert answer.status_code == 302


@pytest.mark.parametrize(
    "url",
    [
        "syslog://",
        "json://127.0.0.1/x",
        "file:///etc/passwd",
        "dbus://",
        "ntfy://a b",
        "ntfy://one,tgram://two",
        "ntfy://one;tgram://two",
        "ntfy://",
        "https://hooks.example/x",
        "NTFY://topic",
        "ntfy://topic?template=/etc/passwd",
        "ntfy://topic?attach=/etc/passwd",
        "ntfy://topic?%74emplate=/etc/passwd",
        "ntfy://topic?+template=x",
        "ntfy://topic?retry=100",
        "ntfy://topic?redirect=yes",
        "ntfy://tépic",
    ],
)
def test_what_is_not_allowed_sends_nothing(url):
    assert apprise_problem(url)
    with pytest.raises(TransportError) as caught:
        send(url)
    assert caught.value.permanent


@pytest.mark.parametrize(
    "url",
    ["", "ntfy://topic", "tgram://123456789:abcdefghijklmnopqrstuvwxyz/12345"],
)
def test_what_is_allowed_is_fine(url):
    assert apprise_problem(url) == ""


def test_nothing_that_runs_or_reads_here_is_allowed_by_default():
    allowed = set(defaults.APPRISE_SCHEMES)

    assert not allowed & {"json", "xml", "form", "syslog", "rsyslog", "dbus", "gnome"}
    assert not allowed & {"ntfy", "gotify", "mmost", "matrix", "rocket", "mailto"}


@pytest.mark.parametrize(
    "hidden",
    [
        "ntfy://host/topic/#a?attach=file:///etc/passwd",
        "ntfy://host/topic/?mode=private#a&attach=file:///etc/passwd",
        "ntfy://host/topic/#a?x=1?verify=no",
        "tgram://1:token/chat/#x?rto=900",
    ],
)
def test_no_option_hides_behind_a_fragment(hidden):
    assert "out of the URL" in apprise_problem(hidden)
