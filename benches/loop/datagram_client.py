"""Drive a UDP echo server on the loopback, with one datagram at a time on each socket.

python benches/loop/datagram_client.py PORT SOCKETS MESSAGE_BYTES MESSAGES
"""

import selectors
import socket
import sys

# The kernel drops datagrams that it has no room for. So few in flight always find room: what does
# not come back in this time was lost by the server.
PATIENCE_SECONDS = 10


def main(port: int, sockets: int, size: int, messages: int) -> None:
    """Exchange `messages` datagrams in all, spread over the sockets."""
    selector = selectors.DefaultSelector()
    message = bytes(size)
    for _ in range(sockets):
        opened = socket.socket(type=socket.SOCK_DGRAM)
        opened.connect(("127.0.0.1", port))
        selector.register(opened, selectors.EVENT_READ, opened)
        opened.send(message)
    left = messages
    while left > 0:
        events = selector.select(PATIENCE_SECONDS)
        if not events:
            raise SystemExit("the server does not answer")
        for key, _ in events:
            sock: socket.socket = key.data
            if sock.recv(size + 1) != message:
                raise SystemExit("the server answers something else")
            left -= 1
            sock.send(message)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
