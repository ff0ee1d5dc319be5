from __future__ import annotations

import asyncio
import base64
import gzip
import resource
import tracemalloc
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitors.probes import registry
from monitors.probes.base import Outcome, Reason, UnableToParse
from monitors.probes.http_exchange import (
    Answer,
    Hop,
    UnableToRedirect,
    next_hop,
    parse_site,
)
from t4g_portal.lib.egress import Stage
from tests.monitors.probing import (
    Site,
    black_hole,
    expect,
    free_port,
    hang,
    http_answer,
    make_request,
    probe,
    run,
    saying,
    saying_for_ever,
    server_tls,
    serving,
)

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def ask(handler, *, loop="asyncio", path="/", tls=None, host="127.0.0.1", **changes):
    """Serve with `handler`, probe it once over HTTP, return the result."""

    async def scenario():
        async with serving(handler, tls=tls) as port:
            scheme = "https" if tls else "http"
            return await probe("http", f"{scheme}://{host}:{port}{path}", **changes)

    return run(scenario(), loop=loop)


# What a good answer is ------------------------------------------------------------


@LOOPS
def test_an_expected_status_passes_with_its_phases(loop):
    result = ask(Site({"/": http_answer(b"hello")}), loop=loop)

    assert result.outcome is Outcome.PASSED
    assert (result.status_code, result.message) == (200, "HTTP 200")
    assert result.facts == {"http_version": "HTTP/1.1", "size_bytes": 5}
    assert result.phases.connect_ms > 0
    assert result.phases.first_byte_ms > 0
    assert result.phases.transfer_ms is not None
    assert result.phases.dns_ms is None
    assert result.phases.tls_ms is None
    assert result.excerpt == ""


def test_a_name_costs_dns_time():
    result = ask(Site({"/": http_answer()}), host="localhost")

    assert result.outcome is Outcome.PASSED
    assert result.phases.dns_ms > 0


@LOOPS
def test_an_ipv6_literal_is_probed(loop):
    async def scenario():
        site = Site({"/": http_answer()})
        async with serving(site, host="::1") as port:
            result = await probe("http", f"http://[::1]:{port}/")
        return result, site.heard[0].headers["Host"], port

    result, host, port = run(scenario(), loop=loop)

    assert result.outcome is Outcome.PASSED
    assert host == f"[::1]:{port}"


def test_an_unexpected_status_fails_with_an_excerpt():
    result = ask(Site({"/": http_answer(b"database is gone", status="503 Oh")}))

    assert result.outcome is Outcome.FAILED
    assert result.reason == 503
    assert result.message == "HTTP 503, expected 200–299"
    assert result.excerpt == "database is gone"


def test_a_status_beyond_http_is_unexpected():
    result = ask(Site({"/": http_answer(status="999 Denied")}))

    assert result.reason == Reason.UNEXPECTED_ANSWER
    assert result.message == "HTTP 999, expected 200–299"


def test_a_redirect_can_be_the_expected_answer():
    answer = http_answer(b"", "Location: http://elsewhere.example/", status="301 Moved")
    options = {"follow_redirects": False, "expected_statuses": "200-299, 301"}

    result = ask(Site({"/": answer}), options=options)

    assert (result.outcome, result.status_code) == (Outcome.PASSED, 301)


def test_assertions_on_json_name_what_was_seen():
    body = b'{"services": {"db": "down"}}'

    result = ask(
        Site({"/": http_answer(body, "Content-Type: application/json")}),
        assertions=(
            expect("status", "equals", "200"),
            expect("header", "contains", "json", argument="content-type"),
            expect("json", "equals", "ok", argument="services.db"),
        ),
    )

    assert result.reason == Reason.ASSERTION
    assert result.failed_assertion == 'JSON services.db: expected "ok", saw "down"'
    assert result.excerpt == body.decode()


def test_a_slow_answer_fails_an_assertion_on_latency():
    result = ask(
        Site({"/": http_answer()}, delay_s=0.06),
        assertions=(expect("latency", "less_than", "50"),),
    )

    assert result.reason == Reason.ASSERTION
    assert result.message.startswith("Latency: expected less than 50, saw ")
    assert 55 < result.phases.first_byte_ms < 1000


# What is asked ----------------------------------------------------------------------


def heard_with(**changes):
    """The one request that arrives for these options."""
    site = Site({"/": http_answer()})
    result = ask(site, **changes)
    assert result.outcome is Outcome.PASSED, result
    return site.heard[0]


