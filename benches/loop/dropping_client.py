"""Receive a number of bytes from a server on the loopback, and drop them.

python benches/loop/dropping_client.py PORT BYTES
"""

import socket
import sys


def main(port: int, size: int) -> None:
    """Receive `size` bytes."""
    space = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", port)) as sock:
        while size:
            count = sock.recv_into(space)
            if not count:
                raise SystemExit("the server closed the connection")
            size -= count


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
