"""getaddrinfo of any address, and of what nearly is one: what the socket module says."""

import asyncio
import ipaddress
import socket
from typing import Any

import pytest

from .outcomes import async_outcome, outcome
from .test_dns import is_address

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")


ADDRESSES = st.ip_addresses().map(str) | st.ip_addresses(v=6).map(
    lambda address: ipaddress.IPv6Address(address).exploded
)
NEARLY_ADDRESSES = st.text(alphabet="0123456789abcdef.:%x", min_size=1, max_size=20)


@hypothesis.settings(max_examples=100, deadline=None)  # type: ignore[untyped-decorator]
@hypothesis.given(  # type: ignore[untyped-decorator]
    host=ADDRESSES | NEARLY_ADDRESSES,
    port=st.integers(-10, 70000) | st.integers(0, 70000).map(str) | st.none(),
    family=st.sampled_from([0, socket.AF_INET, socket.AF_INET6]),
    kind=st.sampled_from([0, socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW]),
    flags=st.sampled_from([0, socket.AI_PASSIVE, socket.AI_V4MAPPED, socket.AI_CANONNAME]),
    as_bytes=st.booleans(),
)
def check_any_address(
    loop: asyncio.AbstractEventLoop,
    host: str,
    port: Any,
    family: int,
    kind: int,
    flags: int,
    as_bytes: bool,
) -> None:
    """Compare the loop's answer with that of the socket module."""
    given_host: Any = host.encode() if as_bytes else host
    if not is_address(host):
        flags |= socket.AI_NUMERICHOST  # nobody is asked for it
    options: Any = {"family": family, "type": kind, "flags": flags}
    expected = outcome(socket.getaddrinfo, given_host, port, **options)
    found = loop.run_until_complete(async_outcome(loop.getaddrinfo, given_host, port, **options))
    assert found == expected


def test_any_address_means_what_it_means_to_the_socket_module(
    loop: asyncio.AbstractEventLoop,
) -> None:
    check_any_address(loop)
