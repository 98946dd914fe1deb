"""The way between nginx and TorchServe, a unix socket, which can be slow or break."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

PIECE = 65_536


class FaultProxy:
    """Takes a socket's place and passes bytes on to it; `delay_s` each way, and `cut` breaks what is open."""

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
            pass  # the other side breaks off; so do we
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
    """One in place of a socket, as long as the block lasts."""
    made = FaultProxy(path)
    loop = made._loop  # noqa: SLF001 - its own
    loop.run_until_complete(made._listen())  # noqa: SLF001 - its own
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.target.rename(path)
        asyncio.run_coroutine_threadsafe(ended(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def ended() -> None:
    """Every connection of this loop given up."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
