"""Parts that refresh: nothing, moving words, or all of it."""

from __future__ import annotations

import json

import pytest
from django.template import Context, Template, TemplateSyntaxError
from django.test import RequestFactory, override_settings

from t4g_portal.lib.live import live_response, part_of

TEMPLATE = """
<p title="{{ why }}">{{ said }}</p>
<time datetime="x" title="{{ at }}">{{ ago }}</time><data value="1">{{ figure }}</data>
"""
FIRST = {"said": "Up", "why": "", "at": "10:00", "ago": "2 s ago", "figure": "1 ms"}


@pytest.fixture(autouse=True)
def _template():
    engine = {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [("django.template.loaders.locmem.Loader", {"p": TEMPLATE})]
        },
    }
    with override_settings(TEMPLATES=[engine]):
        yield


def ask(known: str = "", **values: str):
    headers = {"If-None-Match": known} if known else {}
    request = RequestFactory().get("/", headers=headers)
    return live_response(request, "p", {**FIRST, **values})


def test_first_question_gets_the_whole_part():
    answer = ask()

    assert answer.status_code == 200
    assert "<p" in answer.content.decode()


@pytest.mark.parametrize("weak", ["", "W/"])
def test_part_that_did_not_change_is_not_sent(weak: str):
    known = weak + ask()["ETag"]

    answer = ask(known)

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer["ETag"] == ask()["ETag"]


def test_moving_words_are_sent_alone():
    answer = ask(ask()["ETag"], ago="20 s <ago>", at="10:01", figure="2 ms")

    assert answer["Content-Type"] == "application/json"
    assert json.loads(answer.content) == {
        "words": ["20 s <ago>", "2 ms"],
        "titles": ["10:01", ""],
    }
    assert answer["ETag"] != ask()["ETag"]


@pytest.mark.parametrize("change", [{"said": "Down"}, {"why": "HTTP 503"}])
def test_any_other_change_sends_the_whole_part(change: dict[str, str]):
    answer = ask(ask()["ETag"], ago="20 s ago", **change)

    assert answer["Content-Type"].startswith("text/html")


def test_nonsense_is_known_to_nobody():
    assert ask('"not.ours"').status_code == 200
    assert ask('"').status_code == 200


def test_masked_token_is_no_change():
    tokens = [
        part_of(f'<input name="csrfmiddlewaretoken" value="{value}"><p>x</p>')
        for value in ("one", "two")
    ]

    assert tokens[0].etag == tokens[1].etag


def test_page_carries_what_its_part_is_known_by():
    page = Template(
        "{% load portal %}{% live url 15 %}" + TEMPLATE + "{% endlive %}"
    ).render(Context({"url": "?live&x=1", **FIRST}))

    assert f"data-live-etag={ask()['ETag']}" in page
    assert 'data-live-url="?live&amp;x=1" data-live-every="15"' in page


def test_tag_says_what_it_needs():
    with pytest.raises(TemplateSyntaxError, match="number of seconds"):
        Template("{% load portal %}{% live url %}{% endlive %}")
