from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from kpis.reading import Question, Reading, Reason, UnableToRead
from kpis.sources import http, json_paths, registry
from tests.kpis.asking import answers, only_answer
from tests.kpis.business import START, day
from tests.monitors.probing import (
    Site,
    free_port,
    hang,
    http_answer,
    saying,
    saying_for_ever,
    script_lookups,
    server_tls,
    serving,
)

NOW = START + timedelta(hours=9)
GUIDE = {
    "active_users_7d": 1284,
    "lightning_transactions_24h": 342,
    "mentoring_sessions_7d": 87,
    "tokens_distributed_24h": 5120,
    "generated_at": "2026-02-16T09:00:00Z",
}


@pytest.fixture(autouse=True)
def _nothing_remembered():
    http._RECENT.clear()
    yield
    http._RECENT.clear()


def answer_json(document, *headers, **changes):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    kind = changes.pop("kind", "application/json")
    return http_answer(body, f"Content-Type: {kind}", *headers, **changes)


def ask(
    handler,
    path="active_users_7d",
    *,
    buckets=None,
    tls=None,
    host="127.0.0.1",
    **changes,
):
    """Serve with `handler` and read from it; all answers."""

    async def scenario():
        async with serving(handler, tls=tls) as port:
            scheme = "https" if tls else "http"
            question = Question(
                **{
                    "kind": "http",
                    "url": f"{scheme}://{host}:{port}/api/metrics/business",
                    "timeout_s": 2.0,
                    "may_use_private_targets": True,
                    "json_path": path,
                }
                | changes
            )
            return await asyncio.to_thread(
                lambda: answers(question, *(buckets or [day()]), now=NOW)
            )

    return asyncio.run(scenario())


def ask_document(document, path="n", **changes):
    (answer,) = ask(saying(answer_json(document)), path, **changes)
    return answer


@pytest.mark.parametrize(("path", "expected"), list(GUIDE.items())[:4])
def test_the_guides_four_are_read(path, expected):
    (answer,) = ask(saying(answer_json(GUIDE)), path)

    assert isinstance(answer, Reading), answer
    assert answer.value == expected
    assert answer.sample == GUIDE
    assert answer.took_ms > 0


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        ({"a": {"b": [{"c": 5}]}}, "a.b[0].c", "5"),
        ({"a": [1, 2, 3]}, "length(a)", "3"),
        ({"a": [{"n": 1}, {"n": 2}]}, "sum(a[].n)", "3"),
        ({"a": [{"k": "x", "n": 1}, {"k": "y", "n": 2}]}, "a[?k=='y'].n | [0]", "2"),
        ({"a": "12.5"}, "to_number(a)", "12.5"),
        ({"active users": 7}, '"active users"', "7"),
        ([4], "[0]", "4"),
        (9, "@", "9"),
        ({"n": 0}, "n", "0"),
        ({"n": -0.0}, "n", "0"),
        ({"n": 0.1}, "n", "0.1"),
        ({"n": 12345678901234567890}, "n", "12345678901234567890"),
    ],
)
def test_a_path_finds_its_number(document, path, expected):
    assert ask_document(document, path).value == Decimal(expected)


@pytest.mark.parametrize(
    ("document", "path", "reason"),
    [
        (GUIDE, "active_users", Reason.PATH_MISSING),
        ({"a": {}}, "a.b.c", Reason.PATH_MISSING),
        ({"a": [1]}, "a[1]", Reason.PATH_MISSING),
        ({"n": None}, "n", Reason.NULL),
        ({"a": []}, "max(a)", Reason.NULL),
        ({"n": "1284"}, "n", Reason.NOT_A_NUMBER),
        ({"n": True}, "n", Reason.NOT_A_NUMBER),
        ({"n": [1]}, "n", Reason.NOT_A_NUMBER),
        ({"n": {}}, "n", Reason.NOT_A_NUMBER),
        (b'{"n": NaN}', "n", Reason.NOT_A_NUMBER),
        (b'{"n": Infinity}', "n", Reason.NOT_A_NUMBER),
        (b'{"n": -Infinity}', "n", Reason.NOT_A_NUMBER),
        (b'{"n": 1e999}', "n", Reason.NOT_A_NUMBER),
        (b'{"n": 1e200}', "n", Reason.OUT_OF_RANGE),
        (b'{"n": ' + b"9" * 50 + b"}", "n", Reason.OUT_OF_RANGE),
        (b'{"n": ' + b"9" * 10_000 + b"}", "n", Reason.BAD_ANSWER),
        ({"a": ["x"]}, "sum(a)", Reason.BAD_ANSWER),
        (b"", "n", Reason.BAD_ANSWER),
        (b"{", "n", Reason.BAD_ANSWER),
        (b"<html>", "n", Reason.BAD_ANSWER),
        (b'{"n": 1} trailing', "n", Reason.BAD_ANSWER),
        (b'\xff\xfe{"', "n", Reason.BAD_ANSWER),
        (b"[" * 33 + b"]" * 33, "n", Reason.TOO_DEEP),
        (b"[" * 100_000 + b"]" * 100_000, "n", Reason.TOO_DEEP),
        (b'{"a":' * 40_000 + b"1" + b"}" * 40_000, "n", Reason.TOO_DEEP),
        (b'{"n": "' + b"x" * (256 * 1024) + b'"}', "n", Reason.TOO_BIG),
    ],
)
def test_a_bad_document_is_unknown_with_the_reason(document, path, reason):
    answer = ask_document(document, path)

    assert isinstance(answer, UnableToRead), answer
    assert answer.reason is reason, answer.message
    assert answer.message


