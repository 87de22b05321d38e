//! Linux: eventfd(2), a counter that is readable while it is not zero.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, retry_on_intr, write};

#[derive(Debug)]
pub(crate) struct Bell {
    counter: OwnedFd,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            counter: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    pub(crate) fn ring(&self) {
        // The one failure is EAGAIN, where the counter is at its end: then it is readable already.
        let _ = retry_on_intr(|| write(&self.counter, &1_u64.to_ne_bytes()));
    }

    pub(crate) fn drain(&self) {
        // One read takes the whole counter. The one failure is EAGAIN, where nobody has rung.
        let _ = retry_on_intr(|| read(&self.counter, &mut [0_u8; 8]));
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.counter.as_raw_fd()
    }
}