def test_the_portal_says_who_it_is_and_wants_no_compression():
    heard = heard_with()

    assert heard.line == "GET / HTTP/1.1"
    assert heard.headers["User-Agent"] == "T4G-Portal/1 (+monitoring)"
    assert heard.headers["Accept-Encoding"] == "identity"
    assert heard.headers["Connection"] == "close"
    assert heard.headers["Host"].startswith("127.0.0.1:")


def test_typed_headers_and_a_body_are_sent():
    heard = heard_with(
        options={
            "method": "POST",
            "headers": "X-Trace: 7\nUser-Agent: mine\nHost: shop.example",
            "body": '{"ping": true}',
        }
    )

    assert heard.line.startswith("POST /")
    assert heard.headers["X-Trace"] == "7"
    assert heard.headers["User-Agent"] == "mine"
    assert heard.headers["Host"] == "shop.example"
    assert heard.headers["Content-Type"] == "application/json"
    assert heard.body == b'{"ping": true}'


@pytest.mark.parametrize(
    ("options", "header", "value"),
    [
        (
            {"auth": "basic", "username": "ops"},
            "Authorization",
            "Basic " + base64.b64encode(b"ops:s3cret").decode(),
        ),
        ({"auth": "bearer"}, "Authorization", "Bearer s3cret"),
        ({"auth": "header", "auth_header": "X-Key"}, "X-Key", "s3cret"),
    ],
)
def test_the_secret_is_sent_as_chosen(options, header, value):
    assert heard_with(options=options, secret="s3cret").headers[header] == value


def test_the_secret_stays_at_home_without_authentication():
    assert "s3cret" not in str(heard_with(secret="s3cret").headers)


def test_authentication_without_a_secret_is_misconfigured():
    result = ask(Site({"/": http_answer()}), options={"auth": "bearer"})

    assert result.reason == Reason.MISCONFIGURED
    assert result.message == "secret: The authentication needs a secret"


@pytest.mark.parametrize("auth", ["bearer", "basic"])
def test_an_echoed_secret_is_masked(auth):
    pair = base64.b64encode(b"ops:s3cret")
    body = b"you sent s3cret or " + pair + b" " + b"x" * 2000

    result = ask(
        Site({"/": http_answer(body, status="401 No")}),
        options={"auth": auth, "username": "ops"},
        secret="s3cret",
    )

    assert result.excerpt.startswith("you sent *** or *** xx")


# Redirects ----------------------------------------------------------------------------


def moved(location, status="302 Found"):
    return http_answer(b"", f"Location: {location}", status=status)


def test_redirects_are_followed_and_their_times_add_up():
    site = Site({"/": moved("/next"), "/next": http_answer()}, delay_s=0.04)

    result = ask(site)

    assert result.outcome is Outcome.PASSED
    assert result.facts["redirects"] == 1
    assert [heard.line for heard in site.heard] == [
        "GET / HTTP/1.1",
        "GET /next HTTP/1.1",
    ]
    assert result.phases.first_byte_ms > 80


def test_no_cookie_is_kept():
    first = http_answer(b"", "Location: /next", "Set-Cookie: a=b", status="302 Found")
    site = Site({"/": first, "/next": http_answer()})

    ask(site)

    assert "Cookie" not in site.heard[1].headers


def test_a_redirect_loop_ends():
    result = ask(Site({"/": moved("/")}), options={"max_redirects": 3})

    assert result.reason == Reason.TOO_MANY_REDIRECTS
    assert result.message == "More than 3 redirects"


@pytest.mark.parametrize(
    "location",
    [
        "javascript:alert(1)",
        "ftp://localhost/",
        "file:///etc/passwd",
        "http://[::1",
        "http://localhost:99999/",
        "http://user:pass@localhost/",
        "http:\\\\localhost/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "x" * 3000 + "/",
    ],
)
def test_a_redirect_to_nonsense_is_refused(location):
    result = ask(Site({"/": moved(location)}))

    assert result.reason == Reason.BAD_REDIRECT
    assert result.message == "A redirect leads to no valid URL"


def test_a_redirect_without_a_location_is_refused():
    result = ask(Site({"/": http_answer(b"", status="302 Found")}))

    assert result.reason == Reason.BAD_REDIRECT


