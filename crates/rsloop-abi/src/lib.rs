//! The C ABI between the rsloop event loop and the extension modules that join it.
//!
//! An extension links neither the loop nor its types: at run time it finds one capsule,
//! [`CAPSULE_NAME`], which holds a pointer to a static [`Api`] table. No Rust type, allocator or
//! panic crosses that table, so each side may be built by its own compiler, in its own language.
//! The C header `rsloop_bridge.h` is generated from this crate.
//!
//! # Versions
//! The table is append-only. A consumer requires an equal [`Api::major`], and looks at
//! [`Api::size`] (and [`Api::features`]) before it touches an entry that its own minimum
//! version, [`RSL_ABI_MINOR`], does not promise. Everything that [`API_SIZE_MIN`] covers is there and
//! not NULL in every table of major version 1.
//!
//! # Words used below
//! - *attached*: the calling thread has a Python thread state and, where there is one, the GIL.
//! - *loop thread*: the thread that runs the loop, or that ran it last while it is stopped. A loop
//!   that never ran belongs to the thread that made it.
//! - *closed*: `close()` was called on the Python loop, or the Python loop was deallocated, or
//!   this is a child process made by `fork` after the loop.

#![warn(missing_docs)]

mod ending;
mod job;
mod table;

pub use ending::let_ending_threads_hang;
pub use job::{Job, JobFn, JobRunFn};
pub use table::{Api, Loop, PyObject};

use core::ffi::{CStr, c_int};

/// Major version of the table. A consumer refuses a table whose major version differs.
pub const RSL_ABI_MAJOR: u16 = 1;

/// Minor version of the table: grows by one with each appended entry or feature bit.
pub const RSL_ABI_MINOR: u16 = 0;

/// Success: of [`Api::post`], the loop owns the job now; of [`Api::on_close`], the hook is
/// registered; of [`Api::off_close`], the hook is removed and the caller owns the job again.
pub const RSL_OK: c_int = 0;

/// The loop is closed and took nothing: the caller keeps the job.
pub const RSL_CLOSED: c_int = 1;

/// [`Api::off_close`] does not know the job (any more): it was never registered, or it has run.
pub const RSL_UNKNOWN: c_int = 2;

/// The calling thread is not the loop thread: nothing happened and the caller keeps the job.
pub const RSL_WRONG_THREAD: c_int = 3;

/// [`Api::loop_from_py`] and [`Api::loop_current`]: an exception is set, nothing was stored.
pub const RSL_ERROR: c_int = -1;

/// [`Api::loop_from_py`] and [`Api::loop_current`]: not a loop of rsloop (or no running loop);
/// no exception is set and NULL was stored.
pub const RSL_FOREIGN: c_int = 0;

/// [`Api::loop_from_py`] and [`Api::loop_current`]: a new reference was stored.
pub const RSL_FOUND: c_int = 1;

/// The module that carries the capsule. A consumer looks the capsule up only if this module is
/// already in `sys.modules`: where it is not, no loop of rsloop can be running.
pub const CAPSULE_MODULE: &CStr = c"rsloop_core._core";

/// The attribute of [`CAPSULE_MODULE`] that is the capsule.
pub const CAPSULE_ATTRIBUTE: &CStr = c"_C_API";

/// The name inside the capsule, as `PyCapsule_GetPointer` wants it.
pub const CAPSULE_NAME: &CStr = c"rsloop_core._core._C_API";

/// Bytes of the smallest table that is still a table of major version 1. A smaller
/// [`Api::size`] means a broken table, to be refused.
// The cast cannot truncate: the table is some hundred bytes.
pub const API_SIZE_MIN: u32 = core::mem::offset_of!(Api, on_loop_thread) as u32
    + size_of::<unsafe extern "C" fn(*mut Loop) -> c_int>() as u32;
