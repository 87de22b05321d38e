//! What the loop runs next: the pure part of scheduling. No Python, no system calls; time is an argument.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `ready.rs` | [`ReadyQueue`]: callbacks to run in this tick or the next, first in, first out |
//! | `timers.rs` | [`TimerHeap`]: callbacks that wait for a [`Deadline`], with lazy cancellation |
//! | `deadline.rs` | [`Deadline`]: a point on the loop's clock, in nanoseconds |
//! | `tick.rs` | [`TickPolicy`]: whether a tick asks the poller, and for how long |
//! | `look.rs` | [`LookAhead`]: whether to look for more input before the poller announces it |
//! | `linger.rs` | [`Linger`]: whether a wait begins with watching for other threads |
//!
//! The entries are generic: the loop stores its Python handles, the tests store integers. Nothing here runs an entry,
//! so nothing here can be re-entered by what an entry does.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod deadline;
mod linger;
mod look;
mod ready;
mod tick;
mod timers;

pub use deadline::Deadline;
pub use linger::Linger;
pub use look::LookAhead;
pub use ready::ReadyQueue;
pub use tick::{Poll, TickPolicy};
pub use timers::TimerHeap;
