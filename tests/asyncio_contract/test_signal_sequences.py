"""Sequences of signals and handlers, drawn by hypothesis: the same on both loops."""

import asyncio
import signal

import pytest

from .stories import Story, same_on_both_loops

hypothesis = pytest.importorskip("hypothesis")
strategies = pytest.importorskip("hypothesis.strategies")

# hypothesis counts references to its random generators, which newer CPythons count otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:It looks like `register_random`")

ONE, TWO = signal.SIGUSR1, signal.SIGUSR2


class SignalStory(Story):
    """Two signals, whose handlers come and go."""

    async def begin(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.calls: list[str] = []
        self.has_one = False

    def state(self) -> tuple[object, ...]:
        defaults = [signal.getsignal(number) is signal.SIG_DFL for number in (ONE, TWO)]
        return (list(self.calls), *defaults)

    async def end(self) -> None:
        for number in (ONE, TWO):
            self.seen.append(self.loop.remove_signal_handler(number))
            signal.signal(number, signal.SIG_DFL)

    def send(self, *numbers: signal.Signals) -> list[str]:
        sent = []
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_DFL:  # which would end the process
                signal.raise_signal(number)
                sent.append(number.name)
        return sent

    def add_one(self) -> None:
        self.has_one = True
        self.loop.add_signal_handler(ONE, self.calls.append, "one")

    def add_another_one(self) -> None:
        self.has_one = True
        self.loop.add_signal_handler(ONE, self.calls.append, "another one")

    def add_two(self) -> None:
        self.loop.add_signal_handler(TWO, self.calls.append, "two")

    def add_one_that_removes_itself(self) -> None:
        self.has_one = True
        self.loop.add_signal_handler(ONE, lambda: self.calls.append(f"removed {self.remove_one()}"))

    def remove_one(self) -> bool:
        self.has_one = False
        return self.loop.remove_signal_handler(ONE)

    def remove_two(self) -> bool:
        return self.loop.remove_signal_handler(TWO)

    def send_one(self) -> list[str]:
        return self.send(ONE)

    def send_two_and_one(self) -> list[str]:
        return self.send(TWO, ONE)

    def send_one_often(self) -> list[str]:
        return self.send(*(ONE,) * 10)

    def send_one_and_remove_it(self) -> tuple[list[str], bool]:
        return self.send(ONE), self.remove_one()

    def send_one_and_replace_it(self) -> list[str]:
        if not self.has_one:
            return []  # on rsloop, the new handler would hear of it: see docs/differences.md
        sent = self.send(ONE)
        self.add_another_one()
        return sent

    def set_pythons_handler(self) -> None:
        signal.signal(ONE, lambda *_: self.calls.append("Python's"))

    def add_what_cannot_be(self) -> None:
        self.loop.add_signal_handler(signal.SIGKILL, print)


OPERATIONS = (
    *("add one", "add another one", "add two", "add one that removes itself"),
    *("remove one", "remove two", "send one", "send two and one", "send one often"),
    *("send one and remove it", "send one and replace it"),
    *("set pythons handler", "add what cannot be"),
)


@hypothesis.settings(max_examples=150, deadline=None, derandomize=True, database=None)  # type: ignore[untyped-decorator]
@hypothesis.given(strategies.lists(strategies.sampled_from(OPERATIONS), max_size=12))  # type: ignore[untyped-decorator]
def test_the_same_story_on_both_loops(operations: list[str]) -> None:
    same_on_both_loops(SignalStory, operations)