def test_another_site_gets_no_credentials():
    async def scenario():
        async with AsyncExitStack() as stack:
            other = Site({"/": http_answer()})
            other_port = await stack.enter_async_context(serving(other))
            first = Site({"/": moved(f"http://127.0.0.1:{other_port}/")})
            port = await stack.enter_async_context(serving(first))
            await probe(
                "http",
                f"http://127.0.0.1:{port}/",
                options={
                    "auth": "header",
                    "headers": "X-Tenant: 7\nAccept: text/plain",
                },
                secret="s3cret",
            )
            return first.heard[0].headers, other.heard[0].headers

    first, other = run(scenario())

    assert (first["X-Api-Key"], first["X-Tenant"]) == ("s3cret", "7")
    assert "X-Api-Key" not in other
    assert "X-Tenant" not in other
    assert other["Accept"] == "text/plain"


def hop(url, method="GET", body=b"", headers=((b"Authorization", b"Bearer x"),)):
    return Hop(site=parse_site(url), method=method, headers=headers, body=body)


def answer(status, location):
    return Answer(
        status=status,
        headers=((b"location", location.encode()),),
        body=b"",
        is_truncated=False,
        http_version="HTTP/1.1",
        tls_version="",
        certificate=None,
    )


def test_a_downgrade_to_http_is_refused():
    first = hop("https://shop.example/")

    with pytest.raises(UnableToRedirect, match="from https to http"):
        next_hop(first, answer(302, "http://shop.example/"), first=first)


def test_the_move_to_https_keeps_the_credentials():
    first = hop("http://shop.example/")

    following = next_hop(first, answer(301, "https://shop.example/"), first=first)

    assert following.headers == first.headers


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        ("POST", 301, ("GET", b"")),
        ("POST", 302, ("GET", b"")),
        ("PUT", 303, ("GET", b"")),
        ("HEAD", 303, ("HEAD", b"")),
        ("POST", 307, ("POST", b"x")),
        ("PUT", 302, ("PUT", b"x")),
    ],
)
def test_methods_change_over_redirects_as_in_browsers(method, status, expected):
    first = hop("http://shop.example/", method, b"" if method == "HEAD" else b"x")

    following = next_hop(first, answer(status, "/next"), first=first)

    assert (following.method, following.body) == expected
    assert following.site.text == "http://shop.example/next"


def test_a_body_is_not_sent_on_to_another_site():
    first = hop("http://shop.example/", "POST", b"password=x")

    with pytest.raises(UnableToRedirect, match="body to another site"):
        next_hop(first, answer(307, "http://other.example/"), first=first)


def test_credentials_do_not_come_back_after_a_detour():
    first = hop("http://shop.example/")

    away = next_hop(first, answer(302, "http://other.example/"), first=first)
    back = next_hop(away, answer(302, "http://shop.example/"), first=first)

    assert (away.headers, back.headers) == ((), ())


# The guard -----------------------------------------------------------------------------


def test_a_private_target_needs_permission():
    result = ask(Site({"/": http_answer()}), may_use_private_targets=False)

    assert result.outcome is Outcome.FAILED
    assert result.reason == Reason.BLOCKED_ADDRESS
    assert result.message == "The target is this machine itself"


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://10.0.0.1/", "The target is on a private network"),
        (
            "http://169.254.169.254/latest/",
            "The target is a link-local or metadata address",
        ),
        (
            "http://[::ffff:169.254.169.254]/",
            "The target is a link-local or metadata address",
        ),
        ("http://0/", "The target's address means no host"),
    ],
)
def test_a_redirect_into_our_network_is_blocked(location, message):
    result = ask(Site({"/": moved(location)}))

    assert result.reason == Reason.BLOCKED_ADDRESS
    assert result.message == message


# Failures of the network ---------------------------------------------------------------


@LOOPS
def test_a_closed_port_is_refused(loop):
    result = run(probe("http", f"http://127.0.0.1:{free_port()}/"), loop=loop)

    assert result.reason == Reason.REFUSED
    assert result.message == "The connection was refused"


@LOOPS
def test_a_silent_server_times_out_with_the_phases_so_far(loop):
    result = ask(hang, loop=loop, timeout_s=0.3)

    assert result.outcome is Outcome.FAILED
    assert result.reason == Reason.TIMEOUT
    assert result.message == (
        "No answer within 0.3 s;"
        f" connect {result.phases.connect_ms:.0f} ms, waiting for the first byte"
    )


