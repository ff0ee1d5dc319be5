"""Parts of pages that keep themselves fresh, and send nothing that nobody needs.

Most of what changes by itself are times ("20 s ago") and figures in the margin, which
templates mark as `<time>` and `<data>`. A part is known by two hashes: of these, and of
all the rest. Who asks again gets 304 when nothing changed, the new words of these
elements when only they did, and the whole part otherwise. `static/portal/live.js` asks.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    JsonResponse,
)
from django.template.loader import render_to_string

# Neither holds other elements.
_MOVING = re.compile(r"<(time|data)\b([^>]*)>([^<]*)</\1>")
_TITLE = re.compile(r'title="([^"]*)"')
# Masked anew for each answer; the old ones stay good.
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"')


@dataclass(frozen=True, slots=True)
class Part:
    """A rendered part and what it is known by."""

    html: str
    # Of all but the moving words, and of the moving words.
    still: str
    moving: str

    @property
    def etag(self) -> str:
        """Both hashes as the value of an ETag, without quotes."""
        return f"{self.still}.{self.moving}"

    def moving_words(self) -> dict[str, list[str]]:
        """Return the words and titles of its moving elements as text, in their order."""
        found = list(_MOVING.finditer(self.html))
        titles = [_TITLE.search(match[2]) for match in found]
        return {
            "words": [unescape(match[3]) for match in found],
            "titles": [unescape(title[1]) if title else "" for title in titles],
        }


def part_of(html: str) -> Part:
    """Return what some rendered HTML is known by."""
    html = html.strip()
    moving: list[str] = []

    def take(match: re.Match[str]) -> str:
        moving.append(match[0])
        return f"<{match[1]}>"

    still = _TOKEN.sub("", _MOVING.sub(take, html))
    return Part(html=html, still=_hash(still), moving=_hash("".join(moving)))


def live_response(
    request: HttpRequest, template: str, context: dict[str, Any]
) -> HttpResponse:
    """Answer a refresh of a part: with nothing, with moving words, or with all of it."""
    part = part_of(render_to_string(template, context, request))
    known = request.headers.get("If-None-Match", "").removeprefix("W/").strip('"')
    response: HttpResponse
    if known == part.etag:
        response = HttpResponseNotModified()
    elif known.partition(".")[0] == part.still:
        response = JsonResponse(part.moving_words())
    else:
        response = HttpResponse(part.html)
    response["ETag"] = f'"{part.etag}"'
    response["Cache-Control"] = "private, no-store"
    return response


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=9).hexdigest()
