//! How handles die: without overflowing the stack, and leaving their memory to the next.

#[cfg(Py_GIL_DISABLED)]
use std::mem::ManuallyDrop;
use std::ptr;

use pyo3::{Python, ffi};

use super::fields::{empty, release_all, take};
use super::memory::{FREE_TIMERS, FreeList, TimerObject};
use crate::py::gil_cell::GilCell;

/// How deeply handles may die inside one another's death. Without a bound, a long chain of handles,
/// each an argument of the next, would overflow the stack.
const MOST_NESTED: u32 = 50;

/// The deaths in progress in one thread.
struct Deaths {
    nested: u32,
    /// The dead that would have nested too deeply. Whoever is at the bound buries them.
    postponed: Vec<(usize, &'static FreeList)>,
}

impl Deaths {
    const NONE: Self = Self {
        nested: 0,
        postponed: Vec::new(),
    };
}

/// Of all threads together, where the GIL lets one at a time run: the sum serves as well, and costs
/// no look-up of the thread.
#[cfg(not(Py_GIL_DISABLED))]
static DEATHS: GilCell<Deaths> = GilCell::new(Deaths::NONE);
// Never dropped, since a handle may die after the thread's other locals.
#[cfg(Py_GIL_DISABLED)]
thread_local!(static DEATHS: ManuallyDrop<GilCell<Deaths>> =
    const { ManuallyDrop::new(GilCell::new(Deaths::NONE)) });

#[inline]
fn deaths<R>(py: Python<'_>, access: impl FnOnce(&mut Deaths) -> R) -> R {
    #[cfg(not(Py_GIL_DISABLED))]
    return DEATHS.with(py, access);
    #[cfg(Py_GIL_DISABLED)]
    return DEATHS.with(|deaths| deaths.with(py, access));
}

/// Buries a dead handle now or, where deaths are nested deeply, a little later.
///
/// # Safety
/// `slf` is a dead, untracked handle of the class that `free` belongs to; attached.
pub(super) unsafe fn bury(slf: *mut ffi::PyObject, free: &'static FreeList) {
    // SAFETY: the caller's promise, which holds for what is postponed until it is buried.
    unsafe {
        let py = Python::assume_attached();
        let nested = deaths(py, |deaths| {
            deaths.nested += 1;
            if deaths.nested > MOST_NESTED {
                deaths.postponed.push((slf as usize, free));
            }
            deaths.nested
        });
        if nested <= MOST_NESTED {
            bury_now(slf, free);
        }
        if nested == MOST_NESTED {
            while let Some((slf, free)) = deaths(py, |deaths| deaths.postponed.pop()) {
                bury_now(slf as *mut ffi::PyObject, free);
            }
            deaths(py, |deaths| deaths.postponed = Vec::new());
        }
        deaths(py, |deaths| deaths.nested -= 1);
    }
}

/// Releases everything a dead handle holds, then recycles or frees its memory.
///
/// # Safety
/// As [`bury`].
unsafe fn bury_now(slf: *mut ffi::PyObject, free: &'static FreeList) {
    // SAFETY: the caller's promise. The class is released last, after its instance.
    unsafe {
        if ptr::eq(free, &raw const FREE_TIMERS) {
            release_all([take(&raw mut (*slf.cast::<TimerObject>()).loop_)]);
        }
        let offset = (*ffi::Py_TYPE(slf)).tp_weaklistoffset;
        if !(*slf.byte_offset(offset).cast::<*mut ffi::PyObject>()).is_null() {
            ffi::PyObject_ClearWeakRefs(slf);
        }
        empty(slf.cast());
        let class = ffi::Py_TYPE(slf);
        if !free.keep(Python::assume_attached(), slf) {
            ffi::PyObject_GC_Del(slf.cast());
        }
        ffi::Py_DECREF(class.cast());
    }
}
