//! The bridge between Rust futures and the running asyncio loop.
//!
//! An extension module written with PyO3 hands Rust futures to Python as awaitables, and awaits
//! Python's awaitables from Rust. It works on the loops of rsloop, asyncio and uvloop alike: the
//! loop is found at run time, and on rsloop's own the two meet through a C table, without Python.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use pyo3::prelude::*;
//! use rsloop_bridge::rust_async;
//!
//! #[pyfunction]
//! fn sleep_and_tag(py: Python<'_>, label: String, delay_ms: u64) -> PyResult<Bound<'_, PyAny>> {
//!     rust_async::future_into_py(py, async move {
//!         async_std::task::sleep(Duration::from_millis(delay_ms)).await;
//!         Ok(format!("rust finished: {label}"))
//!     })
//! }
//! ```
//!
//! In a manifest it is usually renamed, so that the functions read `rsloop::rust_async::...`:
//!
//! ```toml
//! rsloop = { package = "rsloop-bridge", version = "0.2" }
//! ```
//!
//! # How a result travels
//! A future that is ready in the call becomes an awaitable with its result. One that waits for
//! Python goes on where Python's part ends, on the loop's thread. Any other goes, when it is woken,
//! to the executor's threads, which poll it without the GIL; its result crosses to the loop in a
//! lock-free inbox, unconverted, and the loop is rung only if nobody has rung since it last
//! looked. On the loop's thread it is converted, in the captured context, and whoever awaits it
//! is scheduled. The bridge takes the GIL on no worker, but to wake a loop that watches no
//! descriptors, and gives back every reference of its own on the loop's thread.
//!
//! # Files
//! | file | what it holds |
//! | --- | --- |
//! | `rust_async`, `macros` | the public functions, and `async_pyfunction` |
//! | `send/`, `local/` | how futures are driven: on the executor, or on the loop's thread |
//! | `resume` | what goes on where a Python awaitable ends |
//! | `awaitable/`, `coroutine` | what Python gets |
//! | `python_future` | what Rust gets of Python's awaitables |
//! | `stream/` | streams, both ways |
//! | `context`, `scope` | loop and contextvars: `TaskLocals`, and which are those of a poll |
//! | `runner` | a loop that Rust runs |
//! | `port`, `inbox` | the bridge's end of one loop, and the queue it drains |
//! | `unheard` | errors that no awaitable can raise, on their way to a port |
//! | `ports` | finding the port of a loop, by way of `capsule` (rsloop) or `foreign` |
//! | `capsule` | loops of rsloop, through the C table |
//! | `foreign`, `wakeup` | all other loops, through a watched descriptor |
//! | `overdue` | what a loop was asked for, until it comes to it or a thread does |
//! | `cancel` | how a poll and a cancel on two threads share a future |
//! | `eager`, `handover` | which futures are polled in the call, and what wakes them after that |
//! | `executor/` | where `Send` futures run |
//! | `exit`, `fork` | the end of the interpreter, and its doubling |
//! | `interpreter` | which interpreter it is |
//! | `error` | the exceptions that the bridge raises |
//! | `sync` | the primitives that loom replaces |

#![warn(missing_docs)]

mod awaitable;
mod cancel;
mod capsule;
mod context;
mod coroutine;
mod eager;
mod error;
pub mod executor;
mod exit;
mod foreign;
mod fork;
mod handover;
mod idle;
mod inbox;
mod interpreter;
mod local;
mod macros;
mod overdue;
mod port;
mod ports;
mod python_future;
mod resume;
mod runner;
pub mod rust_async;
mod scope;
mod send;
mod stream;
mod sync;
mod unheard;
mod wakeup;
