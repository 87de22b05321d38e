# What an extension in Cython needs of rsloop_bridge.h; docs/abi.md explains it.
#
#     from rsloop_bridge cimport rsl_complete, rsl_completer_future, rsl_completer_new

cdef extern from "rsloop_bridge.h":
    # A promise to complete one future. Opaque.
    ctypedef struct rsl_completer:
        pass

    # Makes the result, or raises. On the loop's thread, with the GIL; owns the payload.
    ctypedef object (*rsl_convert_fn)(void *payload)

    # Disposes of a payload that is not converted. On any thread; must not use Python.
    ctypedef void (*rsl_discard_fn)(void *payload) noexcept nogil

    # Makes a future of the running loop and the promise to complete it. `discard` may be NULL.
    rsl_completer *rsl_completer_new(rsl_discard_fn discard) except NULL

    # The future, before another thread has the completer.
    object rsl_completer_future(rsl_completer *completer)

    # Completes the future: once, from any thread, without the GIL. Owns completer and payload.
    void rsl_complete(rsl_completer *completer, void *payload, rsl_convert_fn convert) noexcept nogil
