//! What the poller reports, of real pipes and sockets.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use rsloop_reactor::{Events, Interest, Poller, Readiness, Token};
use rustix::pipe::pipe;

mod descriptors;
use descriptors::{
    allow_descriptors, at_reserved_number, fill, poll_now, ready_socket, replace, socket_pair,
};

const TOKEN: Token = Token::new(7, 3);

#[test]
fn data_is_readable_and_only_that() {
    let poller = Poller::new().unwrap();
    let (reader, writer) = pipe().unwrap();
    poller
        .add(reader.as_raw_fd(), TOKEN, Interest::BOTH)
        .unwrap();
    assert_eq!(poll_now(&poller), []);
    rustix::io::write(&writer, b"x").unwrap();
    assert_eq!(poll_now(&poller), [(TOKEN, Readiness::READABLE)]);
}

#[test]
fn room_is_writable_and_only_that() {
    let poller = Poller::new().unwrap();
    let (near, mut far) = socket_pair();
    poller.add(near.as_raw_fd(), TOKEN, Interest::BOTH).unwrap();
    assert_eq!(poll_now(&poller), [(TOKEN, Readiness::WRITABLE)]);
    fill(&near);
    assert_eq!(poll_now(&poller), []);
    far.write_all(b"x").unwrap();
    assert_eq!(poll_now(&poller), [(TOKEN, Readiness::READABLE)]);
}

#[test]
fn what_is_not_consumed_is_reported_again() {
    let poller = Poller::new().unwrap();
    let (mut near, _far) = ready_socket();
    poller
        .add(near.as_raw_fd(), TOKEN, Interest::READABLE)
        .unwrap();
    for _ in 0..3 {
        assert_eq!(poll_now(&poller), [(TOKEN, Readiness::READABLE)]);
    }
    near.read_exact(&mut [0]).unwrap();
    assert_eq!(poll_now(&poller), []);
}

#[test]
fn a_hang_up_wakes_whichever_direction_is_watched() {
    for (interest, expected) in [
        (Interest::READABLE, Readiness::READABLE),
        (Interest::WRITABLE, Readiness::WRITABLE),
        (Interest::BOTH, Readiness::BOTH),
    ] {
        let poller = Poller::new().unwrap();
        let (near, far) = socket_pair();
        fill(&near);
        poller.add(near.as_raw_fd(), TOKEN, interest).unwrap();
        assert_eq!(poll_now(&poller), []);
        drop(far);
        let [(token, readiness)] = poll_now(&poller)[..] else {
            panic!("not one event")
        };
        assert_eq!((token, readiness.masked(interest)), (TOKEN, expected));
    }
}

#[test]
fn a_pipe_without_its_writer_is_readable() {
    let poller = Poller::new().unwrap();
    let (reader, writer) = pipe().unwrap();
    poller
        .add(reader.as_raw_fd(), TOKEN, Interest::READABLE)
        .unwrap();
    drop(writer);
    let [(TOKEN, readiness)] = poll_now(&poller)[..] else {
        panic!("not the one event")
    };
    assert!(readiness.readable);
}

/// How asyncio's write-pipe transport notices that nobody reads any more.
#[test]
#[cfg(target_os = "linux")]
fn a_pipe_without_its_reader_is_an_error_in_both_directions() {
    let poller = Poller::new().unwrap();
    let (reader, writer) = pipe().unwrap();
    poller
        .add(writer.as_raw_fd(), TOKEN, Interest::READABLE)
        .unwrap();
    assert_eq!(poll_now(&poller), []);
    drop(reader);
    assert_eq!(poll_now(&poller), [(TOKEN, Readiness::BOTH)]);
}

/// The peer has finished writing and still reads: an end of file, which is no reason to be writable.
#[test]
fn a_half_closed_stream_is_readable_only() {
    let poller = Poller::new().unwrap();
    let (near, far) = socket_pair();
    fill(&near);
    poller.add(near.as_raw_fd(), TOKEN, Interest::BOTH).unwrap();
    far.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(poll_now(&poller), [(TOKEN, Readiness::READABLE)]);
}

#[test]
fn modify_changes_interest_and_token() {
    let poller = Poller::new().unwrap();
    let (near, _far) = ready_socket();
    let fd = near.as_raw_fd();
    poller.add(fd, TOKEN, Interest::READABLE).unwrap();
    let other = Token::new(7, 4);
    poller.modify(fd, other, Interest::WRITABLE).unwrap();
    assert_eq!(poll_now(&poller), [(other, Readiness::WRITABLE)]);
}

#[test]
fn no_interest_silences_even_a_hang_up() {
    let poller = Poller::new().unwrap();
    let (near, far) = socket_pair();
    drop(far);
    let fd = near.as_raw_fd();
    poller.add(fd, TOKEN, Interest::NONE).unwrap();
    assert_eq!(poll_now(&poller), []);
    poller.add(fd, TOKEN, Interest::READABLE).unwrap();
    poller.modify(fd, TOKEN, Interest::NONE).unwrap();
    assert_eq!(poll_now(&poller), []);
}

