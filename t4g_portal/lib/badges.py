"""How a state is shown everywhere: a word, an icon and a color.

The icons are the symbols of `static/portal/icons.svg`, named after the states of
monitors; other states say which of those they look like.
"""

from __future__ import annotations

from functools import cache, lru_cache

from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString


@cache
def icons() -> str:
    """Return the address of the icons."""
    return static("portal/icons.svg")


# A page of 200 rows shows the same few again and again.
@lru_cache(maxsize=512)
def badge(look: str, word: str) -> SafeString:
    """Return a state with its word beside the icon, in the color of `look`."""
    return format_html(
        '<span class="ops-status is-{0}"><svg class="ops-icon" aria-hidden="true">'
        '<use href="{1}#{0}"/></svg>{2}</span>',
        look,
        icons(),
        word,
    )
