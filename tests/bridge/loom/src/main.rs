//! Runs the cross-thread parts of bridge and core through every interleaving that loom can make of them.
//!
//! A wake-up that gets lost shows as a deadlock, a future that is dropped twice, or never, as a
//! wrong count.

#[path = "../../../../crates/rsloop-bridge/src/cancel.rs"]
#[expect(dead_code, reason = "polls within polls are not modelled")]
mod cancel;
#[path = "../../../../crates/rsloop-bridge/src/stream/channel.rs"]
#[expect(dead_code, reason = "the collector's part is not modelled")]
mod channel;
#[path = "../../../../crates/rsloop-bridge/src/handover.rs"]
mod handover;
#[path = "../../../../crates/rsloop-bridge/src/inbox.rs"]
#[expect(dead_code, reason = "a guess without consequences is not modelled")]
mod inbox;
#[path = "../../../../crates/rsloop-core/src/shared/inbox.rs"]
mod job_inbox;
#[path = "../../../../crates/rsloop-core/src/shared/sleep.rs"]
mod sleep;
#[path = "../../../../crates/rsloop-bridge/src/stream/slot.rs"]
#[expect(dead_code, reason = "the collector's part is not modelled")]
mod slot;
mod sync;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::task::{Context, Poll, Wake, Waker};

use cancel::{Cancellable, Visit};
use channel::Channel;
use handover::Handover;
use inbox::Inbox;
use job_inbox::Inbox as JobInbox;
use rsloop_abi::{Job, Loop};
use sleep::Sleep;
use slot::{Slot, Taken};

fn main() {
    let models: [(&str, fn()); 15] = [
        ("every push is drained", every_push_is_drained),
        (
            "what a drain posts is drained",
            what_a_drain_posts_is_drained,
        ),
        (
            "what comes during a watch is drained",
            what_comes_during_a_watch_is_drained,
        ),
        ("every job ends a sleep", || every_job_ends_a_wait(None)),
        ("every job ends a watch or the sleep after it", || {
            every_job_ends_a_wait(Some(1));
        }),
        (
            "a job is taken, left, or refused",
            a_job_is_taken_left_or_refused,
        ),
        (
            "cancelled content is dropped once",
            cancelled_content_is_dropped_once,
        ),
        (
            "a result and a cancel meet once",
            a_result_and_a_cancel_meet_once,
        ),
        (
            "a woken task is handed over once",
            a_woken_task_is_handed_over_once,
        ),
        (
            "a wake during a poll is answered once",
            a_wake_during_a_poll_is_answered_once,
        ),
        (
            "a resumed task misses no wake",
            a_resumed_task_misses_no_wake,
        ),
        (
            "a task that is due is claimed once",
            a_task_that_is_due_is_claimed_once,
        ),
        (
            "a channel brings every item, in order",
            a_channel_brings_every_item_in_order,
        ),
        (
            "a closed stream is dropped once",
            a_closed_stream_is_dropped_once,
        ),
        (
            "who waits for a stream gets it",
            who_waits_for_a_stream_gets_it,
        ),
    ];
    // So many switches where none was due find what more would, and the models end in a minute.
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    for (name, model) in models {
        builder.check(model);
        println!("{name}: ok");
    }
}

/// The loop's sleep: `ring` ends it, once.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.heard.notify_one();
    }

    fn sleep(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.heard.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        self.ring();
    }
}

/// Polls until ready, and sleeps between.
fn wait<R>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
    let bell = std::sync::Arc::new(Bell::default());
    let waker = Waker::from(std::sync::Arc::clone(&bell));
    loop {
        match poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => bell.sleep(),
        }
    }
}

fn every_push_is_drained() {
    drain_two(|_| false);
}

/// An await that looks twice, and drains what has come before it suspends.
fn what_comes_during_a_watch_is_drained() {
    drain_two(|inbox| {
        let mut looks = 0..1;
        inbox.watch(|| looks.next().is_some())
    });
}

/// Two threads push; the loop drains as often as it is rung, and first if `watch` says so.
fn drain_two(watch: impl FnOnce(&Inbox<usize>) -> bool) {
    let shared = Arc::new((Inbox::new(), Bell::default()));
    let pushers: Vec<_> = (0..2)
        .map(|number| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                if shared.0.push(number) {
                    shared.1.ring();
                }
            })
        })
        .collect();
    let mut drained = 0;
    if watch(&shared.0) {
        shared.0.drain(|_| drained += 1);
        if !shared.0.is_empty() && shared.0.claim_bell() {
            shared.1.ring();
        }
    }
    while drained < 2 {
        shared.1.sleep();
        shared.0.drain(|_| drained += 1);
        if !shared.0.is_empty() && shared.0.claim_bell() {
            shared.1.ring();
        }
    }
    for pusher in pushers {
        pusher.join().unwrap();
    }
    assert!(shared.0.is_empty());
}

