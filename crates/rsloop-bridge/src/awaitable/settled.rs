//! How a future ended.

use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::{IntoPyObjectExt as _, PyTraverseError, PyVisit, ffi, intern};

use crate::error;

/// The end of a future, as Python sees it.
pub(crate) enum Settled {
    /// It returned this.
    Value(Py<PyAny>),
    /// It failed with the exception. The traceback is what each raise begins with.
    Error {
        exception: Py<PyBaseException>,
        traceback: Option<Py<PyAny>>,
    },
    /// It was cancelled: by `cancel`, or because it failed with the `CancelledError`.
    Cancelled(Option<Py<PyBaseException>>),
}

impl Settled {
    /// Converts what a Rust future returned. A panic in the conversion, which may be that of an
    /// exception's arguments, is an error, too.
    pub(crate) fn from_output<T>(py: Python<'_>, output: PyResult<T>) -> Self
    where
        T: for<'a> IntoPyObject<'a>,
    {
        let converted = error::caught(|| {
            let value = output.and_then(|value| value.into_py_any(py));
            Self::from_result(py, value)
        });
        converted.unwrap_or_else(|panic| Self::from_result(py, Err(panic)))
    }

    /// Sorts a result as a task of asyncio's would.
    pub(crate) fn from_result(py: Python<'_>, result: PyResult<Py<PyAny>>) -> Self {
        let error = match result {
            Ok(value) => return Self::Value(value),
            Err(error) => error,
        };
        if error.is_instance(py, cancelled_error(py)) {
            return Self::Cancelled(Some(error.into_value(py)));
        }
        if !error.is_instance_of::<PyStopIteration>(py) {
            return Self::from_exception(py, error);
        }
        // Raised into a coroutine, a StopIteration would end it as if it had returned.
        let wrapped = PyRuntimeError::new_err("Rust future raised StopIteration");
        wrapped.set_cause(py, Some(error));
        Self::from_exception(py, wrapped)
    }

    fn from_exception(py: Python<'_>, error: PyErr) -> Self {
        let exception = error.into_value(py);
        let traceback = exception.bind(py).getattr(intern!(py, "__traceback__"));
        Self::Error {
            traceback: traceback.ok().filter(|tb| !tb.is_none()).map(Bound::unbind),
            exception,
        }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Value(value) => visit.call(value),
            Self::Error {
                exception,
                traceback,
            } => {
                visit.call(exception)?;
                visit.call(traceback)
            }
            Self::Cancelled(exception) => visit.call(exception),
        }
    }
}

/// An exception to be raised with the traceback it came with, not with those of earlier raises.
pub(crate) fn raised(
    py: Python<'_>,
    exception: &Py<PyBaseException>,
    traceback: Option<&Py<PyAny>>,
) -> PyErr {
    let exception = exception.bind(py);
    if let Err(error) = exception.setattr(intern!(py, "__traceback__"), traceback) {
        return error;
    }
    in_context(exception.clone())
}

/// An exception to be raised as CPython's own code raises it: what is being handled becomes its
/// `__context__`.
pub(crate) fn in_context(exception: Bound<'_, PyBaseException>) -> PyErr {
    // SAFETY: attached, as the bound reference proves; it is an exception, of the class given. What
    // is raised here is not left raised: PyO3 does that again when it returns to Python.
    unsafe {
        ffi::PyErr_SetObject(exception.get_type().as_ptr(), exception.as_ptr());
        ffi::PyErr_Clear();
    }
    PyErr::from_value(exception.into_any())
}

/// `asyncio.CancelledError`.
pub(crate) fn cancelled_error(py: Python<'_>) -> &Bound<'_, PyAny> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    asyncio_exception(py, &CLASS, "CancelledError")
}

/// `asyncio.InvalidStateError`, with a message.
pub(crate) fn invalid_state(py: Python<'_>, message: &'static str) -> PyErr {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    match asyncio_exception(py, &CLASS, "InvalidStateError").call1((message,)) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

fn asyncio_exception<'py>(
    py: Python<'py>,
    class: &'static PyOnceLock<Py<PyAny>>,
    name: &'static str,
) -> &'py Bound<'py, PyAny> {
    class
        .get_or_init(py, || {
            py.import("asyncio.exceptions")
                .and_then(|module| module.getattr(name))
                .expect("asyncio defines it, and a running loop has imported asyncio")
                .unbind()
        })
        .bind(py)
}
