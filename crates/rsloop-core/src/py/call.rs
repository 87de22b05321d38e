//! Calls with keyword arguments, without an object for them.

use std::ptr;

use pyo3::types::{PyTuple, PyTupleMethods};
use pyo3::{Borrowed, Bound, PyAny, PyResult, ffi};

/// The most arguments of [`call_with_keywords`].
const MOST: usize = 6;

/// Calls `callable`; the last arguments are those that `names` names.
#[inline(never)] // a caller with several calls would merge their results, errors and all
pub(crate) fn call_with_keywords<'py, const N: usize>(
    callable: &Bound<'py, PyAny>,
    arguments: [Borrowed<'_, 'py, PyAny>; N],
    names: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    const { assert!(N < MOST) };
    assert!(names.len() <= N);
    let mut vector = [ptr::null_mut(); MOST];
    for (slot, argument) in vector[1..].iter_mut().zip(arguments) {
        *slot = argument.as_ptr();
    }
    let positional = N - names.len();
    // SAFETY: attached; the borrows keep the arguments alive for the call, there is one for each
    // name, and the slot in front of them is free, as the flag promises.
    unsafe {
        Bound::from_owned_ptr_or_err(
            callable.py(),
            ffi::PyObject_Vectorcall(
                callable.as_ptr(),
                vector.as_mut_ptr().add(1),
                positional | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET,
                names.as_ptr(),
            ),
        )
    }
}