/// A job that counts for nothing but itself.
fn job() -> std::ptr::NonNull<Job> {
    unsafe extern "C" fn run(_: *mut Job, _: *mut Loop) {}
    unsafe extern "C" fn drop(_: *mut Job) {}
    std::ptr::NonNull::from(Box::leak(Box::new(Job {
        next: std::ptr::null_mut(),
        run,
        drop,
    })))
}

fn free(job: std::ptr::NonNull<Job>) {
    // SAFETY: `job` made it, and its one owner gives it up here.
    drop(unsafe { Box::from_raw(job.as_ptr()) });
}

/// The loop's park: announce, look, wait only if there is nothing. With `looks`, it looks so many
/// times for an end of the wait before it sleeps.
fn every_job_ends_a_wait(looks: Option<u32>) {
    let shared = Arc::new((JobInbox::new(), Sleep::new(), Bell::default()));
    let posters: Vec<_> = (0..2)
        .map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // SAFETY: the job is new, and this thread's.
                if unsafe { shared.0.push(job()) }.is_ok() && shared.1.must_be_ended() {
                    shared.2.ring();
                }
            })
        })
        .collect();
    let mut ran = 0;
    while ran < 2 {
        shared.1.begin(looks.is_some());
        if shared.0.is_empty() {
            let mut left = looks.unwrap_or_default();
            let patient = || {
                left = left.saturating_sub(1);
                left > 0
            };
            if looks.is_none() || !shared.1.linger(patient) {
                shared.2.sleep();
            }
        }
        shared.1.end();
        for job in shared.0.take() {
            free(job);
            ran += 1;
        }
    }
    for poster in posters {
        poster.join().unwrap();
    }
}

fn a_job_is_taken_left_or_refused() {
    let inbox = Arc::new(JobInbox::new());
    let posters: Vec<_> = (0..2)
        .map(|_| {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || {
                let job = job();
                // SAFETY: the job is new, and this thread's.
                let refused = unsafe { inbox.push(job) }.is_err();
                if refused {
                    free(job);
                }
                usize::from(refused)
            })
        })
        .collect();
    let taken = inbox.take().map(free).count();
    let left = inbox.close().map(free).count();
    let refused: usize = posters.into_iter().map(|each| each.join().unwrap()).sum();
    assert_eq!(taken + left + refused, 2);
    assert!(inbox.is_empty());
}

fn what_a_drain_posts_is_drained() {
    let shared = Arc::new((Inbox::new(), Bell::default()));
    let pusher = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            if shared.0.push(1) {
                shared.1.ring();
            }
        })
    };
    let mut drained = 0;
    while drained < 2 {
        shared.1.sleep();
        shared.0.drain(|item| {
            drained += 1;
            if item == 1 {
                shared.0.push_silently(2);
            }
        });
        if !shared.0.is_empty() && shared.0.claim_bell() {
            shared.1.ring();
        }
    }
    pusher.join().unwrap();
}

/// Counts the drops of a future.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn cancelled_content_is_dropped_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let cell = Arc::new(Cancellable::new(Counted(Arc::clone(&drops))));
    let user = {
        let cell = Arc::clone(&cell);
        thread::spawn(move || {
            for _ in 0..2 {
                match cell.visit(|_| ()) {
                    Visit::Used(()) => {}
                    Visit::Evicted(content) => drop(content),
                    Visit::Absent => break,
                }
            }
        })
    };
    drop(cell.cancel());
    user.join().unwrap();
    // While the cell is still alive: nothing was left in it.
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    drop(cell);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

fn a_result_and_a_cancel_meet_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let posted = Arc::new(AtomicUsize::new(0));
    let cell = Arc::new(Cancellable::new((false, Counted(Arc::clone(&drops)))));
    let worker = {
        let (cell, posted) = (Arc::clone(&cell), Arc::clone(&posted));
        thread::spawn(move || match cell.visit(|content| content.0 = true) {
            Visit::Used(()) => {
                posted.fetch_add(1, Ordering::SeqCst);
            }
            Visit::Evicted(content) => drop(content),
            Visit::Absent => {}
        })
    };
    let canceller = {
        let cell = Arc::clone(&cell);
        thread::spawn(move || drop(cell.cancel()))
    };
    worker.join().unwrap();
    // The loop delivers what was posted, whether or not the cancel has come through.
    let delivered = match posted.load(Ordering::SeqCst) {
        0 => None,
        _ => cell.take(),
    };
    assert!(delivered.as_ref().is_none_or(|content| content.0));
    drop(delivered);
    canceller.join().unwrap();
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

fn a_woken_task_is_handed_over_once() {
    let handover = Arc::new(Handover::new());
    let wakers: Vec<_> = (0..2)
        .map(|_| {
            let handover = Arc::clone(&handover);
            thread::spawn(move || handover.wake())
        })
        .collect();
    let left = handover.leave("the task");
    let woken = wakers.into_iter().filter_map(|waker| waker.join().unwrap());
    // Whoever comes last has it; and a task that was woken never waits.
    assert_eq!(woken.chain(left).count(), 1);
    assert_eq!(handover.wake(), None);
}

