from __future__ import annotations

import base64
from contextlib import AsyncExitStack

import pytest

from monitors.probes.base import Outcome, Reason
from monitors.probes.http_exchange import (
    Answer,
    Hop,
    UnableToRedirect,
    next_hop,
    parse_site,
)
from tests.monitors.probing import (
    Site,
    ask_http,
    expect,
    http_answer,
    probe,
    run,
    serving,
)

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@LOOPS
def test_an_expected_status_passes_with_its_phases(loop):
    result = ask_http(Site({"/": http_answer(b"hello")}), loop=loop)

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
    result = ask_http(Site({"/": http_answer()}), host="localhost")

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
    result = ask_http(Site({"/": http_answer(b"database is gone", status="503 Oh")}))

    assert result.outcome is Outcome.FAILED
    assert result.reason == 503
    assert result.message == "HTTP 503, expected 200–299"
    assert result.excerpt == "database is gone"


def test_a_status_beyond_http_is_unexpected():
    result = ask_http(Site({"/": http_answer(status="999 Denied")}))

    assert result.reason == Reason.UNEXPECTED_ANSWER
    assert result.message == "HTTP 999, expected 200–299"


def test_a_redirect_can_be_the_expected_answer():
    answer = http_answer(b"", "Location: http://elsewhere.example/", status="301 Moved")
    options = {"follow_redirects": False, "expected_statuses": "200-299, 301"}

    result = ask_http(Site({"/": answer}), options=options)

    assert (result.outcome, result.status_code) == (Outcome.PASSED, 301)


def test_assertions_on_json_name_what_was_seen():
    body = b'{"services": {"db": "down"}}'

    result = ask_http(
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
    result = ask_http(
        Site({"/": http_answer()}, delay_s=0.06),
        assertions=(expect("latency", "less_than", "50"),),
    )

    assert result.reason == Reason.ASSERTION
    assert result.message.startswith("Latency: expected less than 50, saw ")
    assert 55 < result.phases.first_byte_ms < 1000


def heard_with(**changes):
    """The one request that arrives for these options."""
    site = Site({"/": http_answer()})
    result = ask_http(site, **changes)
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
    result = ask_http(Site({"/": http_answer()}), options={"auth": "bearer"})

    assert result.reason == Reason.MISCONFIGURED
    assert result.message == "secret: The authentication needs a secret"


@pytest.mark.parametrize("auth", ["bearer", "basic"])
def test_an_echoed_secret_is_masked(auth):
    pair = base64.b64encode(b"ops:s3cret")
    body = b"you sent s3cret or " + pair + b" " + b"x" * 2000

    result = ask_http(
        Site({"/": http_answer(body, status="401 No")}),
        options={"auth": auth, "username": "ops"},
        secret="s3cret",
    )

    assert result.excerpt.startswith("you sent *** or *** xx")


def moved(location, status="302 Found"):
    return http_answer(b"", f"Location: {location}", status=status)


def test_redirects_are_followed_and_their_times_add_up():
    site = Site({"/": moved("/next"), "/next": http_answer()}, delay_s=0.04)

    result = ask_http(site)

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

    ask_http(site)

    assert "Cookie" not in site.heard[1].headers


def test_a_redirect_loop_ends():
    result = ask_http(Site({"/": moved("/")}), options={"max_redirects": 3})

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
    result = ask_http(Site({"/": moved(location)}))

    assert result.reason == Reason.BAD_REDIRECT
    assert result.message == "A redirect leads to no valid URL"


def test_a_redirect_without_a_location_is_refused():
    result = ask_http(Site({"/": http_answer(b"", status="302 Found")}))

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


def test_a_private_target_needs_permission():
    result = ask_http(Site({"/": http_answer()}), may_use_private_targets=False)

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
    result = ask_http(Site({"/": moved(location)}))

    assert result.reason == Reason.BLOCKED_ADDRESS
    assert result.message == message
