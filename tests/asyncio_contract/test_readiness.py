"""add_reader and add_writer: descriptors watched, replaced, removed, closed, reused."""

import asyncio
import contextvars
import gc
import os
import resource
import socket
import time
import weakref
from typing import Any

import pytest

from .conftest import Log, Pair, stdlib_fault
from .descriptors import fill
from .turns import run_turns

Loop = asyncio.AbstractEventLoop


def test_reader_runs_when_there_is_something_to_read(loop: Loop, pair: Pair) -> None:
    left, right = pair
    got: list[bytes] = []

    def read() -> None:
        got.append(left.recv(100))
        loop.stop()

    assert loop.add_reader(left, read) is None
    loop.call_soon(right.send, b"data")
    loop.run_forever()
    assert got == [b"data"]
    assert loop.remove_reader(left) is True


def test_descriptor_may_be_a_number_or_an_object(loop: Loop, pair: Pair) -> None:
    left, right = pair
    loop.add_reader(left.fileno(), loop.stop)
    right.send(b"x")
    loop.run_forever()
    assert loop.remove_reader(left) is True
    assert loop.remove_reader(left.fileno()) is False


def test_arguments_arrive(loop: Loop, pair: Pair) -> None:
    left, right = pair
    got: list[tuple[Any, ...]] = []

    def read(*args: Any) -> None:
        got.append(args)
        loop.stop()

    loop.add_reader(left, read, 1, "two", None)
    right.send(b"x")
    loop.run_forever()
    loop.remove_reader(left)
    assert got == [(1, "two", None)]


def test_reader_runs_again_until_all_is_read(loop: Loop, pair: Pair) -> None:
    left, right = pair
    got: list[bytes] = []

    def read() -> None:
        got.append(left.recv(1))
        if len(got) == 4:
            loop.stop()

    loop.add_reader(left, read)
    right.send(b"four")
    loop.run_forever()
    loop.remove_reader(left)
    assert got == [b"f", b"o", b"u", b"r"]


def test_reader_runs_at_end_of_file(loop: Loop, pair: Pair) -> None:
    left, right = pair
    got: list[bytes] = []

    def read() -> None:
        got.append(left.recv(10))
        loop.remove_reader(left)
        loop.stop()

    loop.add_reader(left, read)
    right.close()
    loop.run_forever()
    assert got == [b""]


def test_writer_runs_when_there_is_room(loop: Loop, pair: Pair) -> None:
    left, right = pair
    size = fill(left.fileno())
    ran: list[str] = []

    def write() -> None:
        ran.append("writable")
        loop.remove_writer(left)
        loop.stop()

    loop.add_writer(left, write)
    run_turns(loop, 3)
    assert ran == []

    def drain() -> None:
        left_over = size
        while left_over:
            left_over -= len(right.recv(left_over))

    loop.call_soon(drain)
    loop.run_forever()
    assert ran == ["writable"]


def test_reader_and_writer_on_one_descriptor(loop: Loop, pair: Pair) -> None:
    left, right = pair
    ran: list[str] = []

    def read() -> None:
        ran.append("read")
        assert loop.remove_reader(left)

    def write() -> None:
        ran.append("write")
        assert loop.remove_writer(left)

    right.send(b"x")
    loop.add_reader(left, read)
    loop.add_writer(left, write)
    run_turns(loop, 4)
    # asyncio queues the reader of a descriptor before its writer.
    assert ran == ["read", "write"]
    assert loop.remove_reader(left) is False
    assert loop.remove_writer(left) is False


def test_removing_one_side_keeps_the_other(loop: Loop, pair: Pair) -> None:
    left, right = pair
    loop.add_reader(left, loop.stop)
    loop.add_writer(left, pytest.fail, "the removed writer ran")
    loop.remove_writer(left)
    right.send(b"x")
    loop.run_forever()
    assert loop.remove_reader(left) is True


def test_adding_again_replaces_the_callback(loop: Loop, pair: Pair) -> None:
    left, right = pair
    loop.add_reader(left, pytest.fail, "the replaced reader ran")
    loop.add_reader(left, loop.stop)
    right.send(b"x")
    loop.run_forever()
    assert loop.remove_reader(left) is True
    assert loop.remove_reader(left) is False


