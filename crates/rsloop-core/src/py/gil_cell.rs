//! `GilCell`: state that is only touched while attached to Python, in short accesses.

#[cfg(not(Py_GIL_DISABLED))]
use std::cell::RefCell;
#[cfg(Py_GIL_DISABLED)]
use std::sync::Mutex;

use pyo3::Python;

/// A value that any attached thread may reach, one at a time.
///
/// With a GIL the GIL excludes other threads, and the flag of the `RefCell` catches a closure
/// that runs Python code and comes back in: that is a bug of ours, never of the caller's. Without
/// a GIL the lock excludes them, uncontended for a loop that stays on its thread.
///
/// The closure must neither run Python code (dropping the last reference to an object runs its
/// finalizer) nor detach from the interpreter: take what is to be dropped out of the cell first.
pub(crate) struct GilCell<T> {
    #[cfg(not(Py_GIL_DISABLED))]
    value: RefCell<T>,
    #[cfg(Py_GIL_DISABLED)]
    value: Mutex<T>,
}

// SAFETY: every access takes a `Python` token, so it happens under the GIL; two threads can only
// interleave where an access detaches, and then the borrow flag, which is written under the GIL
// too, refuses the second one by a panic.
#[cfg(not(Py_GIL_DISABLED))]
unsafe impl<T: Send> Sync for GilCell<T> {}

impl<T> GilCell<T> {
    /// Wraps `value`.
    pub(crate) const fn new(value: T) -> Self {
        Self {
            #[cfg(not(Py_GIL_DISABLED))]
            value: RefCell::new(value),
            #[cfg(Py_GIL_DISABLED)]
            value: Mutex::new(value),
        }
    }

    /// Runs `access` on the value.
    #[inline(always)]
    pub(crate) fn with<R>(&self, _py: Python<'_>, access: impl FnOnce(&mut T) -> R) -> R {
        #[cfg(not(Py_GIL_DISABLED))]
        return access(&mut self.value.borrow_mut());
        #[cfg(Py_GIL_DISABLED)]
        return access(&mut self.lock());
    }

    /// Runs `access` from the garbage collector, or not at all when the value is in use.
    pub(crate) fn try_with<R>(&self, access: impl FnOnce(&T) -> R) -> Option<R> {
        #[cfg(not(Py_GIL_DISABLED))]
        return self.value.try_borrow().ok().map(|value| access(&value));
        #[cfg(Py_GIL_DISABLED)]
        return self.value.try_lock().ok().map(|value| access(&value));
    }

    /// The same as [`GilCell::try_with`], to take the value's contents away.
    pub(crate) fn try_with_mut<R>(&self, access: impl FnOnce(&mut T) -> R) -> Option<R> {
        #[cfg(not(Py_GIL_DISABLED))]
        return self
            .value
            .try_borrow_mut()
            .ok()
            .map(|mut value| access(&mut value));
        #[cfg(Py_GIL_DISABLED)]
        return self
            .value
            .try_lock()
            .ok()
            .map(|mut value| access(&mut value));
    }

    #[cfg(Py_GIL_DISABLED)]
    fn lock(&self) -> std::sync::MutexGuard<'_, T> {
        // A panic inside an access leaves the value as a plain data structure would be left.
        self.value
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
