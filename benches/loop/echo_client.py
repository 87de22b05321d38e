"""Drive an echo server on the loopback, with one message at a time on each connection.

python benches/loop/echo_client.py PORT CONNECTIONS MESSAGE_BYTES MESSAGES [CERTIFICATES]

With a file of trusted CERTIFICATES the connections are TLS.
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
        opened = connect(port)
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


def main_over_tls(port: int, connections: int, size: int, messages: int, trusted: str) -> None:
    """Exchange `messages` messages in all, one on each connection in turn."""
    import ssl

    context = ssl.create_default_context(cafile=trusted)
    message = bytes(size)
    opened = [
        context.wrap_socket(connect(port), server_hostname="localhost") for _ in range(connections)
    ]
    for _ in range(messages // connections):
        for sock in opened:
            sock.sendall(message)
        for sock in opened:
            missing = size
            while missing:
                data = sock.recv(missing)
                if not data:
                    raise SystemExit("the server closed a connection")
                missing -= len(data)
    for sock in opened:
        sock.close()


def connect(port: int) -> socket.socket:
    """Return a connected socket that sends at once."""
    opened = socket.create_connection(("127.0.0.1", port))
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


if __name__ == "__main__":
    port, connections, size, messages = map(int, sys.argv[1:5])
    if sys.argv[5:]:
        main_over_tls(port, connections, size, messages, sys.argv[5])
    else:
        main(port, connections, size, messages)
