"""A proxy on the unix socket between nginx and TorchServe that delays or resets connections."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

PIECE = 65_536


class FaultProxy:
    """Takes over a socket's path and forwards bytes to the original; `delay_s` delays each direction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.target = path.with_suffix(".target")
        self.delay_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Reset every open connection."""
        self._loop.call_soon_threadsafe(self._reset)

    def _reset(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while piece := await reader.read(PIECE):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass  # the peer reset the connection; `finally` closes the other side
        finally:
            self._open.discard(writer)
            writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_unix_connection(str(self.target))
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pass(reader, forth), self._pass(back, writer))

    async def _listen(self) -> None:
        self.path.rename(self.target)
        await asyncio.start_unix_server(self._connected, str(self.path))


@contextlib.contextmanager
def fault_proxy(path: Path) -> Iterator[FaultProxy]:
    """Put a proxy in front of a socket for the duration of the block."""
    proxy = FaultProxy(path)
    loop = proxy._loop  # noqa: SLF001 - its own
    loop.run_until_complete(proxy._listen())  # noqa: SLF001 - its own
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.target.rename(path)
        asyncio.run_coroutine_threadsafe(ended(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def ended() -> None:
    """Cancel all connections of the running loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
