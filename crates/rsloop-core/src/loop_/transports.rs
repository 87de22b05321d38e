//! Which transport uses a descriptor: `_transports`.

use std::collections::BTreeMap;

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyWeakrefMethods, PyWeakrefReference};

use crate::py::gil_cell::GilCell;

/// The transports by descriptor, as far as they are alive: where CPython's loop has a
/// `WeakValueDictionary`, which takes several Python calls for each connection. Programs look
/// through it for what is open, so it can be enumerated like one.
#[pyclass(frozen, mapping, module = "rsloop_core._core")]
pub(crate) struct Transports {
    /// Weak references; a dead one waits for the next user of its number. No table: what is no
    /// real socket may give any number.
    by_fd: GilCell<BTreeMap<i32, Py<PyWeakrefReference>>>,
}

impl Transports {
    pub(super) fn new() -> Self {
        Self {
            by_fd: GilCell::new(BTreeMap::new()),
        }
    }

    /// The transport that uses `fd`.
    pub(super) fn find<'py>(&self, py: Python<'py>, fd: i32) -> Option<Bound<'py, PyAny>> {
        let weak = self
            .by_fd
            .with(py, |by_fd| Some(by_fd.get(&fd)?.clone_ref(py)))?;
        weak.bind(py).upgrade()
    }

    /// Notes that `transport` uses `fd`, as long as it is alive.
    pub(super) fn remember(&self, transport: &Bound<'_, PyAny>, fd: i32) -> PyResult<()> {
        let weak = PyWeakrefReference::new(transport)?.unbind();
        self.replace(transport.py(), fd, Some(weak));
        Ok(())
    }

    /// The transports that are alive, and their descriptors.
    fn alive<'py>(&self, py: Python<'py>) -> Vec<(i32, Bound<'py, PyAny>)> {
        let known: Vec<i32> = self.by_fd.with(py, |by_fd| by_fd.keys().copied().collect());
        let found = |fd| Some((fd, self.find(py, fd)?));
        known.into_iter().filter_map(found).collect()
    }

    fn replace(&self, py: Python<'_>, fd: i32, weak: Option<Py<PyWeakrefReference>>) {
        if fd < 0 {
            return; // a socket that is closed: no number to be found by
        }
        let replaced = self.by_fd.with(py, |by_fd| match weak {
            Some(weak) => by_fd.insert(fd, weak),
            None => by_fd.remove(&fd),
        });
        drop(replaced);
    }
}

#[pymethods]
impl Transports {
    fn __getitem__<'py>(&self, py: Python<'py>, fd: i32) -> PyResult<Bound<'py, PyAny>> {
        self.find(py, fd).ok_or_else(|| PyKeyError::new_err(fd))
    }

    fn __setitem__(&self, fd: i32, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        self.remember(transport, fd)
    }

    fn __delitem__(&self, py: Python<'_>, fd: i32) -> PyResult<()> {
        if self.find(py, fd).is_none() {
            return Err(PyKeyError::new_err(fd));
        }
        self.replace(py, fd, None);
        Ok(())
    }

    fn __contains__(&self, py: Python<'_>, fd: i32) -> bool {
        self.find(py, fd).is_some()
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.alive(py).len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.keys(py)
    }

    /// Return the transport that uses fd, or default.
    #[pyo3(signature = (fd, default=None))]
    fn get(&self, py: Python<'_>, fd: i32, default: Option<Py<PyAny>>) -> Option<Py<PyAny>> {
        self.find(py, fd).map(Bound::unbind).or(default)
    }

    /// Return an iterator over the descriptors in use.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        iterator(py, self.alive(py).into_iter().map(|(fd, _)| fd))
    }

    /// Return an iterator over the transports.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        iterator(py, self.alive(py).into_iter().map(|(_, found)| found))
    }

    /// Return an iterator over pairs of a descriptor and its transport.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        iterator(py, self.alive(py))
    }
}

/// An iterator over what there is now: the transports may come and go meanwhile.
fn iterator<'py, T: IntoPyObject<'py>>(
    py: Python<'py>,
    each: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
) -> PyResult<Bound<'py, PyIterator>> {
    PyList::new(py, each)?.try_iter()
}
