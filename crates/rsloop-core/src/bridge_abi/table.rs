//! The functions behind the table, as `rsloop-abi` documents them.
//!
//! `rsl_loop` is a [`Shared`] in an [`Arc`], whose count is the ABI's reference count.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyAnyMethods;
use rsloop_abi::{
    Api, Job, Loop, PyObject, RSL_ABI_MAJOR, RSL_ABI_MINOR, RSL_CLOSED, RSL_ERROR, RSL_FOREIGN,
    RSL_FOUND, RSL_OK, RSL_UNKNOWN, RSL_WRONG_THREAD,
};

use crate::loop_::LoopBase;
use crate::shared::Shared;

/// The one table of the process.
pub(super) static TABLE: Api = Api {
    size: size_of::<Api>() as u32,
    major: RSL_ABI_MAJOR,
    minor: RSL_ABI_MINOR,
    features: 0,
    loop_from_py,
    loop_current,
    loop_to_py,
    r#ref: reference,
    unref: unreference,
    post,
    on_close,
    off_close,
    on_loop_thread,
};

/// Looks into a loop that the caller holds a reference to.
///
/// # Safety
/// `of` came out of this table and has not been given back.
unsafe fn shared<'a>(of: *mut Loop) -> &'a Shared {
    // SAFETY: the caller's promise: a `Loop` is a `Shared` seen from outside.
    unsafe { &*of.cast::<Shared>() }
}

unsafe extern "C" fn loop_from_py(object: *mut PyObject, found: *mut *mut Loop) -> c_int {
    answer(found, |py| {
        // SAFETY: the caller lends a live object.
        let object = unsafe { Borrowed::<PyAny>::from_ptr(py, object.cast()) };
        find(&object)
    })
}

unsafe extern "C" fn loop_current(found: *mut *mut Loop) -> c_int {
    answer(found, |py| {
        let running = py
            .import("asyncio.events")?
            .call_method0(intern!(py, "_get_running_loop"))?;
        find(&running)
    })
}

fn find(object: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Shared>>> {
    match object.cast::<LoopBase>() {
        Ok(found) => LoopBase::shared_of(found).map(Some),
        Err(_) => Ok(None),
    }
}

/// Stores what `look` finds, and turns its outcome into a status.
fn answer(
    found: *mut *mut Loop,
    look: impl FnOnce(Python<'_>) -> PyResult<Option<Arc<Shared>>>,
) -> c_int {
    // SAFETY: the table's entries that come here are called attached.
    let py = unsafe { Python::assume_attached() };
    let outcome = catch_unwind(AssertUnwindSafe(|| look(py)));
    let (pointer, status) = match outcome {
        Ok(Ok(Some(shared))) => (Arc::into_raw(shared).cast_mut().cast(), RSL_FOUND),
        Ok(Ok(None)) => (ptr::null_mut(), RSL_FOREIGN),
        Ok(Err(error)) => {
            error.restore(py);
            (ptr::null_mut(), RSL_ERROR)
        }
        Err(_) => {
            pyo3::exceptions::PyRuntimeError::new_err("rsloop has a bug, it panicked").restore(py);
            (ptr::null_mut(), RSL_ERROR)
        }
    };
    // SAFETY: the caller passes a place to store into.
    unsafe { found.write(pointer) };
    status
}

unsafe extern "C" fn loop_to_py(of: *mut Loop) -> *mut PyObject {
    // SAFETY: the caller holds a reference, and is attached.
    let (shared, py) = unsafe { (shared(of), Python::assume_attached()) };
    match shared.python(py) {
        Ok(Some(object)) => object.into_ptr().cast(),
        // Not to be had is not an error: the call of a weak reference can only run out of memory.
        Ok(None) | Err(_) => ptr::null_mut(),
    }
}

unsafe extern "C" fn reference(of: *mut Loop) {
    // SAFETY: the pointer came out of `Arc::into_raw` and the caller holds a reference.
    unsafe { Arc::increment_strong_count(of.cast::<Shared>()) };
}

unsafe extern "C" fn unreference(of: *mut Loop) {
    // SAFETY: as above; the caller gives its reference back.
    unsafe { Arc::decrement_strong_count(of.cast::<Shared>()) };
}

unsafe extern "C" fn post(to: *mut Loop, job: *mut Job) -> c_int {
    let Some(job) = NonNull::new(job) else {
        return RSL_CLOSED;
    };
    // A reference for the call. Once pushed, the job may run, and give back the caller's, which
    // may be the last; but the wakeup is rung after that.
    // SAFETY: the caller holds a reference as the call begins.
    let shared = unsafe {
        Arc::increment_strong_count(to.cast::<Shared>());
        Arc::from_raw(to.cast::<Shared>().cast_const())
    };
    // SAFETY: the caller owns the job, and gives it up if it is taken.
    match unsafe { shared.post(job) } {
        Ok(()) => RSL_OK,
        Err(_) => RSL_CLOSED,
    }
}

unsafe extern "C" fn on_close(to: *mut Loop, job: *mut Job) -> c_int {
    // SAFETY: as in `post`, attached.
    let (shared, py) = unsafe { (shared(to), Python::assume_attached()) };
    let Some(job) = NonNull::new(job) else {
        return RSL_UNKNOWN;
    };
    if !shared.on_loop_thread() {
        RSL_WRONG_THREAD
    } else if shared.add_close_hook(py, job) {
        RSL_OK
    } else {
        RSL_CLOSED
    }
}

unsafe extern "C" fn off_close(to: *mut Loop, job: *mut Job) -> c_int {
    // SAFETY: as in `on_close`.
    let (shared, py) = unsafe { (shared(to), Python::assume_attached()) };
    if !shared.on_loop_thread() {
        RSL_WRONG_THREAD
    } else if shared.remove_close_hook(py, job) {
        RSL_OK
    } else {
        RSL_UNKNOWN
    }
}

unsafe extern "C" fn on_loop_thread(of: *mut Loop) -> c_int {
    // SAFETY: the caller holds a reference.
    c_int::from(unsafe { shared(of) }.on_loop_thread())
}