def test_reader_replaced_while_ready_runs_the_new_one_only(loop: Loop, pair: Pair) -> None:
    left, right = pair
    other_left, other_right = socket.socketpair()
    ran: list[str] = []

    def replace(which: socket.socket, name: str) -> None:
        ran.append(name)
        for sock in (left, other_left):
            if sock is not which:
                loop.add_reader(sock, ran.append, "replacement")
        loop.remove_reader(which)

    with other_left, other_right:
        other_left.setblocking(False)
        loop.add_reader(left, replace, left, "first")
        loop.add_reader(other_left, replace, other_left, "first")
        right.send(b"x")
        other_right.send(b"x")
        # Whichever runs first replaces the other, which is ready too.
        run_turns(loop, 2)
        assert ran[0] == "first"
        assert set(ran[1:]) <= {"replacement"}
        assert ran.count("first") == 1
        loop.remove_reader(left)
        loop.remove_reader(other_left)


def test_reader_removed_while_ready_does_not_run(loop: Loop, pair: Pair) -> None:
    left, right = pair
    other_left, other_right = socket.socketpair()
    ran: list[str] = []

    def read() -> None:
        ran.append("read")
        loop.remove_reader(left)
        loop.remove_reader(other_left)

    with other_left, other_right:
        loop.add_reader(left, read)
        loop.add_reader(other_left, read)
        right.send(b"x")
        other_right.send(b"x")
        run_turns(loop, 3)
    assert ran == ["read"]


def test_descriptor_closed_and_reused_is_a_new_one(loop: Loop) -> None:
    ran: list[str] = []
    first, first_peer = socket.socketpair()
    number = first.fileno()
    loop.add_reader(first, ran.append, "first")
    loop.remove_reader(first)
    first.close()
    second, second_peer = socket.socketpair()
    assert number in (second.fileno(), second_peer.fileno())
    with second, second_peer:
        reused = second if second.fileno() == number else second_peer
        peer = second_peer if reused is second else second

        def read() -> None:
            ran.append("second")
            loop.stop()

        loop.add_reader(reused, read)
        first_peer.close()
        run_turns(loop, 2)
        assert ran == []
        peer.send(b"x")
        loop.run_forever()
        loop.remove_reader(reused)
    assert ran == ["second"]


def test_descriptor_closed_without_removal_does_not_harm_its_successor(loop: Loop) -> None:
    # libcurl and others close first and remove later, or never.
    ran: list[str] = []
    first, first_peer = socket.socketpair()
    number = first.fileno()
    loop.add_reader(first, ran.append, "first")
    run_turns(loop, 1)
    first.close()
    first_peer.close()
    run_turns(loop, 2)
    second, second_peer = socket.socketpair()
    with second, second_peer:
        reused, peer = (second, second_peer) if second.fileno() == number else (second_peer, second)
        assert reused.fileno() == number
        loop.remove_reader(number)

        def read() -> None:
            ran.append("second")
            loop.stop()

        loop.add_reader(reused, read)
        peer.send(b"x")
        loop.run_forever()
        loop.remove_reader(reused)
    assert ran == ["second"]


def test_removing_after_the_descriptor_was_closed(loop: Loop) -> None:
    left, right = socket.socketpair()
    numbers = left.fileno(), right.fileno()
    loop.add_reader(left, print)
    loop.add_writer(right, print)
    left.close()
    right.close()
    assert loop.remove_reader(numbers[0]) is True
    assert loop.remove_writer(numbers[1]) is True
    assert loop.remove_reader(numbers[0]) is False
    assert loop.remove_writer(numbers[1]) is False


def test_removing_by_an_object_that_was_closed(loop: Loop) -> None:
    left, right = socket.socketpair()
    loop.add_reader(left, print)
    loop.add_writer(right, print)
    left.close()
    right.close()
    assert loop.remove_reader(left) is True
    assert loop.remove_writer(right) is True
    for remove in (loop.remove_reader, loop.remove_writer):
        with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
            remove(left)


def test_a_closed_object_is_not_found_by_another_ones_number(loop: Loop) -> None:
    left, right = socket.socketpair()
    loop.add_reader(left.fileno(), print)
    number = left.fileno()
    left.close()
    with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
        loop.remove_reader(left)
    assert loop.remove_reader(number) is True
    right.close()


