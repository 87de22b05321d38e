"""How the loop learns of the end of its children: in every order, by any cause, in storms."""

import asyncio
import contextlib
import errno
import gc
import os
import signal
import subprocess
import sys
import sysconfig
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import NOT_EARLY_311, Log, LoopFactory, Run, open_descriptors, stdlib_fault
from .descriptors import few_descriptors
from .test_subprocess import PIPE, PYTHON, child_watcher, settle

__all__ = ["child_watcher"]

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.usefixtures("child_watcher"),
]


class Recorder(asyncio.SubprocessProtocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.exited = asyncio.Event()
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.append("made")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.told.append(f"data {fd} {data!r}")

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self.told.append(f"pipe lost {fd} {exc!r}")

    def process_exited(self) -> None:
        self.told.append("exited")
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(f"lost {exc!r}")
        self.lost.set()


@pytest.fixture
def ignored_sigchld() -> Iterator[None]:
    """Let the kernel reap children by itself."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGCHLD, before)


def no_child_is_left() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return True


def wait_without_reaping(pid: int) -> None:
    """Block until a child has ended, and leave its status to the loop."""
    with contextlib.suppress(ChildProcessError):  # the loop may have seen it already
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_a_child_may_end_before_anybody_reads(run: Run) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(*PYTHON, "print('x' * 30_000)", stdout=PIPE)
        # Without a turn of the loop, so that pipe and exit are found together.
        wait_without_reaping(process.pid)
        assert await process.wait() == 0
        assert process.stdout
        assert len(await process.stdout.read()) == 30_001
        await settle()

    run(main())


def test_output_that_outlives_the_child_is_read(run: Run) -> None:
    """A grandchild holds the pipe open after the child has gone."""

    async def main() -> None:
        recorder = Recorder()
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: recorder,
            *("/bin/sh", "-c", "exec 3<&0; (read line <&3; echo $line) & exit 3"),
            stdin=read,
            stderr=None,
        )
        await recorder.exited.wait()
        assert recorder.told == ["made", "exited"]
        assert transport.get_returncode() == 3
        os.write(write, b"late\n")
        await recorder.lost.wait()
        assert recorder.told[2:] == ["data 1 b'late\\n'", "pipe lost 1 None", "lost None"]
        transport.close()
        await settle()

    read, write = os.pipe()
    try:
        run(main())
    finally:
        os.close(read)
        os.close(write)


@NOT_EARLY_311
def test_communicate_with_a_dead_child(run: Run) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            *PYTHON, "print('words', end='')", stdin=PIPE, stdout=PIPE
        )
        wait_without_reaping(process.pid)
        # The input meets a broken pipe, which communicate() passes over.
        output, _ = await process.communicate(b"x" * 1_000_000)
        assert output == b"words"
        assert process.returncode == 0
        output, _ = await process.communicate()
        assert output == b""
        await settle()

    run(main())


@NOT_EARLY_311
def test_a_killed_child_loses_its_pipes_and_reports_the_signal(run: Run) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            *PYTHON, "print('up', flush=True); input()", stdin=PIPE, stdout=PIPE
        )
        assert process.stdout
        assert await process.stdout.readline() == b"up\n"
        os.kill(process.pid, signal.SIGKILL)
        output, _ = await process.communicate(b"unread" * 100_000)
        assert output == b""
        assert process.returncode == -signal.SIGKILL
        await settle()

    run(main())


@pytest.mark.parametrize("status", [0, 1, 127, 128, 255])
def test_every_exit_status(run: Run, status: int) -> None:
    async def main() -> int:
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", f"exit {status}")
        code = await process.wait()
        await settle()
        return code

    assert run(main()) == status


def test_a_core_dump_is_a_signal_too(run: Run) -> None:
    async def main() -> int:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", "ulimit -c 0; kill -ABRT $$"
        )
        code = await process.wait()
        await settle()
        return code

    assert run(main()) == -signal.SIGABRT


def test_a_stopped_child_has_not_ended(run: Run) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec("sleep", "300")
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)  # noqa: ASYNC222
        waiting = asyncio.ensure_future(process.wait())
        await settle()
        assert not waiting.done()
        process.send_signal(signal.SIGCONT)
        process.terminate()
        assert await waiting == -signal.SIGTERM
        await settle()

    run(main())


def test_a_storm_of_ends_at_once(run: Run) -> None:
    count = 60

    async def child(number: int) -> int:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", f"read line; exit {number}", stdin=read
        )
        return await process.wait()

    async def main() -> None:
        children = [asyncio.ensure_future(child(number)) for number in range(count)]
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, os.close, write)
        assert await asyncio.gather(*children) == list(range(count))
        assert no_child_is_left()
        await settle()

    read, write = os.pipe()
    try:
        run(main())
    finally:
        os.close(read)


def test_several_waiters_hear_of_one_end(run: Run) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 5")
        waiters = [asyncio.ensure_future(process.wait()) for _ in range(5)]
        waiters[2].cancel()
        results = await asyncio.gather(*waiters, return_exceptions=True)
        assert [*results[:2], *results[3:]] == [5] * 4
        assert isinstance(results[2], asyncio.CancelledError)
        await settle()

    run(main())


def test_order_of_what_the_protocol_is_told(run: Run) -> None:
    async def main() -> None:
        recorder = Recorder()
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: recorder, *PYTHON, "import os; os.write(1, b'out\\n')", stdin=None, stderr=None
        )
        assert transport.get_pid() > 0
        await recorder.lost.wait()
        told = recorder.told
        assert told[0] == "made"
        assert told[-1] == "lost None"
        assert sorted(told[1:-1]) == sorted(["data 1 b'out\\n'", "pipe lost 1 None", "exited"])
        assert told.index("data 1 b'out\\n'") < told.index("pipe lost 1 None")
        transport.close()
        await settle()

    run(main())


def test_closing_the_transport_kills_the_child(run: Run) -> None:
    async def main() -> None:
        recorder = Recorder()
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: recorder, "sleep", "300"
        )
        transport.close()
        await recorder.lost.wait()
        assert transport.get_returncode() == -signal.SIGKILL
        transport.close()
        await settle()

    run(main())


async def close_the_transport_of_a_dead_child() -> None:
    """Close it before its end is known, and see the child's status kept."""
    recorder = Recorder()
    transport, _ = await asyncio.get_running_loop().subprocess_exec(
        lambda: recorder, "/bin/sh", "-c", "exit 3"
    )
    wait_without_reaping(transport.get_pid())
    transport.close()
    await recorder.lost.wait()
    assert transport.get_returncode() == 3
    await settle()


def test_closing_the_transport_of_a_dead_child_keeps_its_status(
    run: Run, loop_kind: str, asyncio_log: Log
) -> None:
    stdlib_fault(loop_kind, "loses the status to Popen.poll(), and reports 255")

    run(close_the_transport_of_a_dead_child())
    assert asyncio_log.messages == []


def test_cancelling_the_start_ends_the_child(run: Run) -> None:
    async def main() -> None:
        task = asyncio.ensure_future(asyncio.create_subprocess_exec("sleep", "300", stdout=PIPE))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert no_child_is_left()
        await settle()

    run(main())


def test_a_child_that_somebody_else_has_reaped(run: Run, loop_kind: str, asyncio_log: Log) -> None:
    if loop_kind == "stdlib" and sys.version_info < (3, 12):
        pytest.skip("the stdlib loop of this Python waits in threads, so nobody else can be first")

    async def main() -> None:
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE)
        process.kill()
        os.waitpid(process.pid, 0)  # noqa: ASYNC222
        assert await process.wait() == 255
        assert process.stdin
        process.stdin.close()
        await settle()

    run(main())
    (message,) = asyncio_log.messages
    assert "will report returncode 255" in message