@LOOPS
def test_a_port_that_does_not_answer_times_out_while_connecting(loop):
    with black_hole() as port:
        request = probe("http", f"http://127.0.0.1:{port}/", timeout_s=0.3)
        result = run(request, loop=loop)

    assert result.message == "No answer within 0.3 s; connecting"


@LOOPS
def test_a_silent_handshake_times_out_in_tls(loop):
    async def scenario():
        async with serving(hang) as port:
            url = f"https://127.0.0.1:{port}/"
            return await probe("http", url, timeout_s=0.3)

    result = run(scenario(), loop=loop)

    assert result.reason == Reason.TIMEOUT
    assert result.message.endswith("in the TLS handshake")


def test_a_dripping_body_does_not_outlast_the_deadline():
    drip = saying_for_ever(b"x", first=http_answer(b"", length=1000), pause_s=0.02)

    result = ask(drip, timeout_s=0.3)

    assert result.reason == Reason.TIMEOUT
    assert result.message.endswith("reading the answer")


def test_the_end_of_the_file_handles_is_our_own_fault():
    async def scenario():
        async with serving(Site({"/": http_answer()})) as port:
            request = make_request("http", f"http://127.0.0.1:{port}/")
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                return await registry.run(request)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    for loop in ("asyncio", "uvloop"):
        result = run(scenario(), loop=loop)

        assert result.outcome is Outcome.ERROR
        assert result.reason == Reason.NO_RESOURCES


def test_a_cancelled_probe_stays_cancelled():
    async def scenario():
        async with serving(hang) as port:
            request = make_request("http", f"http://127.0.0.1:{port}/")
            task = asyncio.create_task(registry.run(request))
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(scenario())


# Answers that are none --------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"


@LOOPS
@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", Reason.CONNECTION_LOST),
        (b"HTTP/1.1 200", Reason.CONNECTION_LOST),
        (http_answer(b"half", length=100), Reason.CONNECTION_LOST),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", Reason.CONNECTION_LOST),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Reason.PROTOCOL),
        (b"220 mail.example ESMTP\r\n\r\n", Reason.PROTOCOL),
        (b"\x16\x03\x01\x00\xa5" * 20, Reason.PROTOCOL),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", Reason.PROTOCOL),
        (b"HTTP/1.1 099 Early\r\n\r\n", Reason.PROTOCOL),
        (b"HTTP/1.1 101 Switching\r\n\r\n", Reason.PROTOCOL),
        (HEAD + b"no colon here\r\n\r\n", Reason.PROTOCOL),
        (HEAD + b"Content-Length: -5\r\n\r\n", Reason.PROTOCOL),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", Reason.PROTOCOL),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", Reason.PROTOCOL),
    ],
)
def test_a_broken_answer_is_a_result(loop, sent, reason):
    result = ask(saying(sent), loop=loop)

    assert result.outcome is Outcome.FAILED
    assert result.reason == reason


def test_another_protocol_is_noticed_at_once_and_shown():
    result = ask(saying_for_ever(b"", first=b"SSH-2.0-OpenSSH_9.2", pause_s=1))

    assert result.message == "The answer is not valid HTTP"
    assert result.excerpt == "SSH-2.0-OpenSSH_9.2"


@LOOPS
def test_an_answer_without_a_length_ends_with_the_connection(loop):
    result = ask(saying(b"HTTP/1.0 200 OK\r\n\r\nsome", b" text"), loop=loop)

    assert result.outcome is Outcome.PASSED
    assert result.facts == {"http_version": "HTTP/1.0", "size_bytes": 9}


def test_interim_answers_are_skipped():
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"

    assert ask(saying(interim, http_answer())).status_code == 200


@LOOPS
def test_endless_interim_answers_end(loop):
    result = ask(saying_for_ever(b"HTTP/1.1 100 Continue\r\n\r\n" * 500), loop=loop)

    assert result.reason == Reason.PROTOCOL
    assert result.message == "The headers do not end"


@LOOPS
@pytest.mark.parametrize("piece", [b"X-Bomb: " + b"a" * 1000 + b"\r\n", b"a" * 1000])
def test_endless_headers_end(loop, piece):
    result = ask(saying_for_ever(piece, first=HEAD), loop=loop)

    assert result.reason == Reason.PROTOCOL


