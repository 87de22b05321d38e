//! `LoopBase`: the Rust half of `rsloop_core.Loop`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `state` | the fields, and how the garbage collector and `close()` see them |
//! | `entry` | what it queues: handles, and the turns of transports |
//! | `schedule` | `call_soon` and its kin |
//! | `timers` | `call_later`, `call_at`, and the heap behind them |
//! | `create` | `create_future`, `create_task` |
//! | `operations` | `sock_recv` and its kin |
//! | `watch`, `io` | readers and writers: descriptors and what waits for them |
//! | `transports`, `in_use` | which transport uses a descriptor, and what refuses a second user |
//! | `run` | the tick: poll, collect what is due, run it |
//! | `poll` | how it polls, and how it waits |
//! | `attributes` | the private attributes that inherited asyncio code reads and writes |

mod attributes;
mod create;
mod entry;
mod in_use;
mod io;
mod operations;
mod poll;
mod run;
mod schedule;
mod state;
mod timers;
mod transports;
mod watch;

pub(crate) use entry::Turns;
pub(crate) use run::{is_fatal_to_loop, report_call};
pub(crate) use state::LoopBase;

use pyo3::prelude::*;

use crate::py::fastcall;

/// Adds `LoopBase`, with its hot methods, to `module`.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LoopBase>()?;
    let class = module.py().get_type::<LoopBase>();
    for methods in [
        schedule::methods(),
        timers::methods(),
        create::methods(),
        in_use::methods(),
        watch::methods(),
        operations::methods(),
    ] {
        fastcall::attach(&class, methods)?;
    }
    Ok(())
}
