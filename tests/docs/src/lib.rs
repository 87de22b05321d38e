//! The Rust code of the documentation's pages: each block is compiled, and run where it can be.

#[doc = include_str!("../../../docs/extensions/async-functions.md")]
pub struct AsyncFunctions;
#[doc = include_str!("../../../docs/extensions/awaitables.md")]
pub struct Awaitables;
#[doc = include_str!("../../../docs/extensions/calling-python.md")]
pub struct CallingPython;
#[doc = include_str!("../../../docs/extensions/cancellation.md")]
pub struct Cancellation;
#[doc = include_str!("../../../docs/extensions/contexts.md")]
pub struct Contexts;
#[doc = include_str!("../../../docs/extensions/cookbook.md")]
pub struct Cookbook;
#[doc = include_str!("../../../docs/extensions/errors.md")]
pub struct Errors;
#[doc = include_str!("../../../docs/extensions/executors.md")]
pub struct Executors;
#[doc = include_str!("../../../docs/extensions/index.md")]
pub struct Index;
#[doc = include_str!("../../../docs/extensions/porting.md")]
pub struct Porting;
#[doc = include_str!("../../../docs/extensions/process.md")]
pub struct Process;
#[doc = include_str!("../../../docs/extensions/running.md")]
pub struct Running;
#[doc = include_str!("../../../docs/extensions/streams.md")]
pub struct Streams;
