//! Attributes of a Python class that Rust keeps: C descriptors instead of Python properties.

use std::ffi::{CStr, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::types::{PyAnyMethods, PyType, PyTypeMethods};
use pyo3::{Borrowed, Bound, Py, PyAny, PyResult, Python, ffi};

use super::fastcall::Receiver;
use super::guard::{guarded, panicked, raise};

/// One attribute, which `R` keeps.
pub(crate) struct Attribute<R> {
    /// The name that Python sees.
    pub(crate) name: &'static CStr,
    /// Reads it from the state, or from the reason why there is none.
    pub(crate) get: fn(PyResult<&R>, Python<'_>) -> PyResult<Py<PyAny>>,
    /// Changes it.
    pub(crate) set: fn(&R, &Bound<'_, PyAny>) -> PyResult<()>,
}

/// Adds `attributes` to `class`, whose instances have the state `R`.
pub(crate) fn attach<R: Receiver + 'static>(
    class: &Bound<'_, PyType>,
    attributes: Vec<Attribute<R>>,
) -> PyResult<()> {
    for attribute in attributes {
        let name = attribute
            .name
            .to_str()
            .map_err(|error| PyTypeError::new_err(error.to_string()))?;
        // A descriptor points at its definition for ever, and classes live as long as the process.
        let attribute: &'static Attribute<R> = Box::leak(Box::new(attribute));
        let definition = Box::leak(Box::new(ffi::PyGetSetDef {
            name: attribute.name.as_ptr(),
            get: Some(get::<R>),
            set: Some(set::<R>),
            doc: ptr::null(),
            closure: ptr::from_ref(attribute).cast_mut().cast(),
        }));
        // SAFETY: attached; the definition is leaked, and its functions get the closure that
        // they expect.
        let descriptor = unsafe {
            Bound::from_owned_ptr_or_err(
                class.py(),
                ffi::PyDescr_NewGetSet(class.as_type_ptr(), definition),
            )?
        };
        class.setattr(name, descriptor)?;
    }
    Ok(())
}

/// # Safety
/// Only the interpreter calls this, through a descriptor that [`attach`] has made.
unsafe extern "C" fn get<R: Receiver + 'static>(
    object: *mut ffi::PyObject,
    closure: *mut c_void,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter reads attributes attached; see `fastcall::enter`.
    let py = unsafe { Python::assume_attached() };
    guarded(py, || {
        // SAFETY: the descriptor has checked the type of `object`, which its caller keeps alive;
        // the closure is the leaked attribute of `attach`.
        unsafe {
            let attribute = &*closure.cast::<Attribute<R>>();
            (attribute.get)(R::of(Borrowed::from_ptr(py, object)), py).map(Py::into_ptr)
        }
    })
}

/// # Safety
/// As [`get`]; `value` is null for a deletion.
unsafe extern "C" fn set<R: Receiver + 'static>(
    object: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
    closure: *mut c_void,
) -> c_int {
    // SAFETY: as in `get`.
    let py = unsafe { Python::assume_attached() };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        if value.is_null() {
            return Err(PyAttributeError::new_err("it cannot be deleted"));
        }
        // SAFETY: as in `get`; the caller keeps `value` alive.
        unsafe {
            let attribute = &*closure.cast::<Attribute<R>>();
            let state = R::of(Borrowed::from_ptr(py, object))?;
            (attribute.set)(state, &Borrowed::from_ptr(py, value))
        }
    }));
    let failed = match outcome {
        Ok(Ok(())) => return 0,
        Ok(Err(error)) => raise(py, error),
        Err(panic) => raise(py, panicked(panic)),
    };
    debug_assert!(failed.is_null());
    -1
}
