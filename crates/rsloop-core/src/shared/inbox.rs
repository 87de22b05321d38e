//! The queue by which any thread hands a job to the loop, without a lock and without Python.
//!
//! It is a stack that pushers extend by compare-and-swap and the loop takes whole; taking it
//! reverses it, so jobs of one thread run in the order pushed. Nothing is ever popped singly, so
//! there is no ABA problem. Closing swaps in a sentinel: a push either lies before it, and is
//! part of what `close` returns, or sees it and fails.

use std::ptr::{self, NonNull};

use rsloop_abi::Job;

use super::sync::{AtomicPtr, Ordering};

/// Jobs that wait for the loop.
pub(crate) struct Inbox {
    head: AtomicPtr<Job>,
}

/// The loop is closed, and the job still the caller's.
pub(crate) struct Closed;

/// Jobs taken from an inbox, oldest first; the holder owns them.
pub(crate) struct Batch {
    next: *mut Job,
}

/// The head of a closed inbox: an address that no job has.
fn closed() -> *mut Job {
    ptr::without_provenance_mut(usize::MAX)
}

impl Inbox {
    /// An open, empty inbox.
    pub(crate) fn new() -> Self {
        Self {
            head: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Adds a job, which the inbox owns from then on.
    ///
    /// # Safety
    /// `job` points to a job that the caller owns and that is in no other queue.
    pub(crate) unsafe fn push(&self, job: NonNull<Job>) -> Result<(), Closed> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == closed() {
                return Err(Closed);
            }
            // SAFETY: the job is the caller's until the exchange below succeeds.
            unsafe { (*job.as_ptr()).next = head };
            let exchange = self.head.compare_exchange_weak(
                head,
                job.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            );
            match exchange {
                Ok(_) => return Ok(()),
                Err(newer) => head = newer,
            }
        }
    }

    /// Whether there is nothing to take.
    pub(crate) fn is_empty(&self) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        head.is_null() || head == closed()
    }

    /// Takes all jobs.
    pub(crate) fn take(&self) -> Batch {
        let mut head = self.head.load(Ordering::Relaxed);
        while !head.is_null() && head != closed() {
            // Without a GIL another thread may close the loop just now: the sentinel stays.
            match self.head.compare_exchange_weak(
                head,
                ptr::null_mut(),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(taken) => return Batch::reversed(taken),
                Err(newer) => head = newer,
            }
        }
        Batch {
            next: ptr::null_mut(),
        }
    }

    /// Closes for good, and takes what was pushed before.
    pub(crate) fn close(&self) -> Batch {
        let head = self.head.swap(closed(), Ordering::AcqRel);
        Batch::reversed(if head == closed() {
            ptr::null_mut()
        } else {
            head
        })
    }
}

impl Batch {
    fn reversed(mut newest: *mut Job) -> Self {
        let mut next = ptr::null_mut();
        while !newest.is_null() {
            // SAFETY: the list was taken from the inbox whole, so this thread owns all of it.
            let older = unsafe { std::mem::replace(&mut (*newest).next, next) };
            next = newest;
            newest = older;
        }
        Self { next }
    }
}

impl Iterator for Batch {
    type Item = NonNull<Job>;

    fn next(&mut self) -> Option<NonNull<Job>> {
        let job = NonNull::new(self.next)?;
        // SAFETY: the batch owns the job until it is yielded.
        self.next = unsafe { (*job.as_ptr()).next };
        Some(job)
    }
}
