"""What an SMS can hold. Pure.

The 7-bit alphabet of 3GPP TS 23.038 §6.2.1: 160 characters a part, 153 when there are
several; those of the extension table count twice. One character outside of it halves the
room, so everything is spelled with what there is.
"""

from __future__ import annotations

import unicodedata

ONE_PART, EACH_OF_SEVERAL = 160, 153
ELLIPSIS = "..."

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = "\f^{}\\[~]|€"
_WIDTHS = dict.fromkeys(_BASIC, 1) | dict.fromkeys(_EXTENDED, 2)
# What Unicode's own decomposition does not know how to spell.
_SPELLED = {
    "ç": "c",
    "’": "'",
    "‘": "'",
    "‚": "'",
    "‹": "<",
    "›": ">",
    "“": '"',
    "”": '"',
    "„": '"',
    "«": '"',
    "»": '"',
    "–": "-",
    "—": "-",
    "‐": "-",
    "‑": "-",
    "−": "-",
    "·": "-",
    "•": "-",
    "…": ELLIPSIS,
    "°": " deg ",
    "→": "->",
    "←": "<-",
    "≥": ">=",
    "≤": "<=",
    "⁄": "/",
    "×": "x",
    "œ": "oe",
    "Œ": "OE",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "ı": "i",
    "`": "'",
    "´": "'",
    "\t": " ",
    "\u200b": "",
    "\ufeff": "",
}
_UNKNOWN = "?"
# Signs that only change the one before them, and pictures: nobody reads them.
_LEFT_OUT = frozenset({"Mn", "Me", "Cf", "So", "Sk"})


def width(text: str) -> int:
    """Return how many 7-bit characters a spelled text takes; raises KeyError for others."""
    return sum(_WIDTHS[character] for character in text)


def is_gsm7(text: str) -> bool:
    """Whether the alphabet has every character."""
    return all(character in _WIDTHS for character in text)


def parts(text: str) -> int:
    """Return how many parts a spelled text is sent and paid as.

    A character of the extension table is never cut in two, so a part may stay one short.
    """
    if width(text) <= ONE_PART:
        return 1
    count, room = 1, EACH_OF_SEVERAL
    for character in text:
        if _WIDTHS[character] > room:
            count, room = count + 1, EACH_OF_SEVERAL
        room -= _WIDTHS[character]
    return count


def spell(text: str) -> str:
    """Write a text with the 7-bit alphabet: "Détecté à l’arrêt" keeps é and à, not ê.

    Letters lose the marks that the alphabet does not have, pictures such as emoji are left
    out, and a letter that cannot be spelled becomes a question mark.
    """
    return "".join(_letter(one) for one in unicodedata.normalize("NFC", text))


def fit(text: str, *, part_count: int = 1) -> str:
    """Spell a text and cut it to so many parts, ending in dots where it was cut."""
    spelled = spell(text)
    if parts(spelled) <= part_count:
        return spelled
    room = capacity(part_count) - len(ELLIPSIS)
    kept, used = [], 0
    for character in spelled:
        used += _WIDTHS[character]
        if used > room:
            break
        kept.append(character)
    cut = "".join(kept).rstrip()
    # Extension characters at the ends of parts may still make it one too many.
    while parts(cut + ELLIPSIS) > part_count:
        cut = cut[:-1].rstrip()
    return cut + ELLIPSIS


def capacity(part_count: int) -> int:
    """Return how many 7-bit characters so many parts hold."""
    return ONE_PART if part_count == 1 else EACH_OF_SEVERAL * part_count


def _letter(character: str) -> str:
    if character in _WIDTHS:
        return character
    if character in _SPELLED:
        return _SPELLED[character]
    if character.isspace():
        return " "
    bare = "".join(
        one
        for one in unicodedata.normalize("NFKD", character)
        if not unicodedata.combining(one)
    )
    spelled = "".join(one if one in _WIDTHS else _SPELLED.get(one, "") for one in bare)
    if spelled:
        return spelled
    return "" if unicodedata.category(character) in _LEFT_OUT else _UNKNOWN
