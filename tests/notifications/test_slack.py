"""The Slack transport against a stand-in that has Slack's limits."""

from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from notifications.message import Fact, Section
from notifications.transports.base import Destination, TransportError
from notifications.transports.slack import SlackTransport, payload
from tests.notifications.making import make_message
from tests.notifications.servers import Answer, Request, slack_problem


def send(slack, message):
    return SlackTransport().send(
        destination=Destination("channel:1", "slack", "", slack.url),
        message=message,
        idempotency_key="key:1",
    )


def problem_of(message):
    return slack_problem(
        Request(path="/", headers={}, body=json.dumps(payload(message)).encode())
    )


def test_slack_takes_a_page_with_mention_facts_and_button(slack):
    receipt = send(slack, make_message(has_mention=True, url_label="Open it"))

    assert receipt.detail == {"http_status": 200, "answer": "ok"}
    (request,) = slack.requests
    header, text, facts, actions, context = request.json["blocks"]
    assert header["text"]["text"] == "🔴 P0 · Backend is down"
    assert text["text"]["text"].startswith("<!channel> HTTP 502")
    assert facts["fields"][0]["text"] == "*Since*\n10:00:14"
    assert actions["elements"][0]["text"]["text"] == "Open it"
    assert actions["elements"][0]["url"] == "https://ops.example/incidents/42/"
    assert context["elements"][0]["text"] == "Token4Good operations portal"
    assert request.json["text"] == "🔴 P0 · Backend is down"


def test_nobody_is_mentioned_unless_the_message_says_so(slack):
    send(slack, make_message())

    assert b"<!" not in slack.requests[0].body


def test_a_hostile_page_title_mentions_nobody_and_links_nowhere(slack):
    evil = "<!channel> <@U1> <https://evil.example|Log in> & </b>"

    send(slack, make_message(title=evil, text=evil, facts=(Fact(evil, evil),)))

    (request,) = slack.requests
    assert b"<!channel>" not in request.body
    assert "&lt;!channel&gt;" in request.json["text"]
    sections = [one for one in request.json["blocks"] if one["type"] == "section"]
    assert sections[0]["text"]["verbatim"] is True
    assert all(field["verbatim"] for field in sections[1]["fields"])


TEXT = st.text(max_size=300) | st.sampled_from(["&" * 5000, "<" * 3000, "é" * 20_000])


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    title=TEXT,
    text=TEXT,
    facts=st.lists(st.tuples(TEXT, TEXT), max_size=60),
    sections=st.lists(
        st.tuples(TEXT, st.lists(st.tuples(TEXT, TEXT), max_size=30)), max_size=10
    ),
    has_mention=st.booleans(),
)
def test_whatever_is_said_stays_within_slacks_limits(
    title, text, facts, sections, has_mention
):
    message = make_message(
        title=title,
        text=text,
        facts=tuple(Fact(label, value) for label, value in facts),
        sections=tuple(
            Section(heading, tuple(Fact(label, value) for label, value in listed))
            for heading, listed in sections
        ),
        has_mention=has_mention,
    )

    assert problem_of(message) == ""


@pytest.mark.parametrize("size", [1, 60, 2000])
def test_a_long_section_leaves_room_for_those_below_it(slack, size):
    many = tuple(Fact(f"Figure {number}", "v" * size) for number in range(300))
    sections = (
        Section("Values", many[:299]),
        Section("Incidents", (Fact("Backend", "12 min"),)),
    )

    send(slack, make_message(facts=(), sections=sections))

    blocks = slack.requests[0].json["blocks"]
    assert [
        block["text"]["text"]
        for block in blocks
        if block["type"] == "section" and "text" in block
    ][-2:] == ["*Values*", "*Incidents*"]
    said = slack.requests[0].body.decode()
    assert "more, see the portal" in said
    assert "12 min" in said
    assert problem_of(make_message(sections=sections)) == ""


def test_facts_that_find_no_room_are_counted(slack):
    many = tuple(Fact(f"Fact {number}", "v" * 2000) for number in range(50))

    send(slack, make_message(facts=many, text="t" * 20_000))

    assert "more, see the portal" in slack.requests[0].body.decode()


def test_a_message_without_text_facts_or_link_is_still_valid():
    message = make_message(title="", text="", facts=(), url="", priority="")

    assert problem_of(message) == ""


@pytest.mark.parametrize(
    ("status", "body", "is_permanent"),
    [
        (400, "invalid_blocks", True),
        (403, "action_prohibited", True),
        (404, "no_service", True),
        (410, "channel_is_archived", True),
        (302, "", True),
        (408, "", False),
        (429, "rate_limited", False),
        (500, "rollup_error", False),
        (503, "", False),
    ],
)
def test_slacks_answer_decides_whether_another_try_makes_sense(
    slack, status, body, is_permanent
):
    slack.answers.append(Answer(status, body, {"Location": "http://127.0.0.1:1/"}))

    with pytest.raises(TransportError) as caught:
        send(slack, make_message())

    assert caught.value.permanent is is_permanent
    assert str(status) in caught.value.detail
    assert body in caught.value.detail


def test_a_removed_webhook_says_what_to_do(slack):
    slack.answers.append(Answer(404, "no_service"))

    with pytest.raises(TransportError, match="Make a new one"):
        send(slack, make_message())


def test_slacks_rate_limit_says_how_long_to_wait(slack):
    slack.answers.append(Answer(429, "", {"Retry-After": "37"}))

    with pytest.raises(TransportError) as caught:
        send(slack, make_message())

    assert caught.value.retry_after_s == 37


def test_nobody_listening_is_a_temporary_failure_without_the_secret_url(slack):
    slack.stop()

    with pytest.raises(TransportError) as caught:
        send(slack, make_message())

    assert caught.value.permanent is False
    assert "canary" not in caught.value.detail.lower()


def test_an_answer_that_repeats_the_secret_url_is_scrubbed(slack):
    path = httpx.URL(slack.url).path
    slack.answers.append(Answer(500, f"can't POST {path} at {slack.url}"))

    with pytest.raises(TransportError) as caught:
        send(slack, make_message())

    assert "canary" not in caught.value.detail.lower()
    assert "can't POST" in caught.value.detail


def test_a_network_that_is_not_allowed_is_refused_for_good(slack, settings):
    settings.EGRESS_ALLOWED_NETWORKS = []

    with pytest.raises(TransportError, match="EGRESS_ALLOWED_NETWORKS") as caught:
        send(slack, make_message())

    assert caught.value.permanent is True
    assert slack.requests == []


def test_a_secret_that_is_no_url_is_refused_for_good():
    for secret in ("not a url", "ftp://x/y", "https://"):
        with pytest.raises(TransportError) as caught:
            SlackTransport().send(
                destination=Destination("channel:1", "slack", "", secret),
                message=make_message(),
                idempotency_key="key:1",
            )
        assert caught.value.permanent is True


def test_an_endless_answer_is_cut_short(slack):
    slack.answers.append(Answer(500, "x" * 1_000_000))

    with pytest.raises(TransportError) as caught:
        send(slack, make_message())

    assert len(caught.value.detail) <= 500


def test_the_words_around_the_message_follow_its_language():
    assert "portal" in json.dumps(payload(make_message(language="en")))
    assert payload(make_message(language=""))["blocks"]
