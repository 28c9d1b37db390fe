"""What is written in one turn of the event loop, seen from the other end of a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from unabridged.proxy.cork import Corked


class Taken(asyncio.Protocol):
    """The transport of one side."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport


def with_connection(told: Callable[[Corked, asyncio.StreamReader], Awaitable[None]]) -> None:
    async def inside() -> None:
        accepted: asyncio.Queue[Taken] = asyncio.Queue()

        def accept() -> Taken:
            taken = Taken()
            accepted.put_nowait(taken)
            return taken

        server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            taken = await accepted.get()
            await asyncio.wait_for(told(Corked(taken.transport), reader), 10)
            writer.close()

    asyncio.run(inside())


def test_pieces_of_one_turn_arrive_together_and_in_order() -> None:
    async def told(corked: Corked, reader: asyncio.StreamReader) -> None:
        corked.write(b"head ")
        corked.write(b"body")
        assert corked.get_write_buffer_size() == 0
        assert await reader.read(100) == b"head body"

    with_connection(told)


def test_pieces_of_two_turns_do_not_wait_for_each_other() -> None:
    async def told(corked: Corked, reader: asyncio.StreamReader) -> None:
        for piece in (b"one", b"two"):
            corked.write(piece)
            assert await reader.read(100) == piece

    with_connection(told)


def test_what_was_written_goes_out_before_a_close() -> None:
    async def told(corked: Corked, reader: asyncio.StreamReader) -> None:
        corked.write(b"goodbye")
        corked.close()
        assert corked.is_closing()
        assert await reader.read() == b"goodbye"

    with_connection(told)


def test_what_is_written_to_a_connection_that_has_gone_is_dropped() -> None:
    async def told(corked: Corked, reader: asyncio.StreamReader) -> None:
        corked.write(b"lost")
        corked.abort()
        await asyncio.sleep(0)
        corked.write(b"lost too")
        await asyncio.sleep(0)
        assert await reader.read() == b""

    with_connection(told)
