//! The bridge between Rust futures and the running asyncio loop.

#![warn(missing_docs)]

mod awaitable;
mod cancel;
mod capsule;
mod context;
mod coroutine;
mod eager;
mod error;
mod executor;
mod exit;
mod foreign;
mod fork;
mod inbox;
mod local;
mod port;
mod python_future;
pub mod rust_async;
mod send;
mod sync;
mod wakeup;
