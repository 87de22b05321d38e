"""A forked child starts afresh: it never waits for threads that stayed with the parent.

`docs/extensions/process.md` says what each executor can do in a child; these tests hold it to that.
"""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.parametrize("loop", ["asyncio", "uvloop", "rsloop"]),
]

PROLOGUE = """
import asyncio, atexit, importlib, multiprocessing, os, sys, threading, time, warnings
import bridge_tests
warnings.simplefilter("ignore", DeprecationWarning)
new_event_loop = importlib.import_module(sys.argv[1]).new_event_loop
# async-std and smol cannot be started twice.
starts_afresh = bridge_tests.executor() in ("tokio", "own")

def run(main):
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)

def in_child(function):
    child = os.fork()
    if child == 0:
        function()
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

async def use_without_workers():
    assert await bridge_tests.future_into_py("value") == "the value"
    assert await bridge_tests.yield_locally(3)
    assert await bridge_tests.call_from_local(asyncio.sleep(0, "slept")) == "slept"
    gate = bridge_tests.Gate()
    blocking = bridge_tests.spawn_blocking_into_py("value", gate)
    assert gate.wait_for_polls(1)
    gate.open_elsewhere()
    assert await blocking == "the value"

async def use_workers():
    gate, drops = bridge_tests.Gate(), bridge_tests.Drops()
    futures = [bridge_tests.future_into_py("value", gate, drops) for _ in range(20)]
    futures += [bridge_tests.spawn_into_py("value", gate, drops) for _ in range(20)]
    gate.open_elsewhere()
    assert await asyncio.gather(*futures) == ["the value"] * 40
    assert drops.count == 40
    assert await bridge_tests.call_from_send(asyncio.sleep(0, "slept")) == "slept"
    assert await bridge_tests.sleep_by_tokio() == "slept"
    task = asyncio.create_task(bridge_tests.coroutine_into_py(bridge_tests.Gate()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

async def refused():
    gate, drops = bridge_tests.Gate(), bridge_tests.Drops()
    for function in (bridge_tests.future_into_py, bridge_tests.spawn_into_py):
        try:
            function("value", gate, drops)
        except RuntimeError as error:
            assert "forked" in str(error), error
        else:
            raise AssertionError("not refused")
    assert drops.count == 2

async def use_everything_there_is():
    await use_without_workers()
    await (use_workers() if starts_afresh else refused())
"""

SCRIPTS = {
    "of a parent that is pending": """
        async def in_parent():
            global held, gate, drops
            await use_workers()
            gate, drops = bridge_tests.Gate(), bridge_tests.Drops()
            held = [bridge_tests.future_into_py("value", gate, drops)]
            held.append(bridge_tests.spawn_into_py("value", gate, drops))
            held.append(bridge_tests.local_future_into_py("value", gate, drops))
            held.append(bridge_tests.call_from_send(asyncio.sleep(3600)))
            assert gate.wait_for_polls(3)

        def child():
            run(use_everything_there_is())
            # What the parent waits for is neither polled nor dropped here.
            gate.open()
            held.pop().cancel()
            held.clear()
            assert (gate.polls, drops.count) == (3, 0)
            run(use_everything_there_is())
            in_child(lambda: run(use_everything_there_is()))

        loop = new_event_loop()
        loop.run_until_complete(in_parent())
        in_child(child)
        in_child(child)
        assert drops.count == 0
        gate.open()
        for each in held[:3]:
            assert loop.run_until_complete(asyncio.wait_for(each, 10)) == "the value"
        held.pop().cancel()
        loop.run_until_complete(use_workers())
        loop.close()
    """,
    "of a parent that started no worker": """
        # Polled once, which enters tokio's runtime and so starts it.
        async def in_parent():
            assert await bridge_tests.future_into_py("value") == "the value"

        async def use_all():
            await use_without_workers()
            await use_workers()
            assert await bridge_tests.sleep_by_async_std() == "slept"
            assert await bridge_tests.sum_of_tasks(10) == 45

        if sys.argv[2:] == ["used"]:
            run(in_parent())
        in_child(lambda: run(use_all()))
        in_child(lambda: run(use_all()))
        run(use_all())
    """,
    "of a parent that started async-std by itself": """
        async def in_parent():
            assert await bridge_tests.future_into_py("value") == "the value"

        run(in_parent())
        bridge_tests.start_async_std()
        in_child(lambda: run(use_everything_there_is()))
        run(use_workers())
    """,
    "by multiprocessing": """
        def child(queue):
            run(use_everything_there_is())
            queue.put("done")

        async def in_parent():
            await use_workers()
            # In a running loop, which the child must not take for its own.
            context = multiprocessing.get_context("fork")
            queue = context.SimpleQueue()
            process = context.Process(target=child, args=(queue,))
            process.start()
            await asyncio.to_thread(process.join)
            assert process.exitcode == 0
            assert queue.get() == "done"
            await use_workers()
            with context.Pool(2) as pool:
                assert pool.map(run_in_pool, range(4)) == [True] * 4
                pool.close()
                pool.join()

        def run_in_pool(_):
            run(use_everything_there_is())
            return True

        run(in_parent())
    """,
    "while a worker polls": """
        # The exit waits two seconds for polls, but not for those of the parent's threads.
        async def begin():
            global held
            gate = bridge_tests.Gate()
            held = bridge_tests.call_on_worker(gate, lambda: done.wait(30))
            gate.open()
            assert gate.wait_for_polls(1)

        async def end():
            done.set()
            assert await held

        def child():
            atexit.register(lambda: began.append(time.monotonic()))

        def ended():
            if began:
                assert time.monotonic() - began[0] < 2, "waited for the parent's polls"

        done = threading.Event()
        began = []
        atexit.register(ended)
        loop = new_event_loop()
        loop.run_until_complete(begin())
        in_child(child)
        loop.run_until_complete(end())
        loop.close()
    """,
    "that leaves at once": """
        async def in_parent():
            global futures, gate
            gate = bridge_tests.Gate()
            futures = [bridge_tests.future_into_py("value", gate) for _ in range(20)]
            futures += [bridge_tests.local_future_into_py("value", gate) for _ in range(20)]
            child = os.fork()
            if child == 0:
                # Not by an exception, which would have this loop close in the child.
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

        async def in_parent_later():
            gate.open_elsewhere()
            assert await asyncio.gather(*futures) == ["the value"] * 40

        loop = new_event_loop()
        loop.run_until_complete(in_parent())
        in_child(lambda: None)
        loop.run_until_complete(in_parent_later())
        loop.close()
    """,
}


def run_script(script: str, loop: str, *arguments: str) -> None:
    """Run one of the scripts above; it must end by itself, silently."""
    if loop == "uvloop":
        pytest.importorskip(loop)
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + textwrap.dedent(script), loop, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_a_child(script: str, loop: str) -> None:
    run_script(script, loop)


def test_a_child_of_a_parent_that_polled_only(loop: str) -> None:
    run_script(SCRIPTS["of a parent that started no worker"], loop, "used")
