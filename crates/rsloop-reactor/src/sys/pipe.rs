//! Where there is no eventfd: a pipe that holds a byte while it has been rung.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_setfd, read, retry_on_intr, write};
use rustix::pipe::pipe;

#[derive(Debug)]
pub(crate) struct Bell {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = pipe()?;
        for end in [&reader, &writer] {
            // Apple has no pipe2, so there is a moment in which another thread's fork and exec can inherit the pipe.
            fcntl_setfd(end, FdFlags::CLOEXEC)?;
            fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?;
        }
        Ok(Self { reader, writer })
    }

    pub(crate) fn ring(&self) {
        // The one failure is EAGAIN, where the pipe is full: then it is readable already.
        let _ = retry_on_intr(|| write(&self.writer, &[1]));
    }

    pub(crate) fn drain(&self) {
        let mut bytes = [0_u8; 512];
        // A short read has emptied the pipe; the one failure is EAGAIN, where nobody has rung.
        while retry_on_intr(|| read(&self.reader, &mut bytes)) == Ok(bytes.len()) {}
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}
