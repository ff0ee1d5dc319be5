from __future__ import annotations

import pytest

from monitors.probes import registry
from monitors.probes.base import UnableToParse
from monitors.probes.http_exchange import (
    parse_site,
)
from t4g_portal.lib.egress import Stage
from tests.monitors.probing import (
    Site,
    ask_http,
    http_answer,
)


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
    assert ask_http(Site({"/": http_answer()})).phases.stage is Stage.TRANSFER
