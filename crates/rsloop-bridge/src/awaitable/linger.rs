//! Awaits that watch for the end of their future, where that is likely to come at once.
//!
//! A suspension costs two turns of the loop and the wake-up of its thread, which is several times
//! what another thread takes for an answer that it has at hand. So the await of a future that is
//! pending, on a loop with nothing else to run, looks for a moment whether the end comes. A type's
//! record decides, as it does about polls.

use std::time::Duration;

use pyo3::prelude::*;

use super::RustFuture;
use crate::exit;
use crate::port::LINGER;

impl RustFuture {
    /// Watches for the end of the future for a moment, if that is likely to pay and keeps the loop
    /// from nothing.
    pub(super) fn linger(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let Some(task) = this.lock().task.clone() else {
            return Ok(()); // settled
        };
        let port = task.link().port();
        if !port.may_linger() || exit::is_polling() {
            return Ok(());
        }
        // Not where Python code steps the await itself, while its loop does not run.
        let locals = task.link().locals();
        if !locals.is_some_and(|locals| locals.are_of_running_loop(py))
            || !port.idleness().is_idle(this.event_loop.bind(py))?
        {
            return Ok(());
        }
        let record = task.awaits();
        if !record.allows() {
            return Ok(());
        }
        if let Some(took) = port.linger(py) {
            Self::refresh(slf)?;
            let settled = this.lock().state.is_some();
            record.note(took, if settled { LINGER } else { Duration::ZERO });
        }
        Ok(())
    }
}
