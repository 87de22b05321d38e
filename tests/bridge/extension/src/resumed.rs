//! Futures that go on after a Python awaitable has ended: where, and under which conditions.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use pyo3::prelude::*;
use rsloop::rust_async::{self, PythonFuture};

use crate::here::{ends_here, long};

/// Awaits `awaitable`, and tells whether it goes on in the calling thread.
#[pyfunction]
#[pyo3(signature = (awaitable, spawned = false))]
fn goes_on_here<'py>(
    py: Python<'py>,
    awaitable: Bound<'py, PyAny>,
    spawned: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let future = ends_here(rust_async::into_future(awaitable)?, || ());
    match spawned {
        true => rust_async::spawn_into_py(py, future),
        false => rust_async::future_into_py(py, future),
    }
}

/// As that, and then takes long.
#[pyfunction]
fn goes_on_slowly_here<'py>(
    py: Python<'py>,
    awaitable: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let call = rust_async::into_future(awaitable)?;
    rust_async::future_into_py(py, ends_here(call, long))
}

/// Awaits `awaitable`, and then calls `function` for the result.
#[pyfunction]
#[pyo3(signature = (awaitable, function, local = false))]
fn call_after<'py>(
    py: Python<'py>,
    awaitable: Bound<'py, PyAny>,
    function: Py<PyAny>,
    local: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let call = rust_async::into_future(awaitable)?;
    let future = async move {
        call.await?;
        Python::attach(|py| function.call0(py))
    };
    match local {
        true => rust_async::local_future_into_py(py, future),
        false => rust_async::future_into_py(py, future),
    }
}

/// Awaits `awaitable` in a future that is polled under a lock, which its wakers take too.
#[pyfunction]
#[pyo3(signature = (awaitable, local = false))]
fn call_under_lock<'py>(
    py: Python<'py>,
    awaitable: Bound<'py, PyAny>,
    local: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let call = rust_async::into_future(awaitable)?;
    let future = UnderLock {
        call,
        lock: Arc::default(),
    };
    match local {
        true => rust_async::local_future_into_py(py, future),
        false => rust_async::future_into_py(py, future),
    }
}

struct UnderLock {
    call: PythonFuture,
    lock: Arc<Mutex<()>>,
}

impl Future for UnderLock {
    type Output = PyResult<Py<PyAny>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let lock = Arc::clone(&self.lock);
        let _held = lock.lock().unwrap();
        let waker = Waker::from(Arc::new(LockingWaker {
            inner: cx.waker().clone(),
            lock: Arc::clone(&lock),
        }));
        Pin::new(&mut self.call).poll(&mut Context::from_waker(&waker))
    }
}

struct LockingWaker {
    inner: Waker,
    lock: Arc<Mutex<()>>,
}

impl Wake for LockingWaker {
    fn wake(self: Arc<Self>) {
        let _held = self.lock.lock().unwrap();
        self.inner.wake_by_ref();
    }
}

/// Awaits `awaitable` in a future that is not `Send`, and calls `function` in the first poll, after
/// it has looked whether `awaitable` has ended.
#[pyfunction]
fn call_in_first_poll<'py>(
    py: Python<'py>,
    awaitable: Bound<'py, PyAny>,
    function: Py<PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut call = rust_async::into_future(awaitable)?;
    let mut function = Some(function);
    let future = std::future::poll_fn(move |cx| {
        let polled = Pin::new(&mut call).poll(cx);
        if let Some(function) = function.take() {
            Python::attach(|py| function.call0(py))?;
        }
        polled
    });
    rust_async::local_future_into_py(py, future)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(goes_on_here, module)?)?;
    module.add_function(wrap_pyfunction!(goes_on_slowly_here, module)?)?;
    module.add_function(wrap_pyfunction!(call_after, module)?)?;
    module.add_function(wrap_pyfunction!(call_under_lock, module)?)?;
    module.add_function(wrap_pyfunction!(call_in_first_poll, module)?)
}
