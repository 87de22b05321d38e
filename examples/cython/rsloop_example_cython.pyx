# cython: freethreading_compatible=True
"""Awaitables whose results a POSIX thread works out, without the GIL."""

from libc.stdlib cimport calloc, free
from posix.unistd cimport usleep

from rsloop_bridge cimport rsl_complete, rsl_completer, rsl_completer_future, rsl_completer_new


cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_t:
        pass
    int pthread_create(
        pthread_t *thread, void *attributes, void *(*start)(void *) noexcept nogil, void *argument
    )
    int pthread_detach(pthread_t thread)


# What the thread works on; afterwards it is the payload of the completion.
cdef struct Division:
    long dividend
    long divisor
    rsl_completer *completer


cdef object convert(void *payload):
    """Divide, on the loop's thread with the GIL; what is raised is raised by the await."""
    cdef Division *self = <Division *>payload
    try:
        return <object>self.dividend / <object>self.divisor
    finally:
        free(self)


cdef void *work(void *argument) noexcept nogil:
    """Take a while, on a thread that knows nothing of Python."""
    cdef Division *self = <Division *>argument
    usleep(10_000)
    rsl_complete(self.completer, self, convert)
    return NULL


def sleep_and_divide(long dividend, long divisor):
    """Divide two numbers on a thread, after a while."""
    cdef pthread_t thread
    cdef Division *self = <Division *>calloc(1, sizeof(Division))
    if self is NULL:
        raise MemoryError
    self.dividend = dividend
    self.divisor = divisor
    try:
        # `free` disposes of the division if nobody wants its result any more.
        self.completer = rsl_completer_new(free)
    except:
        free(self)
        raise
    future = rsl_completer_future(self.completer)
    if pthread_create(&thread, NULL, work, self) != 0:
        rsl_complete(self.completer, self, NULL)  # every completer must be completed
        raise RuntimeError("cannot start a thread")
    pthread_detach(thread)
    return future
