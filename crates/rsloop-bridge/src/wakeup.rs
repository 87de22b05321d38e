//! A descriptor that any thread can make readable, without Python.

#[cfg(target_os = "linux")]
pub(crate) use eventfd::Wakeup;
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use socketpair::Wakeup;
#[cfg(not(unix))]
pub(crate) use unavailable::Wakeup;

#[cfg(target_os = "linux")]
mod eventfd {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd, RawFd};

    use rustix::event::{EventfdFlags, eventfd};

    /// An eventfd: one descriptor, and writing twice still means one wake-up.
    pub(crate) struct Wakeup(OwnedFd);

    impl Wakeup {
        pub(crate) fn new() -> io::Result<Option<Self>> {
            let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
            Ok(Some(Self(eventfd(0, flags)?)))
        }

        pub(crate) fn descriptor(&self) -> RawFd {
            self.0.as_raw_fd()
        }

        pub(crate) fn ring(&self) {
            // It fails only when the counter is full, and then the descriptor is readable.
            let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
        }

        pub(crate) fn silence(&self) {
            // It fails only when nobody rang, and then there is nothing to silence.
            let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
        }
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
mod socketpair {
    use std::io::{self, Read, Write};
    use std::os::fd::{AsRawFd, RawFd};
    use std::os::unix::net::UnixStream;

    /// A pair of connected sockets, where there is no eventfd.
    pub(crate) struct Wakeup {
        watched: UnixStream,
        rung: UnixStream,
    }

    impl Wakeup {
        pub(crate) fn new() -> io::Result<Option<Self>> {
            let (watched, rung) = UnixStream::pair()?;
            watched.set_nonblocking(true)?;
            rung.set_nonblocking(true)?;
            Ok(Some(Self { watched, rung }))
        }

        pub(crate) fn descriptor(&self) -> RawFd {
            self.watched.as_raw_fd()
        }

        pub(crate) fn ring(&self) {
            // It fails only when the buffer is full, and then the other end is readable.
            let _ = (&self.rung).write(&[1]);
        }

        pub(crate) fn silence(&self) {
            let mut bytes = [0_u8; 64];
            while matches!((&self.watched).read(&mut bytes), Ok(64)) {}
        }
    }
}

#[cfg(not(unix))]
mod unavailable {
    use std::io;

    /// Nothing that `add_reader` would accept: `call_soon_threadsafe` is used instead.
    pub(crate) enum Wakeup {}

    impl Wakeup {
        pub(crate) fn new() -> io::Result<Option<Self>> {
            Ok(None)
        }

        pub(crate) fn descriptor(&self) -> i32 {
            match *self {}
        }

        pub(crate) fn ring(&self) {
            match *self {}
        }

        pub(crate) fn silence(&self) {
            match *self {}
        }
    }
}
