"""An echo server and a thousand clients, written with bare asyncio streams."""

import asyncio
import resource

import rsloop

CONNECTIONS = 1000
ROUNDS = 5


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def client(number: int, port: int, all_connected: asyncio.Barrier) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    # All of them are open at once before the first one writes.
    await all_connected.wait()
    received = 0
    for turn in range(ROUNDS):
        message = b"client %d, round %d\n" % (number, turn)
        writer.write(message)
        assert await reader.readline() == message
        received += 1
    writer.close()
    await writer.wait_closed()
    return received


async def main() -> None:
    assert isinstance(asyncio.get_running_loop(), rsloop.Loop)
    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=CONNECTIONS)
    port = server.sockets[0].getsockname()[1]
    all_connected = asyncio.Barrier(CONNECTIONS)
    received = await asyncio.gather(
        *(client(number, port, all_connected) for number in range(CONNECTIONS))
    )
    assert received == [ROUNDS] * CONNECTIONS
    server.close()
    await server.wait_closed()


def test_a_thousand_connections_at_once() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * CONNECTIONS + 100
    assert hard == resource.RLIM_INFINITY or hard >= needed, "too few descriptors allowed here"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        rsloop.run(main())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
