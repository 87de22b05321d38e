//! Whether a loop has nothing else to run, so that an await may keep it for a moment.

use pyo3::intern;
use pyo3::prelude::*;

/// How a loop is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idleness {
    /// It tells by `_is_idle`, as rsloop's do.
    Told,
    /// By what is in `_ready`, the queue of asyncio's own.
    Seen,
    /// It cannot be asked, and counts as busy.
    Unknown,
}

impl Idleness {
    /// That of `event_loop`.
    pub(crate) fn of(event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = event_loop.py();
        if event_loop.hasattr(intern!(py, "_is_idle"))? {
            return Ok(Self::Told);
        }
        let base = py.import("asyncio")?.getattr("BaseEventLoop")?;
        let call_soon = intern!(py, "call_soon");
        // One that has a `call_soon` of its own may have another queue, too.
        let seen = event_loop.is_instance(&base)?
            && event_loop
                .get_type()
                .getattr(call_soon)?
                .is(&base.getattr(call_soon)?);
        Ok(if seen { Self::Seen } else { Self::Unknown })
    }

    /// Whether no callback of `event_loop` is ready to run.
    pub(crate) fn is_idle(self, event_loop: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = event_loop.py();
        match self {
            Self::Told => event_loop.getattr(intern!(py, "_is_idle"))?.is_truthy(),
            Self::Seen => Ok(event_loop.getattr(intern!(py, "_ready"))?.len()? == 0),
            Self::Unknown => Ok(false),
        }
    }
}