def test_a_watched_object_stays_open(loop: Loop, pair: Pair) -> None:
    left, right = pair
    duplicate = left.dup()
    number = duplicate.fileno()
    known = weakref.ref(duplicate)
    loop.add_reader(duplicate, loop.stop)
    del duplicate
    gc.collect()
    right.send(b"x")
    loop.run_forever()
    watched = known()
    assert watched is not None
    assert loop.remove_reader(number) is True
    watched.close()


def test_removing_what_was_never_added(loop: Loop, pair: Pair) -> None:
    assert loop.remove_reader(pair[0]) is False
    assert loop.remove_writer(pair[0]) is False
    assert loop.remove_reader(1_000) is False


def test_regular_files_are_refused(loop: Loop, tmp_path: Any) -> None:
    with open(tmp_path / "file", "wb") as file, pytest.raises(PermissionError):
        loop.add_reader(file, print)


def test_closed_descriptors_are_refused(loop: Loop) -> None:
    left, right = socket.socketpair()
    number = left.fileno()
    left.close()
    right.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        loop.add_reader(number, print)
    with pytest.raises(ValueError, match="Invalid file"):
        loop.add_reader(left, print)


def test_bad_descriptors_are_refused(loop: Loop) -> None:
    bad: Any
    for bad in (None, "text", object(), 1.5):
        with pytest.raises((TypeError, ValueError)):
            loop.add_reader(bad, print)
    with pytest.raises(ValueError, match="-1"):
        loop.add_reader(-1, print)
    with pytest.raises(ValueError, match="-1"):
        loop.remove_writer(-1)


@pytest.mark.parametrize("fd", [2**31, 2**40, 2**64, -(2**40)])
def test_removing_a_number_that_no_descriptor_has(loop: Loop, fd: int) -> None:
    if fd < 0:
        with pytest.raises(ValueError, match="Invalid file descriptor"):
            loop.remove_reader(fd)
        return
    assert loop.remove_reader(fd) is False
    assert loop.remove_writer(fd) is False


def test_descriptor_of_a_transport_is_refused(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=pair[0])
        number = transport.get_extra_info("socket").fileno()
        for method in (loop.add_reader, loop.add_writer):
            with pytest.raises(RuntimeError, match="is used by transport"):
                method(number, print)
        for remove in (loop.remove_reader, loop.remove_writer):
            with pytest.raises(RuntimeError, match="is used by transport"):
                remove(number)
        transport.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        # Free again once the transport is gone.
        assert loop.remove_reader(number) is False

    loop.run_until_complete(main())


def test_closed_loop_refuses(loop: Loop, pair: Pair) -> None:
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_reader(pair[0], print)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_writer(pair[0], print)


def test_callback_runs_in_the_context_of_the_call(loop: Loop, pair: Pair) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    def read() -> None:
        seen.append(variable.get())
        loop.stop()

    context = contextvars.copy_context()
    context.run(variable.set, "at add_reader")
    context.run(loop.add_reader, pair[0], read)
    pair[1].send(b"x")
    loop.run_forever()
    loop.remove_reader(pair[0])
    assert seen == ["at add_reader"]


def test_exception_in_a_reader_reaches_the_handler(loop: Loop, pair: Pair) -> None:
    contexts: list[dict[str, Any]] = []

    def handler(loop: Loop, context: dict[str, Any]) -> None:
        contexts.append(context)
        loop.remove_reader(pair[0])

    def fail() -> None:
        raise LookupError("reader failed")

    loop.set_exception_handler(handler)
    loop.add_reader(pair[0], fail)
    pair[1].send(b"x")
    run_turns(loop, 3)
    (context,) = contexts
    assert isinstance(context["exception"], LookupError)


def test_pipes_can_be_watched(loop: Loop) -> None:
    read_end, write_end = os.pipe()
    try:
        loop.add_reader(read_end, loop.stop)
        os.write(write_end, b"x")
        loop.run_forever()
        assert loop.remove_reader(read_end) is True
    finally:
        os.close(read_end)
        os.close(write_end)


def test_reader_starves_neither_timers_nor_callbacks(loop: Loop, pair: Pair) -> None:
    left, right = pair
    right.send(b"never read")
    ran: list[str] = []
    loop.add_reader(left, lambda: None)
    loop.call_soon(ran.append, "callback")
    loop.call_later(0.002, ran.append, "timer")
    loop.call_later(0.004, loop.stop)
    loop.run_forever()
    loop.remove_reader(left)
    assert ran == ["callback", "timer"]


