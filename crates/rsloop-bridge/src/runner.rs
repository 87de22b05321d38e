//! Event loops that Rust runs.

use std::any::type_name;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyModuleNotFoundError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::coroutine;

/// Runs `future` on a loop of its own, which asyncio's runner makes and closes.
pub(crate) fn run<F, T>(py: Python<'_>, future: F) -> PyResult<T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: Send + 'static,
{
    let options = PyDict::new(py);
    options.set_item("loop_factory", loop_factory(py)?)?;
    let asyncio = py.import("asyncio")?;
    let runner = asyncio.getattr("Runner")?.call((), Some(&options))?;
    let ran = output_of(py, future, |coroutine| {
        runner.call_method1("run", (coroutine,))
    });
    let closed = runner.call_method0("close");
    match ran {
        Ok(output) => closed.map(|_| output),
        Err(error) => {
            // The future's own error says more; the other must not get lost.
            if let Err(unheard) = closed {
                unheard.write_unraisable(py, Some(&runner));
            }
            Err(error)
        }
    }
}

/// Runs `future` on a loop of the caller's.
pub(crate) fn run_until_complete<F, T>(event_loop: &Bound<'_, PyAny>, future: F) -> PyResult<T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: Send + 'static,
{
    output_of(event_loop.py(), future, |coroutine| {
        event_loop.call_method1("run_until_complete", (coroutine,))
    })
}

/// What makes the loop: rsloop's, or None for asyncio's own choice.
fn loop_factory(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    match py.import("rsloop") {
        Ok(rsloop) => rsloop.getattr("new_event_loop").map(Some),
        Err(error) if error.is_instance_of::<PyModuleNotFoundError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Has `run_coroutine` run `future`; its output stays in Rust.
fn output_of<'py, F, T>(
    py: Python<'py>,
    future: F,
    run_coroutine: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: Send + 'static,
{
    let slot = Arc::new(Mutex::new(None));
    let filled = Arc::clone(&slot);
    let coroutine = coroutine::named_into_py(py, type_name::<F>(), async move {
        let output = future.await?;
        *filled.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
        Ok(())
    })?;
    let ran = run_coroutine(&coroutine);
    if ran.is_err() {
        // A loop that refused the coroutine never began it.
        coroutine.call_method0("close")?;
    }
    ran?;
    let output = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    output
        .ok_or_else(|| PyRuntimeError::new_err("the event loop did not run the future to its end"))
}
