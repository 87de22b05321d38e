//! Readiness and wakeup of the loop: epoll and kqueue behind one contract. No Python.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `token.rs` | [`Token`]: which registration an event belongs to, and which incarnation of its descriptor |
//! | `interest.rs` | [`Interest`] and [`Readiness`]: what is watched, and what has come |
//! | `poller.rs` | [`Poller`] and [`Events`]: the contract that each operating system's file fulfils |
//! | `registry.rs` | [`Registry`]: the table from descriptor to what watches it |
//! | `listener.rs` | connections out of a listening socket |
//! | `name.rs` | what the ends of a socket are called |
//! | `socket.rs` | bytes in and out of a connected socket |
//! | `datagram.rs` | datagrams in and out of a socket |
//! | `pipe.rs` | bytes in and out of a pipe or a terminal |
//! | `wakeup.rs` | [`Wakeup`]: the descriptor by which other threads end a wait |
//! | `sys/` | the system calls: `epoll.rs` and `eventfd.rs` (Linux), `kqueue.rs` and `pipe.rs` (macOS and the BSDs) |
//!
//! A byte's way in: [`Poller::wait`] fills [`Events`], whose iterator yields a [`Token`] and a [`Readiness`];
//! [`Registry::resolve`] turns the token into a descriptor, unless that descriptor has been removed meanwhile; the
//! readiness is masked by the interest, and the source in the registry's slot is told.
//!
//! `unsafe` is confined to `sys/`.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod datagram;
mod interest;
pub mod listener;
pub mod name;
pub mod pipe;
mod poller;
mod registry;
pub mod socket;
#[expect(
    unsafe_code,
    reason = "raw descriptors are borrowed, and kqueue is unsafe to call"
)]
mod sys;
mod token;
mod wakeup;

pub use interest::{Interest, Readiness};
pub use poller::{Events, Poller};
pub use registry::Registry;
pub use token::Token;
pub use wakeup::Wakeup;

// The loop may be made by one thread and run by another, and its poller and wakeup are used from any.
const _: () = {
    const fn is_send<T: Send>() {}
    const fn is_sync<T: Sync>() {}
    is_send::<Events>();
    is_sync::<Events>();
    is_send::<Registry<()>>();
    is_send::<Poller>();
    is_sync::<Poller>();
    is_send::<Wakeup>();
    is_sync::<Wakeup>();
};