@LOOPS
@pytest.mark.parametrize(
    "handler",
    [
        saying_for_ever(b"x" * 65536, first=http_answer(b"", length=10**12)),
        saying_for_ever(b"x" * 65536, first=b"HTTP/1.0 200 OK\r\n\r\n"),
    ],
)
def test_an_endless_body_is_cut_and_memory_stays_bounded(loop, handler):
    tracemalloc.start()
    try:
        result = ask(handler, loop=loop)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert result.outcome is Outcome.PASSED
    assert result.facts["size_bytes"] == 256 * 1024
    assert result.facts["is_truncated"] is True
    assert peak_bytes < 8 * 1024 * 1024


def test_crumbs_of_one_byte_use_up_the_allowance():
    crumbs = saying_for_ever(
        b"1\r\nx\r\n" * 3000, first=HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    )

    result = ask(crumbs)

    assert result.facts["is_truncated"] is True
    assert result.facts["size_bytes"] < 64 * 1024


def test_a_flood_leaves_the_loop_to_others():
    async def scenario():
        turns = 0

        async def watch():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        crumbs = b"1\r\nx\r\n" * 40_000
        flood = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + crumbs
        async with serving(saying(flood)) as port:
            watcher = asyncio.create_task(watch())
            await probe("http", f"http://127.0.0.1:{port}/", timeout_s=30.0)
            watcher.cancel()
        return turns

    assert run(scenario()) > 40_000 / 64


def test_json_of_a_cut_answer_is_not_judged():
    body = b'["' + b"x" * 300_000 + b'"]'

    result = ask(
        Site({"/": http_answer(body)}),
        assertions=(expect("json", "exists", argument="[0]"),),
    )

    assert result.message == "JSON [0]: the answer is too large to be read as JSON"


def test_a_binary_answer_leaves_a_clean_excerpt():
    body = b"\x00\x01bad\xff\x1b[31m\x7f\xe2\x80\xae done\r\n" + "é".encode() * 900

    result = ask(Site({"/": http_answer(body, status="500 Oh")}))

    assert result.excerpt.startswith("bad\N{REPLACEMENT CHARACTER}[31m done\né")
    assert len(result.excerpt.encode()) <= 1024


def test_a_compressed_answer_is_not_unpacked():
    bomb = gzip.compress(b"\0" * 10_000_000)

    result = ask(
        Site({"/": http_answer(bomb, "Content-Encoding: gzip")}),
        assertions=(expect("body", "contains", "\0"),),
    )

    assert result.facts["size_bytes"] == len(bomb)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from([b"", HEAD, HEAD + b"Transfer-Encoding: chunked\r\n\r\n"]),
    st.binary(max_size=300),
)
def test_no_answer_whatever_makes_a_probe_raise(head, rest):
    result = ask(saying(head + rest))

    assert result.outcome in (Outcome.PASSED, Outcome.FAILED)
    assert (
        result.excerpt.isprintable() or "\n" in result.excerpt or "\t" in result.excerpt
    )


# TLS ----------------------------------------------------------------------------------------


@LOOPS
def test_https_passes_with_its_certificate(trusted, loop):
    result = ask(
        Site({"/": http_answer(b"x" * 200_000)}),
        tls=server_tls(trusted, "localhost"),
        host="localhost",
        loop=loop,
        assertions=(expect("days_left", "greater_than", "7"),),
    )

    assert result.outcome is Outcome.PASSED, result
    assert result.phases.tls_ms > 0
    assert result.certificate.names == ("localhost",)
    assert len(result.certificate.fingerprint_sha256) == 64
    assert result.facts["tls_version"] == "TLSv1.3"
    assert result.facts["size_bytes"] == 200_000


def now():
    return datetime.now(UTC)


@LOOPS
@pytest.mark.parametrize(
    ("names", "not_before", "not_after", "reason", "message"),
    [
        (
            ("localhost",),
            timedelta(days=-9),
            timedelta(days=-2),
            Reason.TLS_EXPIRED,
            "The certificate expired on ",
        ),
        (
            ("localhost",),
            timedelta(days=2),
            timedelta(days=9),
            Reason.TLS_NOT_YET_VALID,
            "The certificate is not valid before ",
        ),
        (
            ("other.example",),
            timedelta(days=-1),
            timedelta(days=9),
            Reason.TLS_WRONG_HOST,
            "The certificate is for another host: other.example",
        ),
    ],
)
def test_a_bad_certificate_is_told_apart_and_shown(
    trusted, loop, names, not_before, not_after, reason, message
):
    tls = server_tls(
        trusted, *names, not_before=now() + not_before, not_after=now() + not_after
    )

    result = ask(Site({"/": http_answer()}), tls=tls, host="localhost", loop=loop)

    assert result.outcome is Outcome.FAILED
    assert result.reason == reason
    assert result.message.startswith(message)
    assert result.certificate.names == names


