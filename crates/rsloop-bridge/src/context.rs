//! Which loop and which contextvars a future belongs to.

use std::fmt;
use std::sync::Arc;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::{ffi, intern};

use crate::port::Port;
use crate::ports::port_of;
use crate::{error, interpreter};

/// The event loop and the context variables that a piece of work belongs to.
///
/// Cheap to clone, and usable on any thread. It keeps the loop alive.
#[derive(Clone)]
pub struct TaskLocals(Arc<Captured>);

struct Captured {
    /// The loop and the context; None only while dropping.
    objects: Option<(Py<PyAny>, Py<PyAny>)>,
    port: Arc<Port>,
}

impl TaskLocals {
    /// Captures a copy of the current context, for the loop that runs on this thread.
    pub(crate) fn capture(event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = event_loop.py();
        let port = port_of(event_loop)?;
        Ok(Self(Arc::new(Captured {
            objects: Some((event_loop.clone().unbind(), copy_current(py)?)),
            port,
        })))
    }

    /// The event loop.
    pub fn event_loop<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.objects().0.bind(py).clone()
    }

    /// The `contextvars.Context` that is entered for Python code run on the work's behalf.
    pub fn context<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.objects().1.bind(py).clone()
    }

    /// Whether their loop is the one that runs on this thread.
    pub(crate) fn are_of_running_loop(&self, py: Python<'_>) -> bool {
        matches!(find_running_loop(py), Ok(Some(running)) if running.is(&self.objects().0))
    }

    pub(crate) fn port(&self) -> &Arc<Port> {
        &self.0.port
    }

    /// Runs `body` in the captured context, on this thread.
    ///
    /// A context can be entered only once at a time; if another thread has entered this one,
    /// `body` runs in a copy of it.
    ///
    /// # Errors
    /// Only what entering a context can raise. `body` has not run, then.
    pub fn within<R>(&self, py: Python<'_>, body: impl FnOnce() -> R) -> PyResult<R> {
        let _entered = Entered::new(self.objects().1.bind(py))?;
        Ok(body())
    }

    fn objects(&self) -> &(Py<PyAny>, Py<PyAny>) {
        self.0
            .objects
            .as_ref()
            .expect("the objects are only taken out by drop")
    }
}

impl fmt::Debug for TaskLocals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TaskLocals").finish_non_exhaustive()
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        if let Some((event_loop, context)) = self.objects.take() {
            self.port.release([event_loop, context]);
        }
    }
}

/// The loop that runs on this thread, or a `RuntimeError` that says what to do.
pub(crate) fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    find_running_loop(py)?.ok_or_else(error::no_running_loop)
}

/// The loop that runs on this thread, if one does.
pub(crate) fn find_running_loop(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    static GET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    // Whatever asks for a loop comes here first: nothing of a sub-interpreter may be kept.
    interpreter::require_main(py)?;
    let get = GET.import(py, "asyncio.events", "_get_running_loop")?;
    let running = get.call0()?;
    Ok((!running.is_none()).then_some(running))
}

/// A copy of the current context.
pub(crate) fn copy_current(py: Python<'_>) -> PyResult<Py<PyAny>> {
    // SAFETY: attached, as `py` proves. The call returns a new reference, or NULL with an
    // exception set, which is what the constructor expects.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }.map(Bound::unbind)
}

/// An entered context, left on drop, which must happen on the same thread, attached.
struct Entered<'py>(Bound<'py, PyAny>);

impl<'py> Entered<'py> {
    fn new(context: &Bound<'py, PyAny>) -> PyResult<Self> {
        match Self::enter(context.clone()) {
            // Entered already, further up this stack or on another thread. A context cannot be
            // entered twice; a copy of it has the same values.
            Err(error) if error.is_instance_of::<PyRuntimeError>(context.py()) => {
                Self::enter(context.call_method0(intern!(context.py(), "copy"))?)
            }
            entered => entered,
        }
    }

    fn enter(context: Bound<'py, PyAny>) -> PyResult<Self> {
        // SAFETY: attached, as the bound reference proves, which also keeps the context alive
        // until `drop`. The call checks the type itself.
        match unsafe { ffi::PyContext_Enter(context.as_ptr()) } {
            0 => Ok(Self(context)),
            _ => Err(PyErr::fetch(context.py())),
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        // SAFETY: attached, on the thread that entered it: the type cannot be sent.
        if unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } != 0 {
            PyErr::fetch(self.0.py()).write_unraisable(self.0.py(), None);
        }
    }
}
