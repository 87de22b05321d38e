//! Linux: epoll, level-triggered. See epoll(7) and epoll_ctl(2).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::buffer::SpareCapacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::Timespec;

use super::borrow;
use crate::{Interest, Readiness, Token};

/// epoll_wait(2) counts in milliseconds. epoll_pwait2(2) counts in nanoseconds, but it needs Linux 5.11, and there are
/// sandboxes which end a process that calls what they do not know.
pub(crate) const GRANULARITY: Duration = Duration::from_millis(1);

pub(crate) type RawEvent = epoll::Event;

#[derive(Debug)]
pub(crate) struct Selector {
    epoll: OwnedFd,
}

impl Selector {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
        })
    }

    pub(crate) fn add(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        if interest.is_none() {
            return Ok(());
        }
        let source = borrow(fd)?;
        let (data, flags) = (data(token), flags(interest));
        match epoll::add(&self.epoll, source, data, flags) {
            Err(Errno::EXIST) => Ok(epoll::modify(&self.epoll, source, data, flags)?),
            result => Ok(result?),
        }
    }

    pub(crate) fn modify(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        // An empty set would not silence it: epoll reports hang-ups and errors unasked.
        if interest.is_none() {
            return self.remove(fd);
        }
        let source = borrow(fd)?;
        let (data, flags) = (data(token), flags(interest));
        match epoll::modify(&self.epoll, source, data, flags) {
            Err(Errno::NOENT) => Ok(epoll::add(&self.epoll, source, data, flags)?),
            result => Ok(result?),
        }
    }

    pub(crate) fn remove(&self, fd: RawFd) -> io::Result<()> {
        let Ok(source) = borrow(fd) else {
            return Ok(());
        };
        match epoll::delete(&self.epoll, source) {
            // Closed, and removed by the kernel with that; EPERM where the number now names a regular file.
            Err(Errno::BADF | Errno::NOENT | Errno::PERM) => Ok(()),
            result => Ok(result?),
        }
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
        epoll::wait(&self.epoll, room, timeout.as_ref())?;
        Ok(())
    }
}

impl AsRawFd for Selector {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

#[inline]
pub(super) fn decode(event: &RawEvent) -> (Token, Readiness) {
    let (token, flags) = (Token::from_u64(event.data.u64()), event.flags);
    let readiness = Readiness {
        readable: flags.intersects(EventFlags::OUT.complement()),
        writable: flags.intersects(EventFlags::IN.complement()),
    };
    (token, readiness)
}

#[inline]
fn data(token: Token) -> EventData {
    EventData::new_u64(token.to_u64())
}

#[inline]
fn flags(interest: Interest) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, interest.is_readable());
    flags.set(EventFlags::OUT, interest.is_writable());
    flags
}