def test_thirty_two_levels_are_read():
    document: dict[str, Any] = {"n": 1}
    for _ in range(30):
        document = {"n": 1, "inner": document}

    assert ask_document(document).value == 1


def test_one_bad_number_spoils_only_its_own_kpi():
    answer = ask_document(b'{"n": 5, "other": NaN, "text": "a\\u0000b\\ud800"}')

    assert answer.value == 5
    # What is kept for "pick from sample" can be stored as JSON.
    assert answer.sample == {"n": 5, "other": None, "text": "ab"}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "Say where"),
        ("a..b", "JMESPath"),
        ("a[", "JMESPath"),
        ("[@,@][] | [@,@][]", "can't build"),
        ("{a: b}", "can't build"),
        ("sort_by(a, &b)", "can't be used"),
        ("nonsense(a)", "can't be used"),
        ("join('', a)", "can't be used"),
        ("a[?b[?c[?d]]]", "at most 2 filters"),
        ("a" * 400, "at most 300"),
    ],
)
def test_a_path_that_could_grow_or_makes_no_sense_is_refused(path, words):
    assert words in json_paths.path_problem(path)
    assert ask_document({"a": 1}, path).reason is Reason.MISCONFIGURED


# The way there.


def test_a_token_travels_in_its_header_only():
    site = Site({"/api/metrics/business": answer_json(GUIDE)})

    ask(site, secret="t0ken-t0ken")
    http._RECENT.clear()
    ask(site, secret="t0ken-t0ken", header="X-Api-Key")
    ask(site, secret="Basic dTpw")
    ask(site)

    sent = [heard.headers for heard in site.heard]
    assert sent[0]["Authorization"] == "Bearer t0ken-t0ken"
    assert sent[1]["X-Api-Key"] == "t0ken-t0ken"
    assert "Authorization" not in sent[1]
    assert sent[2]["Authorization"] == "Basic dTpw"
    assert "Authorization" not in sent[3]
    assert all(headers["Accept"] == "application/json" for headers in sent)


def test_a_document_is_fetched_once_for_all_that_ask_at_once():
    site = Site({"/api/metrics/business": answer_json(GUIDE)})

    async def scenario():
        async with serving(site) as port:
            question = Question(
                kind="http",
                url=f"http://127.0.0.1:{port}/api/metrics/business",
                may_use_private_targets=True,
                json_path="active_users_7d",
            )
            return await asyncio.to_thread(
                lambda: [answers(question, now=NOW) for _ in range(4)]
            )

    found = asyncio.run(scenario())

    assert len(site.heard) == 1
    assert [one.value for (one,) in found] == [1284] * 4


def test_only_the_present_can_be_asked_for():
    site = Site({"/api/metrics/business": answer_json(GUIDE)})

    past, present, future = ask(site, buckets=[day(-1), day(0), day(1)])

    assert past.reason is future.reason is Reason.ONLY_PRESENT
    assert present.value == 1284
    assert not registry.KINDS["http"].can_look_back


@pytest.mark.parametrize(
    "location",
    [
        "https://elsewhere.example/x",
        "http://127.0.0.1:1/x",
        "http://169.254.169.254/latest/meta-data",
        "//elsewhere.example/x",
        "file:///etc/passwd",
        "https://127.0.0.1/x",
        "",
    ],
)
def test_a_redirect_to_another_place_is_not_followed(location, network_guard):
    (answer,) = ask(
        saying(http_answer(b"", f"Location: {location}", status="302 Found"))
    )

    assert answer.reason is Reason.REDIRECT
    assert network_guard.refused == []


def test_a_redirect_within_the_place_is_followed():
    site = Site(
        {
            "/api/metrics/business": http_answer(
                b"", "Location: /v2/business", status="301 Moved"
            ),
            "/v2/business": answer_json(GUIDE),
        }
    )

    (answer,) = ask(site, secret="t0ken-t0ken")

    assert answer.value == 1284
    assert site.heard[1].headers["Authorization"] == "Bearer t0ken-t0ken"


def test_redirects_in_a_circle_end():
    (answer,) = ask(
        saying(http_answer(b"", "Location: /api/metrics/business", status="302 Found"))
    )

    assert answer.reason is Reason.REDIRECT