@LOOPS
def test_an_unknown_authority_is_untrusted(authority, loop):
    result = ask(
        Site({"/": http_answer()}), tls=server_tls(authority, "127.0.0.1"), loop=loop
    )

    assert result.reason == Reason.TLS_UNTRUSTED
    assert result.certificate is not None


def test_verification_can_be_switched_off(authority):
    result = ask(
        Site({"/": http_answer()}),
        tls=server_tls(authority, "other.example"),
        options={"verify_tls": False},
    )

    assert result.outcome is Outcome.PASSED
    assert result.certificate.names == ("other.example",)


def test_a_port_without_tls_says_so():
    async def scenario():
        async with serving(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
            return await probe("http", f"https://127.0.0.1:{port}/")

    result = run(scenario())

    assert result.reason == Reason.TLS
    assert result.message == "This port does not speak TLS"


def test_a_handshake_that_is_hung_up_on_is_a_lost_connection():
    async def scenario():
        async with serving(saying(b"")) as port:
            return await probe("http", f"https://127.0.0.1:{port}/")

    result = run(scenario())

    assert result.reason == Reason.CONNECTION_LOST
    assert result.message == "The connection was lost (in the TLS handshake)"


# What may be configured ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "request_target"),
    [
        ("http://example.org", "example.org", 80, b"example.org", b"/"),
        ("HTTPS://Example.ORG/a?b=c#d", "example.org", 443, b"example.org", b"/a?b=c"),
        ("http://münchen.de:81/ü", "xn--mnchen-3ya.de", 81, None, b"/%C3%BC"),
        ("http://[2001:DB8::1]/", "2001:db8::1", 80, b"[2001:db8::1]", b"/"),
        ("http://my_service:8000/", "my_service", 8000, b"my_service:8000", b"/"),
    ],
)
def test_urls_are_parsed(url, host, port, authority, request_target):
    site = parse_site(url)

    assert (site.host, site.port) == (host, port)
    assert site.request_target == request_target
    assert authority is None or site.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "ftp://example.org",
        "http://",
        "http:///path",
        "http://user:secret@example.org/",
        "http://example.org:0/",
        "http://example.org:70000/",
        "http://exa mple.org/",
        "http://a..b/",
        "http://-a.example/",
        "http://[fe80::1%25eth0]/",
        "http://h\\@evil.example/",
        " http://example.org/",
        "http://example.org/\n",
        "http://1.2.3.999/",
        "http://example.org/" + "x" * 2000,
    ],
)
def test_what_is_no_url_is_refused(url):
    with pytest.raises(UnableToParse) as caught:
        registry.get("http").check_target(url)

    assert caught.value.field == "target"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"method": "BREW"}, "method"),
        ({"expected_statuses": "200-"}, "expected_statuses"),
        ({"expected_statuses": "299-200"}, "expected_statuses"),
        ({"expected_statuses": "20-700"}, "expected_statuses"),
        ({"headers": "no colon"}, "headers"),
        ({"headers": "Bad Name: x"}, "headers"),
        ({"headers": "X: a\x1fb"}, "headers"),
        ({"headers": "Content-Length: 3"}, "headers"),
        ({"headers": "Authorization: Bearer x"}, "headers"),
        ({"headers": "X: \N{SNOWMAN}"}, "headers"),
        ({"headers": "X: 1\n" * 51}, "headers"),
        ({"body": "x"}, "body"),
        ({"auth": "basic"}, "username"),
        ({"auth_header": "Host"}, "auth_header"),
        ({"max_redirects": 0}, "max_redirects"),
        ({"max_redirects": True}, "max_redirects"),
        ({"max_redirects": "3"}, "max_redirects"),
        ({"verify_tls": "yes"}, "verify_tls"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_senseless_options_are_refused(options, field):
    with pytest.raises(UnableToParse) as caught:
        registry.parse_options("http", options)

    assert caught.value.field == field


def test_the_stage_of_a_finished_probe_is_the_transfer():
    assert ask(Site({"/": http_answer()})).phases.stage is Stage.TRANSFER
