//! The registry, over a real poller.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::os::fd::{AsRawFd, RawFd};

use rsloop_reactor::{Events, Interest, Poller, Readiness, Registry, Token};

mod descriptors;
use descriptors::{at_reserved_number, collect, poll_now, ready_socket, replace, socket_pair};

fn pair<T>() -> (Poller, Registry<T>) {
    (Poller::new().unwrap(), Registry::new())
}

fn errno<T: std::fmt::Debug>(result: std::io::Result<T>) -> i32 {
    result.unwrap_err().raw_os_error().unwrap()
}

#[test]
fn an_event_resolves_to_its_descriptor_and_interest() {
    let (poller, mut registry) = pair();
    let (near, _far) = ready_socket();
    let fd = near.as_raw_fd();
    registry
        .insert(&poller, fd, Interest::READABLE, "source")
        .unwrap();
    let token = registry.token(fd).unwrap();
    assert_eq!(poll_now(&poller), [(token, Readiness::READABLE)]);
    assert_eq!(registry.resolve(token), Some((fd, Interest::READABLE)));
    assert_eq!(registry.get(fd), Some(&"source"));
    *registry.get_mut(fd).unwrap() = "changed";
    assert_eq!(registry.iter().collect::<Vec<_>>(), [(fd, &"changed")]);
    assert_eq!((registry.len(), registry.is_empty()), (1, false));
}

/// Both descriptors have an event in the buffer; what the first one's handler does must not send the second's event to
/// the descriptor that takes over its number.
#[test]
fn an_event_for_a_closed_descriptor_never_reaches_its_successor() {
    let (poller, mut registry) = pair();
    let (first, _first_far) = ready_socket();
    let second = at_reserved_number(&ready_socket().0);
    let fd = second.as_raw_fd();
    registry
        .insert(&poller, first.as_raw_fd(), Interest::READABLE, "first")
        .unwrap();
    registry
        .insert(&poller, fd, Interest::READABLE, "second")
        .unwrap();
    let mut events = Events::new();
    poller.wait(&mut events, None).unwrap();
    let fetched = collect(&events);
    assert_eq!(fetched.len(), 2);

    assert_eq!(registry.remove(&poller, fd), Some("second"));
    let (quiet, _quiet_far) = socket_pair();
    replace(fd, &quiet);
    registry
        .insert(&poller, fd, Interest::READABLE, "successor")
        .unwrap();

    let reached: Vec<RawFd> = fetched
        .iter()
        .filter_map(|(token, _)| Some(registry.resolve(*token)?.0))
        .collect();
    assert_eq!(reached, [first.as_raw_fd()]);
    assert!(registry.resolve(registry.token(fd).unwrap()).is_some());
}

#[test]
fn a_removed_registration_resolves_to_nothing() {
    let (poller, mut registry) = pair();
    let (near, _far) = ready_socket();
    let fd = near.as_raw_fd();
    registry.insert(&poller, fd, Interest::BOTH, ()).unwrap();
    let token = registry.token(fd).unwrap();
    registry.remove(&poller, fd).unwrap();
    assert_eq!(registry.resolve(token), None);
    assert_eq!(registry.token(fd), None);
    assert_eq!(registry.interest(fd), Interest::NONE);
    assert_eq!(poll_now(&poller), []);
    assert_eq!(registry.remove(&poller, fd), None);
}

#[test]
fn the_wakeup_and_unknown_descriptors_resolve_to_nothing() {
    let (_, registry) = pair::<()>();
    assert_eq!(registry.resolve(Token::WAKEUP), None);
    assert_eq!(registry.resolve(Token::new(0, 0)), None);
    assert_eq!((registry.get(-1), registry.get(i32::MAX)), (None, None));
}