@pytest.mark.parametrize(
    ("url", "changes", "reason"),
    [
        ("http://127.0.0.1:1/", {"may_use_private_targets": False}, "blocked_address"),
        ("http://10.0.0.1/", {}, "blocked_address"),
        ("http://169.254.169.254/", {}, "blocked_address"),
        ("http://[::ffff:169.254.169.254]/", {}, "blocked_address"),
        ("http://8.8.8.8/", {"secret": "t0ken"}, "unsafe_source"),
        ("ftp://example.org/", {}, "misconfigured"),
        ("example.org/x", {}, "misconfigured"),
        ("http://", {}, "misconfigured"),
        ("http://user:pw@example.org/", {}, "misconfigured"),
        ("http://example.org:99999/", {}, "misconfigured"),
        ("http://example.org/#frag", {}, "misconfigured"),
        ("http://exam ple.org/", {}, "misconfigured"),
        ("http://127.0.0.1:1/", {"secret": "a\r\nX: b"}, "misconfigured"),
        ("http://127.0.0.1:1/", {"secret": "a", "header": "Host"}, "misconfigured"),
        ("http://127.0.0.1:1/", {"secret": "a", "header": "a b"}, "misconfigured"),
    ],
)
def test_a_way_that_we_must_not_go_is_refused(url, changes, reason, network_guard):
    question = Question(
        **{
            "kind": "http",
            "url": url,
            "json_path": "n",
            "may_use_private_targets": True,
            "timeout_s": 1.0,
        }
        | changes
    )

    answer = only_answer(question, now=NOW)

    assert answer.reason == reason, answer.message
    assert network_guard.refused == []


def test_a_name_that_leads_to_a_private_address_is_refused(monkeypatch):
    script_lookups(monkeypatch, ["93.184.216.34", "10.0.0.7"])
    question = Question(kind="http", url="https://kpi.example/x", json_path="n")

    answer = only_answer(question, now=NOW)

    assert answer.reason is Reason.BLOCKED_ADDRESS
    assert "10.0.0.7" not in answer.message + answer.detail


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (hang, Reason.TIMEOUT),
        (saying_for_ever(b"x", pause_s=0.02), Reason.TIMEOUT),
        (
            saying_for_ever(
                b" ",
                first=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
                pause_s=0.02,
            ),
            Reason.TIMEOUT,
        ),
        (
            saying_for_ever(
                b" " * 65536,
                first=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
            ),
            Reason.TOO_BIG,
        ),
        (
            saying(http_answer(b"", "Location: http://[::1/x", status="302 Found")),
            Reason.CONNECTION,
        ),
        (saying(b""), Reason.CONNECTION),
        (saying(b"nonsense\r\n\r\n"), Reason.CONNECTION),
        (saying(answer_json(GUIDE, length=10_000)), Reason.CONNECTION),
        (saying(answer_json(GUIDE, "Content-Encoding: gzip")), Reason.CONNECTION),
        (saying(answer_json(GUIDE, kind="text/html")), Reason.BAD_ANSWER),
        (saying(http_answer(b"{}")), Reason.BAD_ANSWER),
        (saying(answer_json({}, status="401 Unauthorized")), Reason.PERMISSION),
        (saying(answer_json({}, status="403 Forbidden")), Reason.PERMISSION),
        (saying(answer_json({}, status="404 Not Found")), Reason.BAD_ANSWER),
        (saying(answer_json({}, status="500 Oops")), Reason.CONNECTION),
        (saying(answer_json({}, status="429 Slow down")), Reason.CONNECTION),
        (saying(answer_json({}, status="204 No Content")), Reason.BAD_ANSWER),
    ],
)
def test_a_bad_server_is_unknown_with_the_reason(handler, reason):
    started = time.monotonic()

    (answer,) = ask(handler, timeout_s=0.5)

    assert isinstance(answer, UnableToRead), answer
    assert answer.reason is reason, f"{answer.message} {answer.detail}"
    assert time.monotonic() - started < 4


def test_a_closed_port_is_a_failed_connection():
    url = f"http://127.0.0.1:{free_port()}/x"

    (answer,) = ask(saying(b""), url=url)

    assert answer.reason is Reason.CONNECTION
    assert answer.is_temporary


def test_certificates_are_verified(trusted):
    good = ask(saying(answer_json(GUIDE)), tls=server_tls(trusted), host="localhost")
    bad = ask(
        saying(answer_json(GUIDE)),
        tls=server_tls(trusted, "other.example"),
        host="localhost",
    )

    assert good[0].value == 1284
    assert bad[0].reason is Reason.TLS


def test_json_of_another_name_is_json():
    (answer,) = ask(
        saying(answer_json(GUIDE, kind="application/problem+json; charset=utf-8"))
    )

    assert answer.value == 1284


def test_a_server_that_echoes_the_token_puts_it_nowhere():
    (answer,) = ask(
        saying(answer_json({}, kind="text/t0ken-t0ken")), secret="t0ken-t0ken"
    )

    assert "t0ken" not in answer.message + answer.detail


def test_the_payloads_of_the_facts_are_read():
    # As the backend is assumed to answer; the empty day has a null where nothing was.
    empty: dict[str, int | None] = dict.fromkeys(list(GUIDE)[:3], 0)
    empty["tokens_distributed_24h"] = None

    assert ask_document(empty, "active_users_7d").value == 0
    assert ask_document(empty, "tokens_distributed_24h").reason is Reason.NULL
