"""The pages of a portal with 1,000 monitors and 90 days behind it: time, queries, bytes.

The filled database is kept in `var/bench-pages` for the day: filling takes minutes.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import brotli  # type: ignore[import-untyped]

from bench.figures import Figure
from bench.portal import OWN_SETTINGS, ROOT, free_port
from bench.processes import usage
from t4g_portal.launcher import web_program

_DATA_DIR = ROOT / "var" / "bench-pages"
_ROUNDS = 40
_WARM_UP = 3
_BOUND_MS = 100.0
_SHELL_KB = 350.0
_PUBLIC_KB = 60.0
_IDLE_KB = 2.0
# What is measured: its name, and its address with the number of a monitor.
_PAGES = {
    "overview": "/",
    "monitors list": "/monitors/",
    "monitors list, searched": "/monitors/?q=endpoint+09&service=service-4",
    "monitor page, 24 h": "/monitors/{pk}/",
    "monitor page, 7 d": "/monitors/{pk}/?range=7d",
    "monitor page, 90 d": "/monitors/{pk}/?range=90d",
    "status page": "/status/",
}
_LIVE = {
    "overview": "/?live",
    "monitors list": "/monitors/?live",
    "monitor page": "/monitors/{pk}/?live",
}


@dataclass(frozen=True)
class Answer:
    """One answer as it came over the wire."""

    status: int
    took_ms: float
    size: int
    body: bytes
    headers: http.client.HTTPMessage


class Browser:
    """Asks over one connection, signed in, and takes compressed answers."""

    def __init__(self, port: int, cookie: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookie = cookie

    def get(self, address: str, **headers: str) -> Answer:
        began = time.perf_counter()
        self._connection.request(
            "GET",
            address,
            headers={
                "Accept-Encoding": "br, gzip",
                "Cookie": self._cookie,
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )
        response = self._connection.getresponse()
        raw = response.read()
        return Answer(
            status=response.status,
            took_ms=(time.perf_counter() - began) * 1000,
            size=len(raw),
            body=_unpacked(raw, response.headers.get("Content-Encoding", "")),
            headers=response.headers,
        )


def pages() -> list[Figure]:
    """Server time, queries and bytes of pages, 1,000 monitors × 90 days of history."""
    with filled(), web() as (port, pid):
        inside = json.loads(child("-m", "bench.pages_inside", *_PAGES.values()))
        browser = Browser(port, inside["cookie"])
        ids = inside["monitor_ids"]
        figures = []
        for name, address in _PAGES.items():
            figures += _timed(browser, name, address, ids, pid)
            count = inside["queries"][address]
            figures.append(Figure(f"{name}: queries", count, "queries"))
        for name, address in _LIVE.items():
            figures += _idle(browser, name, address.format(pk=ids[7]))
        figures += _weight(browser, "overview", "/", _SHELL_KB)
        figures += _weight(browser, "monitors list", "/monitors/", _SHELL_KB)
        figures += _weight(browser, "monitor page", f"/monitors/{ids[7]}/", _SHELL_KB)
        figures += _weight(browser, "status page", "/status/", _PUBLIC_KB)
        return figures


def _timed(
    browser: Browser, name: str, address: str, ids: list[int], pid: int
) -> list[Figure]:
    """Another monitor each time, so that no page is the one just read.

    CPU is of the web process and of PostgreSQL, and sound on a busy machine too.
    """
    times = []
    before = _cpu_s(pid)
    for round_ in range(_ROUNDS + _WARM_UP):
        if round_ == _WARM_UP:
            before = _cpu_s(pid)
        answer = browser.get(address.format(pk=ids[round_ * 7 % len(ids)]))
        if answer.status != 200:
            raise SystemExit(f"{address} answered {answer.status}")
        times.append(answer.took_ms)
    used_s = _cpu_s(pid) - before
    cuts = statistics.quantiles(times[_WARM_UP:], n=20)
    return [
        Figure(f"{name}: p50", cuts[9], "ms"),
        Figure(f"{name}: p95", cuts[18], "ms", _BOUND_MS),
        Figure(f"{name}: CPU", used_s / _ROUNDS * 1000, "ms"),
    ]


def _cpu_s(pid: int) -> float:
    return usage(pid).portal_s + usage(os.getpid()).postgres_s


def _idle(browser: Browser, name: str, address: str) -> list[Figure]:
    """What a refresh sends when nothing happened, and when all was checked again."""
    first = browser.get(address)
    time.sleep(3)
    again = browser.get(address, If_None_Match=first.headers["ETag"])
    figures = [
        Figure(f"{name}: idle refresh, status", again.status, ""),
        Figure(f"{name}: idle refresh", again.size / 1024, "KB", _IDLE_KB),
    ]
    child("-m", "bench.pages_inside", "--check-all")
    checked = browser.get(address, If_None_Match=again.headers["ETag"])
    figures.append(
        Figure(f"{name}: refresh after checks", checked.size / 1024, "KB", _IDLE_KB)
    )
    return figures


def _weight(browser: Browser, name: str, address: str, bound: float) -> list[Figure]:
    """Everything that a first visit brings: page, scripts and styles, then fonts."""
    page = browser.get(address)
    html = page.body.decode()
    scripts = re.findall(r'<script[^>]+src="([^"]+)"', html)
    styles = [
        match[1]
        for tag in re.findall(r"<link[^>]*>", html)
        if "stylesheet" in tag and (match := re.search(r'href="([^"]+)"', tag))
    ]
    code = page.size
    fonts = 0
    for asset in {*scripts, *styles}:
        answer = browser.get(asset)
        if answer.status != 200:
            raise SystemExit(f"{asset} answered {answer.status}")
        code += answer.size
        if asset in styles:
            for font in _fonts_for_english(answer.body.decode()):
                fonts += browser.get(urllib.parse.urljoin(asset, font)).size
    return [
        Figure(f"{name}: HTML", page.size / 1024, "KB"),
        Figure(f"{name}: first load, HTML + JS + CSS", code / 1024, "KB", bound),
        Figure(f"{name}: fonts beside it", fonts / 1024, "KB"),
    ]


def _fonts_for_english(css: str) -> list[str]:
    """Return the fonts that a browser fetches for our words.

    Of faces with the same name and weight, one without a range is for other alphabets.
    """
    chosen: dict[tuple[str, ...], str] = {}
    for face in re.findall(r"@font-face\s*{([^}]*)}", css):
        of = tuple(re.findall(r"font-(?:family|weight):\s*([^;]+)", face))
        url = re.search(r'url\("?([^")]+)', face)
        if url and (of not in chosen or "unicode-range" in face):
            chosen[of] = url[1]
    return list(chosen.values())


def _unpacked(raw: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(raw)
    if encoding == "br":
        return bytes(brotli.decompress(raw))
    return raw


@contextlib.contextmanager
def filled(
    *, data_dir: Path = _DATA_DIR, by: str = "bench.pages_history"
) -> Iterator[None]:
    """Hold the filled database; the module `by` fills it unless it was today."""
    from t4g_portal.embedded_db import EmbeddedDatabase

    stamp = data_dir / "filled"
    today = f"{datetime.now(UTC):%Y-%m-%d} {_schema(by)}"
    is_filled = stamp.is_file() and stamp.read_text() == today
    if not is_filled:
        shutil.rmtree(data_dir, ignore_errors=True)
    database = EmbeddedDatabase(data_dir=data_dir)
    database.acquire()
    try:
        child("manage.py", "prepare", data_dir=data_dir)
        if not is_filled:
            began = time.monotonic()
            child("-m", by, data_dir=data_dir)
            print(f"filled in {time.monotonic() - began:.0f} s", flush=True)
            stamp.write_text(today)
        yield
    finally:
        database.release()


def _schema(by: str) -> str:
    """Name the migrations and what fills them."""
    filler = ROOT.joinpath(*by.split(".")).with_suffix(".py")
    files = [*ROOT.glob("*/migrations/*.py"), filler]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def web(*, data_dir: Path = _DATA_DIR) -> Iterator[tuple[int, int]]:
    """Run the web process alone, as the portal runs it; yield its port and pid."""
    port = free_port()
    log_path = data_dir / "web.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *web_program(host="127.0.0.1", port=port)],
            cwd=ROOT,
            env=_environment(data_dir),
            stdout=log,
            stderr=log,
        )
        try:
            _wait_until_up(port, log_path)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_up(port: int, log_path: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            Browser(port).get("/health")
            return
        time.sleep(0.1)
    raise SystemExit(f"the web process did not start; see {log_path}")


def child(*arguments: str, data_dir: Path = _DATA_DIR) -> str:
    """Run a program of ours on a filled database; return what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=_environment(data_dir),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def _environment(data_dir: Path) -> dict[str, str]:
    return {
        **os.environ,
        **OWN_SETTINGS,
        "PORTAL_DATA_DIR": str(data_dir),
        "PORTAL_SEED": "off",
    }
