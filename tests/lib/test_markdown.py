"""What people write in Markdown, and what hostile text becomes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t4g_portal.lib.markdown import to_html, to_words


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("It is **down**", "<p>It is <strong>down</strong></p>"),
        ("one\ntwo", "<p>one<br>\ntwo</p>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("# Title", "<h3>Title</h3>"),
        ("##### Deep", "<h6>Deep</h6>"),
        ("`rm -rf`", "<p><code>rm -rf</code></p>"),
        ("~~gone~~", "<p><s>gone</s></p>"),
        ("a < b & c", "<p>a &lt; b &amp; c</p>"),
    ],
)
def test_markdown_becomes_html(text, html):
    assert to_html(text).strip() == html


def test_table_is_a_table():
    assert "<td>1</td>" in to_html("| a |\n|---|\n| 1 |")


def test_links_open_no_door_back():
    html = to_html("[board](https://grafana.example.org/d/1)")

    assert 'href="https://grafana.example.org/d/1"' in html
    assert 'rel="noopener noreferrer nofollow"' in html


@pytest.mark.parametrize(
    ("text", "address", "rest"),
    [
        ("see https://example.org/a.", "https://example.org/a", "</a>."),
        ("(https://example.org/a)", "https://example.org/a", "</a>)"),
        ("https://example.org/?a=1&b=2", "https://example.org/?a=1&amp;b=2", "</a>"),
    ],
)
def test_bare_address_becomes_a_link(text, address, rest):
    html = to_html(text)

    assert f'href="{address}"' in html
    assert rest in html


def test_address_in_code_stays_as_it_is():
    assert "<a" not in to_html("`https://example.org`")


def test_picture_becomes_a_link_so_that_nobody_learns_who_reads():
    html = to_html("![graph](https://elsewhere.example.org/pixel.png)")

    assert "<img" not in html
    assert '<a href="https://elsewhere.example.org/pixel.png"' in html
    assert ">graph</a>" in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](JaVaScRiPt&colon;alert(1))",
        "![x](javascript:alert(1))",
        '[x](https://a.example "onmouseover=alert(1)")',
        "<a href='https://a.example' onclick='x()'>x</a>",
        "<style>*{display:none}</style>",
        "<svg/onload=alert(1)>",
        "[x]: javascript:alert(1)\n[x]",
    ],
)
def test_hostile_text_is_shown_and_not_obeyed(text):
    html = to_html(text)

    assert not re.search(r"<(script|img|style|svg|iframe)", html, re.IGNORECASE)
    assert not re.search(r'href="(?!https?:|mailto:)', html)
    assert not re.search(r"<[^>]*\son\w+=", re.sub(r'title="[^"]*"', "", html))


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400))
def test_any_text_gives_only_the_tags_we_know(text):
    found = set(re.findall(r"<\s*/?\s*([a-zA-Z]+)", to_html(text)))

    assert found <= {
        "a", "blockquote", "br", "code", "em", "h3", "h4", "h5", "h6", "hr", "li",
        "ol", "p", "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr",
        "ul",
    }  # fmt: skip


def test_excerpt_has_the_words_without_the_marks():
    text = (
        "## Found it\n\nThe **disk** of `db-1` is\nfull, see [here](https://a.example)"
    )

    assert to_words(text) == "Found it The disk of db-1 is full, see here"
