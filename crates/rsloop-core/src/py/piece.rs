//! Bytes that were given to be written, kept until they are.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// One write: never empty.
pub(crate) enum Piece {
    /// A `bytes` object, which cannot change: kept, not copied.
    Shared(Py<PyBytes>),
    /// The bytes of anything else, as they were when it was written.
    Copied(Box<[u8]>),
}

impl Piece {
    /// The bytes.
    pub(crate) fn as_bytes<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        match self {
            Self::Shared(bytes) => bytes.as_bytes(py),
            Self::Copied(bytes) => bytes,
        }
    }

    /// What is left of it after the first `count` bytes; `None` when that is nothing.
    pub(crate) fn without(self, py: Python<'_>, count: usize) -> Option<Self> {
        if count == 0 {
            return Some(self);
        }
        let rest = self.as_bytes(py).get(count..)?;
        (!rest.is_empty()).then(|| Self::Copied(rest.into()))
    }
}
