"""A gate before somebody else's server: what comes back through it is counted, and cut.

libpq keeps a message of any length in memory, several times over, before it hands it out;
an error that quotes a text of a gigabyte is such a message. So a client of which we can't
bound the reading doesn't read from the stranger, but from us.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from t4g_portal.lib.egress.streams import GuardedStream, open_connection

_PIECE_BYTES = 16 * 1024
# The client's own connection, and one or two that ask the server to stop.
_MOST_CONNECTIONS = 3


class Gate:
    """Passes connections of this process on to one of some checked addresses.

    It listens on loopback, for as long as it is open, to few connections. `is_flooded`:
    more than was allowed came back, and everything was hung up.
    """

    def __init__(
        self, *, addresses: Sequence[str], port: int, may_use_private: bool
    ) -> None:
        self._addresses = addresses
        self._far_port = port
        self._may_use_private = may_use_private
        self._server: asyncio.Server | None = None
        self._waiting: GuardedStream | None = None
        self._streams: set[GuardedStream] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._left_bytes = 0
        self.is_flooded = False

    @property
    def port(self) -> int:
        """Where the client connects to, on 127.0.0.1."""
        assert self._server is not None  # noqa: S101 - for mypy
        return int(self._server.sockets[0].getsockname()[1])

    def allow(self, count: int) -> None:
        """Let so many bytes come back from here on."""
        self._left_bytes = count

    async def open(self, *, timeout_s: float) -> None:
        """Connect to the far end, then listen. Raises OSError, BlockedAddress, TimeoutError.

        Each address gets its share of the time.
        """
        share_s = timeout_s / len(self._addresses)
        failure: OSError = TimeoutError()
        for address in self._addresses:
            try:
                async with asyncio.timeout(share_s):
                    self._waiting = await self._dial(address)
            except OSError as exc:
                failure = exc
            else:
                self._addresses = (address,)
                break
        else:
            raise failure
        self._server = await asyncio.start_server(self._come_in, "127.0.0.1", 0)

    async def close(self) -> None:
        """Hang up everywhere."""
        if self._server is not None:
            self._server.close()
        for stream in tuple(self._streams):
            stream.abort()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _dial(self, address: str) -> GuardedStream:
        stream = await open_connection(
            host=address, port=self._far_port, may_use_private=self._may_use_private
        )
        # What is counted is counted here, for all questions apart.
        stream.limit_bytes = 2**62
        self._streams.add(stream)
        return stream

    async def _come_in(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for mypy
        self._tasks.add(task)
        self._count += 1
        try:
            if self._count <= _MOST_CONNECTIONS:
                # A cancelled task is an error in the log of asyncio's servers.
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await self._pass(reader, writer)
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        stream, self._waiting = self._waiting, None
        if stream is None:
            stream = await self._dial(self._addresses[0])
        away = asyncio.create_task(_carry_away(reader, stream))
        try:
            await self._carry_back(stream, writer)
        finally:
            away.cancel()
            stream.abort()
            self._streams.discard(stream)

    async def _carry_back(
        self, stream: GuardedStream, writer: asyncio.StreamWriter
    ) -> None:
        while data := await stream.read(_PIECE_BYTES):
            self._left_bytes -= len(data)
            if self._left_bytes < 0:
                self.is_flooded = True
                return
            writer.write(data)
            await writer.drain()


async def _carry_away(reader: asyncio.StreamReader, stream: GuardedStream) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_PIECE_BYTES):
            stream.write(data)
    stream.abort()
