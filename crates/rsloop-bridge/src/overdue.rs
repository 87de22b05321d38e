//! What was left to a loop's thread, which may be busy with Python code for long: a thread of the
//! bridge's looks whether the loop has come for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::error;
use crate::fork::PerProcess;

/// A loop gets from one to two of these.
const TICK: Duration = Duration::from_millis(1);

/// A thing that a loop's thread was told to do, and that another may do if it does not.
pub(crate) trait Overdue: Send + Sync {
    /// Does it elsewhere, unless the loop has come to it. On the thread that looks.
    fn overdue(self: Arc<Self>);
}

/// Looks after `left` until it is overdue. False if there can be no thread that would.
#[must_use]
pub(crate) fn watch(left: Weak<dyn Overdue>) -> bool {
    static WATCH: PerProcess<Option<Watch>> = PerProcess::new();
    let watch = WATCH.get_or_init(|_| Watch::start());
    if let Some(watch) = watch {
        watch.add(left);
    }
    watch.is_some()
}

/// What the thread looks after, and the thread.
struct Watch {
    list: Arc<List>,
    thread: Thread,
}

type List = Mutex<Vec<Weak<dyn Overdue>>>;

impl Watch {
    fn start() -> Option<Self> {
        let list = Arc::new(List::default());
        let looked_at = Arc::clone(&list);
        let thread = thread::Builder::new().name("rsloop-overdue".to_owned());
        let thread = thread
            .spawn(move || look(&looked_at))
            .ok()?
            .thread()
            .clone();
        Some(Self { list, thread })
    }

    fn add(&self, left: Weak<dyn Overdue>) {
        lock(&self.list).push(left);
        self.thread.unpark(); // a system call only if it sleeps
    }
}

fn look(list: &List) {
    let mut left = Vec::new();
    loop {
        std::mem::swap(&mut left, &mut lock(list));
        if left.is_empty() {
            thread::park();
            continue;
        }
        thread::sleep(TICK);
        for left in left.drain(..) {
            // What it drops may be the extension's, and panic; Rust's own hook tells of it.
            let _ = error::caught(|| Weak::upgrade(&left).map(Overdue::overdue));
        }
    }
}

fn lock(list: &List) -> MutexGuard<'_, Vec<Weak<dyn Overdue>>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
