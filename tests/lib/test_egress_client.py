from __future__ import annotations

import gzip
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from t4g_portal.lib import egress
from t4g_portal.lib.egress import BlockedAddress
from tests.monitors.probing import (
    black_hole,
    script_lookups,
    server_tls,
)


class Shop(BaseHTTPRequestHandler):
    """Answers by path, over real HTTP."""

    protocol_version = "HTTP/1.1"
    heard: list[dict[str, str]] = []

    def log_message(self, *args):
        pass

    def do_GET(self):
        Shop.heard.append(dict(self.headers))
        getattr(self, "do_" + self.path.strip("/"))()

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_plain(self):
        self.answer(b'{"ok": true}', Set_Cookie="a=b")

    def do_moved(self):
        self.answer(b"", 302, Location="http://169.254.169.254/")

    def do_large(self):
        self.answer(b"x" * 5_000_000)

    def do_packed(self):
        self.answer(gzip.compress(b"\0" * 1_000_000), Content_Encoding="gzip")

    def do_drip(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(50):
            self.wfile.write(b"x")
            time.sleep(0.02)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


@pytest.fixture
def shop():
    Shop.heard.clear()
    server = Server(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def client(**changes):
    return egress.guarded_client(
        **{"timeout_s": 5.0, "may_use_private": True} | changes
    )


def test_the_client_gets_and_posts(shop):
    with client() as http:
        assert http.get(f"{shop}/plain").json() == {"ok": True}
        assert http.post(f"{shop}/", json={"a": 1}).json() == {"a": 1}


def test_the_client_keeps_no_cookies_and_names_the_portal(shop):
    with client() as http:
        http.get(f"{shop}/plain")
        http.get(f"{shop}/plain")

    assert "Cookie" not in Shop.heard[1]
    assert Shop.heard[0]["User-Agent"] == "T4G-Portal/1"
    assert Shop.heard[0]["Accept-Encoding"] == "identity"


def test_the_client_does_not_follow_redirects(shop):
    with client() as http:
        assert http.get(f"{shop}/moved").status_code == 302


def test_the_client_ignores_proxies_of_the_environment(shop, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    with client() as http:
        assert http.get(f"{shop}/plain").status_code == 200


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://10.0.0.1/"]
)
def test_the_client_is_guarded(url):
    with client() as http, pytest.raises(BlockedAddress) as caught:
        http.get(url)

    assert "1" not in str(caught.value)


def test_the_client_needs_consent_for_private_targets(shop):
    with client(may_use_private=False) as http, pytest.raises(BlockedAddress):
        http.get(f"{shop}/plain")


def test_a_dripping_answer_does_not_outlast_the_clients_deadline(shop):
    started = time.monotonic()

    with client(timeout_s=0.3) as http, pytest.raises(httpx.ReadTimeout):
        http.get(f"{shop}/drip")

    assert time.monotonic() - started < 0.9


def test_a_silent_port_does_not_outlast_the_clients_deadline():
    with (
        black_hole() as port,
        client(timeout_s=0.3) as http,
        pytest.raises(httpx.ConnectTimeout),
    ):
        http.get(f"http://127.0.0.1:{port}/")


def test_a_hanging_lookup_does_not_outlast_the_clients_deadline(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: released.wait(5))

    try:
        with client(timeout_s=0.3) as http, pytest.raises(httpx.ConnectTimeout):
            http.get("http://slow.example/")
    finally:
        released.set()


@pytest.mark.parametrize(
    ("path", "error"),
    [("large", httpx.ReadError), ("packed", httpx.RemoteProtocolError)],
)
def test_answers_that_fill_memory_are_errors(shop, path, error):
    with client() as http, pytest.raises(error):
        http.get(f"{shop}/{path}")


def test_errors_of_the_client_name_no_address(monkeypatch):
    script_lookups(monkeypatch, ["127.0.0.9"])

    with client() as http, pytest.raises(httpx.ConnectError) as caught:
        http.get("http://inner.example:1/")

    assert str(caught.value) == "Connection refused"


def test_the_client_tries_the_next_address(monkeypatch, shop):
    port = shop.rpartition(":")[2]
    script_lookups(monkeypatch, ["127.0.0.9", "127.0.0.1"])

    with client() as http:
        assert http.get(f"http://two.example:{port}/plain").status_code == 200


def test_an_unknown_name_is_a_connect_error():
    with client() as http, pytest.raises(httpx.ConnectError):
        http.get("http://" + "a" * 64 + ".example/")


def serve_tls(shop_context):
    server = Server(("127.0.0.1", 0), Shop)
    server.socket = shop_context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    return server, thread


def test_the_client_verifies_certificates(trusted, monkeypatch):
    server, thread = serve_tls(server_tls(trusted, "localhost"))
    try:
        with client() as http:
            url = f"https://localhost:{server.server_port}/plain"
            assert http.get(url).status_code == 200
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                http.get(f"https://127.0.0.1:{server.server_port}/plain")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_making_a_client_is_cheap():
    client().close()
    started = time.process_time()
    for _ in range(20):
        client().close()

    # A TLS context of its own would cost each of them 19 ms.
    assert time.process_time() - started < 0.25
