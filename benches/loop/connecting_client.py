"""Open connections to an echo server on the loopback, one after the other, for one message each.

python benches/loop/connecting_client.py PORT MESSAGE_BYTES CONNECTIONS
"""

import socket
import sys


def main(port: int, size: int, connections: int) -> None:
    """Exchange one message on each connection."""
    message = bytes(size)
    for _ in range(connections):
        with socket.create_connection(("127.0.0.1", port)) as opened:
            opened.sendall(message)
            missing = size
            while missing:
                data = opened.recv(missing)
                if not data:
                    raise SystemExit("the server closed a connection")
                missing -= len(data)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
