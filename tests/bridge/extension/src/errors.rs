//! Errors of Rust, by `?`, and panics where nobody awaits.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use pyo3::exceptions::PyLookupError;
use pyo3::prelude::*;
use rsloop::rust_async::{self, Stream as _};

/// An error as a library defines it.
#[derive(Debug)]
struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is missing", self.0)
    }
}

impl std::error::Error for Missing {}

impl From<Missing> for PyErr {
    fn from(error: Missing) -> Self {
        PyLookupError::new_err(error.to_string())
    }
}

async fn find(name: String) -> Result<u32, Missing> {
    Err(Missing(name))
}

rsloop::async_pyfunction! {
    /// Fails by `?`, with a library's error, or with one of the system's.
    #[pyo3(signature = (name, path = None))]
    async fn fail_by_question_mark(
        name: String,
        path: Option<std::path::PathBuf>,
    ) -> PyResult<u32> {
        if let Some(path) = path {
            std::fs::read(path)?;
            return Ok(0);
        }
        Ok(find(name).await?)
    }
}

/// Awaits `awaitable` from a future, and fails as it does.
#[pyfunction]
fn pass_through<'py>(awaitable: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = awaitable.py();
    let awaited = rust_async::into_future(awaitable)?;
    rust_async::future_into_py(py, awaited)
}

/// Has a waker that panics wait for `awaitable`.
#[pyfunction]
fn panic_in_waker(awaitable: Bound<'_, PyAny>) -> PyResult<PanickingWait> {
    let mut awaited = rust_async::into_future(awaitable)?;
    let waker = Waker::from(Arc::new(Panicking));
    let polled = pin!(&mut awaited).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    Ok(PanickingWait {
        _awaited: std::sync::Mutex::new(awaited),
    })
}

#[pyclass(frozen)]
struct PanickingWait {
    _awaited: std::sync::Mutex<rust_async::PythonFuture>,
}

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("the waker's panic");
    }
}

/// Has a waker that panics in its drop wait for `awaitable`, and drops the wait, with the waker.
#[pyfunction]
fn panic_in_dropped_waker(awaitable: Bound<'_, PyAny>) -> PyResult<()> {
    let mut awaited = rust_async::into_future(awaitable)?;
    let waker = Waker::from(Arc::new(PanickingInDrop));
    let polled = pin!(&mut awaited).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    drop(waker);
    drop(awaited);
    Ok(())
}

/// The same for an item of `iterable`.
#[pyfunction]
fn panic_in_dropped_waker_of_stream(iterable: &Bound<'_, PyAny>) -> PyResult<()> {
    let mut stream = rust_async::into_stream(iterable)?;
    let waker = Waker::from(Arc::new(PanickingInDrop));
    let polled = pin!(&mut stream).poll_next(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    drop(waker);
    drop(stream);
    Ok(())
}

struct PanickingInDrop;

impl Wake for PanickingInDrop {
    fn wake(self: Arc<Self>) {}
}

impl Drop for PanickingInDrop {
    fn drop(&mut self) {
        panic!("the dropped waker's panic");
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(fail_by_question_mark, module)?)?;
    module.add_function(wrap_pyfunction!(pass_through, module)?)?;
    module.add_function(wrap_pyfunction!(panic_in_waker, module)?)?;
    module.add_function(wrap_pyfunction!(panic_in_dropped_waker, module)?)?;
    module.add_function(wrap_pyfunction!(panic_in_dropped_waker_of_stream, module)?)
}
