"""Where CPython's loop makes its pipe transports, ours makes its own."""

import asyncio
from typing import Any

from rsloop_core._pipe_transports import _UnixReadPipeTransport, _UnixWritePipeTransport


class Pipes(asyncio.SelectorEventLoop):
    """The hooks by which connect_read_pipe() and its kin, and subprocesses, make transports."""

    def _make_read_pipe_transport(
        self,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: "asyncio.Future[None] | None" = None,
        extra: dict[str, Any] | None = None,
    ) -> _UnixReadPipeTransport:
        return _UnixReadPipeTransport(self, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(
        self,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: "asyncio.Future[None] | None" = None,
        extra: dict[str, Any] | None = None,
    ) -> _UnixWritePipeTransport:
        return _UnixWritePipeTransport(self, pipe, protocol, waiter, extra)
