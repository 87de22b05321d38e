//! Python awaitables awaited from Rust.

use std::rc::Rc;
use std::sync::Mutex;

use pyo3::prelude::*;
use rsloop::rust_async::{self, PythonFuture, TaskLocals};

use crate::gate::Gate;
use crate::watch::Drops;

/// Awaits `awaitable` from a `Send` future, which starts it in the call.
#[pyfunction]
fn call_from_send<'py>(
    py: Python<'py>,
    awaitable: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let locals = rust_async::get_current_locals(py)?;
    let call = rust_async::into_future_with_locals(&locals, awaitable)?;
    rust_async::future_into_py_with_locals(py, locals, call)
}

/// Awaits `awaitable` from a `Send` future, which starts it on a worker once the gate is open.
#[pyfunction]
fn call_from_worker(
    py: Python<'_>,
    gate: Gate,
    awaitable: Py<PyAny>,
) -> PyResult<Bound<'_, PyAny>> {
    let locals = rust_async::get_current_locals(py)?;
    rust_async::future_into_py_with_locals(py, locals.clone(), async move {
        gate.pass().await;
        start(&locals, awaitable)?.await
    })
}

/// Awaits `awaitable` from a future that is not `Send`.
#[pyfunction]
fn call_from_local(py: Python<'_>, awaitable: Py<PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let locals = rust_async::get_current_locals(py)?;
    rust_async::local_future_into_py_with_locals(py, locals.clone(), async move {
        let not_send = Rc::new(());
        let result = start(&locals, awaitable)?.await;
        drop(not_send);
        result
    })
}

/// Waits at the gate, calls `make` on the worker, and awaits what it returns: with the locals
/// that the bridge finds there.
#[pyfunction]
fn call_with_found_locals(
    py: Python<'_>,
    gate: Gate,
    make: Py<PyAny>,
) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, async move {
        gate.pass().await;
        let call = Python::attach(|py| {
            let locals = rust_async::get_current_locals(py)?;
            let awaitable = locals.within(py, || make.bind(py).call0())??;
            rust_async::into_future(awaitable)
        })?;
        call.await
    })
}

/// As that, in a task of the extension's own, which knows the locals by its scope only.
#[pyfunction]
fn call_in_scope(py: Python<'_>, make: Py<PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let locals = rust_async::get_current_locals(py)?;
    let task = async_std::task::spawn(locals.scope(async move {
        async_std::task::yield_now().await;
        Python::attach(|py| rust_async::into_future(make.bind(py).call0()?))?.await
    }));
    rust_async::future_into_py(py, task)
}

/// Makes an awaitable on a worker, in a poll, and awaits it.
#[pyfunction]
fn nested(py: Python<'_>, gate: Gate) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, async move {
        gate.pass().await;
        let inner = Python::attach(|py| {
            let inner = rust_async::future_into_py(py, async { Ok("the inner value") })?;
            rust_async::into_future(inner)
        })?;
        inner.await
    })
}

/// Awaits `awaitable` in an asynchronous function of PyO3's own.
#[pyfunction]
async fn call_from_pyo3(awaitable: Py<PyAny>) -> PyResult<Py<PyAny>> {
    Python::attach(|py| rust_async::into_future(awaitable.into_bound(py)))?.await
}

/// Starts `awaitable`, and drops the Rust future once the gate is open.
#[pyfunction]
fn call_and_drop<'py>(
    py: Python<'py>,
    gate: Gate,
    awaitable: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let locals = rust_async::get_current_locals(py)?;
    let call = rust_async::into_future_with_locals(&locals, awaitable)?;
    rust_async::future_into_py(py, async move {
        gate.pass().await;
        drop(call);
        Ok(())
    })
}

/// Starts `awaitable` for the captured locals, and drops the Rust future at once.
#[pyfunction]
fn start_and_drop(captured: &Locals, awaitable: Bound<'_, PyAny>) -> PyResult<()> {
    drop(rust_async::into_future_with_locals(&captured.0, awaitable)?);
    Ok(())
}

