"""Descriptors: a process that runs out of them, and one that is written to until it is full."""

import contextlib
import os
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def few_descriptors(left: int) -> Iterator[None]:
    """Leave the process so many free descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.open("/dev/null", os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[0] + 20, hard))
    try:
        while True:
            try:
                held.append(os.dup(held[0]))
            except OSError:
                break
        for _ in range(left):
            os.close(held.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)


def fill(descriptor: int) -> int:
    """Write to the non-blocking `descriptor` until it is full; return how many bytes that took."""
    written = 0
    # Ever smaller pieces: a socket that refuses a large one may still take one byte.
    for size in (65536, 1024, 1):
        while True:
            try:
                written += os.write(descriptor, b"-" * size)
            except BlockingIOError:
                break
    return written
