//! The registry and the poller against a map: after each step, the same descriptors are reported.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;

use proptest::prelude::*;
use rsloop_reactor::{Interest, Poller, Readiness, Registry, Token};

mod descriptors;
use descriptors::{poll_now, ready_socket};

const SOCKETS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Insert(usize, Interest),
    SetInterest(usize, Interest),
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let all = [
        Interest::NONE,
        Interest::READABLE,
        Interest::WRITABLE,
        Interest::BOTH,
    ];
    let interest = prop::sample::select(all.to_vec());
    prop_oneof![
        8 => (0..SOCKETS, interest.clone()).prop_map(|(socket, i)| Step::Insert(socket, i)),
        8 => (0..SOCKETS, interest).prop_map(|(socket, i)| Step::SetInterest(socket, i)),
        4 => (0..SOCKETS).prop_map(Step::Remove),
    ]
}

proptest! {
    #[test]
    fn what_is_reported_is_what_the_map_says(steps in prop::collection::vec(step(), 0..60)) {
        // Each can be read and written all the time, so what is watched is what is reported.
        let sockets: Vec<_> = (0..SOCKETS).map(|_| ready_socket()).collect();
        let fds: Vec<_> = sockets.iter().map(|(near, _)| near.as_raw_fd()).collect();
        let poller = Poller::new().unwrap();
        let mut registry = Registry::new();
        let mut model: BTreeMap<usize, (Interest, usize)> = BTreeMap::new();
        let mut over: Vec<Token> = Vec::new();

        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(socket, interest) => {
                    let inserted = registry.insert(&poller, fds[socket], interest, number);
                    prop_assert_eq!(inserted.is_ok(), !model.contains_key(&socket));
                    model.entry(socket).or_insert((interest, number));
                }
                Step::SetInterest(socket, interest) => {
                    let set = registry.set_interest(&poller, fds[socket], interest);
                    prop_assert_eq!(set.is_ok(), model.contains_key(&socket));
                    model.entry(socket).and_modify(|entry| entry.0 = interest);
                }
                Step::Remove(socket) => {
                    over.extend(registry.token(fds[socket]));
                    let removed = registry.remove(&poller, fds[socket]);
                    prop_assert_eq!(removed, model.remove(&socket).map(|(_, source)| source));
                }
            }
            prop_assert_eq!(registry.len(), model.len());
            let mut expected: Vec<_> = Vec::new();
            for (socket, (interest, source)) in &model {
                let fd = fds[*socket];
                let token = registry.token(fd).unwrap();
                prop_assert_eq!(registry.resolve(token), Some((fd, *interest)));
                prop_assert_eq!(registry.get(fd), Some(source));
                if !interest.is_none() {
                    expected.push((token, Readiness::BOTH.masked(*interest)));
                }
            }
            expected.sort_unstable_by_key(|(token, _)| token.to_u64());
            prop_assert_eq!(poll_now(&poller), expected);
            prop_assert!(over.iter().all(|token| registry.resolve(*token).is_none()));
        }
    }
}
