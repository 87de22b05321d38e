//! Futures that another thread answers, after a time that the test chooses.

use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use rsloop::rust_async;

use crate::calls::Locals;
use crate::gate::Gate;

/// The thread, which takes one after the other.
fn thread() -> Sender<(Gate, Duration)> {
    static THREAD: OnceLock<Sender<(Gate, Duration)>> = OnceLock::new();
    let start = || {
        let (sender, asked) = mpsc::channel::<(Gate, Duration)>();
        thread::spawn(move || {
            for (gate, delay) in asked {
                let asked_at = Instant::now();
                while asked_at.elapsed() < delay {}
                gate.open_now();
            }
        });
        sender
    };
    THREAD.get_or_init(start).clone()
}

/// Ends when the thread has answered, so many microseconds after it was asked.
async fn answer(microseconds: u64) -> PyResult<u64> {
    let gate = Gate::default();
    let passing = gate.pass();
    let question = (gate, Duration::from_micros(microseconds));
    thread().send(question).expect("the thread never ends");
    passing.await;
    Ok(microseconds)
}

#[pyfunction]
#[pyo3(signature = (microseconds, local = false))]
fn answered(py: Python<'_>, microseconds: u64, local: bool) -> PyResult<Bound<'_, PyAny>> {
    match local {
        true => rust_async::local_future_into_py(py, answer(microseconds)),
        false => rust_async::future_into_py(py, answer(microseconds)),
    }
}

/// The same, by the loop that `found` holds, whether it runs or not.
#[pyfunction]
fn answered_with_locals<'py>(
    py: Python<'py>,
    found: &Locals,
    microseconds: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let locals = found.0.clone();
    rust_async::local_future_into_py_with_locals(py, locals, answer(microseconds))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(answered_with_locals, module)?)?;
    module.add_function(wrap_pyfunction!(answered, module)?)
}
