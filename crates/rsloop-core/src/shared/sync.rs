//! What `inbox` and `sleep` are made of, named here so that the models in `tests/bridge/loom` can
//! build the same files on loom's.

pub(super) use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering, fence};
