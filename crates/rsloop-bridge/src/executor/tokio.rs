//! A runtime of tokio's.

use ::tokio::runtime::{Builder, Handle, Runtime};

use super::{BlockingCall, EnterGuard, Executor, Work};
use crate::fork::PerProcess;

/// The executor of the feature `tokio`: a runtime with many threads.
///
/// Give [`set_executor`](super::set_executor) one that is made of a [`Handle`] to use a runtime
/// that you have built yourself, and keep.
#[derive(Debug)]
pub struct Tokio(Option<Handle>);

impl Tokio {
    /// The runtime of [`handle`](Self::handle).
    pub(super) fn new() -> Self {
        Self(None)
    }

    /// The runtime that the bridge uses if no other executor was set, built with the first call.
    /// It has every driver that tokio's features allow, and never ends.
    ///
    /// A child made by `fork` builds a runtime of its own: ask again there, for handles of the
    /// parent's are dead in it.
    ///
    /// # Panics
    /// If the system gives no threads or no descriptors for it.
    pub fn handle() -> &'static Handle {
        static RUNTIME: PerProcess<Runtime> = PerProcess::new();
        let runtime = RUNTIME.get_or_init(|_parents| {
            let mut builder = Builder::new_multi_thread();
            builder.enable_all().thread_name("rsloop-bridge-tokio");
            builder.build().expect("tokio can start its threads")
        });
        runtime.handle()
    }

    fn runtime(&self) -> &Handle {
        self.0.as_ref().unwrap_or_else(|| Self::handle())
    }
}

impl From<Handle> for Tokio {
    fn from(handle: Handle) -> Self {
        Self(Some(handle))
    }
}

impl Executor for Tokio {
    fn spawn(&self, work: Work) {
        // Dropping the handle detaches the task.
        drop(self.runtime().spawn(work));
    }

    fn spawn_blocking(&self, call: BlockingCall) {
        drop(self.runtime().spawn_blocking(|| call.run()));
    }

    fn enter(&self) -> EnterGuard<'_> {
        EnterGuard::new(self.runtime().enter())
    }

    fn after_fork(&self) -> Option<Box<dyn Executor>> {
        // A runtime that the extension built is for the extension to build again.
        self.0.is_none().then(|| Box::new(Self::new()) as _)
    }
}
