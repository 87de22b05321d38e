//! macOS and the BSDs: kqueue, level-triggered. See kqueue(2).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::buffer::SpareCapacity;
use rustix::event::kqueue::{Event, EventFilter, EventFlags, kevent_timespec, kqueue};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::time::Timespec;

use super::borrow;
use crate::{Interest, Readiness, Token};

/// kevent(2) counts in nanoseconds.
pub(crate) const GRANULARITY: Duration = Duration::from_nanos(1);

pub(crate) type RawEvent = Event;

const NO_WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

// A token travels in an event's `udata`, which is as wide as a pointer.
const _: () = assert!(size_of::<usize>() == size_of::<u64>());

/// kqueue watches each direction of a descriptor as a filter of its own, hence two changes for every change here, and
/// up to two events for a descriptor.
#[derive(Debug)]
pub(crate) struct Selector {
    kqueue: OwnedFd,
}

impl Selector {
    pub(crate) fn new() -> io::Result<Self> {
        let kqueue = kqueue()?;
        fcntl_setfd(&kqueue, FdFlags::CLOEXEC)?;
        Ok(Self { kqueue })
    }

    pub(crate) fn add(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        if interest.is_none() {
            return Ok(());
        }
        // Adding a filter that is there changes it, so there is no EEXIST. A filter that this interest does not want
        // may be left of a registration that was lost from sight, so it is deleted here too.
        self.modify(fd, token, interest)
    }

    pub(crate) fn modify(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        if interest.is_none() {
            return self.remove(fd);
        }
        let [readable, writable] = self.change(fd, token, interest)?;
        tolerate_absent(readable, interest.is_readable())?;
        if let Err(error) = tolerate_absent(writable, interest.is_writable()) {
            // Nothing is to change in case of an error, but the other filter has been added.
            self.remove(fd)?;
            return Err(error);
        }
        Ok(())
    }

    pub(crate) fn remove(&self, fd: RawFd) -> io::Result<()> {
        if borrow(fd).is_err() {
            return Ok(());
        }
        for outcome in self.change(fd, Token::new(fd, 0), Interest::NONE)? {
            match outcome {
                // Closed, and removed by the kernel with that.
                Ok(()) | Err(Errno::NOENT | Errno::BADF) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Add the filters in `interest`, delete the other; return what became of the read and the write filter.
    fn change(
        &self,
        fd: RawFd,
        token: Token,
        interest: Interest,
    ) -> io::Result<[Result<(), Errno>; 2]> {
        borrow(fd)?;
        let change = |filter, wanted| {
            let action = if wanted {
                EventFlags::ADD
            } else {
                EventFlags::DELETE
            };
            // With RECEIPT each change is answered by an event, instead of the first failure ending the list.
            Event::new(
                filter,
                action | EventFlags::RECEIPT,
                token.to_u64() as usize as *mut _,
            )
        };
        let changes = [
            change(EventFilter::Read(fd), interest.is_readable()),
            change(EventFilter::Write(fd), interest.is_writable()),
        ];
        let mut room = [const { MaybeUninit::uninit() }; 2];
        // SAFETY: kevent reads `changes` and writes at most two events into `room`, both alive and ours for the call.
        // The function is unsafe because it asks that descriptors stay open while they are in the queue. The kernel
        // does not need that: it drops the filters of a descriptor that is closed, and answers EBADF for one that is
        // not open. `udata` is a number, which nobody dereferences. As many receipts come as there is room for, so
        // there is nothing to wait for and no event of the queue among them.
        let (receipts, _) =
            unsafe { kevent_timespec(&self.kqueue, &changes, &mut room, Some(&NO_WAIT))? };
        let mut outcomes = [Ok(()); 2];
        for receipt in receipts {
            let outcome = match receipt.data() {
                0 => Ok(()),
                code => Err(Errno::from_raw_os_error(code as i32)),
            };
            match receipt.filter() {
                EventFilter::Read(_) => outcomes[0] = outcome,
                EventFilter::Write(_) => outcomes[1] = outcome,
                _ => {}
            }
        }
        Ok(outcomes)
    }

    pub(crate) fn wait(
        &self,
        room: SpareCapacity<'_, RawEvent>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as _,
            tv_nsec: timeout.subsec_nanos() as _,
        });
        // SAFETY: as in `change`, with nothing to change; the kernel writes at most the room.
        unsafe { kevent_timespec(&self.kqueue, &[], room, timeout.as_ref())? };
        Ok(())
    }
}

/// The outcome of one filter's change. That a filter to be deleted was not there is as it should be.
fn tolerate_absent(outcome: Result<(), Errno>, wanted: bool) -> io::Result<()> {
    match outcome {
        Err(Errno::NOENT) if !wanted => Ok(()),
        outcome => Ok(outcome?),
    }
}

impl AsRawFd for Selector {
    fn as_raw_fd(&self) -> RawFd {
        self.kqueue.as_raw_fd()
    }
}

/// A filter that is at its end (EV_EOF) is still that filter: the other direction, if it is watched, reports its end
/// by itself. A filter in error reports both.
#[inline]
pub(super) fn decode(event: &RawEvent) -> (Token, Readiness) {
    let readiness = match event.filter() {
        _ if event.flags().contains(EventFlags::ERROR) => Readiness::BOTH,
        EventFilter::Read(_) => Readiness::READABLE,
        EventFilter::Write(_) => Readiness::WRITABLE,
        _ => Readiness::BOTH,
    };
    (Token::from_u64(event.udata() as usize as u64), readiness)
}
