"""Drive an echo server on the loopback, with one message at a time on each connection.

python benches/loop/echo_client.py PORT CONNECTIONS MESSAGE_BYTES MESSAGES
"""

import selectors
import socket
import sys


def main(port: int, connections: int, size: int, messages: int) -> None:
    """Exchange `messages` messages in all, spread over the connections."""
    selector = selectors.DefaultSelector()
    message = bytes(size)
    left = messages
    missing: dict[socket.socket, int] = {}
    for _ in range(connections):
        opened = socket.create_connection(("127.0.0.1", port))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(opened, selectors.EVENT_READ, opened)
        missing[opened] = size
        opened.sendall(message)
    open_connections = connections
    while open_connections:
        for key, _ in selector.select():
            sock: socket.socket = key.data
            data = sock.recv(missing[sock])
            if not data:
                raise SystemExit("the server closed a connection")
            missing[sock] -= len(data)
            if missing[sock]:
                continue
            left -= 1
            if left >= open_connections:
                missing[sock] = size
                sock.sendall(message)
            else:
                selector.unregister(sock)
                sock.close()
                open_connections -= 1


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