fn a_wake_during_a_poll_is_answered_once() {
    let handover = Arc::new(Handover::new());
    let waker = {
        let handover = Arc::clone(&handover);
        thread::spawn(move || handover.wake())
    };
    let polled_again = handover.again().then_some("another poll");
    let left = handover.leave("the task");
    let woken = waker.join().unwrap();
    let answers = [polled_again, left, woken];
    assert_eq!(answers.iter().flatten().count(), 1, "{answers:?}");
}

fn a_resumed_task_misses_no_wake() {
    let handover = Arc::new(Handover::new());
    let ready = Arc::new(AtomicUsize::new(0));
    assert_eq!(handover.leave("the task"), None);
    let waker = {
        let (handover, ready) = (Arc::clone(&handover), Arc::clone(&ready));
        thread::spawn(move || {
            ready.store(1, Ordering::Relaxed);
            handover.wake()
        })
    };
    // The loop's thread wakes it, too, and polls it itself if it is the first.
    let Some(task) = handover.wake() else {
        assert_eq!(waker.join().unwrap(), Some("the task"));
        return;
    };
    handover.rearm();
    let seen = ready.load(Ordering::Relaxed) == 1;
    let left = handover.leave(task);
    let woken = waker.join().unwrap();
    assert!(left.is_none() || woken.is_none());
    assert!(seen || left.or(woken).is_some());
}

fn a_task_that_is_due_is_claimed_once() {
    let handover = Arc::new(Handover::new());
    let ready = Arc::new(AtomicUsize::new(1));
    assert_eq!(handover.leave("the task"), None);
    let task = handover.wake().unwrap();
    handover.put(task);
    let overdue = {
        let handover = Arc::clone(&handover);
        thread::spawn(move || handover.claim())
    };
    let waker = {
        let (handover, ready) = (Arc::clone(&handover), Arc::clone(&ready));
        thread::spawn(move || {
            ready.store(2, Ordering::Relaxed);
            handover.wake()
        })
    };
    let claimed = handover.claim().map(|task| {
        handover.rearm();
        let seen = ready.load(Ordering::Relaxed) == 2;
        (handover.leave(task), seen)
    });
    let (stolen, woken) = (overdue.join().unwrap(), waker.join().unwrap());
    match claimed {
        // The loop has it, and it goes on unless nothing is new.
        Some((left, seen)) => {
            assert_eq!(stolen, None);
            assert!(left.is_none() || woken.is_none());
            assert!(seen || left.or(woken).is_some());
        }
        // Whoever has it polls it for the wake, too.
        None => assert_eq!((stolen, woken), (Some("the task"), None)),
    }
}

fn a_channel_brings_every_item_in_order() {
    let channel = Arc::new(Channel::new());
    let sender = {
        let channel = Arc::clone(&channel);
        thread::spawn(move || {
            for item in 0..2 {
                if !channel.push(item) {
                    wait(|cx| channel.poll_room(cx));
                }
            }
        })
    };
    for item in 0..2 {
        assert_eq!(wait(|cx| channel.poll_item(cx)), item);
    }
    sender.join().unwrap();
}

/// One poll of a stream that is pending for ever: waits to be told of a close, as a task would.
fn hold_until_closed(slot: &Slot<Counted>) {
    let mut held = None;
    wait(|cx| {
        if held.is_none() {
            match slot.take(cx.waker()) {
                Taken::Held(stream) => held = Some(stream),
                Taken::Wait => return Poll::Pending,
                Taken::Over => return Poll::Ready(()),
            }
        }
        if slot.keep(cx.waker()) {
            return Poll::Pending;
        }
        drop(held.take());
        slot.end();
        Poll::Ready(())
    });
}

fn close(slot: &Slot<Counted>) {
    wait(|cx| match slot.close(cx.waker()) {
        Taken::Held(stream) => {
            drop(stream);
            slot.end();
            Poll::Ready(())
        }
        Taken::Wait => Poll::Pending,
        Taken::Over => Poll::Ready(()),
    });
}

fn a_closed_stream_is_dropped_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let slot = Arc::new(Slot::new(Counted(Arc::clone(&drops))));
    let holder = {
        let slot = Arc::clone(&slot);
        thread::spawn(move || hold_until_closed(&slot))
    };
    close(&slot);
    // The close is not over before the stream is.
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    holder.join().unwrap();
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

/// Takes the stream, and gives it back.
fn use_once(slot: &Slot<Counted>) {
    wait(|cx| match slot.take(cx.waker()) {
        Taken::Held(stream) => {
            assert!(slot.give_back(stream).is_none());
            Poll::Ready(())
        }
        Taken::Wait => Poll::Pending,
        Taken::Over => panic!("nobody closes"),
    });
}

fn who_waits_for_a_stream_gets_it() {
    let drops = Arc::new(AtomicUsize::new(0));
    let slot = Arc::new(Slot::new(Counted(Arc::clone(&drops))));
    let other = {
        let slot = Arc::clone(&slot);
        thread::spawn(move || use_once(&slot))
    };
    use_once(&slot);
    other.join().unwrap();
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    drop(slot);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}
