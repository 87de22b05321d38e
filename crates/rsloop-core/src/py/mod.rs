//! CPython's C API, raw.
//!
//! Everything above this folder sees safe types, save what OpenSSL (`tls/direct.rs`) and the C ABI
//! (`bridge_abi`, `shared`) ask for. What PyO3 does at no cost is left to PyO3; these files exist
//! for what it has no form for: vectorcall methods that parse their own arguments, objects that
//! stay out of the garbage collector while they are queued, heap types over a Python base that has
//! a layout of its own.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `fastcall`, `args` | methods that parse their own arguments |
//! | `call` | calls with keyword arguments |
//! | `guard` | what stands between the interpreter and code that it calls |
//! | `attribute` | attributes that Rust keeps, as C descriptors |
//! | `slot` | the Rust state of a Python object |
//! | `gil_cell` | state that is touched while attached only |
//! | `handle` | what the loop queues: `Handle` and `TimerHandle` |
//! | `socket_object` | what a `socket.socket` is, read from its memory |
//! | `buffer`, `bytes`, `piece` | bytes: borrowed, new, kept until they are written |
//! | `context`, `handled` | context variables, and the exception that is being handled |
//! | `audit` | what audit hooks expect to hear of |
//! | `interpreter` | the interpreter as a whole |

mod args;
pub(crate) mod attribute;
pub(crate) mod audit;
pub(crate) mod buffer;
pub(crate) mod bytes;
pub(crate) mod call;
pub(crate) mod context;
pub(crate) mod fastcall;
pub(crate) mod gil_cell;
mod guard;
pub(crate) mod handle;
pub(crate) mod handled;
pub(crate) mod interpreter;
pub(crate) mod piece;
pub(crate) mod slot;
pub(crate) mod socket_object;
