"""The rows of the comparison."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import connections
import files
import piping
import scheduling
from timing import Loop


@dataclass(frozen=True)
class Row:
    """One row: its title, how many operations it takes, and how it is measured."""

    title: str
    operations: int
    measure: Callable[[Loop, int], int]
    only_schedules: bool = False


ROWS = {
    "chain": Row("call_soon chain", 300_000, scheduling.chain, only_schedules=True),
    "batch": Row("call_soon batch of 100", 600_000, scheduling.batch, only_schedules=True),
    "call_later": Row("call_later 1 ms", 200_000, scheduling.call_later),
    "call_later_zero": Row("call_later 0", 200_000, scheduling.call_later_zero),
    "cancelled": Row("call_later + cancel", 200_000, scheduling.cancelled_timers),
    "sleep0": Row("sleep(0)", 200_000, scheduling.sleep_zero, only_schedules=True),
    "task": Row("create_task + await", 100_000, scheduling.create_task, only_schedules=True),
    "ping_pong": Row("future ping-pong", 200_000, scheduling.ping_pong, only_schedules=True),
    "gather": Row("gather of 1000 tasks", 100_000, scheduling.gather, only_schedules=True),
    "executor": Row("run_in_executor", 20_000, scheduling.run_in_executor),
    "run": Row("run_until_complete", 40_000, scheduling.run_until_complete, only_schedules=True),
    "tcp": Row("TCP echo 1 KiB x 10", 60_000, connections.tcp_echo),
    "streams": Row("streams echo 1 KiB x 10", 30_000, connections.stream_echo),
    "accept": Row("accept, echo, close", 10_000, connections.accept),
    "connect": Row("connect, echo, close", 5_000, connections.connect),
    "udp": Row("UDP echo 1 KiB x 10", 60_000, connections.udp_echo),
    "pipe": Row("pipe echo 1 KiB x 10", 60_000, piping.pipe_echo),
    "pipe_stream": Row("pipe 1 KiB, one way", 200_000, piping.pipe_stream),
    "child": Row("child's echo 1 KiB", 20_000, piping.child_echo),
    "sendfile": Row("sendfile 16 MiB", 100, files.sendfile(16 << 20)),
    "sendfile_small": Row("sendfile 4 KiB", 20_000, files.sendfile(4 << 10)),
    "sock_sendfile": Row("sock_sendfile 16 MiB", 100, files.sock_sendfile(16 << 20)),
    "sock_sendfile_small": Row("sock_sendfile 4 KiB", 20_000, files.sock_sendfile(4 << 10)),
}
# What makes the certificates is no dependency.
if importlib.util.find_spec("trustme"):
    ROWS["tls"] = Row("TLS echo 1 KiB x 10", 40_000, connections.tls_echo(1024))
    ROWS["tls_large"] = Row("TLS echo 100 KiB x 10", 4_000, connections.tls_echo(100 * 1024))
