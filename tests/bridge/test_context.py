"""The context that is captured in the call is the one that Python code runs in."""

import contextvars

import bridge_tests
import pytest
from bridge_tests import Gate, Locals

from .conftest import Run

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="none")


@pytest.mark.parametrize("ready", [True, False], ids=["ready", "pending"])
def test_the_conversion_sees_the_captured_context(run: Run, ready: bool) -> None:
    async def main() -> str:
        gate = None if ready else Gate()
        VARIABLE.set("captured")
        future = bridge_tests.convert_by_calling(VARIABLE.get, gate)
        VARIABLE.set("changed after")
        if gate is not None:
            gate.open_elsewhere()
        return await future

    assert run(main()) == "captured"


def test_a_local_poll_runs_in_the_captured_context(run: Run) -> None:
    def change() -> str:
        before = VARIABLE.get()
        VARIABLE.set("changed inside")
        return before

    async def main() -> tuple[str, str]:
        gate = Gate()
        VARIABLE.set("captured")
        future = bridge_tests.call_in_poll(gate, change)
        VARIABLE.set("changed after")
        gate.open_elsewhere()
        return await future, VARIABLE.get()

    assert run(main()) == ("captured", "changed after")


def test_a_context_that_is_entered_already_is_copied(run: Run) -> None:
    async def main() -> str:
        VARIABLE.set("captured")
        locals_ = Locals()
        assert locals_.context[VARIABLE] == "captured"
        gate = Gate()
        # Called in the very context that the locals hold.
        future = locals_.context.run(locals_.future, gate)
        gate.open()
        value = await future
        return value + " in " + VARIABLE.get()

    assert run(main()) == "the value in captured"
