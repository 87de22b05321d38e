//! Whether a future ends in the thread that made it.

use std::thread;
use std::time::Duration;

use pyo3::PyResult;

/// Awaits `awaited`, then does `work`, and tells whether it ends in the calling thread.
///
/// The bridge keeps a record of each type of future. What does other work is of another type, so
/// that the record of slow ones is not that of quick ones.
pub(crate) fn ends_here<T>(
    awaited: impl Future<Output = PyResult<T>>,
    work: impl FnOnce(),
) -> impl Future<Output = PyResult<bool>> {
    let here = thread::current().id();
    async move {
        awaited.await?;
        work();
        Ok(thread::current().id() == here)
    }
}

/// Work that no poll on a loop's thread should do.
pub(crate) fn long() {
    thread::sleep(Duration::from_millis(2));
}
