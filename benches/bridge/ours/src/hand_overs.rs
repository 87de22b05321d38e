//! What a completion by another thread cannot do without: one hand-over to that thread, as the
//! completer is asked, and one back to a thread that sleeps in a poll, as a loop does.

use std::io;
use std::sync::mpsc::channel;

use pyo3::prelude::*;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

/// Hands over to another thread and back, `count` times.
#[pyfunction]
pub(crate) fn hand_overs(py: Python<'_>, count: usize) -> PyResult<()> {
    Ok(py.detach(|| there_and_back(count))?)
}

fn there_and_back(count: usize) -> io::Result<()> {
    let bell = eventfd(0, EventfdFlags::CLOEXEC)?;
    let (asked, asker) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for () in asker {
                // It fails only when the counter is full, and it is read after each write.
                let _ = rustix::io::write(&bell, &1_u64.to_ne_bytes());
            }
        });
        // Owned here, so that it ends the thread however this ends.
        let asked = asked;
        for _ in 0..count {
            asked.send(()).expect("the thread lives as long");
            poll(&mut [PollFd::new(&bell, PollFlags::IN)], None)?;
            rustix::io::read(&bell, &mut [0_u8; 8])?;
        }
        Ok(())
    })
}