def test_busy_callbacks_do_not_starve_readers(loop: Loop, pair: Pair) -> None:
    left, right = pair
    stopped: list[bool] = []

    def spin() -> None:
        if not stopped:
            loop.call_soon(spin)

    def read() -> None:
        stopped.append(True)
        loop.stop()

    loop.add_reader(left, read)
    loop.call_soon(spin)
    loop.call_soon(right.send, b"x")
    loop.run_forever()
    loop.remove_reader(left)
    assert stopped


def test_many_descriptors(loop: Loop) -> None:
    pairs = [socket.socketpair() for _ in range(100)]
    got: list[int] = []

    def read(number: int) -> None:
        pairs[number][0].recv(1)
        got.append(number)
        if len(got) == len(pairs):
            loop.stop()

    for number, (left, right) in enumerate(pairs):
        loop.add_reader(left, read, number)
        right.send(b"x")
    loop.run_forever()
    assert sorted(got) == list(range(100))
    for left, right in pairs:
        assert loop.remove_reader(left)
        left.close()
        right.close()


def test_closing_the_loop_drops_watchers_and_leaves_descriptors_open(
    loop: Loop, pair: Pair
) -> None:
    loop.add_reader(pair[0], print)
    loop.add_writer(pair[0], print)
    loop.close()
    pair[1].send(b"still open")
    assert pair[0].recv(100) == b"still open"


def test_handle_of_a_reader_is_returned_by_the_private_method(loop: Loop, pair: Pair) -> None:
    # Transports of CPython and of libraries hold on to it and cancel it.
    handle = loop._add_reader(pair[0].fileno(), pytest.fail, "ran")  # type: ignore[attr-defined]
    assert isinstance(handle, asyncio.Handle)
    pair[1].send(b"x")
    handle.cancel()
    run_turns(loop, 2)
    loop.remove_reader(pair[0])


@pytest.mark.parametrize("fd", [50_000_000, 2**31 - 1, 2**40])
def test_a_number_that_is_no_descriptor_is_refused_at_once(
    loop: asyncio.AbstractEventLoop, fd: int
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((OSError, OverflowError)):
        loop.add_reader(fd, print)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 100_000


def test_a_transport_of_no_real_socket_with_a_huge_number(loop: Any, asyncio_log: Log) -> None:
    class Sock(socket.socket):
        def fileno(self) -> int:
            return 1 << 26

    left, right = socket.socketpair()
    sock = Sock(fileno=left.detach())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    transport = loop._make_socket_transport(sock, asyncio.Protocol())
    run_turns(loop, 3)
    assert loop._transports.get(1 << 26) is transport
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    transport.abort()
    run_turns(loop, 3)
    right.close()
    assert grown_kib < 100_000
    assert "Bad file descriptor" in str(asyncio_log.records[0].exc_info)


def test_a_descriptor_closed_too_early_and_duplicated_does_not_spin(
    loop: asyncio.AbstractEventLoop, loop_kind: str
) -> None:
    stdlib_fault(loop_kind, "polls without end")
    left, right = socket.socketpair()
    other, far = socket.socketpair()
    with left, right, other, far:
        fd = os.dup(left.fileno())
        loop.add_reader(fd, lambda: None)
        duplicate = os.dup(fd)  # keeps what is closed next in epoll's set, under the number fd
        os.close(fd)
        loop.remove_reader(fd)
        right.send(b"x")

        read: list[bytes] = []
        loop.add_reader(other, lambda: read.append(other.recv(9)))
        loop.call_later(0.2, far.send, b"later")
        loop.call_later(0.4, loop.stop)
        before = time.process_time()
        loop.run_forever()
        assert time.process_time() - before < 0.2
        assert read == [b"later"]
        loop.remove_reader(other)
        os.close(duplicate)


def test_half_of_a_closed_descriptor_cannot_be_removed_but_is_forgotten(loop: Loop) -> None:
    left, right = socket.socketpair()
    with left, right:
        fd = os.dup(left.fileno())
        loop.add_reader(fd, pytest.fail, "a reader of a closed descriptor ran")
        loop.add_writer(fd, pytest.fail, "a writer of a closed descriptor ran")
        os.close(fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            loop.remove_reader(fd)
        assert not loop.remove_reader(fd)
        assert not loop.remove_writer(fd)
        right.send(b"x")
        run_turns(loop, 2)
