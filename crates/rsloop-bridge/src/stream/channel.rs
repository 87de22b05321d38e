//! A few items between one sender and one receiver on different threads.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::sync::{CAPACITY, Mutex, MutexGuard};

/// A bounded queue; both ends can wait.
#[derive(Debug)]
pub(crate) struct Channel<T>(Mutex<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<T>,
    receiver: Option<Waker>,
    sender: Option<Waker>,
}

impl<T> Channel<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Inner {
            items: VecDeque::new(),
            receiver: None,
            sender: None,
        }))
    }

    /// Adds an item. False if the sender must wait for room before the next one.
    #[must_use]
    pub(crate) fn push(&self, item: T) -> bool {
        let (has_room, receiver) = {
            let mut inner = self.lock();
            inner.items.push_back(item);
            (inner.items.len() < CAPACITY, inner.receiver.take())
        };
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        has_room
    }

    /// Waits until half of the room is free: a sender that is woken for each item gains nothing
    /// from there being room for several.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.items.len() <= CAPACITY / 2 {
            return Poll::Ready(());
        }
        let old = inner.sender.replace(cx.waker().clone());
        drop(inner);
        drop(old);
        Poll::Pending
    }

    /// Waits for an item.
    pub(crate) fn poll_item(&self, cx: &mut Context<'_>) -> Poll<T> {
        let mut inner = self.lock();
        let Some(item) = inner.items.pop_front() else {
            let old = inner.receiver.replace(cx.waker().clone());
            drop(inner);
            drop(old);
            return Poll::Pending;
        };
        let sender = match inner.items.len() <= CAPACITY / 2 {
            true => inner.sender.take(),
            false => None,
        };
        drop(inner);
        if let Some(sender) = sender {
            sender.wake();
        }
        Poll::Ready(item)
    }

    /// Takes out what is left.
    pub(crate) fn take_all(&self) -> VecDeque<T> {
        std::mem::take(&mut self.lock().items)
    }

    /// Shows the items to `look`, unless another thread uses the channel.
    pub(crate) fn try_look<E>(&self, look: impl FnMut(&T) -> Result<(), E>) -> Result<(), E> {
        match self.0.try_lock() {
            Ok(inner) => inner.items.iter().try_for_each(look),
            Err(_) => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::{CAPACITY, Channel};

    #[test]
    fn a_full_channel_makes_its_sender_wait_until_half_of_it_is_taken() {
        let channel = Channel::new();
        let cx = &mut Context::from_waker(Waker::noop());
        let with_room = (0..CAPACITY).filter(|item| channel.push(*item)).count();
        assert_eq!(with_room, CAPACITY - 1);
        let mut taken = 0;
        while channel.poll_room(cx).is_pending() {
            assert_eq!(channel.poll_item(cx), Poll::Ready(taken));
            taken += 1;
        }
        assert_eq!(taken, CAPACITY / 2);
        assert_eq!(channel.take_all().len(), CAPACITY - taken);
        assert!(channel.poll_item(cx).is_pending());
    }
}
