//! Loops that are not rsloop's: asyncio's own, uvloop, and whatever else runs asyncio code.
//!
//! A descriptor registered with `add_reader` wakes them: writing to it needs no Python. A loop
//! that closes drops its readers, and the callback's drop tells us so; these loops have no other
//! hook. Loops without `add_reader` are woken by `call_soon_threadsafe`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use pyo3::exceptions::{PyAttributeError, PyNotImplementedError};
use pyo3::prelude::*;
use pyo3::types::PyWeakrefReference;
use pyo3::{PyTraverseError, PyVisit, intern};

use crate::exit;
use crate::idle::Idleness;
use crate::port::{Bell, Port};
use crate::wakeup::Wakeup;

/// How a foreign loop is woken.
enum ForeignBell {
    /// A descriptor that the loop watches.
    Descriptor(Arc<Descriptor>),
    /// The loop, weakly, to be told by `call_soon_threadsafe`.
    Threadsafe(Py<PyWeakrefReference>),
}

/// None once the loop is closed. Ringers read the lock, so that nobody writes to a descriptor that
/// has been closed and given to another.
type Descriptor = RwLock<Option<Wakeup>>;

/// Opens the port of a loop that is not rsloop's.
pub(crate) fn open(event_loop: &Bound<'_, PyAny>) -> PyResult<Arc<Port>> {
    if let Some(port) = open_with_descriptor(event_loop)? {
        return Ok(port);
    }
    let weak = PyWeakrefReference::new(event_loop)?.unbind();
    let bell = ForeignBell::Threadsafe(weak);
    Ok(Arc::new(Port::new(bell, Idleness::Unknown)))
}

/// None where the loop cannot watch descriptors.
fn open_with_descriptor(event_loop: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Port>>> {
    let py = event_loop.py();
    let Some(wakeup) = Wakeup::new()? else {
        return Ok(None);
    };
    let number = wakeup.descriptor();
    let watched = Arc::new(RwLock::new(Some(wakeup)));
    let bell = ForeignBell::Descriptor(Arc::clone(&watched));
    let port = Arc::new(Port::new(bell, Idleness::of(event_loop)?));
    let doorbell = Doorbell {
        port: Arc::clone(&port),
        event_loop: event_loop.clone().unbind(),
        watched: Some(watched),
        due: AtomicBool::new(false),
    };
    // In an empty context: the reader lives as long as the loop, and must not keep alive what
    // the context of its first user refers to.
    let base = py.import("contextvars")?.call_method0("Context")?;
    let add_reader = event_loop.getattr(intern!(py, "add_reader"));
    match add_reader.and_then(|add| base.call_method1("run", (add, number, doorbell))) {
        Ok(_) => Ok(Some(port)),
        Err(error)
            if error.is_instance_of::<PyNotImplementedError>(py)
                || error.is_instance_of::<PyAttributeError>(py) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Bell for ForeignBell {
    /// Makes the loop call a [`Doorbell`].
    fn ring(&self, port: &Arc<Port>) {
        match self {
            Self::Descriptor(wakeup) => {
                let wakeup = wakeup.read().unwrap_or_else(PoisonError::into_inner);
                wakeup.as_ref().inspect(|wakeup| wakeup.ring());
            }
            // The one case in which a worker attaches. The guard keeps the exit hook waiting.
            Self::Threadsafe(weak) => {
                let Some(_guard) = exit::PollGuard::enter() else {
                    return;
                };
                Python::attach(|py| {
                    if let Err(error) = call_soon_threadsafe(weak.bind(py), port) {
                        // Closed or gone: there is no other way to hear of it.
                        port.close(py);
                        drop(error);
                    }
                });
            }
        }
    }

    fn needs_python(&self) -> bool {
        matches!(self, Self::Threadsafe(_))
    }

    /// Gives the descriptor back.
    fn silence_for_good(&self) {
        if let Self::Descriptor(wakeup) = self {
            let mut wakeup = wakeup.write().unwrap_or_else(PoisonError::into_inner);
            *wakeup = None;
        }
    }
}

fn call_soon_threadsafe(weak: &Bound<'_, PyWeakrefReference>, port: &Arc<Port>) -> PyResult<()> {
    let py = weak.py();
    let event_loop = weak.call0()?;
    let doorbell = Doorbell {
        port: Arc::clone(port),
        event_loop: event_loop.clone().unbind(),
        watched: None,
        due: AtomicBool::new(true),
    };
    event_loop.call_method1(intern!(py, "call_soon_threadsafe"), (doorbell,))?;
    Ok(())
}

/// The callback through which a foreign loop drains its inbox.
#[pyclass(frozen, module = "rsloop_bridge")]
struct Doorbell {
    port: Arc<Port>,
    event_loop: Py<PyAny>,
    /// What the loop watches to call this; it drops such a reader only when it closes.
    watched: Option<Arc<Descriptor>>,
    /// Whether it is among the loop's callbacks; a loop drops those only when it closes.
    due: AtomicBool,
}

#[pymethods]
impl Doorbell {
    /// Drains the inbox.
    fn __call__(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        this.due.store(false, Ordering::Relaxed);
        if let Some(watched) = &this.watched {
            let wakeup = watched.read().unwrap_or_else(PoisonError::into_inner);
            wakeup.as_ref().inspect(|wakeup| wakeup.silence());
        }
        if this.port.drain(slf.py()) {
            // What a drain posts to its own loop needs no system call to be seen.
            let event_loop = this.event_loop.bind(slf.py());
            this.due.store(true, Ordering::Relaxed);
            event_loop.call_method1(intern!(slf.py(), "call_soon"), (slf,))?;
        }
        Ok(())
    }

    fn __repr__(&self) -> &'static str {
        "<rsloop_bridge doorbell>"
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        let closed = self.watched.is_some() || *self.due.get_mut();
        if closed && !exit::is_exiting() {
            Python::attach(|py| self.port.close(py));
        }
    }
}
