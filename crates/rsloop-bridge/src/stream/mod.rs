//! Streams both ways.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `outgoing` | a Rust stream as a Python asynchronous iterator |
//! | `slot` | who holds that stream: one poll at a time, or nobody |
//! | `incoming`, `pump.py` | a Python asynchronous iterator as a Rust stream |
//! | `channel` | the items between the two sides of that |

mod channel;
mod incoming;
mod outgoing;
mod slot;

pub use self::incoming::PythonStream;
pub(crate) use self::incoming::start;
pub(crate) use self::outgoing::into_py;
