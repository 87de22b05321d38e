//! What was left to a loop's thread, which may be busy with Python code for long: a thread of the
//! bridge's looks whether the loop has come for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::error;
use crate::fork::PerProcess;

/// A loop gets from one to two of these.
const TICK: Duration = Duration::from_millis(1);

/// After so many ticks without anything new the thread sleeps until there is: waking it costs about
/// as much as they do.
const LINGER: u32 = 2;

/// A thing that a loop's thread was told to do, and that another may do if it does not.
pub(crate) trait Overdue: Send + Sync {
    /// Does it elsewhere, unless the loop has come to it. On the thread that looks.
    fn overdue(self: Arc<Self>);
}

/// Looks after `left` until it is overdue. False if there can be no thread that would.
#[must_use]
pub(crate) fn watch(left: Weak<dyn Overdue>) -> bool {
    static WATCH: PerProcess<Option<Arc<Watch>>> = PerProcess::new();
    let watch = WATCH.get_or_init(|_| Watch::start());
    if let Some(watch) = watch {
        watch.add(left);
    }
    watch.is_some()
}

/// The list that the thread looks at.
#[derive(Default)]
struct Watch {
    list: Mutex<List>,
    added: Condvar,
}

#[derive(Default)]
struct List {
    left: Vec<Weak<dyn Overdue>>,
    asleep: bool,
}

impl Watch {
    fn start() -> Option<Arc<Self>> {
        let watch = Arc::new(Self::default());
        let watched = Arc::clone(&watch);
        let thread = thread::Builder::new().name("rsloop-overdue".to_owned());
        thread.spawn(move || watched.run()).ok()?;
        Some(watch)
    }

    fn add(&self, left: Weak<dyn Overdue>) {
        let mut list = self.lock();
        list.left.push(left);
        if list.asleep {
            self.added.notify_one();
        }
    }

    fn run(&self) {
        let (mut left, mut idle) = (Vec::new(), 0);
        loop {
            thread::sleep(TICK);
            for left in left.drain(..) {
                // What it drops may be the extension's, and panic; Rust's own hook tells of it.
                let _ = error::caught(|| Weak::upgrade(&left).map(Overdue::overdue));
            }
            let mut list = self.lock();
            idle = if list.left.is_empty() { idle + 1 } else { 0 };
            while idle > LINGER && list.left.is_empty() {
                list.asleep = true;
                list = self
                    .added
                    .wait(list)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            list.asleep = false;
            std::mem::swap(&mut left, &mut list.left);
        }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
