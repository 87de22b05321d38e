//! Futures that the end of a Python awaitable wakes: polled there, on the loop's thread.
//!
//! An executor would poll them on a thread of its own, and bring what comes of it back to this
//! one: two changes of thread for a poll that is mostly over before the first of them. A waker is
//! called under whatever locks its caller holds, so it polls nothing itself: it leaves the
//! future here, and whoever has called it, from a place without locks, polls what was left.

use std::cell::RefCell;

use pyo3::prelude::*;

use crate::error;
use crate::port::Port;

/// A future that was woken, and how it is polled.
type Woken = Box<dyn FnOnce(Python<'_>)>;

thread_local! {
    /// What has been left; None while nobody would poll it.
    static LEFT: RefCell<Option<Vec<Woken>>> = const { RefCell::new(None) };
}

/// Calls `wake`, which does not panic, and polls what it leaves. Attached, with no lock held.
pub(crate) fn after(py: Python<'_>, wake: impl FnOnce()) {
    let outer = LEFT.replace(Some(Vec::new()));
    wake();
    for poll in LEFT.replace(outer).into_iter().flatten() {
        // A panic is reported, and what is left besides is polled all the same.
        if let Err(panic) = error::caught(|| poll(py)) {
            panic.write_unraisable(py, None);
        }
    }
}

/// Whether a future of the loop that `port` belongs to may be [left](leave) here, now.
pub(crate) fn is_possible(port: &Port) -> bool {
    // A waker may be called by what a thread drops when it ends.
    let asked = LEFT.try_with(|left| left.borrow().is_some()) == Ok(true);
    asked && port.is_here() && !port.is_inherited()
}

/// Leaves a future to be polled by `poll`, when the call of its waker is over.
pub(crate) fn leave(poll: impl FnOnce(Python<'_>) + 'static) {
    LEFT.with_borrow_mut(|left| left.get_or_insert_default().push(Box::new(poll)));
}
