//! A Rust extension whose futures run on the event loop of Python.
//!
//! Each function returns an awaitable at once. The futures progress while Python does other
//! things, and `await` gives their results.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use pyo3::prelude::*;

/// Sleeps on a Rust timer, then returns the label.
#[pyfunction]
fn sleep_and_tag(py: Python<'_>, label: String, delay_ms: u64) -> PyResult<Bound<'_, PyAny>> {
    rsloop::rust_async::future_into_py(py, async move {
        async_std::task::sleep(Duration::from_millis(delay_ms)).await;
        Ok(format!("rust finished: {label}"))
    })
}

/// Adds the squares of 1 to `count`, each computed by a task of its own, on any thread.
#[pyfunction]
fn sum_of_squares(py: Python<'_>, count: u64) -> PyResult<Bound<'_, PyAny>> {
    rsloop::rust_async::future_into_py(py, async move {
        let tasks: Vec<_> = (1..=count)
            .map(|number| async_std::task::spawn(async move { number * number }))
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        Ok(sum)
    })
}

/// Counts in a cell that cannot leave its thread, and lets Python run between the steps: a future
/// that is not `Send` is polled on the loop's own thread.
#[pyfunction]
fn count_in_turns(py: Python<'_>, turns: u32) -> PyResult<Bound<'_, PyAny>> {
    let count = Rc::new(Cell::new(0));
    rsloop::rust_async::local_future_into_py(py, async move {
        for _ in 0..turns {
            count.set(count.get() + 1);
            async_std::task::yield_now().await;
        }
        Ok(count.get())
    })
}

/// Awaits a Python awaitable from Rust, and returns its result.
#[pyfunction]
fn call_python_awaitable(py: Python<'_>, awaitable: Py<PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let locals = rsloop::rust_async::get_current_locals(py)?;
    rsloop::rust_async::future_into_py_with_locals(py, locals.clone(), async move {
        let python_future = Python::attach(|py| {
            rsloop::rust_async::into_future_with_locals(&locals, awaitable.bind(py).clone())
        })?;
        python_future.await
    })
}

#[pymodule(gil_used = false)]
fn rsloop_example(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(sleep_and_tag, module)?)?;
    module.add_function(wrap_pyfunction!(sum_of_squares, module)?)?;
    module.add_function(wrap_pyfunction!(count_in_turns, module)?)?;
    module.add_function(wrap_pyfunction!(call_python_awaitable, module)?)
}
