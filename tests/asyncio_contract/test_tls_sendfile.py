"""loop.sendfile over TLS, which has no system call for it."""

import asyncio
from pathlib import Path

import pytest

from .conftest import Run
from .tls_connections import HOST, Authority

PAYLOAD = bytes(range(256)) * 4096


def test_only_the_fallback_sends(run: Run, tmp_path: Path) -> None:
    authority = Authority()
    file = tmp_path / "payload"
    file.write_bytes(PAYLOAD)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        got: asyncio.Future[bytes] = loop.create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got.set_result(await reader.read(-1))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=authority.server())
        address = server.sockets[0].getsockname()
        _, writer = await asyncio.open_connection(
            *address, ssl=authority.client(), server_hostname=HOST
        )
        with file.open("rb") as opened:
            with pytest.raises(RuntimeError, match="fallback is disabled"):
                await loop.sendfile(writer.transport, opened, fallback=False)
            assert opened.tell() == 0
            assert await loop.sendfile(writer.transport, opened, 5) == len(PAYLOAD) - 5
            assert opened.tell() == len(PAYLOAD)
        writer.close()
        assert await got == PAYLOAD[5:]
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    run(main())
