"""The loop class: what is hot comes from Rust, what is cold from CPython's asyncio."""

import asyncio

from rsloop_core._core import LoopBase


class Loop(LoopBase, asyncio.SelectorEventLoop):
    """An asyncio event loop with its hot paths in Rust."""
