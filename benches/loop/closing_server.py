"""Echo one message on each connection, and wait for the client to close it.

    python benches/loop/closing_server.py MESSAGE_BYTES

Prints the number of its port, and ends when its standard input does.
"""

import selectors
import socket
import sys


def main(size: int) -> None:
    """Serve one connection at a time."""
    selector = selectors.DefaultSelector()
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        print(listener.getsockname()[1], flush=True)
        while [key for key, _ in selector.select() if key.fileobj is listener]:
            opened, _ = listener.accept()
            with opened:
                while data := opened.recv(size):
                    opened.sendall(data)


if __name__ == "__main__":
    main(int(sys.argv[1]))