#[test]
fn a_taken_slot_is_refused_and_stays() {
    let (poller, mut registry) = pair();
    let (near, _far) = ready_socket();
    let fd = near.as_raw_fd();
    registry.insert(&poller, fd, Interest::READABLE, 1).unwrap();
    assert_eq!(
        errno(registry.insert(&poller, fd, Interest::WRITABLE, 2)),
        libc::EEXIST
    );
    assert_eq!(
        (registry.get(fd), registry.interest(fd)),
        (Some(&1), Interest::READABLE)
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_refused_descriptor_leaves_its_slot_vacant() {
    let (poller, mut registry) = pair();
    let file = at_reserved_number(std::fs::File::open("/proc/self/exe").unwrap());
    let fd = file.as_raw_fd();
    assert_eq!(
        errno(registry.insert(&poller, fd, Interest::READABLE, 1)),
        libc::EPERM
    );
    assert_eq!((registry.get(fd), registry.len()), (None, 0));
    // Unwatched it may stay there, and it is refused when it is to be watched.
    registry.insert(&poller, fd, Interest::NONE, 2).unwrap();
    assert_eq!(
        errno(registry.set_interest(&poller, fd, Interest::READABLE)),
        libc::EPERM
    );
    assert_eq!(
        (registry.get(fd), registry.interest(fd)),
        (Some(&2), Interest::NONE)
    );
}

#[test]
fn impossible_numbers_are_refused() {
    let (poller, mut registry) = pair();
    assert_eq!(
        errno(registry.insert(&poller, -1, Interest::NONE, ())),
        libc::EBADF
    );
    assert_eq!(
        errno(registry.set_interest(&poller, 5, Interest::READABLE)),
        libc::ENOENT
    );
    assert_eq!(errno(registry.reassert(&poller, -1)), libc::ENOENT);
    assert_eq!(registry.remove(&poller, -1), None);
}

#[test]
fn interest_goes_through_every_change() {
    let (poller, mut registry) = pair();
    let (near, _far) = ready_socket();
    let fd = near.as_raw_fd();
    registry.insert(&poller, fd, Interest::NONE, ()).unwrap();
    let token = registry.token(fd).unwrap();
    let all = [
        Interest::NONE,
        Interest::READABLE,
        Interest::WRITABLE,
        Interest::BOTH,
    ];
    for from in all {
        for to in all {
            registry.set_interest(&poller, fd, from).unwrap();
            registry.set_interest(&poller, fd, to).unwrap();
            assert_eq!(registry.interest(fd), to);
            let readiness = Readiness::BOTH.masked(to);
            let expected = if to.is_none() {
                vec![]
            } else {
                vec![(token, readiness)]
            };
            assert_eq!(poll_now(&poller), expected, "from {from:?} to {to:?}");
        }
    }
}

#[test]
fn a_descriptor_closed_behind_our_back_can_be_removed() {
    let (poller, mut registry) = pair();
    let socket = at_reserved_number(&socket_pair().0);
    let fd = socket.as_raw_fd();
    registry
        .insert(&poller, fd, Interest::BOTH, "source")
        .unwrap();
    drop(socket);
    assert_eq!(
        errno(registry.set_interest(&poller, fd, Interest::READABLE)),
        libc::EBADF
    );
    assert_eq!(registry.interest(fd), Interest::BOTH);
    assert_eq!(registry.remove(&poller, fd), Some("source"));
}

#[test]
fn a_number_reused_behind_our_back_is_watched_again() {
    let (poller, mut registry) = pair();
    let socket = at_reserved_number(&socket_pair().0);
    let fd = socket.as_raw_fd();
    registry
        .insert(&poller, fd, Interest::READABLE, ())
        .unwrap();
    let token = registry.token(fd).unwrap();
    let (reused, _far) = ready_socket();
    replace(fd, &reused);
    // Otherwise this name would keep the registration, when the number goes on to the next socket.
    drop(reused);
    assert_eq!(poll_now(&poller), []);
    registry.set_interest(&poller, fd, Interest::BOTH).unwrap();
    assert_eq!(poll_now(&poller), [(token, Readiness::BOTH)]);

    let (reused_again, _far) = ready_socket();
    replace(fd, &reused_again);
    assert_eq!(poll_now(&poller), []);
    registry.reassert(&poller, fd).unwrap();
    assert_eq!(poll_now(&poller), [(token, Readiness::BOTH)]);
}

/// What a duplicate keeps in the kernel after its number was closed behind our back cannot be removed: it comes up in
/// every wait, and only a new poller is rid of it.
#[test]
#[cfg(target_os = "linux")]
fn a_new_poller_sheds_what_cannot_be_removed() {
    let (poller, mut registry) = pair();
    let (live, _live_far) = ready_socket();
    registry
        .insert(&poller, live.as_raw_fd(), Interest::READABLE, "live")
        .unwrap();
    let (duplicate, _far) = ready_socket();
    let lost = at_reserved_number(&duplicate);
    let lost_fd = lost.as_raw_fd();
    registry
        .insert(&poller, lost_fd, Interest::READABLE, "lost")
        .unwrap();
    let unwatched = at_reserved_number(&socket_pair().0);
    registry
        .insert(&poller, unwatched.as_raw_fd(), Interest::NONE, "unwatched")
        .unwrap();
    drop(lost);
    let lost_token = registry.token(lost_fd).unwrap();
    let live_token = registry.token(live.as_raw_fd()).unwrap();

    let fresh = Poller::new().unwrap();
    assert_eq!(registry.rewatch(&fresh), [lost_fd]);
    assert_eq!(registry.interest(lost_fd), Interest::NONE);
    assert_eq!(poll_now(&fresh), [(live_token, Readiness::READABLE)]);

    assert_eq!(registry.remove(&poller, lost_fd), Some("lost"));
    assert!(
        poll_now(&poller)
            .iter()
            .any(|(token, _)| *token == lost_token)
    );
    assert_eq!(registry.resolve(lost_token), None);
    assert_eq!(registry.len(), 2);
}
