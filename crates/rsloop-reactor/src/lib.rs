//! Readiness and wakeup of the loop: epoll and kqueue behind one contract. No Python.
