//! What `cancel`, `inbox` and two files of `stream/` are made of, named here so that the models in
//! `tests/bridge/loom` can build the same files on loom's.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering, fence};
pub(crate) use std::sync::{Mutex, MutexGuard, TryLockError};

pub(crate) use concurrent_queue::ConcurrentQueue as Queue;

/// How many items the sender of a channel may be ahead. The fewer, the more changes of thread an
/// item costs.
pub(crate) const CAPACITY: usize = 16;
