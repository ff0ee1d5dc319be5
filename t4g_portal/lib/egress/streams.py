"""Asynchronous connections to checked addresses, with honest times.

Time stamps are taken in the protocol's callbacks, when the event loop hands us the
bytes, not when a coroutine gets its turn again: on a busy loop that is milliseconds
later. TLS runs on memory buffers here because asyncio's own keeps 256 KiB a connection.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
import time
from collections import deque
from collections.abc import Iterable
from typing import cast

from t4g_portal.lib.egress.names import Recorder, Stage, Timings, resolve

# Above this much unread data the peer has to wait.
_HIGH_WATER_BYTES = 64 * 1024
# What a reader gets at once: parsing it must not hold up the loop for long.
_PIECE_BYTES = 16 * 1024
# As in RFC 8305: the next address gets its chance while the first is still silent.
_NEXT_ADDRESS_AFTER_S = 0.25
# Our own shortages: trying the next address would only hide them.
_SHORTAGES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class AnswerTooLarge(Exception):
    """The peer sent more than the stream's `limit_bytes`."""


class GuardedStream(asyncio.Protocol):
    """A connection to a checked address.

    `ready_at`, `sent_at`, `first_byte_at` and `last_byte_at` are `time.perf_counter()`
    stamps: connected (and secured), the last write, the first and the last plain-text
    byte after it (0.0: not yet).
    `limit_bytes` bounds what is read in all; reading on after it raises AnswerTooLarge.
    Errors are the system's own OSErrors and SSLErrors.
    """

    def __init__(self) -> None:
        self.recorder: Recorder = Timings()
        self.connected_at = 0.0
        self.ready_at = 0.0
        self.sent_at = 0.0
        self.first_byte_at = 0.0
        self.last_byte_at = 0.0
        self.read_bytes = 0
        self.limit_bytes = 1024 * 1024
        self.is_ended = False
        self._error: BaseException | None = None
        self._chunks: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._is_paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._tls: ssl.SSLObject | None = None
        self._handshake: asyncio.Future[float] | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connected_at = self.ready_at = time.perf_counter()
        # uvloop's transports don't inherit from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if self._tls is None:
            self._store(data, now)
            return
        self._incoming.write(data)
        if self._handshake is not None:
            self._shake_hands()
        if self._handshake is None:
            self._decrypt(now)

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._end(exc)

    def _end(self, exc: BaseException | None) -> None:
        self.is_ended = True
        self._error = self._error or exc
        if self._handshake is not None:
            self._settle_handshake(
                exc or ConnectionResetError(errno.ECONNRESET, "Closed in the handshake")
            )
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _store(self, data: bytes, now: float) -> None:
        if not self.first_byte_at:
            self.first_byte_at = now
        self.last_byte_at = now
        self._buffered_bytes += len(data)
        self._chunks.append(data)
        if self._buffered_bytes > _HIGH_WATER_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    # TLS on memory buffers.

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def _begin_handshake(
        self, context: ssl.SSLContext, server_name: str
    ) -> asyncio.Future[float]:
        """Say hello; the result is the time stamp of the end of the handshake."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name
        )
        self._handshake = handshake = asyncio.get_running_loop().create_future()
        # Whoever spoke before the handshake doesn't speak TLS: let OpenSSL say so.
        for early in self._chunks:
            self._incoming.write(early)
        self._chunks.clear()
        self._buffered_bytes = 0
        self.first_byte_at = self.last_byte_at = 0.0
        self._shake_hands()
        return handshake

    def _settle_handshake(self, exc: BaseException | None = None) -> None:
        handshake, self._handshake = self._handshake, None
        if handshake is None or handshake.done():
            return
        if exc is None:
            handshake.set_result(time.perf_counter())
        else:
            handshake.set_exception(exc)

    def _shake_hands(self) -> None:
        assert self._tls is not None  # noqa: S101 - for mypy
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except (ssl.SSLError, ValueError) as exc:
            self._flush()
            self._settle_handshake(exc)
        else:
            self._flush()
            self._settle_handshake()

    def _decrypt(self, now: float) -> None:
        assert self._tls is not None  # noqa: S101 - for mypy
        try:
            while data := self._tls.read(_HIGH_WATER_BYTES):
                self._store(data, now)
            self._end(None)
        except ssl.SSLWantReadError:
            # The peer may have asked for new keys.
            self._flush()
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self._end(None)
        except ssl.SSLError as exc:
            self._end(exc)

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> None:
        """Secure the connection; the time goes into `recorder.tls_ms`.

        Raises ssl.SSLError (SSLCertVerificationError tells what is wrong with the
        certificate) and OSError.
        """
        started = time.perf_counter()
        self.recorder.stage = Stage.TLS
        if self.is_ended:
            raise self._error or ConnectionResetError(errno.ECONNRESET, "Closed")
        try:
            self.ready_at = await self._begin_handshake(context, server_name)
        except BaseException:
            self.abort()
            raise
        spent_ms = (self.ready_at - started) * 1000
        self.recorder.tls_ms = (self.recorder.tls_ms or 0.0) + spent_ms

    # Reading and writing.

    async def read(self, max_bytes: int) -> bytes:
        """Up to `max_bytes`, or b"" at the end. Raises OSError, AnswerTooLarge."""
        if self._chunks:
            # A peer that floods us must not keep the event loop to itself.
            await asyncio.sleep(0)
        while not self._chunks:
            if self.is_ended:
                if self._error is not None:
                    raise self._error
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.read_bytes >= self.limit_bytes:
            raise AnswerTooLarge
        chunk = self._chunks.popleft()
        max_bytes = min(max_bytes, _PIECE_BYTES)
        if len(chunk) > max_bytes:
            self._chunks.appendleft(chunk[max_bytes:])
            chunk = chunk[:max_bytes]
        self.read_bytes += len(chunk)
        self._buffered_bytes -= len(chunk)
        if self._is_paused and self._buffered_bytes <= _HIGH_WATER_BYTES:
            self._is_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()
        return chunk

    def write(self, buffer: bytes) -> None:
        """Hand bytes to the system. A lost connection shows at the next read."""
        if not self.is_ended and not self._transport.is_closing():
            if self._tls is None:
                self._transport.write(buffer)
            else:
                self._tls.write(buffer)
                self._flush()
        self.sent_at = time.perf_counter()
        self.first_byte_at = self.last_byte_at = 0.0

    def abort(self) -> None:
        """Drop the connection now: a polite close waits for a peer that won't read."""
        self._transport.abort()

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """The TLS session, with its certificate; None without TLS."""
        return self._tls


