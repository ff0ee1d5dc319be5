"""What the stand-ins for Slack and the mail server were sent: files, the newest 200."""

from __future__ import annotations

import email
import email.policy
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from t4g_portal.demo.marking import folder, write

KEPT = 200
_MAX_TEXT = 4000


@dataclass(frozen=True, slots=True)
class Received:
    """One message as its receiver would have read it. `via`: "slack" or "mail"."""

    via: str
    to: str
    title: str
    text: str
    url: str
    at: datetime


def keep(data_dir: Path, *, via: str, to: str, title: str, text: str, url: str) -> None:
    """Store a message and forget the oldest ones."""
    path = _folder(data_dir)
    content = {
        "via": via,
        "to": to,
        "title": title,
        "text": text[:_MAX_TEXT],
        "url": url,
    }
    write(path / f"{time.time_ns()}.json", json.dumps(content))
    for old in sorted(path.glob("*.json"))[:-KEPT]:
        old.unlink(missing_ok=True)


def newest(data_dir: Path, *, count: int) -> list[Received]:
    """Return messages, the newest first."""
    found = []
    for path in sorted(_folder(data_dir).glob("*.json"), reverse=True)[:count]:
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        at = datetime.fromtimestamp(int(path.stem) / 1e9, tz=UTC)
        found.append(Received(**content, at=at))
    return found


def keep_slack(data_dir: Path, *, channel: str, payload: dict[str, Any]) -> None:
    """Store what was posted to an incoming webhook."""
    blocks = [block for block in payload.get("blocks", []) if isinstance(block, dict)]
    lines = [line for block in blocks for line in _lines(block)]
    url = next((url for block in blocks for url in _urls(block)), "")
    keep(
        data_dir,
        via="slack",
        to=f"#{channel}",
        title=str(payload.get("text", "")),
        text="\n".join(lines),
        url=url,
    )


def keep_mail(data_dir: Path, *, to: str, content: bytes) -> None:
    """Store what was handed to the mail server."""
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    body = parsed.get_body(preferencelist=("plain",))
    text = str(body.get_content()) if body is not None else ""
    url = next((word for word in text.split() if word.startswith("http")), "")
    keep(
        data_dir,
        via="mail",
        to=to,
        title=str(parsed.get("Subject", "")),
        text=text.strip(),
        url=url,
    )


def _lines(block: dict[str, Any]) -> Iterator[str]:
    """Say what a block shows, without the title that is said already."""
    if block.get("type") != "section":
        return
    if "text" in block:
        yield _plain(block["text"].get("text", ""))
    for field in block.get("fields", []):
        label, _line, value = _plain(field.get("text", "")).partition("\n")
        yield f"{label.strip('*')}: {value}" if value else label


def _urls(block: dict[str, Any]) -> Iterator[str]:
    for element in block.get("elements", []):
        if isinstance(element, dict) and element.get("url"):
            yield str(element["url"])


def _plain(text: str) -> str:
    for escaped, sign in (
        ("<!channel>", "@channel"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ):
        text = text.replace(escaped, sign)
    return text


def _folder(data_dir: Path) -> Path:
    path = folder(data_dir) / "inbox"
    path.mkdir(exist_ok=True)
    return path
