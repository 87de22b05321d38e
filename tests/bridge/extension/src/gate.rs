//! A gate that futures wait at, and that Python opens, on whichever thread it likes.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};

use pyo3::prelude::*;

/// Pending until opened.
#[pyclass(frozen, from_py_object)]
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<State>);

#[derive(Default)]
struct State {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    open: bool,
    wakers: Vec<Waker>,
    /// Every waker that ever waited here, for those who wake too late.
    old: Vec<Waker>,
    polls: usize,
}

#[pymethods]
impl Gate {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Opens the gate, on this thread, detached.
    fn open(&self, py: Python<'_>) {
        py.detach(|| self.open_now());
    }

    /// Opens the gate on a thread of its own, and waits for that.
    fn open_elsewhere(&self, py: Python<'_>) {
        let gate = self.clone();
        py.detach(|| std::thread::spawn(move || gate.open_now()).join().unwrap());
    }

    /// Wakes whoever waits, without opening.
    fn wake(&self, py: Python<'_>) {
        py.detach(|| {
            let wakers = std::mem::take(&mut self.0.inner.lock().unwrap().wakers);
            wakers.into_iter().for_each(Waker::wake);
        });
    }

    /// Wakes whoever ever waited, on a thread of its own, and waits for that.
    fn wake_old(&self, py: Python<'_>) {
        let gate = self.clone();
        py.detach(|| {
            std::thread::spawn(move || gate.wake_old_now())
                .join()
                .unwrap()
        });
    }

    /// Wakes whoever ever waited, over and over, on a thread that outlives Python.
    fn wake_old_for_ever(&self) {
        let gate = self.clone();
        std::thread::spawn(move || {
            loop {
                gate.wake_old_now();
            }
        });
    }

    /// Waits, detached, until futures have polled the gate so many times; false after ten seconds.
    fn wait_for_polls(&self, py: Python<'_>, polls: usize) -> bool {
        py.detach(|| {
            let inner = self.0.inner.lock().unwrap();
            let patience = std::time::Duration::from_secs(10);
            let (inner, _) = self
                .0
                .changed
                .wait_timeout_while(inner, patience, |inner| inner.polls < polls)
                .unwrap();
            inner.polls >= polls
        })
    }

    #[getter]
    fn polls(&self) -> usize {
        self.0.inner.lock().unwrap().polls
    }
}

impl Gate {
    /// Waits until the gate is open.
    pub(crate) fn pass(&self) -> Pass {
        Pass(self.clone())
    }

    /// Waits until the gate is open, attaches, and calls `function`.
    pub(crate) async fn then_call(self, function: Py<PyAny>) -> PyResult<Py<PyAny>> {
        self.pass().await;
        Python::attach(|py| function.call0(py))
    }

    fn wake_old_now(&self) {
        let wakers = self.0.inner.lock().unwrap().old.clone();
        wakers.iter().for_each(Waker::wake_by_ref);
    }

    pub(crate) fn open_now(&self) {
        let wakers = {
            let mut inner = self.0.inner.lock().unwrap();
            inner.open = true;
            std::mem::take(&mut inner.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

pub(crate) struct Pass(Gate);

impl Future for Pass {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let state = &self.0.0;
        let mut inner = state.inner.lock().unwrap();
        inner.polls += 1;
        state.changed.notify_all();
        if inner.open {
            return Poll::Ready(());
        }
        inner.wakers.push(cx.waker().clone());
        inner.old.push(cx.waker().clone());
        Poll::Pending
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Gate>()
}
