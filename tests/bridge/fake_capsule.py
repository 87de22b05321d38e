"""Put another table in place of the core's, as a core of another version would carry it.

Meant for processes of their own: what is put there stays.
"""

import ctypes
import struct
from typing import Any

from rsloop_core import _core

core: Any = _core

NAME = b"rsloop_core._core._C_API"
POINTERS = 9
WORD = struct.calcsize("P")
WHOLE = 16 + POINTERS * WORD

_api = ctypes.pythonapi
_api.PyCapsule_GetPointer.restype = ctypes.c_void_p
_api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_api.PyCapsule_New.restype = ctypes.py_object
_api.PyCapsule_New.argtypes = [ctypes.c_void_p] * 3
_kept: list[Any] = []


def real() -> bytes:
    """Return the core's own table."""
    pointer = _api.PyCapsule_GetPointer(core._C_API, NAME)
    size = ctypes.c_uint32.from_address(pointer).value
    return ctypes.string_at(pointer, size)


def capsule(table: bytes, name: bytes = NAME) -> Any:
    """Return a capsule with a table of these bytes, which ends where readable memory ends."""
    import mmap

    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    assert protect(start + page, page, 0) == 0
    # Aligned like a table, and at the very end of what may be read, where it can be.
    place = page - (len(table) + 7) // 8 * 8
    memory[place : place + len(table)] = table
    kept = ctypes.create_string_buffer(name)
    _kept.extend((memory, kept))
    return _api.PyCapsule_New(start + place, ctypes.addressof(kept), None)


def stated(size: int, major: int, minor: int, pointers: bytes) -> bytes:
    """Return a table with this head."""
    return struct.pack("=IHHQ", size, major, minor, 0) + pointers


def install(kind: str) -> None:
    """Put the table named `kind` in place of the core's."""
    table = real()
    entries = table[16:]
    hole = entries[:WORD] + bytes(WORD) + entries[2 * WORD :]
    match kind:
        case "newer minor":
            more = entries + struct.pack("2P", 1, 1)
            core._C_API = capsule(stated(WHOLE + 2 * WORD, 1, 1, more))
        case "newer major":
            core._C_API = capsule(stated(WHOLE, 2, 0, entries))
        case "older major":
            core._C_API = capsule(stated(WHOLE, 0, 9, entries))
        case "empty":
            core._C_API = capsule(struct.pack("=II", 0, 0))
        case "cut in the head":
            core._C_API = capsule(table[:8].replace(table[:4], struct.pack("=I", 8), 1))
        case "cut after the head":
            core._C_API = capsule(stated(16, 1, 0, b""))
        case "cut before the end":
            core._C_API = capsule(stated(WHOLE - WORD, 1, 0, entries[:-WORD]))
        case "hole":
            core._C_API = capsule(stated(WHOLE, 1, 0, hole))
        case "other name":
            core._C_API = capsule(table, b"rsloop_core._core._D_API")
        case "no capsule":
            core._C_API = None
        case "nothing":
            del core._C_API
        case _:
            raise ValueError(kind)