@pytest.mark.usefixtures("ignored_sigchld")
def test_children_without_a_status(run: Run, loop_kind: str, asyncio_log: Log) -> None:
    """Where SIGCHLD is ignored, the kernel reaps; a child may be gone before it can be watched."""
    stdlib_fault(loop_kind, "fails to open a pidfd for a child that is gone")

    async def main() -> list[int]:
        codes = []
        for _ in range(20):
            process = await asyncio.create_subprocess_exec("/bin/true")
            codes.append(await process.wait())
        await settle()
        return codes

    assert run(main()) == [255] * 20
    assert len(asyncio_log.messages) == 20


def test_no_thread_waits_for_a_child(run: Run, loop_kind: str) -> None:
    if loop_kind == "stdlib" and sys.version_info < (3, 12):
        pytest.skip("the stdlib loop of this Python waits in threads")

    async def main() -> None:
        process = await asyncio.create_subprocess_exec("sleep", "300")
        assert threading.active_count() == 1
        process.kill()
        await process.wait()
        await settle()

    run(main())


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="has no child watchers")
def test_a_watcher_that_the_program_sets_is_used(run: Run) -> None:
    watched: list[int] = []

    base: Any = asyncio.ThreadedChildWatcher

    class Watcher(base):  # type: ignore[misc]
        def add_child_handler(self, pid: int, callback: Any, *args: Any) -> None:
            watched.append(pid)
            super().add_child_handler(pid, callback, *args)

    async def main() -> None:
        process = await asyncio.create_subprocess_exec("/bin/true")
        assert await process.wait() == 0
        assert watched == [process.pid]
        await settle()

    policy = asyncio.get_event_loop_policy()
    policy.set_child_watcher(Watcher())
    try:
        run(main())
    finally:
        policy._watcher = None  # type: ignore[attr-defined]


