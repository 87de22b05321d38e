"""asyncpg against a PostgreSQL server of its own."""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rsloop

asyncpg = pytest.importorskip("asyncpg")


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs, or skip."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    if initdb := shutil.which("initdb"):
        return Path(initdb).parent
    pytest.skip("PostgreSQL is not installed: no initdb")


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """Start a server that listens on a unix socket only, and return the socket's folder."""
    programs = binaries()
    options: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL}
    with tempfile.TemporaryDirectory(prefix="rsloop-pg-") as folder:
        if os.getuid() == 0:
            # PostgreSQL refuses to run as root.
            user = next(name for name in ("postgres", "nobody") if _exists(name))
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
            options |= {"user": user, "group": pwd.getpwnam(user).pw_gid}
        options["cwd"] = folder
        data = f"{folder}/data"
        command = [str(programs / "initdb"), "-D", data, "-U", "tester", "-A", "trust", "-N"]
        subprocess.run(command, **options)
        control = [str(programs / "pg_ctl"), "-D", data, "-w", "-l", f"{folder}/log"]
        settings = f"-k {folder} -c listen_addresses= -c fsync=off"
        subprocess.run([*control, "-o", settings, "start"], **options)
        try:
            yield folder
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **options)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def run(database: str, main: Any) -> None:
    async def connected() -> None:
        assert isinstance(asyncio.get_running_loop(), rsloop.Loop)
        whom = {"host": database, "user": "tester", "database": "postgres"}
        pool = asyncpg.create_pool(min_size=1, max_size=8, **whom)
        async with pool:
            await main(pool)

    rsloop.run(connected())


def test_queries_transactions_and_cursors(database: str) -> None:
    async def main(pool: Any) -> None:
        async with pool.acquire() as connection:
            await connection.execute("CREATE TEMP TABLE numbers (n int PRIMARY KEY, t text)")
            rows = [(number, f"text {number}") for number in range(5000)]
            await connection.copy_records_to_table("numbers", records=rows)
            assert await connection.fetchval("SELECT count(*) FROM numbers") == 5000
            async with connection.transaction():
                found = [row["n"] async for row in connection.cursor("SELECT n FROM numbers")]
            assert sorted(found) == list(range(5000))
            with pytest.raises(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    await connection.execute("DELETE FROM numbers WHERE n > 10")
                    await connection.execute("INSERT INTO numbers VALUES (1, 'again')")
            assert await connection.fetchval("SELECT count(*) FROM numbers") == 5000
            blob = bytes(range(256)) * 8192
            assert await connection.fetchval("SELECT $1::bytea", blob) == blob

    run(database, main)


def test_many_queries_at_once(database: str) -> None:
    async def main(pool: Any) -> None:
        async def square(number: int) -> int:
            result: int = await pool.fetchval("SELECT $1::int * $1::int", number)
            return result

        squares = await asyncio.gather(*(square(number) for number in range(500)))
        assert squares == [number**2 for number in range(500)]

    run(database, main)


def test_cancelled_and_timed_out_queries_leave_the_connection_usable(database: str) -> None:
    async def main(pool: Any) -> None:
        async with pool.acquire() as connection:
            with pytest.raises(TimeoutError):
                await connection.execute("SELECT pg_sleep(300)", timeout=0.05)
            task = asyncio.create_task(connection.execute("SELECT pg_sleep(300)"))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await connection.fetchval("SELECT 1") == 1

    run(database, main)


def test_notifications(database: str) -> None:
    async def main(pool: Any) -> None:
        told: asyncio.Queue[str] = asyncio.Queue()
        async with pool.acquire() as listener, pool.acquire() as speaker:

            def listen(_connection: object, _pid: int, _channel: str, payload: str) -> None:
                told.put_nowait(payload)

            await listener.add_listener("news", listen)
            await speaker.execute("SELECT pg_notify('news', 'heard')")
            assert await told.get() == "heard"
            await listener.remove_listener("news", listen)

    run(database, main)
