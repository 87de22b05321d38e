//! The unit of work that crosses from any thread to the loop.

use crate::Loop;

/// Runs a job. Called by the loop, on the loop thread, attached, with no exception set, in the
/// loop's base context. It must return without an exception set, and must not unwind.
pub type JobRunFn = unsafe extern "C" fn(job: *mut Job, owner: *mut Loop);

/// Disposes of a job that will not run.
pub type JobFn = unsafe extern "C" fn(job: *mut Job);

/// One intrusive job: the head of an allocation that its poster made and its functions free.
///
/// # Ownership
/// Whoever holds the pointer owns the whole allocation. `post` and `on_close` hand it to the
/// loop when they return [`RSL_OK`](crate::RSL_OK), and leave it with the caller otherwise. The
/// loop gives it back exactly once, by calling *either* `run` *or* `drop`; from the start of that
/// call on the loop does not touch the job, so the function may free it, or post it again.
/// At interpreter exit, jobs still queued are leaked: neither function is called.
#[repr(C)]
pub struct Job {
    /// For the loop's queue while the loop owns the job. The poster need not initialise it.
    pub next: *mut Job,
    /// Runs the job; see [`JobRunFn`]. It may post further jobs, which run in a later tick, and
    /// may use the loop reference it is given during the call, without owning it.
    pub run: JobRunFn,
    /// Disposes of the job when the loop closes before running it. Attached, on the thread that
    /// calls `close()` (or deallocates the loop), which need not be the loop thread: state that
    /// is bound to the loop thread must be leaked there, or checked by `on_loop_thread`. It must
    /// return without an exception set, and must not unwind.
    pub drop: JobFn,
}
