//! The references inside a handle: visiting, taking and releasing them.

use std::ffi::c_int;

use pyo3::ffi;

use super::memory::{HandleObject, INLINE};

/// Visits the callback, its context and arguments.
///
/// # Safety
/// `object` is a handle, and the caller a `tp_traverse`.
pub(super) unsafe fn traverse_call(
    object: *mut HandleObject,
    visit: ffi::visitproc,
    argument: *mut std::ffi::c_void,
) -> c_int {
    // SAFETY: NULL or owned references.
    unsafe {
        let [first, second] = (*object).arguments;
        for reference in [(*object).callback, (*object).context, first, second] {
            if !reference.is_null() {
                let status = visit(reference, argument);
                if status != 0 {
                    return status;
                }
            }
        }
    }
    0
}

/// Takes the callback and its arguments away, leaving NULL; the context stays, as in asyncio.
///
/// # Safety
/// Nothing else reads or changes the fields.
pub(super) unsafe fn take_call(object: *mut HandleObject) -> [*mut ffi::PyObject; 1 + INLINE] {
    // SAFETY: the caller's promise.
    unsafe {
        [
            take(&raw mut (*object).callback),
            take(&raw mut (*object).arguments[0]),
            take(&raw mut (*object).arguments[1]),
        ]
    }
}

/// Takes the reference in `field` away, leaving NULL.
///
/// # Safety
/// Nothing else reads or changes the field.
pub(super) unsafe fn take(field: *mut *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    unsafe { std::mem::replace(&mut *field, std::ptr::null_mut()) }
}

/// Releases references that were taken out of their fields.
///
/// # Safety
/// Attached; each is NULL or an owned reference.
#[inline]
pub(super) unsafe fn release_all<const COUNT: usize>(references: [*mut ffi::PyObject; COUNT]) {
    for reference in references {
        // SAFETY: the caller's promise.
        unsafe { ffi::Py_XDECREF(reference) };
    }
}

/// Releases the callback, its context and arguments.
///
/// # Safety
/// Attached; nothing else reads or changes the fields.
#[inline]
pub(super) unsafe fn empty(object: *mut HandleObject) {
    // SAFETY: the caller's promise.
    unsafe {
        release_all(take_call(object));
        release_all([take(&raw mut (*object).context)]);
    }
}
