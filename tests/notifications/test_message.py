"""What a message accepts and how it is stored."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.message import Fact, Message, Section, UnableToReadMessage
from tests.notifications.making import make_message

TEXT = st.text(max_size=400)


@given(title=TEXT, text=TEXT, label=TEXT, value=TEXT)
def test_any_text_survives_storage_unchanged(title, text, label, value):
    message = make_message(
        title=title,
        text=text,
        facts=(Fact(label, value),),
        sections=(Section(label, (Fact(label, value),)), Section(title)),
    )

    stored = json.dumps(message.to_json())

    assert Message.from_json(json.loads(stored)) == message
    assert "\\u0000" not in stored
    stored.encode("utf-8")
    assert "\n" not in message.title


def test_a_title_never_spans_two_lines():
    message = make_message(title="Down\r\nBcc: evil@example.org\x00\u2028now")

    assert message.title == "Down Bcc: evil@example.org now"


def test_what_is_too_long_is_cut_with_an_ellipsis():
    message = make_message(title="x" * 1000, text="y" * 50_000)

    assert len(message.title) == 300
    assert len(message.text) == 20_000
    assert message.title.endswith("…")


@pytest.mark.parametrize(
    "stored",
    [
        None,
        {},
        [],
        {"version": 2, "title": "from the future"},
        {"version": 1},
        {"version": 1, "title": 5},
        {"version": 1, "title": "x", "facts": [["only a label"]]},
        {"version": 1, "title": "x", "sections": ["no heading"]},
        {"version": 1, "title": "x", "sections": [["Values", [["only a label"]]]]},
        {"version": 1, "title": "x", "tone": "loud"},
    ],
)
def test_what_is_not_a_known_message_is_refused(stored):
    with pytest.raises(UnableToReadMessage):
        Message.from_json(stored)


def test_what_a_newer_version_says_beside_the_rest_is_passed_over():
    stored = {"version": 1, "title": "x", "surprise": True}

    assert Message.from_json(stored).title == "x"


@pytest.mark.parametrize(
    "wrong", [{"tone": "loud"}, {"priority": "p9"}, {"url": "javascript:alert(1)"}]
)
def test_a_message_refuses_what_no_receiver_could_show(wrong):
    with pytest.raises(ValueError):
        make_message(**wrong)


def test_the_priority_stands_in_a_title_once():
    assert make_message(title="Backend down").marked_title == "P0 · Backend down"
    assert make_message(title="P0 Backend down").marked_title == "P0 Backend down"
    assert make_message(title="Hello", priority="").marked_title == "Hello"


def test_sections_are_bounded_in_number_and_length():
    lines = tuple(Fact(f"Figure {number}", "1") for number in range(200))

    message = make_message(sections=tuple(Section("Values", lines) for _ in range(10)))

    assert [len(section.facts) for section in message.sections] == [200, 100] + 6 * [0]


def test_a_message_without_sections_reads_as_it_did_before_there_were_any():
    assert "sections" not in make_message().to_json()
