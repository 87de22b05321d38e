//! Protocols of ours that take what arrives without Python in between.
//!
//! They stand above the transports, which know them by this table only.

use std::io;
use std::os::fd::RawFd;
use std::sync::OnceLock;

use pyo3::prelude::*;

use crate::loop_::LoopBase;

/// Whether `protocol` is one of them, and the object that is to get what arrives for it.
type Adopt = fn(protocol: &Bound<'_, PyAny>, paused: bool) -> PyResult<Option<Py<PyAny>>>;

/// What such protocols do. The object that the functions get is what `adopt` has returned.
pub(crate) struct Intake {
    /// Takes a protocol on, which learns whether its writing has been paused before.
    pub(crate) adopt: Adopt,
    /// Receives from the socket; returns how many bytes, none at the end of the stream.
    pub(crate) receive:
        fn(taker: &Bound<'_, PyAny>, loop_: &LoopBase, fd: RawFd) -> PyResult<io::Result<usize>>,
    /// Does what follows from what was received.
    pub(crate) arrived: fn(taker: &Bound<'_, PyAny>) -> PyResult<()>,
}

static INTAKE: OnceLock<&'static Intake> = OnceLock::new();

/// Makes `intake` known. Once, while the module is made.
pub(crate) fn know(intake: &'static Intake) {
    INTAKE.get_or_init(|| intake);
}

/// The table that says `protocol` is its own, and the object that gets what arrives for it.
pub(super) fn of(
    protocol: &Bound<'_, PyAny>,
    paused: bool,
) -> PyResult<Option<(&'static Intake, Py<PyAny>)>> {
    let Some(intake) = INTAKE.get() else {
        return Ok(None);
    };
    let taker = (intake.adopt)(protocol, paused)?;
    Ok(taker.map(|taker| (*intake, taker)))
}