/// A Rust future of an awaitable that is started, and that nobody polls.
#[pyclass(frozen)]
struct Started(Mutex<Option<PythonFuture>>);

#[pymethods]
impl Started {
    #[new]
    fn new(awaitable: Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Mutex::new(Some(rust_async::into_future(awaitable)?))))
    }

    /// Drops it on a thread that is not attached.
    fn drop_elsewhere(&self, py: Python<'_>) {
        let future = self.0.lock().unwrap().take();
        py.detach(|| std::thread::spawn(move || drop(future)).join().unwrap());
    }
}

/// Captured locals, for Python to carry about.
#[pyclass(frozen)]
pub(crate) struct Locals(pub(crate) TaskLocals);

#[pymethods]
impl Locals {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        Ok(Self(rust_async::get_current_locals(py)?))
    }

    #[getter]
    fn event_loop<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.0.event_loop(py)
    }

    #[getter]
    fn context<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.0.context(py)
    }

    /// Drops a clone of the locals on a thread that is not attached.
    fn drop_elsewhere(&self, py: Python<'_>) {
        let locals = self.0.clone();
        py.detach(|| std::thread::spawn(move || drop(locals)).join().unwrap());
    }

    /// Drops a clone of the locals once the gate is open, on a thread that is not attached.
    fn drop_elsewhere_after(&self, gate: Gate) {
        let locals = self.0.clone();
        std::thread::spawn(move || {
            async_std::task::block_on(gate.pass());
            drop(locals);
        });
    }

    /// Starts iterating over `iterable`, and drops the stream at once.
    fn iterate(&self, iterable: &Bound<'_, PyAny>) -> PyResult<()> {
        drop(rust_async::into_stream_with_locals(&self.0, iterable)?);
        Ok(())
    }

    /// A future that is not `Send`, for these locals, made on whichever thread calls.
    fn local_future<'py>(
        &self,
        py: Python<'py>,
        gate: Gate,
        drops: &Drops,
    ) -> PyResult<Bound<'py, PyAny>> {
        let token = Rc::new(drops.token());
        rust_async::local_future_into_py_with_locals(py, self.0.clone(), async move {
            gate.pass().await;
            drop(token);
            Ok("the value")
        })
    }

    /// A future that calls `function` in each of its polls, of which the gate ends the last.
    fn call<'py>(
        &self,
        py: Python<'py>,
        gate: Gate,
        function: Py<PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        rust_async::future_into_py_with_locals(py, self.0.clone(), async move {
            Python::attach(|py| function.call0(py))?;
            gate.then_call(function).await
        })
    }

    /// A future that waits at the gate, for these locals, made on whichever thread calls.
    fn future<'py>(&self, py: Python<'py>, gate: Gate) -> PyResult<Bound<'py, PyAny>> {
        rust_async::future_into_py_with_locals(py, self.0.clone(), async move {
            gate.pass().await;
            Ok("the value")
        })
    }
}

fn start(locals: &TaskLocals, awaitable: Py<PyAny>) -> PyResult<PythonFuture> {
    Python::attach(|py| rust_async::into_future_with_locals(locals, awaitable.into_bound(py)))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Locals>()?;
    module.add_class::<Started>()?;
    module.add_function(wrap_pyfunction!(call_from_send, module)?)?;
    module.add_function(wrap_pyfunction!(call_from_worker, module)?)?;
    module.add_function(wrap_pyfunction!(call_from_local, module)?)?;
    module.add_function(wrap_pyfunction!(call_with_found_locals, module)?)?;
    module.add_function(wrap_pyfunction!(call_in_scope, module)?)?;
    module.add_function(wrap_pyfunction!(nested, module)?)?;
    module.add_function(wrap_pyfunction!(call_from_pyo3, module)?)?;
    module.add_function(wrap_pyfunction!(call_and_drop, module)?)?;
    module.add_function(wrap_pyfunction!(start_and_drop, module)?)
}
