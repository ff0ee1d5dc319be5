"""Foreign bytes made safe to store and to show."""

from __future__ import annotations

EXCERPT_BYTES = 1024


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character in "\n\t"


def clean(text: str) -> str:
    """Without control, format (bidi) and lone surrogate characters; odd spaces plain."""
    if text.isprintable():
        return text
    return "".join(
        character
        if _is_harmless(character)
        else (" " if character.isspace() and character != "\r" else "")
        for character in text
    )


def excerpt(received: bytes | str) -> str:
    """The beginning of what was received, at most 1 KiB of UTF-8, cleaned."""
    text = (
        received[:EXCERPT_BYTES].decode("utf-8", "replace")
        if isinstance(received, bytes)
        else received[:EXCERPT_BYTES]
    )
    return clean(text).encode()[:EXCERPT_BYTES].decode("utf-8", "ignore")


def one_line(text: str, *, limit: int = 200) -> str:
    """`text` cleaned, on one line, at most `limit` characters."""
    words = " ".join(clean(text[: limit * 4]).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"
