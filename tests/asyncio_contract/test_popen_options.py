"""The options of subprocess.Popen, and what a child inherits and does not."""

import asyncio
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
from typing import Any

import pytest

from .conftest import NOT_EARLY_311, Run, open_descriptors
from .test_subprocess import PIPE, PYTHON, child_watcher, settle

__all__ = ["child_watcher"]

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.usefixtures("child_watcher"),
]


async def output_of(code: str, **options: Any) -> bytes:
    """Run Python code in a child and return what it prints."""
    process = await asyncio.create_subprocess_exec(*PYTHON, code, stdout=PIPE, **options)
    output, _ = await process.communicate()
    assert process.returncode == 0
    await settle()
    return output


def print_of(expression: str) -> str:
    return f"import os, signal, sys; print({expression}, end='')"


CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "preexec_fn": ({"preexec_fn": lambda: os.umask(0o27)}, "oct(os.umask(0))", "0o27"),
    "start_new_session": ({"start_new_session": True}, "os.getsid(0) == os.getpid()", "True"),
    "process_group=0": ({"process_group": 0}, "os.getpgid(0) == os.getpid()", "True"),
    "umask": ({"umask": 0o77}, "oct(os.umask(0))", "0o77"),
    "cwd": ({"cwd": "/"}, "os.getcwd()", "/"),
    "cwd as a path": ({"cwd": pathlib.Path("/usr")}, "os.getcwd()", "/usr"),
    "env": ({"env": {"ONLY": "this"}}, "os.environ.get('ONLY'), 'HOME' in os.environ", ""),
    "restore_signals": (
        {"restore_signals": True},
        "signal.getsignal(signal.SIGXFSZ) == signal.SIG_DFL",
        "",
    ),
    "pipesize": ({"pipesize": 4096}, "__import__('fcntl').fcntl(1, 1032)", "4096"),
    "user": ({"user": os.getuid()}, f"os.getuid() == {os.getuid()}", "True"),
    "group": ({"group": os.getgid()}, f"os.getgid() == {os.getgid()}", "True"),
    **(
        {"extra_groups": ({"extra_groups": [1, 2]}, "sorted(os.getgroups())", "[1, 2]")}
        if os.getuid() == 0  # the only one who may
        else {}
    ),
    "executable": ({"executable": sys.executable}, "1", "1"),
    "stderr to stdout": ({"stderr": subprocess.STDOUT}, "1, file=sys.stderr", "1"),
    "stdin from nothing": ({"stdin": subprocess.DEVNULL}, "sys.stdin.read()", ""),
}


@pytest.mark.parametrize("name", CASES)
def test_popen_takes(run: Run, name: str) -> None:
    options, expression, expected = CASES[name]
    code = print_of(expression)
    if not expected:
        by_popen = subprocess.run([*PYTHON, code], stdout=PIPE, check=True, **options)
        expected = by_popen.stdout.decode()
    assert run(output_of(code, **options)).decode() == expected


def test_standard_streams_may_be_files_and_sockets(run: Run) -> None:
    async def main() -> None:
        left, right = socket.socketpair()
        with tempfile.TemporaryFile() as out, left, right:
            right.send(b"from a socket")
            right.shutdown(socket.SHUT_WR)
            process = await asyncio.create_subprocess_exec("cat", stdin=left.fileno(), stdout=out)
            assert await process.wait() == 0
            out.seek(0)
            assert out.read() == b"from a socket"
        await settle()

    run(main())


# But for the one that lists them, which is closed by the time of the second look.
DESCRIPTORS = print_of(
    "sorted(int(n) for n in os.listdir('/proc/self/fd') if os.path.lexists(f'/proc/self/fd/{n}'))"
)


