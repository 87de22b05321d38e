"""Drive an echo through pairs of pipes, with one message at a time in each pair.

python benches/loop/pipe_client.py MESSAGE_BYTES MESSAGES [READ_END WRITE_END] ...
"""

import os
import selectors
import sys


def main(size: int, messages: int, ends: list[int]) -> None:
    """Exchange `messages` messages in all, spread over the pairs."""
    selector = selectors.DefaultSelector()
    message = bytes(size)
    write_ends = dict(zip(ends[::2], ends[1::2], strict=True))
    missing = dict.fromkeys(write_ends, size)
    for read_end, write_end in write_ends.items():
        selector.register(read_end, selectors.EVENT_READ)
        os.write(write_end, message)
    left = messages
    open_pairs = len(write_ends)
    while open_pairs:
        for key, _ in selector.select():
            data = os.read(key.fd, missing[key.fd])
            if not data:
                raise SystemExit("a pipe was closed")
            missing[key.fd] -= len(data)
            if missing[key.fd]:
                continue
            left -= 1
            if left >= open_pairs:
                missing[key.fd] = size
                os.write(write_ends[key.fd], message)
            else:
                selector.unregister(key.fd)
                open_pairs -= 1


if __name__ == "__main__":
    size, messages, *ends = map(int, sys.argv[1:])
    main(size, messages, ends)
