//! The open connections of a server, where asyncio's has a `WeakSet`.
//!
//! A `WeakSet` takes several Python calls to add and to take away a connection, more than all else
//! that accepting and closing it takes.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyWeakrefMethods, PyWeakrefReference};

use crate::py::gil_cell::GilCell;

/// Transports, as far as they are alive.
#[pyclass(frozen, module = "rsloop_core._core")]
pub(super) struct Clients {
    /// By the address of the object, which is its own until its `__del__` has run.
    by_address: GilCell<HashMap<usize, Py<PyWeakrefReference>>>,
}

impl Clients {
    /// Another reference to each, dead or alive.
    fn all(&self, py: Python<'_>) -> Vec<Py<PyWeakrefReference>> {
        self.by_address.with(py, |known| {
            known.values().map(|weak| weak.clone_ref(py)).collect()
        })
    }
}

#[pymethods]
impl Clients {
    #[new]
    fn new() -> Self {
        Self {
            by_address: GilCell::new(HashMap::new()),
        }
    }

    /// Add a transport; does nothing when it is there.
    fn add(&self, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let weak = PyWeakrefReference::new(transport)?.unbind();
        let address = transport.as_ptr() as usize;
        let replaced = self
            .by_address
            .with(transport.py(), |known| known.insert(address, weak));
        drop(replaced);
        Ok(())
    }

    /// Take a transport away, if it is there.
    fn discard(&self, transport: &Bound<'_, PyAny>) {
        let address = transport.as_ptr() as usize;
        let taken = self
            .by_address
            .with(transport.py(), |known| known.remove(&address));
        drop(taken);
    }

    /// Return those that are alive, in no order.
    fn copy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let alive = self.all(py);
        PyList::new(
            py,
            alive
                .iter()
                .filter_map(|weak| weak.bind(py).upgrade())
                .collect::<Vec<_>>(),
        )
    }

    /// Return how many there are. What is being collected counts until its own `__del__` has taken
    /// it away: a server that is closed wakes its waiters when this becomes 0, and can do so once.
    fn __len__(&self, py: Python<'_>) -> usize {
        self.by_address.with(py, |known| known.len())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.copy(py)?.try_iter()?.into_any())
    }

    fn __contains__(&self, transport: &Bound<'_, PyAny>) -> bool {
        let py = transport.py();
        let address = transport.as_ptr() as usize;
        let weak = self.by_address.with(py, |known| {
            known.get(&address).map(|weak| weak.clone_ref(py))
        });
        weak.is_some_and(|weak| weak.bind(py).upgrade().is_some())
    }
}