#[test]
fn adding_what_is_there_replaces_it() {
    let poller = Poller::new().unwrap();
    let (near, _far) = ready_socket();
    poller
        .add(near.as_raw_fd(), Token::new(7, 1), Interest::BOTH)
        .unwrap();
    poller
        .add(near.as_raw_fd(), TOKEN, Interest::READABLE)
        .unwrap();
    assert_eq!(poll_now(&poller), [(TOKEN, Readiness::READABLE)]);
}

#[test]
fn modifying_what_the_kernel_dropped_adds_it() {
    let poller = Poller::new().unwrap();
    let first = at_reserved_number(&ready_socket().0);
    poller
        .add(first.as_raw_fd(), Token::new(7, 1), Interest::READABLE)
        .unwrap();
    // The last name of the first socket goes, and its registration with it.
    let (second, _far) = ready_socket();
    replace(first.as_raw_fd(), &second);
    assert_eq!(poll_now(&poller), []);
    poller
        .modify(first.as_raw_fd(), TOKEN, Interest::BOTH)
        .unwrap();
    assert_eq!(poll_now(&poller), [(TOKEN, Readiness::BOTH)]);
}

#[test]
fn removing_what_is_not_there_is_no_error() {
    let poller = Poller::new().unwrap();
    let socket = at_reserved_number(&socket_pair().0);
    let fd = socket.as_raw_fd();
    poller.remove(fd).unwrap();
    poller.add(fd, TOKEN, Interest::READABLE).unwrap();
    drop(socket);
    poller.remove(fd).unwrap();
    poller.remove(-1).unwrap();
}

#[test]
fn a_closed_or_impossible_number_is_refused() {
    let poller = Poller::new().unwrap();
    let socket = at_reserved_number(&socket_pair().0);
    let fd = socket.as_raw_fd();
    drop(socket);
    for fd in [fd, -1] {
        for result in [
            poller.add(fd, TOKEN, Interest::READABLE),
            poller.modify(fd, TOKEN, Interest::READABLE),
        ] {
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EBADF));
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_regular_file_is_refused_and_its_removal_is_not() {
    let poller = Poller::new().unwrap();
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let fd = file.as_raw_fd();
    let refused = poller.add(fd, TOKEN, Interest::READABLE).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
    poller.remove(fd).unwrap();
}

#[test]
fn tokens_come_back_whole() {
    for token in [
        Token::WAKEUP,
        Token::new(0, 0),
        Token::new(i32::MAX, u32::MAX),
        Token::new(1, 1 << 31),
    ] {
        let poller = Poller::new().unwrap();
        let (near, _far) = ready_socket();
        poller
            .add(near.as_raw_fd(), token, Interest::READABLE)
            .unwrap();
        assert_eq!(poll_now(&poller), [(token, Readiness::READABLE)]);
    }
}

#[test]
fn a_full_buffer_grows_for_the_next_wait() {
    allow_descriptors();
    let poller = Poller::new().unwrap();
    let (near, _far) = ready_socket();
    let names: Vec<_> = (0..300).map(|_| near.try_clone().unwrap()).collect();
    for name in &names {
        let fd = name.as_raw_fd();
        poller
            .add(fd, Token::new(fd, 1), Interest::READABLE)
            .unwrap();
    }
    let mut events = Events::new();
    poller.wait(&mut events, None).unwrap();
    assert_eq!(events.len(), 256);
    poller.wait(&mut events, None).unwrap();
    assert_eq!(events.len(), 300);
    for name in &names {
        poller.remove(name.as_raw_fd()).unwrap();
    }
    poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    assert!(events.is_empty());
}

#[test]
fn a_wait_never_ends_early() {
    let poller = Poller::new().unwrap();
    let mut events = Events::new();
    for timeout_us in [1, 999, 1000, 1001, 2500] {
        let timeout = Duration::from_micros(timeout_us);
        let start = Instant::now();
        poller.wait(&mut events, Some(timeout)).unwrap();
        assert!(
            start.elapsed() >= timeout,
            "{timeout:?} ended after {:?}",
            start.elapsed()
        );
        assert!(events.is_empty());
    }
}

#[test]
fn a_timeout_beyond_what_kernels_take_is_no_error() {
    let poller = Poller::new().unwrap();
    let (near, _far) = ready_socket();
    poller
        .add(near.as_raw_fd(), TOKEN, Interest::READABLE)
        .unwrap();
    let mut events = Events::new();
    for timeout in [
        Duration::MAX,
        Duration::from_millis(u64::MAX),
        Duration::from_secs(1 << 40),
    ] {
        poller.wait(&mut events, Some(timeout)).unwrap();
        assert_eq!(events.len(), 1);
    }
}

#[test]
fn another_thread_s_change_reaches_a_wait_in_progress() {
    let poller = Poller::new().unwrap();
    let (near, _far) = ready_socket();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut events = Events::new();
            poller.wait(&mut events, None).map(|()| events.len())
        });
        poller
            .add(near.as_raw_fd(), TOKEN, Interest::READABLE)
            .unwrap();
        assert_eq!(waiting.join().unwrap().unwrap(), 1);
    });
}

#[test]
fn the_poller_is_closed_on_exec() {
    let poller = Poller::new().unwrap();
    // SAFETY: the descriptor is open until `poller` is dropped, below.
    let flags = unsafe { libc::fcntl(poller.as_raw_fd(), libc::F_GETFD) };
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    drop(poller);
}
