"""Markdown that people write, as HTML that can harm nobody.

CommonMark with tables, strike-through, bare addresses as links, and a new line where
somebody typed one. HTML in it is shown, not obeyed. A picture becomes a link: loading it
would tell a stranger who reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

_TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "li",
    "ol", "p", "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto"}
# Opens no door back to our page, and tells nobody where the reader comes from.
_LINK_REL = "noopener noreferrer nofollow"
# Of a bare address: not the full stop behind it, nor a bracket around it.
_ADDRESS = re.compile(r"https?://[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]}]")
# A page has its own two first levels of headings.
_HEADING_OFFSET = 2
_DEEPEST_HEADING = 6


@lru_cache(maxsize=1024)
def to_html(text: str) -> SafeString:
    """Return Markdown as safe HTML; headings begin with the third level."""
    html = nh3.clean(
        _parser().render(text),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel=_LINK_REL,
    )
    return mark_safe(html)  # noqa: S308 sanitized just above


def to_words(text: str) -> str:
    """Return Markdown as plain words in one line, for an excerpt."""
    return " ".join("".join(_words(_parser().parse(text))).split())


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True})
    parser.enable(["table", "strikethrough"])
    parser.core.ruler.push("portal", _adapt)
    return parser


def _adapt(state: StateCore) -> None:
    """Lower headings, and make links of bare addresses and of pictures."""
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            level = int(token.tag.removeprefix("h")) + _HEADING_OFFSET
            token.tag = f"h{min(level, _DEEPEST_HEADING)}"
        elif token.type == "inline" and token.children:
            token.children = list(_with_links(token.children))


def _with_links(tokens: list[Token]) -> Iterator[Token]:
    depth = 0
    for token in tokens:
        depth += {"link_open": 1, "link_close": -1}.get(token.type, 0)
        if token.type == "image":
            yield from _link_to_picture(token, is_in_link=depth > 0)
        elif token.type == "text" and not depth:
            yield from _linked(token.content)
        else:
            yield token


def _link_to_picture(token: Token, *, is_in_link: bool) -> Iterator[Token]:
    address = str(token.attrGet("src") or "")
    words = token.content or address
    if is_in_link:
        yield _text(words)
    else:
        yield from _link(address, words)


def _linked(text: str) -> Iterator[Token]:
    end = 0
    for found in _ADDRESS.finditer(text):
        if found.start() > end:
            yield _text(text[end : found.start()])
        yield from _link(found[0], found[0])
        end = found.end()
    if end < len(text):
        yield _text(text[end:])


def _link(address: str, words: str) -> Iterator[Token]:
    yield Token("link_open", "a", 1, attrs={"href": address})
    yield _text(words)
    yield Token("link_close", "a", -1)


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _words(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        if token.children:
            yield from _words(token.children)
        elif token.type in {"text", "code_inline", "code_block", "fence"}:
            yield token.content
        if token.block or token.type in {"softbreak", "hardbreak"}:
            yield " "