async def _dial(address: str, port: int) -> GuardedStream:
    _, stream = await asyncio.get_running_loop().create_connection(
        GuardedStream, address, port
    )
    return stream


def _interleaved(addresses: Iterable[str]) -> deque[str]:
    """The same order, but families taking turns, so a broken IPv6 costs one delay."""
    by_family: dict[bool, deque[str]] = {}
    for address in addresses:
        by_family.setdefault(":" in address, deque()).append(address)
    turns = deque(by_family.values())
    result: deque[str] = deque()
    while turns:
        family = turns.popleft()
        result.append(family.popleft())
        if family:
            turns.append(family)
    return result


def _most_telling(errors: list[OSError]) -> OSError:
    """A refusal says more about the target than a missing route of ours."""
    for kind in (ConnectionRefusedError, ConnectionError, TimeoutError):
        for error in errors:
            if isinstance(error, kind):
                return error
    return errors[0]


def _abort_late(task: asyncio.Task[GuardedStream]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().abort()


async def _race(addresses: Iterable[str], port: int) -> GuardedStream:
    """The first address that answers, each starting a little after the one before."""
    waiting = _interleaved(addresses)
    running: set[asyncio.Task[GuardedStream]] = set()
    errors: list[OSError] = []
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_dial(waiting.popleft(), port)))
            done, _ = await asyncio.wait(
                running,
                timeout=_NEXT_ADDRESS_AFTER_S if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                running.discard(task)
                try:
                    winner = task.result()
                except OSError as exc:
                    if exc.errno in _SHORTAGES:
                        raise
                    errors.append(exc)
                else:
                    running |= done - {task}
                    return winner
        raise _most_telling(errors)
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_abort_late)


async def open_connection(
    *,
    host: str,
    port: int,
    may_use_private: bool = False,
    recorder: Recorder | None = None,
    tls: ssl.SSLContext | None = None,
    server_name: str = "",
) -> GuardedStream:
    """Connect to `host` on one of its checked addresses, with TLS when `tls` is given.

    The certificate must name `server_name`, by default `host`. The deadline is the
    caller's. Raises UnableToResolve, BlockedAddress, OSError and ssl.SSLError.
    """
    recorder = recorder or Timings()
    addresses = await resolve(
        host=host, may_use_private=may_use_private, recorder=recorder
    )
    recorder.stage = Stage.CONNECT
    started = time.perf_counter()
    if len(addresses) == 1:
        stream = await _dial(addresses[0], port)
    else:
        stream = await _race(addresses, port)
    spent_ms = (stream.connected_at - started) * 1000
    recorder.connect_ms = (recorder.connect_ms or 0.0) + spent_ms
    stream.recorder = recorder
    if tls is not None:
        await stream.start_tls(tls, server_name or host.rstrip("."))
    return stream
