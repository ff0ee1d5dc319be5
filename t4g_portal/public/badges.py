"""Badges: one small picture, or the same as JSON for shields.io. Pure.

Drawn like the flat badges that everybody knows, so that they stand well in a row of
others. The text has the width that Verdana gives it; `textLength` makes any other font
keep to it. White on these colors can be read on light and on dark pages (4.5 : 1).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

from django.utils.html import escape
from django.utils.translation import gettext as _

from monitors.status import Status
from monitors.uptime import Uptime
from t4g_portal.lib import wording
from t4g_portal.public.words import SERVICE_WORDS

MAX_LABEL = 60
_HEIGHT = 20
_PADDING = 7
_FONT_SIZE = 11
_LABEL_COLOR = "#3d4754"
_COLORS = {
    Status.UP: "#14713d",
    Status.DEGRADED: "#8f5200",
    Status.DOWN: "#b3161c",
    Status.MAINTENANCE: "#1b58b5",
}
_GREY = "#5f6976"
# From so much on an uptime is green, or amber; below it is red.
_GOOD_RATIO = 0.999
_FAIR_RATIO = 0.99
# Less observed than that is said beside the figure.
_TOLD_COVERAGE = 0.995

# Advance widths of Verdana in thousandths of the font size, from space on.
_WIDTHS = (
    *(352, 394, 459, 818, 636, 1076, 727, 269, 454, 454, 636, 818, 364, 454, 364, 454),
    *(636, 636, 636, 636, 636, 636, 636, 636, 636, 636, 454, 454, 818, 818, 818, 545),
    *(1000, 684, 686, 698, 771, 632, 575, 775, 751, 421, 455, 693, 557, 843, 748, 787),
    *(603, 787, 695, 684, 616, 732, 684, 989, 685, 615, 685, 454, 454, 454, 818, 636),
    *(636, 601, 623, 521, 623, 596, 352, 623, 633, 274, 344, 592, 274, 973, 633, 607),
    *(623, 623, 427, 521, 394, 633, 592, 818, 592, 592, 525, 635, 454, 635, 818),
)
_OTHERS = {"·": 364, "–": 636, "—": 1000, "…": 818, "’": 269, "°": 542, "€": 636}
_WIDE = 1000
_ORDINARY = 650


@dataclass(frozen=True, slots=True)
class Badge:
    """What a badge says, and its color."""

    label: str
    message: str
    color: str

    @property
    def shields(self) -> dict[str, Any]:
        """As https://shields.io/badges/endpoint-badge reads it."""
        return {
            "schemaVersion": 1,
            "label": self.label,
            "message": self.message,
            "color": self.color,
            "labelColor": _LABEL_COLOR,
        }


def status_badge(*, label: str, status: Status) -> Badge:
    """Say how a service is."""
    return Badge(
        label=label,
        message=str(SERVICE_WORDS[status]),
        color=_COLORS.get(status, _GREY),
    )


def uptime_badge(*, label: str, uptime: Uptime) -> Badge:
    """Say an uptime, rounded down, and how much was observed where that is less."""
    ratio, coverage = uptime.ratio, uptime.coverage
    if ratio is None:
        return Badge(label=label, message=_("No data"), color=_GREY)
    message = wording.percent(ratio)
    if coverage is not None and coverage < _TOLD_COVERAGE:
        message = _("%(share)s over %(coverage)s observed") % {
            "share": message,
            "coverage": wording.percent(coverage, digits=0),
        }
    status = Status.DOWN
    if ratio >= _FAIR_RATIO:
        status = Status.UP if ratio >= _GOOD_RATIO else Status.DEGRADED
    return Badge(label=label, message=message, color=_COLORS[status])


def unknown_badge() -> Badge:
    """Say the same of a service that is not there and of one that is not public."""
    return Badge(label=_("status"), message=_("no such service"), color=_GREY)


def as_svg(badge: Badge) -> str:
    """Draw a badge. It needs no style and no script, and nothing from elsewhere."""
    label_width, message_width = text_width(badge.label), text_width(badge.message)
    left = label_width + 2 * _PADDING if badge.label else 0
    width = left + message_width + 2 * _PADDING
    said = escape(": ".join(filter(None, (badge.label, badge.message))))
    texts = [
        _text(badge.label, _PADDING, label_width),
        _text(badge.message, left + _PADDING, message_width),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}"'
        f' viewBox="0 0 {width} {_HEIGHT}" role="img" aria-label="{said}">'
        f"<title>{said}</title>"
        f'<clipPath id="r"><rect width="{width}" height="{_HEIGHT}" rx="3"/></clipPath>'
        '<g clip-path="url(#r)">'
        f'<rect width="{left}" height="{_HEIGHT}" fill="{_LABEL_COLOR}"/>'
        f'<rect x="{left}" width="{width - left}" height="{_HEIGHT}"'
        f' fill="{badge.color}"/></g>'
        f'<g fill="#fff" font-family="Verdana,Geneva,DejaVu Sans,sans-serif"'
        f' font-size="{_FONT_SIZE}">{"".join(texts)}</g></svg>'
    )


def _text(words: str, x: int, width: int) -> str:
    if not words:
        return ""
    return (
        f'<text x="{x}" y="14" textLength="{width}"'
        f' lengthAdjust="spacingAndGlyphs">{escape(words)}</text>'
    )


def text_width(words: str) -> int:
    """Return how many pixels wide some words are, rounded to whole ones."""
    return round(sum(map(_advance, words)) * _FONT_SIZE / 1000)


def _advance(letter: str) -> int:
    if letter == "\N{NO-BREAK SPACE}":
        letter = " "
    if letter in _OTHERS:
        return _OTHERS[letter]
    if unicodedata.combining(letter):
        return 0
    # An accent makes a letter no wider.
    base = unicodedata.normalize("NFD", letter)[0]
    index = ord(base) - ord(" ")
    if 0 <= index < len(_WIDTHS):
        return _WIDTHS[index]
    is_wide = unicodedata.east_asian_width(letter) in {"W", "F"}
    return _WIDE if is_wide else _ORDINARY
