//! Results whose conversion does something.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rsloop::rust_async;

use crate::gate::Gate;
use crate::send::End;
use crate::watch::Drops;

/// Calls a function when it is converted.
struct Calls(Py<PyAny>);

impl<'py> IntoPyObject<'py> for Calls {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        self.0.bind(py).call0()
    }
}

/// Panics when it is converted.
struct Panics;

impl<'py> IntoPyObject<'py> for Panics {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, _py: Python<'py>) -> PyResult<Self::Output> {
        panic!("the conversion's panic")
    }
}

/// A future whose result is what `function` returns during the conversion.
#[pyfunction]
#[pyo3(signature = (function, gate = None))]
fn convert_by_calling(
    py: Python<'_>,
    function: Py<PyAny>,
    gate: Option<Gate>,
) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, async move {
        if let Some(gate) = gate {
            gate.pass().await;
        }
        Ok(Calls(function))
    })
}

#[pyfunction]
#[pyo3(signature = (gate = None))]
fn convert_by_panicking(py: Python<'_>, gate: Option<Gate>) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, async move {
        if let Some(gate) = gate {
            gate.pass().await;
        }
        Ok(Panics)
    })
}

/// A future that fails with an exception whose arguments panic when they are converted.
#[pyfunction]
#[pyo3(signature = (gate = None, locally = false))]
fn fail_by_panicking(
    py: Python<'_>,
    gate: Option<Gate>,
    locally: bool,
) -> PyResult<Bound<'_, PyAny>> {
    let future = async move {
        if let Some(gate) = gate {
            gate.pass().await;
        }
        Err::<(), _>(PyValueError::new_err(Panics))
    };
    if locally {
        rust_async::local_future_into_py(py, future)
    } else {
        rust_async::future_into_py(py, future)
    }
}

/// Panics when it is dropped.
struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("the drop's panic");
    }
}

/// A future that panics while it is dropped, after it was ready or when it is cancelled.
#[pyfunction]
#[pyo3(signature = (gate, locally = false, end = End::Value))]
fn panic_in_drop(
    py: Python<'_>,
    gate: Gate,
    locally: bool,
    end: End,
) -> PyResult<Bound<'_, PyAny>> {
    /// A future by hand: its field is dropped with it, not before it is ready.
    struct Panicking(Gate, End, PanicsInDrop);

    impl Future for Panicking {
        type Output = PyResult<&'static str>;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            pin!(self.0.pass()).poll(cx).map(|()| self.1.reach())
        }
    }

    let future = Panicking(gate, end, PanicsInDrop);
    if locally {
        rust_async::local_future_into_py(py, future)
    } else {
        rust_async::future_into_py(py, future)
    }
}

/// A future that fails with `exception`.
#[pyfunction]
#[pyo3(signature = (exception, gate = None))]
fn fail_with(
    py: Python<'_>,
    exception: Py<PyAny>,
    gate: Option<Gate>,
) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, async move {
        if let Some(gate) = gate {
            gate.pass().await;
        }
        Err::<(), _>(Python::attach(|py| {
            PyErr::from_value(exception.into_bound(py))
        }))
    })
}

/// A coroutine around a future that waits at the gate.
#[pyfunction]
#[pyo3(signature = (gate, drops = None))]
fn coroutine_into_py(
    py: Python<'_>,
    gate: Gate,
    drops: Option<Drops>,
) -> PyResult<Bound<'_, PyAny>> {
    let token = drops.as_ref().map(Drops::token);
    rust_async::coroutine_into_py(py, async move {
        let _token = token;
        gate.pass().await;
        Ok("the value")
    })
}

/// A future that keeps a worker busy: it attaches over and over, and sleeps between.
#[pyfunction]
fn busy_worker(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    rust_async::spawn_into_py(py, async move {
        loop {
            Python::attach(|py| py.None());
            std::thread::sleep(Duration::from_micros(100));
            async_std::task::yield_now().await;
        }
        #[expect(unreachable_code, reason = "names the type of the result")]
        Ok(())
    })
}

/// A future that yields so many times, and tells how many of its polls were on another thread
/// than the call.
#[pyfunction]
fn polls_elsewhere(py: Python<'_>, yields: usize) -> PyResult<Bound<'_, PyAny>> {
    let caller = std::thread::current().id();
    rust_async::future_into_py(py, async move {
        let mut elsewhere = 0;
        for _ in 0..yields {
            async_std::task::yield_now().await;
            elsewhere += usize::from(std::thread::current().id() != caller);
        }
        Ok(elsewhere)
    })
}

/// A future that sleeps, on async-std's clock, and returns the sum of its tasks' numbers.
#[pyfunction]
fn sum_of_tasks(py: Python<'_>, count: u64) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, async move {
        let tasks: Vec<_> = (0..count)
            .map(|number| {
                async_std::task::spawn(async move {
                    async_std::task::sleep(Duration::from_millis(number % 3)).await;
                    number
                })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        Ok(sum)
    })
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(convert_by_calling, module)?)?;
    module.add_function(wrap_pyfunction!(convert_by_panicking, module)?)?;
    module.add_function(wrap_pyfunction!(fail_by_panicking, module)?)?;
    module.add_function(wrap_pyfunction!(panic_in_drop, module)?)?;
    module.add_function(wrap_pyfunction!(fail_with, module)?)?;
    module.add_function(wrap_pyfunction!(coroutine_into_py, module)?)?;
    module.add_function(wrap_pyfunction!(busy_worker, module)?)?;
    module.add_function(wrap_pyfunction!(polls_elsewhere, module)?)?;
    module.add_function(wrap_pyfunction!(sum_of_tasks, module)?)
}
