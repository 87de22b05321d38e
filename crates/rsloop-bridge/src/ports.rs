//! Finding the port of a loop, opened with its first use.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use pyo3::prelude::*;

use crate::capsule::NativeLoop;
use crate::idle::Idleness;
use crate::port::Port;
use crate::{error, exit, foreign, interpreter};

thread_local! {
    /// The ports of this thread, by the address of their loop, which owns its port until it closes.
    /// An address cannot go to another loop while the entry is of use: a loop that is freed has
    /// closed its port.
    static PORTS: RefCell<Vec<(usize, Weak<Port>)>> = const { RefCell::new(Vec::new()) };
}

/// The port of the loop that runs on this thread.
pub(crate) fn port_of(event_loop: &Bound<'_, PyAny>) -> PyResult<Arc<Port>> {
    let address = event_loop.as_ptr() as usize;
    let known = PORTS.with_borrow(|ports| {
        ports
            .iter()
            .filter(|(known, _)| *known == address)
            .find_map(|(_, port)| open_port(port))
    });
    if let Some(port) = known {
        return Ok(port);
    }
    let port = open(event_loop)?;
    PORTS.with_borrow_mut(|ports| {
        ports.retain(|(_, port)| open_port(port).is_some());
        ports.push((address, Arc::downgrade(&port)));
    });
    Ok(port)
}

fn open_port(port: &Weak<Port>) -> Option<Arc<Port>> {
    port.upgrade().filter(|port| port.is_open())
}

fn open(event_loop: &Bound<'_, PyAny>) -> PyResult<Arc<Port>> {
    let py = event_loop.py();
    if exit::is_exiting() {
        return Err(error::shutting_down());
    }
    interpreter::require_main(py)?;
    exit::register(py)?;
    match NativeLoop::of(event_loop)? {
        Some(native) => {
            let port = Arc::new(Port::new(native.clone(), Idleness::of(event_loop)?));
            native.close_with(&port)?;
            Ok(port)
        }
        None => foreign::open(event_loop),
    }
}
