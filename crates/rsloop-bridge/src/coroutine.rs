//! Rust futures as Python coroutines, for `create_task` and `TaskGroup`, which accept no futures.

use std::any::type_name;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit, intern};

use crate::send::{self, FirstPoll};

type Start = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// A coroutine that starts a Rust future when it is first run.
#[pyclass(frozen, weakref, module = "rsloop_bridge")]
pub(crate) struct RustCoroutine {
    /// The Rust function it is of, for the representations of tasks.
    name: &'static str,
    stage: Mutex<Stage>,
}

enum Stage {
    New(Start),
    /// The awaitable of the started future.
    Started(Py<PyAny>),
    Over,
}

/// Makes a coroutine that will run `future` on the loop that runs the coroutine.
pub(crate) fn into_py<F, T>(py: Python<'_>, future: F) -> PyResult<Bound<'_, PyAny>>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    named_into_py(py, type_name::<F>(), future)
}

/// As [`into_py`], under the name of another type.
pub(crate) fn named_into_py<'py, F, T>(
    py: Python<'py>,
    name: &'static str,
    future: F,
) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    let start: Start = Box::new(move |py| {
        let awaitable = send::into_py(py, None, future, FirstPoll::InCall)?;
        Ok(awaitable.unbind())
    });
    let coroutine = RustCoroutine {
        // What `async` makes is a closure of the function that it is written in.
        name: name.trim_end_matches("::{{closure}}"),
        stage: Mutex::new(Stage::New(start)),
    };
    Ok(Bound::new(py, coroutine)?.into_any())
}

impl RustCoroutine {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The awaitable; the first call starts the future.
    fn awaitable<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stage = std::mem::replace(&mut *self.lock(), Stage::Over);
        let awaitable = match stage {
            Stage::New(start) => start(py)?,
            Stage::Started(awaitable) => awaitable,
            Stage::Over => {
                return Err(PyRuntimeError::new_err(
                    "cannot reuse already awaited coroutine",
                ));
            }
        };
        *self.lock() = Stage::Started(awaitable.clone_ref(py));
        Ok(awaitable.into_bound(py))
    }

    fn end(&self) -> Stage {
        std::mem::replace(&mut *self.lock(), Stage::Over)
    }
}

#[pymethods]
impl RustCoroutine {
    #[getter]
    fn __name__(&self) -> &'static str {
        self.name
    }

    #[getter]
    fn __qualname__(&self) -> &'static str {
        self.name
    }

    /// Start or resume the coroutine; `value` must be None.
    fn send<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        if !value.is_none() {
            return Err(PyTypeError::new_err(
                "a Rust future takes no values: send only None",
            ));
        }
        let step = self.awaitable(py)?;
        let step = step.call_method0(intern!(py, "__next__"));
        if step.is_err() {
            drop(self.end());
        }
        step
    }

    /// Raise an exception where the coroutine waits: the Rust future is dropped.
    #[pyo3(signature = (kind, value = None, traceback = None))]
    fn throw(
        &self,
        py: Python<'_>,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.close(py)?;
        let exception = match value {
            Some(value) if value.is_instance(&kind)? => value,
            Some(value) => kind.call1((value,))?,
            None if kind.is_instance_of::<pyo3::types::PyType>() => kind.call0()?,
            None => kind,
        };
        if let Some(traceback) = traceback {
            exception.setattr(intern!(py, "__traceback__"), traceback)?;
        }
        Err(PyErr::from_value(exception))
    }

    /// Drop the Rust future.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if let Stage::Started(awaitable) = self.end() {
            awaitable.bind(py).call_method0(intern!(py, "cancel"))?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.stage.try_lock().as_deref() {
            Ok(Stage::Started(awaitable)) => visit.call(awaitable),
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        drop(self.end());
    }

    fn __await__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        // A task, or another coroutine, is at it.
        if matches!(*slf.lock(), Stage::Started(_)) {
            return Err(PyRuntimeError::new_err(
                "coroutine is being awaited already",
            ));
        }
        Ok(slf)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.send(py.None().bind(py))
    }
}
