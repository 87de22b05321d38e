//! What the loop is told of an exception that nobody retrieved: all that asyncio tells of its own.

use std::sync::PoisonError;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{Bound, PyErr, Python, intern};

use super::RustFuture;
use super::settled::Settled;
use super::state::Inner;
use crate::exit;

/// Reports what the garbage collector found in a cycle, before the cycle is broken.
pub(super) fn from_collector(future: &Bound<'_, RustFuture>) -> PyResult<()> {
    if exit::is_exiting() {
        return Ok(());
    }
    RustFuture::refresh(future)?;
    let unretrieved = std::mem::take(&mut future.get().lock().unretrieved);
    if unretrieved { report(future) } else { Ok(()) }
}

/// Tells the loop of a future's exception. The handler may keep the future.
fn report(future: &Bound<'_, RustFuture>) -> PyResult<()> {
    let py = future.py();
    let details = PyDict::new(py);
    let (exception, source) = {
        let inner = future.get().lock();
        let Some(Settled::Error { exception, .. }) = &inner.state else {
            return Ok(());
        };
        let source = inner.source_traceback.as_ref();
        (
            exception.clone_ref(py),
            source.map(|source| source.clone_ref(py)),
        )
    };
    details.set_item("message", "RustFuture exception was never retrieved")?;
    details.set_item("exception", exception)?;
    details.set_item("future", future)?;
    if let Some(source) = source {
        details.set_item("source_traceback", source)?;
    }
    let event_loop = future.get().event_loop.bind(py);
    event_loop.call_method1(intern!(py, "call_exception_handler"), (details,))?;
    Ok(())
}

impl Drop for RustFuture {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        let task = inner.task.take();
        if exit::is_exiting() {
            // Its references are for an interpreter that is going away.
            std::mem::forget(task);
            return;
        }
        let settled = match &task {
            Some(task) => task.link().take_settled(),
            None => inner.unretrieved.then(|| inner.state.take()).flatten(),
        };
        if task.is_none() && settled.is_none() {
            return;
        }
        let source_traceback = inner.source_traceback.take();
        Python::attach(|py| {
            // An object can be freed while an exception is on its way.
            let on_its_way = PyErr::take(py);
            if let Some(task) = task {
                task.cancel(py);
            }
            if let Some(state @ Settled::Error { .. }) = settled {
                // In PyO3 a dying object cannot come back to life. Nobody knows this one any more,
                // so that the loop gets another one of the same end.
                let another = Self::new(
                    self.event_loop.clone_ref(py),
                    Inner {
                        state: Some(state),
                        source_traceback,
                        ..Inner::default()
                    },
                );
                let reported = Bound::new(py, another).and_then(|future| report(&future));
                if let Err(error) = reported {
                    error.write_unraisable(py, None);
                }
            }
            if let Some(error) = on_its_way {
                error.restore(py);
            }
        });
    }
}
