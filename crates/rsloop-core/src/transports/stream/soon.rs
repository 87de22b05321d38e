//! What a transport has the loop do soon: in the context that was given to it (3.15), or in a copy of
//! the current one.

use pyo3::call::PyCallArgs;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::IntoPyDict;

use crate::loop_::LoopBase;
use crate::py::context;

/// The context that a call made later runs in.
pub(super) fn context_for_later(
    py: Python<'_>,
    given: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    match given {
        Some(given) => Ok(given.clone().unbind()),
        None => context::copy_current(py).map(Bound::unbind),
    }
}

/// Calls the loop's `call_soon`, which may be the program's: with `arguments`, the callback first.
pub(super) fn call_soon<'py>(
    loop_: &Bound<'py, LoopBase>,
    arguments: impl PyCallArgs<'py>,
    given: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = loop_.py();
    let context = given.map(|given| [(intern!(py, "context"), given)].into_py_dict(py));
    let call_soon = loop_.getattr(intern!(py, "call_soon"))?;
    call_soon
        .call(arguments, context.transpose()?.as_ref())
        .map(drop)
}