@pytest.mark.parametrize("close_fds", [True, False])
def test_children_inherit_what_they_are_given_and_nothing_else(run: Run, close_fds: bool) -> None:
    """Also without `close_fds`: whatever the loop opens is closed by exec."""

    class Served(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            served_out.set()

    served_out = asyncio.Event()

    async def main() -> None:
        inherited = {fd for fd in open_descriptors() if os.get_inheritable(fd)}
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        await loop.run_in_executor(None, str)
        server = await loop.create_server(Served, "127.0.0.1", 0)
        client, _ = await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
        datagrams, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, ("127.0.0.1", 0)
        )
        sleeper = await asyncio.create_subprocess_exec("sleep", "300", stdin=PIPE, stdout=PIPE)
        read, write = os.pipe()
        options: dict[str, Any] = {"pass_fds": [write]}
        expected = {0, 1, 2, write}
        if not close_fds:
            os.set_inheritable(write, True)
            options = {"close_fds": False}
            expected |= inherited
        assert eval(await output_of(DESCRIPTORS, **options)) == sorted(expected)
        os.close(read)
        os.close(write)
        sleeper.kill()
        await sleeper.communicate()
        loop.remove_signal_handler(signal.SIGUSR1)
        client.close()
        await served_out.wait()
        datagrams.close()
        server.close()
        await settle()

    run(main())


def fail_before_exec() -> None:
    raise ValueError("before exec")


ERRORS: dict[str, tuple[type[BaseException], tuple[Any, ...], dict[str, Any]]] = {
    "missing program": (FileNotFoundError, ("/nonexistent/program",), {}),
    "not executable": (PermissionError, ("/etc/passwd",), {}),
    "missing cwd": (FileNotFoundError, ("true",), {"cwd": "/nonexistent"}),
    "cwd is a file": (NotADirectoryError, ("true",), {"cwd": "/etc/passwd"}),
    "preexec_fn fails": (subprocess.SubprocessError, ("true",), {"preexec_fn": fail_before_exec}),
    "NUL in an argument": (ValueError, ("true", "a\0b"), {}),
    "NUL in the environment": (ValueError, ("true",), {"env": {"a": "b\0c"}}),
    "argument is a number": (TypeError, ("true", 1), {}),
    "unknown user": (KeyError, ("true",), {"user": "no such user"}),
    "unknown keyword": (TypeError, ("true",), {"colour": "red"}),
    "too long": (OSError, ("true", "x" * 4_000_000), {}),
    "no pass_fds": (ValueError, ("true",), {"pass_fds": [-1]}),
    "empty name": (Exception, ("",), {}),
    "text": (ValueError, ("true",), {"text": True}),
    "encoding": (ValueError, ("true",), {"encoding": "utf-8"}),
    "errors": (ValueError, ("true",), {"errors": "strict"}),
    "bufsize": (ValueError, ("true",), {"bufsize": 1}),
    "shell": (ValueError, ("true",), {"shell": True}),
    "universal_newlines": (ValueError, ("true",), {"universal_newlines": True}),
}


@pytest.mark.parametrize("name", ERRORS)
@NOT_EARLY_311
def test_errors_of_popen_reach_the_caller(run: Run, name: str) -> None:
    kind, arguments, options = ERRORS[name]
    asked_of_asyncio = {"text", "encoding", "errors", "bufsize", "shell", "universal_newlines"}

    async def main() -> BaseException:
        with pytest.raises(kind) as raised:
            await asyncio.create_subprocess_exec(
                *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, **options
            )
        await settle()
        return raised.value

    error = run(main())
    if name not in asked_of_asyncio:
        with pytest.raises(kind) as raised, subprocess.Popen(arguments, **options):
            pass
        assert type(error) is type(raised.value)
        assert str(error) == str(raised.value)
        assert getattr(error, "errno", None) == getattr(raised.value, "errno", None)
        assert getattr(error, "filename", None) == getattr(raised.value, "filename", None)


@pytest.mark.parametrize(
    ("command", "message"),
    [(1, "cmd must be a string"), (["true"], "cmd must be a string")],
)
def test_a_shells_command_must_be_a_string(run: Run, command: Any, message: str) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match=message):
            await asyncio.create_subprocess_shell(command)

    run(main())