def test_loop_in_another_thread_has_children_too(loop_factory: LoopFactory) -> None:
    codes: list[int] = []

    async def main() -> None:
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 4")
        codes.append(await process.wait())
        await settle()

    def other() -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert codes == [4]


def test_two_loops_wait_for_their_own_children(loop_factory: LoopFactory, loop_kind: str) -> None:
    if sys.version_info < (3, 14) and sysconfig.get_config_var("Py_GIL_DISABLED"):
        stdlib_fault(loop_kind, "silences a warning of its own for one thread at a time only")
    codes: list[list[int]] = [[], []]

    async def main(which: int) -> None:
        for number in range(10):
            process = await asyncio.create_subprocess_exec("/bin/sh", "-c", f"exit {number}")
            codes[which].append(await process.wait())
        await settle()

    def other(which: int) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main(which))

    threads = [threading.Thread(target=other, args=(which,)) for which in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [list(range(10))] * 2


def test_a_run_that_stops_and_goes_on_hears_of_the_end(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    try:
        process = loop.run_until_complete(
            asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 6", stdin=PIPE)
        )
        wait_without_reaping(process.pid)
        assert loop.run_until_complete(process.wait()) == 6
        assert process.stdin
        process.stdin.close()
        loop.run_until_complete(settle())
    finally:
        loop.close()


def test_closing_the_loop_with_live_children_leaks_nothing(
    loop_factory: LoopFactory, loop_kind: str
) -> None:
    stdlib_fault(loop_kind, "leaves the pidfd of a living child open")
    before = open_descriptors()
    loop = loop_factory()

    async def main() -> list[asyncio.subprocess.Process]:
        return [
            await asyncio.create_subprocess_exec("sleep", "300", stdin=PIPE, stdout=PIPE)
            for _ in range(3)
        ]

    processes = loop.run_until_complete(main())
    pids = [process.pid for process in processes]
    loop.close()
    with warnings.catch_warnings():
        # Popen and the transports say that nobody has waited for the children.
        warnings.simplefilter("ignore", ResourceWarning)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "unraisablehook", lambda _unraisable: None)
            del processes
            gc.collect()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue
    subprocess._cleanup()  # type: ignore[attr-defined]
    assert open_descriptors() == before


def test_want_of_descriptors_is_no_lasting_matter(run: Run, loop_kind: str) -> None:
    stdlib_fault(loop_kind, "loses the status to Popen.poll(), and reports 255")
    from rsloop_core import _children

    async def main() -> None:
        await asyncio.sleep(0.01)  # the loop opens its descriptors for signals
        _children._pidfds_work.cache_clear()  # as in a process that has had no child yet
        with few_descriptors(0), pytest.raises(OSError, match="Too many open files") as raised:
            await asyncio.create_subprocess_exec("/bin/true")
        assert raised.value.errno == errno.EMFILE
        # What only a child that is watched by its pidfd reports.
        await close_the_transport_of_a_dead_child()

    run(main())


def test_sigchld_handlers_of_the_program_still_run(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        loop.add_signal_handler(signal.SIGCHLD, told.set)
        process = await asyncio.create_subprocess_exec("/bin/true")
        assert await process.wait() == 0
        await told.wait()
        loop.remove_signal_handler(signal.SIGCHLD)
        await settle()

    run(main())


@pytest.mark.parametrize("refused", ["pidfd", "watch"])
def test_a_child_that_cannot_be_watched_does_not_live_on(
    run: Run, loop_kind: str, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    stdlib_fault(loop_kind, "leaves the child running, without telling anybody")
    # A file cannot be polled, as no pidfd can when the kernel allows no further watch.
    file = os.open(__file__, os.O_RDONLY)

    def pidfd_open(_pid: int, _flags: int = 0) -> int:
        if refused == "watch":
            return os.dup(file)
        raise OSError(24, "Too many open files")

    async def main() -> None:
        # What the loop finds out about this system once, it finds out here.
        process = await asyncio.create_subprocess_exec("/bin/true")
        await process.wait()
        monkeypatch.setattr(os, "pidfd_open", pidfd_open)
        with pytest.raises(OSError, match=r"Too many open files|Operation not permitted"):
            await asyncio.create_subprocess_exec("sleep", "300", stdin=PIPE, stdout=PIPE)
        assert no_child_is_left()
        for _ in range(3):
            await settle()
        assert not asyncio.get_running_loop()._children  # type: ignore[attr-defined]

    run(main())
    os.close(file)
