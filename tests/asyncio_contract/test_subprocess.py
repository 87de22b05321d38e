"""Child processes: exit codes, pipes, signals, many at once."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Run

PYTHON = [sys.executable, "-S", "-c"]
PIPE = asyncio.subprocess.PIPE

pytestmark = [
    # 3.12 and 3.13 announce the end of child watchers inside their own code.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.usefixtures("child_watcher"),
]


@pytest.fixture
def child_watcher() -> Iterator[None]:
    """Stop the child watcher's threads, which the stdlib loop may leave behind."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith(("asyncio-waitpid", "waitpid")):
            thread.join()


async def settle() -> None:
    """Give the loop the turns that closing the pipes takes."""
    for _ in range(4):
        await asyncio.sleep(0)


def test_exit_code(run: Run) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(*PYTHON, "raise SystemExit(7)")
        assert process.pid > 0
        assert await process.wait() == 7
        assert process.returncode == 7
        await settle()

    run(main())


def test_communicate(run: Run) -> None:
    code = "import sys; d = sys.stdin.read(); print(d.upper(), end=''); print('e', file=sys.stderr)"

    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            *PYTHON, code, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        assert await process.communicate(b"input") == (b"INPUT", b"e\n")
        assert process.returncode == 0
        await settle()

    run(main())


def test_much_data_both_ways(run: Run) -> None:
    size = 2_000_000
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"

    async def main() -> None:
        process = await asyncio.create_subprocess_exec(*PYTHON, code, stdin=PIPE, stdout=PIPE)
        output, _ = await process.communicate(bytes(size))
        assert len(output) == size
        await settle()

    run(main())


def test_shell(run: Run) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_shell("echo $((6 * 7)); exit 3", stdout=PIPE)
        output, _ = await process.communicate()
        assert output == b"42\n"
        assert process.returncode == 3
        await settle()

    run(main())


def test_the_limit_is_that_of_the_output_streams(run: Run) -> None:
    async def main() -> None:
        command = "printf 'aaaaaaaaaaaaaaaaaaaa\\nb\\n'"
        process = await asyncio.create_subprocess_shell(command, stdout=PIPE, limit=4)
        assert process.stdout is not None
        with pytest.raises(ValueError, match="limit"):
            await process.stdout.readline()
        assert (await process.stdout.read()).endswith(b"b\n")
        assert await process.wait() == 0

    run(main())


@pytest.mark.parametrize("method", ["kill", "terminate", "send_signal"])
def test_signals_to_the_child(run: Run, method: str) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            *PYTHON, "print(flush=True); input()", stdin=PIPE, stdout=PIPE
        )
        assert process.stdout
        await process.stdout.readline()
        number = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM}.get(method, signal.SIGHUP)
        getattr(process, method)(*([number] if method == "send_signal" else []))
        assert await process.wait() == -number
        assert process.stdin
        process.stdin.close()
        await settle()

    run(main())


def test_signals_to_a_dead_child_do_no_harm(run: Run) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(*PYTHON, "")
        await process.wait()
        with pytest.raises(ProcessLookupError):
            process.kill()
        await settle()

    run(main())


def test_missing_program(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/nonexistent/program", stdout=PIPE)
        await settle()

    run(main())


def test_popen_options(run: Run, tmp_path: Any) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            *PYTHON,
            "import os; print(os.getcwd(), os.environ['VARIABLE'])",
            stdout=PIPE,
            cwd=tmp_path,
            env={**os.environ, "VARIABLE": "value"},
            start_new_session=True,
        )
        output, _ = await process.communicate()
        assert output == f"{tmp_path} value\n".encode()
        await settle()

    run(main())


def test_text_mode_is_refused(run: Run) -> None:
    async def main() -> None:
        for options in ({"universal_newlines": True}, {"text": True}, {"bufsize": 1}):
            with pytest.raises(ValueError, match="must be"):
                await asyncio.create_subprocess_exec(*PYTHON, "", **options)

    run(main())


def test_children_inherit_no_descriptor(run: Run) -> None:
    code = "import os; print(len(os.listdir('/proc/self/fd')))"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        process = await asyncio.create_subprocess_exec(*PYTHON, code, stdout=PIPE)
        output, _ = await process.communicate()
        # Three standard ones, and the one that lists them.
        assert int(output) == 4
        server.close()
        await settle()

    run(main())


def test_many_children_at_once(run: Run) -> None:
    async def child(number: int) -> int:
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", f"exit {number}")
        return await process.wait()

    async def main() -> None:
        codes = await asyncio.gather(*(child(number) for number in range(20)))
        assert codes == list(range(20))
        await settle()

    run(main())


def test_transport_of_a_child(run: Run) -> None:
    class Protocol(asyncio.SubprocessProtocol):
        def __init__(self) -> None:
            self.exited = asyncio.get_running_loop().create_future()
            self.received = bytearray()

        def pipe_data_received(self, fd: int, data: bytes) -> None:
            assert fd == 1
            self.received += data

        def connection_lost(self, exc: Exception | None) -> None:
            self.exited.set_result(exc)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            Protocol, *PYTHON, "print('out')", stdin=None, stderr=None
        )
        assert isinstance(transport, asyncio.SubprocessTransport)
        assert await protocol.exited is None
        assert transport.get_returncode() == 0
        assert protocol.received == b"out\n"
        transport.close()
        await settle()

    run(main())
