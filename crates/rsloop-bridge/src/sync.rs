//! What `cancel` and `inbox` are made of, named here so that the models in `tests/bridge/loom` can
//! build the same two files on loom's.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering, fence};
pub(crate) use std::sync::{Mutex, MutexGuard, TryLockError};

pub(crate) use concurrent_queue::ConcurrentQueue as Queue;
