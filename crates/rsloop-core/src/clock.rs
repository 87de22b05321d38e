//! The loop's clock, and a cheaper counter for decisions that need no precision.

use rsloop_sched::Deadline;
use rustix::time::{ClockId, clock_gettime};

/// The monotonic clock, that of `time.monotonic()`.
#[inline]
pub(crate) fn now() -> Deadline {
    let time = clock_gettime(ClockId::Monotonic);
    // The clock starts at boot: it is positive, and 64 bits of nanoseconds are 584 years.
    Deadline::from_ns(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// The monotonic clock in seconds, the unit of `loop.time()`.
#[inline]
pub(crate) fn now_secs() -> f64 {
    // Divided, not multiplied by 1e-9: the same double as `time.monotonic()` gives.
    now().as_ns() as f64 / 1e9
}

/// A counter of time in units of its own; it may jump between processors.
#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "an instruction without a safe form")]
pub(crate) fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the time-stamp counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// A counter of time in units of its own.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn ticks() -> u64 {
    now().as_ns()
}

/// How many [`ticks`] a busy loop may run callbacks before it looks at its descriptors: some 50
/// microseconds, or 100 on a slow processor.
#[cfg(target_arch = "x86_64")]
pub(crate) const POLL_BUDGET_TICKS: u64 = 150_000;
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const POLL_BUDGET_TICKS: u64 = 50_000;
